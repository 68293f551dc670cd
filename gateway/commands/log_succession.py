"""`tellergate audit recover`: a log whose newest records are lost goes on under another origin, by two officers."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.log import LogUnavailable
from audit.store.reads import LogCorrupt
from audit.succession import SuccessionRefused
from gateway.app.clock import utc_now
from gateway.app.log_succession import REQUEST_MOST, RequestUnreadable, Succeeded, approve, asked_by, read_request, request
from gateway.app.policies import pinned_officers
from gateway.commands.locations import locations, named_file
from gateway.commands.officers import MADE_UP, ActingOfficer, acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json
from gateway.domain.approvals import REASON_MOST
from gateway.domain.duties import Duty, StaffRole
from gateway.domain.errors import RequestFault
from gateway.domain.staff import ProvedBy, StaffMember, require_duty


def recover(options: argparse.Namespace) -> int:
    """Write a request, or do what one asks for; a finding where nothing is lost, or the second person is the first."""
    asking = {
        "--checkpoint": options.checkpoint,
        "--origin": options.origin,
        "--reason": options.reason,
        "--request": options.request,
    }
    given = [name for name, value in asking.items() if value is not None]
    if given and options.approve is not None:
        return failed(f"--approve FILE stands alone: leave out {', '.join(given)}", USAGE)
    if options.approve is None and len(given) != len(asking):
        return failed("give --checkpoint, --origin, --reason and --request, or --approve FILE", USAGE)
    if options.approve is None and not 1 <= len(options.reason) <= REASON_MOST:
        return failed(f"--reason has 1 to {REASON_MOST} characters", USAGE)
    try:
        officer = acting_officer(options, Duty.SUCCEED)
        return _run(_asks(options, officer) if options.approve is None else _approves(options, officer))
    except RequestFault as refused:
        return failed(refused.message, FINDING)
    except SuccessionRefused as refused:
        return failed(f"nothing was changed: {refused}", FINDING)
    except RequestUnreadable as error:
        return failed(str(error), USAGE)
    except OSError as error:
        if error.filename is None:
            raise
        return failed(f"cannot read or write {error.filename}: {error.strerror}", USAGE)
    except LogCorrupt as error:
        return failed(f"the log is not what was signed: {error}; run `tellergate audit verify`", FINDING)
    except (LogUnavailable, SQLAlchemyError, DatabaseUnavailable):
        return failed("the databases do not answer, or somebody writes: stop every gateway, and run it again", UNAVAILABLE)


def _run(work: Coroutine[Any, Any, Callable[[], int]]) -> int:
    return asyncio.run(work)()


async def _asks(options: argparse.Namespace, officer: ActingOfficer) -> Callable[[], int]:
    note = _read(options.checkpoint)
    made = await request(locations(options), note, options.origin, options.reason, signs=officer.states, clock=utc_now)
    with options.request.open("x") as file:
        file.write(made.text())
    text = (
        f"{options.request}: signed, good for 24 hours. Next: another officer looks at it, and runs\n"
        f"`tellergate audit recover --approve {options.request} --officer-key THEIRS --data {options.data}`"
    )

    def say() -> int:
        if options.json:
            print_json({"request": str(options.request), "statement": made.statement})
        else:
            print(text)
        return GOOD

    return say


async def _approves(options: argparse.Namespace, officer: ActingOfficer) -> Callable[[], int]:
    wanted = read_request(_read(options.approve))
    named, made_up = named_file(options, "policy_officers"), options.data / MADE_UP
    first, told = asked_by(wanted, pinned_officers(named or (made_up if made_up.is_file() else None)), utc_now)
    roles = frozenset(map(StaffRole, first.staff))
    require_duty(StaffMember(first.name, roles, True, int(utc_now().timestamp()), ProvedBy.KEY), Duty.SUCCEED, utc_now(), 0)
    if first.name == officer.member.subject:
        raise SuccessionRefused(f"{first.name} asked for it: another officer must approve it")
    by = (first.name, officer.member.subject)
    done = await approve(locations(options), wanted, told, by, signs=officer.states, clock=utc_now)
    return lambda: _told(options, done)


def _told(options: argparse.Namespace, done: Succeeded) -> int:
    if options.json:
        print_json(
            {
                "predecessor": done.predecessor,
                "successor": done.successor,
                "size": done.size,
                "known_size": done.known_size,
                "record": done.record,
                "new": done.is_new,
                "checkpoint": done.checkpoint,
            }
        )
        return GOOD
    print(f"{done.predecessor} ended at {done.size} records; {done.successor} continues it, from record {done.record} on. Next:")
    print("1. `tellergate database recover --records-lost`: no gateway begins before")
    print(f'2. where the settings name the log: log_origin = "{done.successor}"')
    print("3. who runs a witness: `tellergate witness add-log` with the keys that `tellergate keys export-public` prints now")
    print("4. cores and core proxies: give them what `tellergate keys permits` prints now")
    print(
        "5. tell every auditor: the trust policy of an export from now on names both logs; what they have of the old one stays good"
    )
    return GOOD


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(REQUEST_MOST + 1)
