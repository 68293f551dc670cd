"""`tellergate mandates`: sign what customers granted, import it (all of a file or nothing of it, and on record), and list it."""

import argparse
import asyncio
import hashlib
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.encoding import b64
from audit.key_format import KeyMissing
from audit.keyring import KeyRefused, KeyRing, SignedRows
from audit.log import LogUnavailable
from audit.store.reads import LogCorrupt
from gateway.app.bundle import read_bundle
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations
from gateway.app.declared import function_names
from gateway.app.keys import MANDATES
from gateway.app.mandate_files import LINE_BYTES, LINES_MOST, LineRefused, RefusedLine, judged, unsigned
from gateway.app.mandate_import import MandateBatch, import_batch
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.commands.locations import key_files, locations, named_file
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, failed, print_json, print_table
from gateway.commands.stores import opened_store
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.domain.mandate import load
from gateway.store.customers import GrantedRow, granted
from gateway.store.policies import newest_activation
from policies.engine import Engine

_SHOWN = ("starts", "ends", "functions", "accounts", "restrictions")


def sign(options: argparse.Namespace) -> int:
    """Print each line with its signature; a finding, and nothing is printed, where a line is no mandate."""
    key = _key(options)
    signed: list[str] = []
    refused: list[RefusedLine] = []
    for number, line in enumerate(_content(options.file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            mandate = unsigned(line)
        except LineRefused as error:
            refused.append(RefusedLine(number, str(error)))
        else:
            signature = b64(mandate.sign(key))
            signed.append(json.dumps({"mandate": json.loads(mandate.canonical()), "signature": signature}, ensure_ascii=False))
    if refused:
        return _told(options, 0, refused)
    print("\n".join(signed))
    return GOOD


def import_file(options: argparse.Namespace) -> int:
    """Store the mandates of a file; a finding, and nothing is stored, where a line is refused."""
    content = _content(options.file)
    names = function_names(named_file(options, "functions"))
    key = _key(options)
    restrictions = asyncio.run(_restrictions(locations(options))) if b'"restrictions"' in content else frozenset()
    taken, refused = judged(content.splitlines(), key=key, functions=names, restrictions=restrictions, now=utc_now())
    if refused or not taken:
        return _told(options, 0, refused or [RefusedLine(1, "no mandate stands in the file")])
    try:
        officer = acting_officer(options, Duty.IMPORT_MANDATES)
    except RequestFault as not_theirs:
        return failed(not_theirs.message, FINDING)
    digest = hashlib.sha256(content).hexdigest()
    signed = officer.states(Duty.IMPORT_MANDATES, {"file_sha256": digest, "count": len(taken)}, utc_now())
    batch = MandateBatch(taken, digest, officer.member.subject, signed)
    try:
        not_newer = asyncio.run(import_batch(locations(options), key, batch, clock=utc_now))
    except (LogUnavailable, LogCorrupt, KeyRefused, SQLAlchemyError, DatabaseUnavailable) as error:
        return failed(
            f"{error}: whether it was imported is told by the trail; import it again, and what stands is refused", UNAVAILABLE
        )
    if not_newer is None:
        return _told(options, len(taken), [])
    number = next(item.number for item in taken if item.mandate.customer == not_newer.customer)
    return _told(options, 0, [RefusedLine(number, f"version: must be more than {not_newer.stored}, which is stored")])


def list_all(options: argparse.Namespace) -> int:
    """What customers' assistants may do, by customer; a finding where a mandate is not as it was signed."""
    key = _key(options)
    try:
        rows = asyncio.run(_listed(locations(options), options.customer, options.after, options.limit))
    except Unavailable:
        return failed("the database does not answer", UNAVAILABLE)
    shown = [_row(row, key) for row in rows]
    if options.json:
        following = shown[-1]["customer"] if len(shown) == options.limit else None
        print_json({"data": shown, "next": following})
    elif shown:
        print_table(tuple(shown[0]), ([_text(value) for value in row.values()] for row in shown))
    else:
        print("nothing was granted" if options.customer is None else f"nothing was granted to {options.customer}")
    return FINDING if any(row["state"] == "not_as_signed" for row in shown) else GOOD


async def _listed(places: DatabaseLocations, customer: str | None, after: str, limit: int) -> Sequence[GrantedRow]:
    async with AsyncExitStack() as undo:
        return await (await opened_store(places, undo)).read(lambda connection: granted(connection, customer, after, limit))


def _row(row: GrantedRow, key: SignedRows) -> dict[str, object]:
    try:
        mandate = load(row.mandate, row.signature, key)
        state = "frozen" if row.is_frozen else mandate.state(utc_now())
    except ValueError:
        return {"customer": row.customer, "version": row.version, "state": "not_as_signed", **dict.fromkeys(_SHOWN)}
    values = (mandate.starts.isoformat(), mandate.ends.isoformat(), len(mandate.functions), len(mandate.accounts))
    return {
        "customer": row.customer,
        "version": row.version,
        "state": state,
        **dict(zip(_SHOWN, (*values, list(mandate.restrictions)), strict=True)),
    }


def _text(value: object) -> object:
    return ", ".join(value) if isinstance(value, list) else value


async def _restrictions(places: DatabaseLocations) -> frozenset[str]:
    """Those that the bundle in force has rules for. UnsafeSettings, HistoryUnknown, Unavailable."""
    async with AsyncExitStack() as undo:
        row = await (await opened_store(places, undo)).read(newest_activation)
    return Engine(read_bundle() if row is None else row.signed().bundle).restrictions


def _key(options: argparse.Namespace) -> SignedRows:
    try:
        return SignedRows(KeyRing(MANDATES, key_files(options)))
    except KeyMissing:
        path = options.data / MANDATES.file
        raise UnsafeSettings(
            f"{path} is not there; restore it, or make a new gateway with `tellergate init --production`"
        ) from None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LINE_BYTES * LINES_MOST + 1)
    if len(content) > LINE_BYTES * LINES_MOST or content.count(b"\n") > LINES_MOST:
        raise UnsafeSettings(f"{path.name} has more than {LINES_MOST} lines; import it in parts")
    return content


def _told(options: argparse.Namespace, imported: int, refused: Sequence[RefusedLine]) -> int:
    if options.json:
        print_json({"imported": imported, "refused": [{"line": item.number, "reason": item.reason} for item in refused]})
    else:
        for item in refused:
            print(f"line {item.number}: {item.reason}")
        print(f"{imported} mandates imported" if imported else "nothing was imported")
    return FINDING if refused else GOOD
