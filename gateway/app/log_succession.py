"""A log whose newest records are lost, though somebody holds a head of them, is given a successor by two officers: one states it in a
signed request, another checks and does it. They need not sit at one machine; the second must be where the databases are.

Until `database recover --records-lost` has run as well, the databases differ, and no gateway begins on them.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from audit.log import Log
from audit.succession import KnownHead, SuccessionOrder, SuccessionRefused, known_head, refuse_name, succeed
from gateway.app.clock import Clock
from gateway.app.databases import DatabaseLocations, open_log, refuse_unmade
from gateway.app.settings_checks import LOG_ORIGIN
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.domain.duties import Duty
from gateway.domain.statements import verified_statement
from gateway.store.log_position import lose_records
from policies.officers import Officer

LASTS = timedelta(hours=24)
"""A request that is older is not done any more."""

REQUEST_MOST = 131_072

Signs = Callable[[Duty, Mapping[str, object], datetime], Mapping[str, str]]


class RequestUnreadable(Exception):
    """The file is no request of a succession. The message says what to do."""


@dataclass(frozen=True, slots=True)
class SuccessionRequest:
    """A request as its file has it. `statement`: what the first officer signed, with the signature (base64) and SHA-256 of the public key;
    `note`: the last head that anybody kept, whose hash the statement has."""

    statement: str
    signature: str
    officer_key_sha256: str
    note: str

    def text(self) -> str:
        """The file."""
        members = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({"v": 1, **members}, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`record`: the index of the first record of the successor; `known_size`: of the last head of the log before. `is_new`: whether it was
    done now."""

    predecessor: str
    successor: str
    size: int
    known_size: int
    record: int
    is_new: bool
    checkpoint: str | None


def read_request(raw: bytes) -> SuccessionRequest:
    """RequestUnreadable for whatever is not one, byte for byte a JSON object with these members."""
    try:
        found = json.loads(raw) if len(raw) <= REQUEST_MOST else None
    except (ValueError, RecursionError):
        found = None
    names = {*SuccessionRequest.__dataclass_fields__}
    if not isinstance(found, dict) or found.keys() != {"v", *names} or found["v"] != 1 or isinstance(found["v"], bool):
        raise RequestUnreadable("the file is no request of a succession: give the one that the first officer's command wrote")
    if not all(isinstance(found[name], str) for name in names):
        raise RequestUnreadable("the file is no request of a succession: a member of it is no text")
    return SuccessionRequest(**{name: found[name] for name in names})


async def request(
    places: DatabaseLocations, note: bytes, successor: str, reason: str, *, signs: Signs, clock: Clock
) -> SuccessionRequest:
    """What the first officer asks for, of the log as it stands. SuccessionRefused, UnsafeSettings, HistoryUnknown, KeyRefused,
    LogUnavailable, LogCorrupt. Nothing is written to the databases."""
    if not LOG_ORIGIN.fullmatch(successor):
        raise SuccessionRefused("the new origin is no name that a log can have: give one such as bank.example/log-2")
    async with _opened(places, clock) as log:
        refuse_name(log, successor)
        known, (size, root), at = await known_head(log, note), await log.head(), clock()
        subject = {
            "predecessor": log.origin,
            "successor": successor,
            "size": size,
            "root": root.hex(),
            "known_size": known.size,
            "known_root": known.root.hex(),
            "known_note_sha256": sha256(known.note.encode()).hexdigest(),
            "reason": reason,
            "expires": (at + LASTS).isoformat(),
        }
        return SuccessionRequest(**signs(Duty.SUCCEED, subject, at), note=known.note)


def asked_by(wanted: SuccessionRequest, officers: Mapping[str, Officer], clock: Clock) -> tuple[Officer, Mapping[str, str]]:
    """Who of these signed the request, and its subject. SuccessionRefused for nobody of them, another statement, or one that is over."""
    officer = next((item for item in officers.values() if _key_hash(item) == wanted.officer_key_sha256), None)
    try:
        signature = base64.b64decode(wanted.signature, validate=True)
    except ValueError:
        signature = b""
    said = None if officer is None else verified_statement(wanted.statement, signature, officer.key)
    if officer is None or said is None:
        raise SuccessionRefused("the request is not signed by an officer in policy_officers: ask for it anew")
    subject = said.get("subject")
    if said.get("duty") != Duty.SUCCEED or said.get("by") != officer.name or not isinstance(subject, dict):
        raise SuccessionRefused("what was signed is no request of a succession by that officer: ask for it anew")
    told = {name: str(value) for name, value in subject.items()}
    if clock() >= datetime.fromisoformat(told["expires"]):
        raise SuccessionRefused(f"the request was good until {told['expires']}: ask for it anew")
    return officer, told


async def approve(
    places: DatabaseLocations,
    wanted: SuccessionRequest,
    told: Mapping[str, str],
    by: tuple[str, str],
    *,
    signs: Signs,
    clock: Clock,
) -> Succeeded:
    """Do what was asked for, `by` the first officer and the second. May be killed at any moment and run again. SuccessionRefused, where
    nothing was done; LogUnavailable, SQLAlchemyError: run it again; UnsafeSettings, HistoryUnknown, KeyRefused, LogCorrupt."""
    async with _opened(places, clock, told["successor"]) as log:
        if (
            log.origin == told["successor"]
            and log.lineage.begins == int(told["size"])
            and told["predecessor"] in log.lineage.origins
        ):
            return await _ended(log, told, is_new=False)
        if log.origin != told["predecessor"]:
            raise SuccessionRefused(f"the log is called {log.origin}, and the request is of {told['predecessor']}")
        known = await known_head(log, wanted.note.encode())
        if sha256(known.note.encode()).hexdigest() != told["known_note_sha256"]:
            raise SuccessionRefused("the checkpoint in the file is not the one that was signed for: ask for it anew")
        said = _told(wanted, told, by, signs, clock)
        order = SuccessionOrder(told["successor"], int(told["size"]), bytes.fromhex(told["root"]), known, said)
        made, _ = await succeed(log, order, lambda connection: lose_records(connection, _known_size(known, order)))
        try:
            return await _ended(made, told, is_new=True)
        finally:
            await made.transactions.close()


def _known_size(known: KnownHead, order: SuccessionOrder) -> int:
    return max(known.size, order.size + 1)


def _told(wanted: SuccessionRequest, told: Mapping[str, str], by: tuple[str, str], signs: Signs, clock: Clock) -> Mapping[str, str]:
    """Who, why, and what each signed: the second one over the hash of what the first one did."""
    subject = {"request_sha256": sha256(wanted.statement.encode()).hexdigest(), "successor": told["successor"]}
    agreed = signs(Duty.SUCCEED, subject, clock())
    return {
        "by": by[0],
        "approved_by": by[1],
        "via": "key",
        "reason": told["reason"],
        "statement": wanted.statement,
        "signature": wanted.signature,
        "officer_key_sha256": wanted.officer_key_sha256,
        **{f"approval_{name}": value for name, value in agreed.items()},
    }


async def _ended(log: Log, told: Mapping[str, str], *, is_new: bool) -> Succeeded:
    """A checkpoint under the new name at once: it is what witnesses and auditors are told of."""
    note = await log.publish(force=True)
    size = int(told["size"])
    return Succeeded(told["predecessor"], log.origin, size, int(told["known_size"]), size, is_new, note)


@asynccontextmanager
async def _opened(places: DatabaseLocations, clock: Clock, successor: str = "") -> AsyncIterator[Log]:
    """The log under the name that it has; the setting `log_origin` may name it so, or as it is about to be called."""
    await refuse_unmade(places)
    log = await open_log(replace(places, log_origin=""), writer_id="command", clock=clock, may_upgrade=False)
    try:
        if places.log_origin not in ("", log.origin, successor):
            problem = f"is {places.log_origin}, and the log is called {log.origin}"
            raise UnsafeSettings(
                findings=[
                    SettingFinding("log_origin", FindingCode.CONFLICT, problem, "look at `database`: is it the log that you meant?")
                ]
            )
        yield log
    finally:
        await log.close()


def _key_hash(officer: Officer) -> str:
    return sha256(officer.key.public_bytes_raw()).hexdigest()
