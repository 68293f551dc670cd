"""`tellergate keys`: the secret keys of an installation, listed, sealed, rotated and retired; none is ever printed."""

import argparse
import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from audit.checkpoint import KeyType, VerifierKey
from audit.database import DatabaseUnavailable
from audit.key_files import FileKeys, read_passphrase
from audit.key_format import KeyMissing
from audit.keyring import KeyKind, KeyPurpose, KeyRefused, KeyRing, RingKey
from audit.keys import CUSTOMERS, HEAD, HEAD_PQ
from audit.leaf import Plain, Record, RecordKind
from audit.log import Log, LogUnavailable
from audit.rotation_records import RotationRecords, key_name, newest, rotate
from audit.store.reads import LogCorrupt
from gateway.app.clock import utc_now
from gateway.app.databases import is_trail, open_log
from gateway.app.keys import PURPOSES, passphrase
from gateway.commands.locations import key_files, locations
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault

BY_NAME = {purpose.name: purpose for purpose in PURPOSES}


def list_all(options: argparse.Namespace) -> int:
    """Every key, and what is wrong with a file; status 1 if anything is."""
    storage, rows, wrong, strays = key_files(options), [], [], []
    for purpose in PURPOSES:
        try:
            rows += _rows(storage, purpose)
            strays += [{"purpose": purpose.name, "id": object_id.hex()} for object_id in storage.strays(purpose)]
        except KeyRefused as error:
            wrong.append({"purpose": purpose.name, "file": purpose.file, "why": str(error)})
    if options.json:
        print_json({"keys": rows, "wrong": wrong, "strays": strays})
    else:
        columns = ("purpose", "id", "state", "algorithm", "made", "begins", "sealed")
        print_table(columns, [[row[column] for column in columns] for row in rows])
        for item in wrong:
            print(f"{item['purpose']}: {item['why']}")
        for item in strays:
            print(
                f"{item['purpose']}: the token holds the key {item['id']}, which no file names: `tellergate keys retire`, if it is nobody's"
            )
    return FINDING if wrong or strays else GOOD


def seal(options: argparse.Namespace) -> int:
    """Seal every file that is there. Each is whole under the old or the new passphrase, wherever this stops; run it again then."""
    if locations(options).token is not None:
        return failed("the keys are in a token, which seals their files; a passphrase is for key_storage = files", USAGE)
    before = passphrase(locations(options).passphrase_file)
    words = before if options.passphrase_file is None else read_passphrase(options.passphrase_file)
    if words is None:
        return failed("give the passphrase: --passphrase-file, or TELLERGATE_KEY_PASSPHRASE_FILE", USAGE)
    storage, after = FileKeys(options.data, passphrase=before), FileKeys(options.data, passphrase=words)
    sealed: list[str] = []
    for purpose in PURPOSES:
        try:
            if not after.is_sealed(purpose):
                storage.seal(purpose, words)
            after.load(purpose)
        except KeyMissing:
            continue
        except KeyRefused:  # sealed under the passphrase of before
            storage.seal(purpose, words)
        sealed.append(purpose.name)
    if options.json:
        print_json({"sealed": sealed})
    else:
        print(
            f"sealed: {', '.join(sealed) or 'nothing, since there are no key files'}; start running gateways again, with the passphrase"
        )
    return GOOD if sealed else FINDING


def rotate_one(options: argparse.Namespace) -> int:
    """Make the next key of a purpose, or of several, and put it on record. What one of several refuses stops it there: those before it
    are rotated and on record."""
    several = {"log": (HEAD, HEAD_PQ), "all": PURPOSES}
    purposes = several.get(options.purpose) or (BY_NAME[options.purpose],)

    async def work(log: Log, storage: FileKeys) -> int:
        made, refused = [], None
        for purpose in purposes:
            begins_s = int(log.now().timestamp()) + 1 + options.lead
            try:
                before = storage.load(purpose)[-1]
                made.append((purpose, before, await asyncio.to_thread(rotate, storage, purpose, log.origin, begins_s)))
            except KeyRefused as error:
                refused = error
                break
        status = await _on_record(
            options, log, [KeyRing(purpose, storage) for purpose, _, _ in made], [_rotated(*item) for item in made]
        )
        if refused is not None:
            raise refused
        return status

    return _with_log(options, work, _SignedAct(Duty.ROTATE_KEY, {"purpose": options.purpose, "lead_s": options.lead}))


async def _on_record(options: argparse.Namespace, log: Log, rings: Sequence[KeyRing], told: Sequence[dict[str, str]]) -> int:
    try:
        await RotationRecords().complete(log, rings)
    except LogUnavailable:
        _tell_rotated(options, told, recorded=False)
        return UNAVAILABLE
    if told:
        _tell_rotated(options, told, recorded=True)
    return GOOD


def retire(options: argparse.Namespace) -> int:
    """Destroy a key; of customers' keys, whatever it wraps is wrapped by the active one before."""
    purpose = BY_NAME[options.purpose]

    async def work(log: Log, storage: FileKeys) -> int:
        try:
            key_id = bytes.fromhex(options.id)
        except ValueError:
            return failed("ID is hexadecimal digits, as `keys list` shows it", USAGE)
        if key_id in storage.strays(purpose):
            return await _stray_destroyed(options, log, storage, key_id)
        if options.distrust and (purpose.evidence or not purpose.kind.signs):
            return failed(f"--distrust is for what signs and is no evidence; a key of {purpose.name} is retired without it", USAGE)
        storage.check_retirable(purpose, key_id)
        wrapped = await log.keys.rewrap() if purpose is CUSTOMERS else 0
        # Before it is destroyed: what is on record as destroyed was meant to be, and the head gets a code by the active key
        await _record(log, "key.distrust" if options.distrust else "key.retire", purpose, options.id)
        await asyncio.to_thread(partial(storage.retire, purpose, key_id, distrust=options.distrust))
        told = {"purpose": purpose.name, "retired": options.id, "wrapped_again": wrapped, "distrusted": options.distrust}
        if options.json:
            print_json(told)
        else:
            after = "start running gateways again: they hold mandates that they verified before" if options.distrust else ""
            print(f"{purpose.name}: {options.id} is retired; {after or 'running gateways let go of it within seconds'}")
        return GOOD

    subject = {"purpose": options.purpose, "key": options.id, "distrust": str(options.distrust).lower()}
    return _with_log(options, work, _SignedAct(Duty.RETIRE_KEY, subject))


async def _stray_destroyed(options: argparse.Namespace, log: Log, storage: FileKeys, object_id: bytes) -> int:
    """Of a key that was made and never published. KeyRefused where the file is older than the log: then the key may be in use elsewhere."""
    purpose = BY_NAME[options.purpose]
    if options.distrust:
        return failed("--distrust is for what a key signed; one that no file names signed nothing", USAGE)
    last = await log.read_long(partial(newest, purpose=purpose))
    if last is not None and last not in {key.id.hex() for key in storage.load(purpose)}:
        raise KeyRefused(
            f"{purpose.name}: {purpose.file} is older than the log, which knows the key {last}: restore its newest copy"
        )
    await _record(log, "key.retire", purpose, options.id)
    await asyncio.to_thread(storage.destroy_stray, purpose, object_id)
    if options.json:
        print_json({"purpose": purpose.name, "retired": options.id, "wrapped_again": 0, "distrusted": False})
    else:
        print(f"{purpose.name}: {options.id}, which no file named, is destroyed")
    return GOOD


def make(options: argparse.Namespace) -> int:
    """A first key again, where the one there was is lost."""
    purpose = BY_NAME[options.purpose]

    async def work(log: Log, storage: FileKeys) -> int:
        if storage.is_there(purpose):
            return failed(f"{purpose.file} is there; to follow it by another: `tellergate keys rotate {purpose.name}`", FINDING)
        await asyncio.to_thread(storage.make, purpose)
        made = storage.load(purpose)[0].id.hex()
        await _record(log, "key.make", purpose, made)
        if options.json:
            print_json({"purpose": purpose.name, "id": made, "lost": purpose.lost})
        else:
            print(f"{purpose.name}: {made} is made. With the one before it was lost: {purpose.lost}")
        return GOOD

    return _with_log(options, work, _SignedAct(Duty.MAKE_KEY, {"purpose": options.purpose}))


def export_public(options: argparse.Namespace) -> int:
    """Print every public key: of each signing purpose, with its name in signed notes."""

    async def work(log: Log, storage: FileKeys) -> int:
        keys = [
            {**row, "public": base64.b64encode(key.public).decode(), "vkey": _vkey(log.origin, purpose, key)}
            for purpose in PURPOSES
            if purpose.kind.signs
            for row, key in zip(_rows(storage, purpose), storage.load(purpose), strict=True)
        ]
        if options.json:
            print_json({"origin": log.origin, "keys": keys})
        else:
            for key in keys:
                print(f"{key['purpose']} {key['state']} {key['vkey']}")
        return GOOD

    return _with_log(options, work)


def _rows(storage: FileKeys, purpose: KeyPurpose) -> list[dict[str, Any]]:
    ring, sealed = KeyRing(purpose, storage), storage.is_sealed(purpose)
    active = ring.active()
    return [
        {
            "purpose": purpose.name,
            "id": key.id.hex(),
            "state": _state(key, active),
            "algorithm": purpose.kind.value,
            "made": _time(key.made_s),
            "begins": _time(key.begins_s) if key.begins_s else None,
            "sealed": sealed,
        }
        for key in ring.keys
    ]


def _state(key: RingKey, active: RingKey) -> str:
    if key is active:
        return "active"
    if key.begins_s > active.begins_s:
        return "next"
    return "older" if key.signer or key.secret else "retired"


def _rotated(purpose: KeyPurpose, before: RingKey, made: RingKey) -> dict[str, str]:
    return {"purpose": purpose.name, "old": before.id.hex(), "new": made.id.hex(), "begins": _time(made.begins_s)}


def _tell_rotated(options: argparse.Namespace, told: Sequence[dict[str, str]], *, recorded: bool) -> None:
    if options.json:
        print_json({"rotated": told, "recorded": recorded})
        return
    for item in told:
        print(f"{item['purpose']}: {item['new']} follows {item['old']}, and begins {item['begins']}; running gateways take it over")
    if not recorded:
        print("the log did not answer: the next publication, or the next start of a gateway, puts it on record")


def _vkey(origin: str, purpose: KeyPurpose, key: RingKey) -> str:
    kind = KeyType.ED25519 if purpose.kind is KeyKind.ED25519 else KeyType.MLDSA44
    return VerifierKey(key_name(origin, purpose), kind, key.public).encode()


async def _record(log: Log, action: str, purpose: KeyPurpose, key_id: str) -> None:
    facts: dict[str, Plain] = {"action": action, "purpose": purpose.name, "key": key_id}
    await log.append(Record(kind=RecordKind.ADMIN, time=log.now(), facts=facts))


@dataclass(frozen=True, slots=True)
class _SignedAct:
    """What an officer's key signs, on record, before it is done."""

    duty: Duty
    subject: Mapping[str, str | int]

    async def record(self, options: argparse.Namespace, log: Log) -> None:
        """RequestFault, UnsafeSettings: the key may not. LogUnavailable: then nothing is done."""
        officer = acting_officer(options, self.duty)
        told = officer.states(self.duty, self.subject, log.now())
        facts: dict[str, Plain] = {"word": "signed", "duty": self.duty.value, "by": officer.member.subject, **told}
        await log.append(Record(kind=RecordKind.ADMIN, time=log.now(), facts={**facts, "via": officer.member.proved_by.value}))


def _with_log(options: argparse.Namespace, work: Callable[[Log, FileKeys], Awaitable[int]], act: _SignedAct | None = None) -> int:
    """Do something beside the log of a folder: what is done to keys is on record. `act`: what a person's key must sign first."""

    async def run() -> int:
        places, storage = locations(options), key_files(options)
        if not await is_trail(places):
            return failed(f"there is no log in {options.data}; keys are made with it: `tellergate serve`", USAGE)
        log = await open_log(places, writer_id="command", clock=utc_now, storage=storage, may_upgrade=False)
        try:
            if act is not None:
                await act.record(options, log)
            return await work(log, storage)
        except RequestFault as refused:
            return failed(refused.message, FINDING)
        finally:
            await log.close()

    try:
        return asyncio.run(run())
    except (LogUnavailable, LogCorrupt, SQLAlchemyError, DatabaseUnavailable) as error:
        return failed(f"the log does not answer or is damaged ({type(error).__name__}); see `tellergate audit verify`", UNAVAILABLE)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
