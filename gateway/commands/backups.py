"""`tellergate backup` and `tellergate restore`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.log import LogUnavailable
from audit.store.reads import LogCorrupt
from gateway.app.backup import BackupPlaces, BackupRefused, back_up, restore
from gateway.app.clock import utc_now
from gateway.app.postgres_dump import ToolFailed
from gateway.commands.locations import locations
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, failed, print_json


def backup(options: argparse.Namespace) -> int:
    """Copy the databases, of one moment; gateways may run meanwhile. A finding where it cannot be made."""
    places = BackupPlaces(options.folder, options.keys)
    return _told(options, back_up(locations(options), places, clock=utc_now, tell=_tell(options)), _MADE)


def put_back(options: argparse.Namespace) -> int:
    """Put a backup into an empty place, and verify it. A finding where it is not as its manifest says."""
    places = BackupPlaces(options.folder, options.keys)
    return _told(options, restore(locations(options), places, clock=utc_now, tell=_tell(options)), _RESTORED)


_MADE = "backed up"
_RESTORED = (
    "restored; it knows nothing of what came after. Next: `tellergate database recover`, then as RUNBOOK.md, book_behind_log, says"
)


def _tell(options: argparse.Namespace) -> Any:
    return lambda step: None if options.json else print(step, file=sys.stderr, flush=True)


def _told(options: argparse.Namespace, work: Awaitable[Mapping[str, Any]], said: str) -> int:
    async def run() -> Mapping[str, Any]:
        return await work

    try:
        manifest = asyncio.run(run())
    except (BackupRefused, LogCorrupt) as refused:
        return failed(str(refused), FINDING)
    except (ToolFailed, LogUnavailable, SQLAlchemyError, DatabaseUnavailable) as error:
        return failed(f"{error if isinstance(error, ToolFailed) else 'the databases do not answer'}; try again", UNAVAILABLE)
    if options.json:
        print_json(manifest)
    else:
        log = manifest["log"]
        print(f"{log['size']} records of {log['origin']}, root {log['root']}: {said}")
    return GOOD
