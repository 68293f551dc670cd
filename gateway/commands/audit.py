"""`tellergate audit`: reveal, verify, export, hold and erase, on a data folder; a gateway may be running on it meanwhile.

`questions` and `reconciliation` share how the log is opened and who asks.

Every question is a record of the trail, with who asked, what for and under which case, before it is answered.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console

from audit import cosigning, erasure, evidence, verify
from audit.cursors import CursorInvalid
from audit.export import trust_policy
from audit.inspection import verify_store
from audit.keys import KeyDestroyed
from audit.leaf import RecordKind
from audit.log import Log, LogUnavailable
from audit.opening import NotSealed
from audit.query import NothingKnown, Query, Why, reveal
from audit.question_language import QuestionInvalid, moment_of, parse_question
from audit.record_numbers import RecordNumbers
from audit.store.reads import LogCorrupt
from audit.timestamped_bundle import TimestampStep
from audit.timestamps import ROOTS_MOST, is_installed, read_roots
from audit.verify import own_bytes
from gateway.app.clock import utc_now
from gateway.app.databases import is_trail, open_log
from gateway.commands.approvals import ApprovalWaits, use_approval, waits
from gateway.commands.locations import locations
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.domain.approvals import UNKNOWN_CUSTOMER
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.oversight.evidence import ExportOrder, export_ordered, refuse_absent

_Work = Callable[[Log], Coroutine[Any, Any, int]]
_Question = Callable[[Log, Why], Coroutine[Any, Any, int]]
_Subject = Callable[[Log, Why], Coroutine[Any, Any, Mapping[str, object]]]

UNKNOWN_TO_TRAIL = (
    "unknown customer or conversation: nothing is on record and nothing is claimed; never was, erased, or mistyped: look at the id"
)


def with_log(options: argparse.Namespace, work: _Work) -> int:
    """Do this with the log of the options' folder; the exit status."""
    places = locations(options)

    async def run() -> int:
        if not await is_trail(places):
            return failed(f"there is no trail in {options.data}; give the folder and database of `tellergate serve`", USAGE)
        log = await open_log(places, writer_id="command", clock=utc_now, may_upgrade=False)
        try:
            return await work(log)
        finally:
            await log.close()

    try:
        return asyncio.run(run())
    except ApprovalWaits as waiting:
        return waits(options, waiting)
    except (LogUnavailable, Unavailable):
        return failed("the log could not record the question, so it is not answered; try again", UNAVAILABLE)
    except NothingKnown:
        return failed(UNKNOWN_TO_TRAIL, FINDING)
    except RequestFault as refused:
        return failed(refused.message, FINDING)
    except LogCorrupt as error:
        return failed(f"the log is not what was signed: {error}; run `tellergate audit verify`", FINDING)
    except OSError as error:
        if error.filename is None:
            raise
        return failed(f"cannot read or write {error.filename}: {error.strerror}", USAGE)
    except QuestionInvalid as wrong:
        return failed(f"the question, at character {wrong.at + 1}: {wrong.message}", USAGE)
    except (ValueError, CursorInvalid) as error:
        return failed(str(error) or "the cursor is not one of this question", USAGE)


def asked(options: argparse.Namespace, duty: Duty, work: _Question, subject: _Subject | None = None) -> int:
    """The same for a person whose key may do this duty: each record of what they do holds its facts signed by that key. `subject`: of
    what takes an approval, exactly what is done; the approval is used first."""

    async def acting(log: Log) -> int:
        officer = acting_officer(options, duty)
        why = officer.asks(duty, options.purpose, options.case)
        if subject is not None:
            await use_approval(options, log, officer, duty, await subject(log, why))
        return await work(log, why)

    return with_log(options, acting)


def query_of(options: argparse.Namespace) -> Query:
    """What the question and the options ask, together. QuestionInvalid; ValueError where both say one thing."""
    query = parse_question(options.question or "")
    said = {
        "since": time_of(options.since),
        "until": time_of(options.until),
        "kinds": tuple(RecordKind(kind) for kind in options.kind or ()),
        "customer": options.customer,
        "call_id": options.call,
        "conversation": options.conversation,
        "trace_id": options.trace,
        "function": options.function,
        "decision": options.decision,
        "policy": options.policy,
        "bundle_hash": options.bundle,
        "end_state": options.end_state,
    }
    given = {name: value for name, value in said.items() if value not in (None, ())}
    if twice := [name for name in given if getattr(query, name) not in (None, ())]:
        raise ValueError(f"{', '.join(twice)}: said in the question and by an option; say it once")
    return replace(query, **given)


def time_of(text: str | None) -> datetime | None:
    """A moment as it is typed; UTC where it names no zone. ValueError."""
    return None if text is None else moment_of(text)


def reveal_one(options: argparse.Namespace) -> int:
    """Print what is sealed of one record."""

    async def subject(_log: Log, _why: Why) -> Mapping[str, object]:
        return reveal_subject(options, options.index)

    async def work(log: Log, why: Why) -> int:
        try:
            opened = await reveal(log, options.index, why)
        except (NotSealed, KeyDestroyed):
            return failed("nothing is sealed in this record, or it was erased", FINDING)
        if options.json:
            print_json({"index": opened.index, "values": opened.values, "question_record": opened.record})
        else:
            print_table(("field", "value"), ((path, json.dumps(value)) for path, value in sorted(opened.values.items())))
        return GOOD

    return asked(options, Duty.REVEAL, work, subject)


def reveal_subject(options: argparse.Namespace, index: int) -> Mapping[str, object]:
    """What is approved of an opening: the same as on the operations listener."""
    return {"record": index, "purpose": options.purpose, "case": options.case}


def verify_trail(options: argparse.Namespace) -> int:
    """Verify a bundle file, or the whole live log of a data folder."""
    if (options.bundle is None) == (options.data is None):
        return failed("give either a bundle file or --data FOLDER", USAGE)
    if options.bundle is not None:
        arguments = [str(options.bundle), *(["--json"] if options.json else [])]
        for name in ("trust", "pinned", "after_checkpoint"):
            path = getattr(options, name)
            if path is not None:
                arguments += [f"--{name.replace('_', '-')}", str(path)]
        arguments += ["--witness", *options.witness] if options.witness else []
        arguments += ["--witness-quorum", str(options.witness_quorum)] if options.witness_quorum is not None else []
        try:
            return verify.main(arguments, sys.stdout.write, _timestamp_step(options.tsa))
        except TimestampsUnchecked as error:
            return failed(str(error), USAGE)
        except SystemExit:  # it has said which file
            return USAGE

    async def work(log: Log) -> int:
        with Console(stderr=True).status("reading every record"):
            findings = await verify_store(log)
        size, root = await log.head()
        if options.json:
            told = [{"what": finding.what, "index": finding.index} for finding in findings]
            print_json({"good": not findings, "size": size, "root": root.hex(), "findings": told})
        else:
            for finding in findings:
                print(f"finding: {finding.what}" + (f" (record {finding.index})" if finding.index is not None else ""))
            print(f"{size} records, root {root.hex()}: {'good' if not findings else 'NOT GOOD'}")
        return FINDING if findings else GOOD

    return with_log(options, work)


class TimestampsUnchecked(Exception):
    """Time stamps were to be checked, and cannot be. The text says what to do."""


def _timestamp_step(roots: Path | None) -> tuple[TimestampStep, ...]:
    """The check of a bundle's time stamps, where roots are named for it. TimestampsUnchecked."""
    if roots is None:
        return ()
    if not is_installed():
        raise TimestampsUnchecked("to check time stamps needs the extra `timestamps`: install tellergate[timestamps]")
    try:
        with roots.open("rb") as file:
            return (TimestampStep(read_roots(file.read(ROOTS_MOST + 1))),)
    except (OSError, ValueError):
        raise TimestampsUnchecked(f"{roots} is no PEM file of certificates that can be read") from None


def verify_evidence(options: argparse.Namespace) -> int:
    """Verify the kept evidence of one confirmation."""
    if not options.file.is_file():
        return failed(f"there is no file {options.file}", USAGE)
    arguments = [str(options.file), "--rp-id", options.rp_id]
    for origin in options.origin:
        arguments += ["--origin", origin]
    arguments += [*(["--public-key", options.public_key] if options.public_key else []), *(["--json"] if options.json else [])]
    return evidence.main(arguments, sys.stdout.write)


def checkpoint(options: argparse.Namespace) -> int:
    """Print the latest published checkpoint: a C2SP signed note, public."""

    async def work(log: Log) -> int:
        note = await cosigning.checkpoint(log)
        if note is None:
            return failed("no checkpoint has been published yet; a running gateway publishes one each second", FINDING)
        if options.json:
            print_json({"checkpoint": note})
        else:
            print(note, end="")
        return GOOD

    return with_log(options, work)


def export_bundle(options: argparse.Namespace) -> int:
    """Write an evidence bundle."""

    @cache  # read once: what is approved is what is done, whatever becomes of a file meanwhile
    def ordered() -> ExportOrder:
        return _export_order(options)

    async def subject(log: Log, why: Why) -> Mapping[str, object]:
        await refuse_absent(log, ordered(), why)
        return ordered().subject()

    async def work(log: Log, why: Why) -> int:
        order = ordered()
        with written(options.out) as file, Console(stderr=True).status("writing the bundle") as status:
            made = await export_ordered(log, order, why, file, lambda done, all_of: status.update(f"{done} of {all_of} records"))
        if options.trust_out is not None:
            options.trust_out.write_bytes(trust_policy(log))
        if options.json:
            print_json({"file": str(options.out), "records": made.records, "bytes": made.size, "question_record": made.record})
        else:
            print(f"{made.records} records in {options.out} ({made.size} bytes); verify: tellergate audit verify {options.out}")
        return GOOD

    return asked(options, Duty.EXPORT, work, subject)


def _export_order(options: argparse.Namespace) -> ExportOrder:
    """ValueError, OSError for a checkpoint that cannot be read."""
    query, records = query_of(options), None if options.records is None else RecordNumbers.parse(options.records)
    if records is not None and (query != Query() or options.after_checkpoint):
        raise ValueError("--records chooses by itself: leave out the question and the other options that choose")
    return ExportOrder(
        query=query,
        records=records,
        purpose=options.purpose,
        case=options.case,
        reveal=options.reveal,
        after=own_bytes(options.after_checkpoint) if options.after_checkpoint else None,
        earlier=[own_bytes(path) for path in options.from_checkpoint or ()],
    )


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all, readable by its owner alone: it may hold what was sealed."""
    part = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def hold(options: argparse.Namespace) -> int:
    """Place or release a legal hold."""

    async def work(log: Log, why: Why) -> int:
        change = erasure.release_hold if options.release else erasure.place_hold
        try:
            index = await change(log, options.customer, options.hold, why)
        except erasure.NothingToErase:
            return failed(UNKNOWN_CUSTOMER, FINDING)
        if options.json:
            print_json({"record": index})
        else:
            print(f"record: {index}")
        return GOOD

    return asked(options, Duty.RELEASE_HOLD if options.release else Duty.PLACE_HOLD, work)
