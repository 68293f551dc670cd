"""`tellergate database`: which revision each database has, its upgrade, and the rights of who uses it."""

import argparse
import asyncio

from sqlalchemy.exc import ProgrammingError

from audit.keys import HEAD
from audit.migration import HistoryUnknown, prepare
from gateway.app.database_roles import RoleRefused, grants, say
from gateway.app.databases import HISTORIES, DatabaseName
from gateway.commands.locations import locations
from gateway.commands.printing import FINDING, GOOD, USAGE, failed, print_json, print_table
from gateway.store.log_position import watch


def status(options: argparse.Namespace) -> int:
    """Print the revisions; a finding where one is not the newest."""
    return asyncio.run(_each(options, upgrading=False))


def upgrade(options: argparse.Namespace) -> int:
    """Upgrade what is older, and make what is not there yet in a folder whose keys are; without keys it is left to the first start."""
    return asyncio.run(_each(options, upgrading=True))


def roles(options: argparse.Namespace) -> int:
    """Print the rights that the roles of PostgreSQL need, or grant them."""
    if options.gateway is None and options.operator is None:
        return failed("name a role: --gateway, --operator or both", USAGE)
    places = locations(options)
    if not places.shared:
        return failed("files have no roles: give the owner's address of PostgreSQL by TELLERGATE_DATABASE", USAGE)
    try:
        wanted = grants(options.gateway, options.operator)
        if options.execute:
            asyncio.run(say(places, wanted))
    except RoleRefused as refused:
        return failed(str(refused), USAGE)
    except ProgrammingError:
        return failed(
            "a role or a table is not there, or this address is not the owner's; nothing was granted in that database", FINDING
        )
    if options.json:
        said = [{"database": grant.part.value, "statement": grant.statement} for grant in wanted]
        print_json({"executed": options.execute, "statements": said})
    elif options.execute:
        print(f"{len(wanted)} statements were executed")
    else:
        for grant in wanted:
            print(f"{grant.statement};")
    return GOOD


async def _each(options: argparse.Namespace, *, upgrading: bool) -> int:
    places = locations(options)
    rows = []
    makes = upgrading and (options.data / HEAD.file).is_file()
    for part in DatabaseName:
        history = HISTORIES[part]
        if not places.is_there(part) and not makes:
            return failed(f"there is no database of {part.value} in {options.data}", USAGE)
        database = places.open(part, name="command")
        try:
            found = await database.read(history.revision)
            if upgrading and found != history.head and (makes or found is not None):
                await prepare(database, history, may_upgrade=True)
                found = await database.read(history.revision)
            if upgrading and part is DatabaseName.GATEWAY and found == history.head:
                await database.write(watch)
        except HistoryUnknown as unknown:
            return failed(str(unknown), FINDING)
        finally:
            await database.close()
        rows.append({"database": part.value, "revision": found, "needed": history.head})
    if options.json:
        print_json({"databases": rows})
    else:
        print_table(("database", "revision", "needed"), (tuple(row.values()) for row in rows))
    return GOOD if all(row["revision"] == row["needed"] for row in rows) else FINDING
