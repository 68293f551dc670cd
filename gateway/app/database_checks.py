"""What keeps a gateway from serving customers in its databases: one that does not answer or was not upgraded, and policies that must not
decide. A start refuses the same.

Asks the databases. Must never make or change anything there.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.policies import last_activation
from audit.store.reads import LogCorrupt
from gateway.app.alignment import finding_of
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName, revision_of
from gateway.app.declared import served
from gateway.app.policies import decides_first, refuse_earlier
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.store.log_position import aligned
from gateway.store.policies import newest_activation

T = TypeVar("T")


async def database_findings(settings: Settings, *, wrong: Collection[str] = ()) -> Sequence[SettingFinding]:
    """Everything that is wrong in the databases of these settings.

    `wrong`: settings of which there are findings already. An address among them is not asked, in clear or at all, and nothing is said
    about one of them twice.
    """
    if not {"data", "database", "keys_database"}.isdisjoint(wrong):
        return ()
    places = DatabaseLocations(settings.data, settings.database, settings.keys_database)
    found = [finding for part in await asyncio.gather(*(_revision(places, part) for part in DatabaseName)) for finding in part]
    found = list(dict.fromkeys(found)) or list(await _policies(settings, places))
    if settings.synchronous_standby and not any(finding.code is FindingCode.UNAVAILABLE for finding in found):
        found.extend(await alone_findings(places))
    return [finding for finding in found if finding.setting not in wrong]


async def alone_findings(places: DatabaseLocations) -> Sequence[SettingFinding]:
    """A finding for each server whose commits no standby has yet when they are acknowledged. SQLAlchemyError."""
    found = []
    for name, part in (("database", DatabaseName.LOG), ("keys_database", DatabaseName.KEYS)):
        if name == "keys_database" and not places.keys_url:
            continue
        names: str = await _asked(replace(places, synchronous=False), part, _standbys)
        if not names.strip():
            problem = "acknowledges a commit before a standby has it, and synchronous_standby is on"
            remedy = "name standbys in the server's synchronous_standby_names (deploy/RUNBOOK.md, failover)"
            found.append(SettingFinding(name, FindingCode.COMMITS_ALONE, problem, remedy))
    return found


async def refuse_alone(places: DatabaseLocations) -> None:
    """UnsafeSettings where commits are to be on a standby too, and are not."""
    if places.shared and places.synchronous and (found := await alone_findings(places)):
        raise UnsafeSettings(findings=found)


def _standbys(connection: Connection) -> str:
    said: str = connection.execute(text("SELECT current_setting('synchronous_standby_names')")).scalar_one()
    return said


async def _revision(places: DatabaseLocations, part: DatabaseName) -> Sequence[SettingFinding]:
    name = "keys_database" if part is DatabaseName.KEYS and places.keys_url else "database"
    try:
        found = await revision_of(places, part)
    except (SQLAlchemyError, DatabaseUnavailable):
        return [_unavailable(name)]
    needed = HISTORIES[part].head
    if found == needed:
        return ()
    problem = (
        f"has no tables of {part} yet" if found is None else f"has tables of {part} of revision {found}, and {needed} is needed"
    )
    return [SettingFinding(name, FindingCode.NOT_UPGRADED, problem, "run `tellergate database upgrade`")]


async def _policies(settings: Settings, places: DatabaseLocations) -> Sequence[SettingFinding]:
    try:
        if (apart := finding_of(await _asked(places, DatabaseName.GATEWAY, aligned))) is not None:
            return [apart]
        row = await _asked(places, DatabaseName.GATEWAY, newest_activation)
        refuse_earlier(row, await _asked(places, DatabaseName.LOG, last_activation))
        decides_first(row, settings.policy_officers, served(settings).functions)
    except UnsafeSettings as refused:
        return refused.findings or [
            SettingFinding("functions", FindingCode.MALFORMED, str(refused), "correct the manifest, or what the settings say of it")
        ]
    except LogCorrupt:
        return [SettingFinding("database", FindingCode.UNREADABLE, "holds a damaged trail", "run `tellergate audit verify`")]
    except (SQLAlchemyError, DatabaseUnavailable):
        return [_unavailable("database")]
    return ()


async def _asked(places: DatabaseLocations, part: DatabaseName, question: Callable[[Connection], T]) -> T:
    database = places.open(part, name="command")
    try:
        return await database.read_long(question)
    finally:
        await database.close()


def _unavailable(name: str) -> SettingFinding:
    return SettingFinding(
        name, FindingCode.UNAVAILABLE, "does not answer, or is no database of ours", "start it, or correct the address"
    )
