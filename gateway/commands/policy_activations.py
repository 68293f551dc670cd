"""`tellergate policy activate`, `rollback` and `list`: which bundle decides, on the databases themselves. Each gateway that shares them
takes a newer one over by itself; none has to answer.
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from audit.committer import LogEntry
from audit.context import activations as activations_of_trail
from audit.log import Log, LogUnavailable
from audit.migration import prepare
from audit.policies import activate, last_activated
from gateway.app.alignment import refuse_apart
from gateway.app.bundle import differences
from gateway.app.clock import utc_now
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName, is_trail, open_log
from gateway.app.policies import pinned_officers
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.commands.functions import served_functions
from gateway.commands.locations import locations, named_file
from gateway.commands.policy_bundles import FileRefused, findings, read_signed, write_bundle
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.commands.stores import opened_store
from gateway.domain.errors import Unavailable
from gateway.store.policies import Activate, NotNewer, PolicyActivation, activation, activations, newest_activation
from policies.bundle import Bundle, NotActivated, SignedBundle
from policies.officers import NAME_MOST, is_name, verified
from policies.review.acceptance import complaints


def activate_bundle(options: argparse.Namespace) -> int:
    """Put a signed bundle in force. A finding, and nothing is changed, if it must not be.

    1. A pinned author and another person, a pinned activator, signed it.
    2. It was written for exactly the functions that are served.
    3. The engine takes its rules, and all of its cases hold.
    4. Its version is greater than every earlier one; it is durable together with the record of it, or not at all.
    """
    officers = pinned_officers(named_file(options, "policy_officers"))
    try:
        signed = read_signed(options.bundle)
        bundle = verified(signed, officers)  # 1
    except (FileRefused, NotActivated) as refused:
        return failed(str(refused), FINDING)
    if found := differences(bundle, served_functions(named_file(options, "functions"))):  # 2
        return failed(f"the bundle was written for other functions: {'; '.join(found)}", FINDING)
    if wrong := complaints(bundle):  # 3
        if options.json:
            print_json({"bundle": bundle.hash, "version": bundle.version, "findings": findings(wrong)})
        return failed("\n".join(map(str, wrong)), FINDING)
    try:
        entry = asyncio.run(_put_in_force(locations(options), signed, is_new=options.makes_folder))  # 4
    except NotNewer as refused:
        return failed(str(refused), FINDING)
    except LogUnavailable:
        return failed("the trail does not answer; whether it is in force is told by `policy list`", UNAVAILABLE)
    names = {"author": signed.author.name, "activator": signed.activator.name}
    if options.json:
        print_json({"bundle": bundle.hash, "version": bundle.version, **names, "record": entry.index})
    else:
        by = f"by {names['author']}, activated for {names['activator']}"
        print(f"version {bundle.version} is in force: bundle {bundle.hash}, {by}, record {entry.index}")
    return GOOD


async def _put_in_force(places: DatabaseLocations, signed: SignedBundle, *, is_new: bool) -> LogEntry:
    async with AsyncExitStack() as undo:
        if is_new:
            if (places.data / "audit" / "secrets").is_dir() and not await is_trail(places):
                raise UnsafeSettings(
                    f"{places.data} has its keys; make its databases with `tellergate database upgrade`, without `--new`"
                )
            await _made(places)
        await opened_store(places, undo)  # is of this version
        log = await _opened_log(places, undo, is_new=is_new)
        if is_new:
            await _watched(places)
        log.transactions.share(lambda connection, items: [item.apply(connection) for item in items])
        bundle, told = signed.bundle, await last_activated(log)
        if told is not None and bundle.version <= (before := int(str(told["version"]))):
            raise NotNewer(before)  # also where the row of that activation is gone
        return await activate(
            log,
            bundle.canonical(),
            version=str(bundle.version),
            author=signed.author.name,
            activator=signed.activator.name,
            change=Activate(signed, log.now()),
        )


async def _made(places: DatabaseLocations) -> None:
    """The tables of a gateway that was never started, which would not start without policies."""
    places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = places.open(DatabaseName.GATEWAY, name="command")
    try:
        await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    finally:
        await database.close()


async def _watched(places: DatabaseLocations) -> None:
    """The log came after the gateway's tables, which are to know how far it is."""
    database = places.open(DatabaseName.GATEWAY, name="command")
    try:
        await refuse_apart(database, may_watch=True)
    finally:
        await database.close()


async def _opened_log(places: DatabaseLocations, undo: AsyncExitStack, *, is_new: bool = False) -> Log:
    if not is_new and not await is_trail(places):
        raise UnsafeSettings(f"there is no trail in {places.data}; `--new` makes one")
    log = await open_log(places, writer_id="command", clock=utc_now, may_upgrade=False)
    undo.push_async_callback(log.close)
    return log


def rollback(options: argparse.Namespace) -> int:
    """Write the rules of an earlier activation as a new bundle, for an author and an activator to sign anew."""
    if not is_name(options.author):
        return failed(f"--author has 1 to {NAME_MOST} printable characters", USAGE)
    try:
        earlier = asyncio.run(activated_bundle(locations(options), options.to))
    except FileRefused as refused:
        return failed(str(refused), FINDING)
    except (LogUnavailable, Unavailable):
        return failed("the databases do not answer; nothing was written", UNAVAILABLE)
    if options.version <= earlier.version:
        return failed("--version is greater than that of every earlier activation", USAGE)
    bundle = replace(earlier, version=options.version, author=options.author)
    if not write_bundle(options.out, bundle):
        return failed(f"{options.out} is another bundle already; name another file", USAGE)
    if options.json:
        print_json({"bundle": bundle.hash, "version": bundle.version, "author": bundle.author, "from": earlier.hash})
    else:
        print(f"{options.out}: version {bundle.version} with the rules of version {options.to}, bundle {bundle.hash}")
    return GOOD


async def activated_bundle(places: DatabaseLocations, version: int | None) -> Bundle:
    """The bundle of an activation that the trail has a record of, None: of the newest. A row that somebody put there is none. FileRefused,
    LogUnavailable, Unavailable."""
    async with AsyncExitStack() as undo:
        store = await opened_store(places, undo)
        row = await store.read(newest_activation if version is None else partial(activation, version=version))
        if row is None:
            which = "nothing was" if version is None else f"version {version} was never"
            raise FileRefused(f"{which} activated; `tellergate policy list` says what was")
        version = row.version
        log = await _opened_log(places, undo)
        size, _ = await log.head()
        recorded = await log.read_long(lambda reads: activations_of_trail(reads, size))
        try:
            bundle = row.signed().bundle
        except ValueError as error:
            raise FileRefused(f"version {version} is not as it was activated: {error}") from None
        if bundle.hash not in recorded:
            raise FileRefused(f"version {version} is not as it was activated: the trail has no record of bundle {bundle.hash}")
        return bundle


def list_all(options: argparse.Namespace) -> int:
    """Every activation, the newest first, as the database has it. Reading them is no question to the trail."""
    try:
        found = asyncio.run(_listed(locations(options)))
    except Unavailable:
        return failed("the database does not answer", UNAVAILABLE)
    rows = [
        {
            "version": row.version,
            "bundle": row.bundle,
            "author": row.author.name,
            "activator": row.activator.name,
            "activated": row.activated.isoformat(),
            "in_force": row is found[0],
        }
        for row in found
    ]
    if options.json:
        print_json({"data": rows})
    elif rows:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
    else:
        print("nothing was activated")
    return GOOD


async def _listed(places: DatabaseLocations) -> Sequence[PolicyActivation]:
    async with AsyncExitStack() as undo:
        return await (await opened_store(places, undo)).read(activations)
