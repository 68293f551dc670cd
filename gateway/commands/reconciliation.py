"""`tellergate audit reconcile`: the log's intents against what the core says of itself. The question is a record of the trail."""

import argparse
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.core import CoreBank, CoreEffect, CoreUnavailable, Money
from adapters.cores.remote.bounds import ClientBounds
from adapters.function import EffectFunction
from adapters.functions import MANIFEST
from audit.disclosure import value_of
from audit.keys import KeyDestroyed
from audit.leaf import RecordKind, rfc3339
from audit.log import Log
from audit.opening import NotSealed, open_sealed
from audit.query import Query, Why, page, question
from gateway.app.clock import utc_now
from gateway.app.cores import CorePermits, behind_http
from gateway.app.development.embedded_bank import embedded
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.recovery import GRACE
from gateway.commands.audit import asked, time_of
from gateway.commands.locations import core_place
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.domain.request import core_key
from gateway.oversight.reconciliation import APART, Difference, IntentOnRecord, compare

BEFORE = timedelta(days=1)
"""How far back it looks when nobody says."""

_BOUNDS = ClientBounds(question_s=30.0)
_ENDINGS = (RecordKind.INTENT, RecordKind.OUTCOME, RecordKind.UNKNOWN, RecordKind.RECONCILED)
_OURS = frozenset(function.name for function in MANIFEST if isinstance(function, EffectFunction))
"""What the core itself does. A declared function acts elsewhere, and is counted only."""


@dataclass(slots=True)
class _Log:
    """What was read of the log: intents of the core's own functions, how many of others, and how many amounts are sealed for good."""

    intents: list[IntentOnRecord]
    elsewhere: int = 0
    sealed: int = 0


def reconcile(options: argparse.Namespace) -> int:
    """Print every difference between the log and the core since then."""
    if not knows_core(options):
        return failed(f"there is no bank in {options.data}; give --core-url and --core-credential-file", UNAVAILABLE)

    async def work(log: Log, why: Why) -> int:
        now = utc_now()
        since = time_of(options.since) or now - BEFORE
        try:
            async with core_of(options, log) as core:
                effects = await effects_since(core, since - APART)
                # the log last: an effect that was just seen has its intent in it
                seen = await _intents(log, since - APART, why)
        except CoreUnavailable:
            return failed("the core does not answer, so nothing can be compared; try again", UNAVAILABLE)
        except UnsafeSettings as error:
            return failed(str(error), UNAVAILABLE)
        found = compare(seen.intents, effects, since=since, now=now, grace=GRACE)
        if options.json:
            print_json(
                {
                    "good": not found,
                    "since": rfc3339(since),
                    "intents": len(seen.intents),
                    "effects": len(effects),
                    "elsewhere": seen.elsewhere,
                    "sealed": seen.sealed,
                    "findings": [_plain(match) for match in found],
                }
            )
        else:
            if found:
                print_table(
                    ("what", "at", "record", "function", "intended", "the core has", "key"), (_row(match) for match in found)
                )
            print(
                f"{len(seen.intents)} intents and {len(effects)} effects since {rfc3339(since)}: "
                + (f"{len(found)} findings" if found else "nothing unexplained")
            )
        return FINDING if found else GOOD

    return asked(options, Duty.RECONCILE, work)


def knows_core(options: argparse.Namespace) -> bool:
    """Whether the command can ask a core: options or settings name one, or the folder has the embedded bank. UnsafeSettings."""
    return bool(core_place(options)[0]) or (options.data / "bank.sqlite").exists()


@asynccontextmanager
async def core_of(options: argparse.Namespace, log: Log) -> AsyncIterator[CoreBank]:
    """The core that the gateway of this folder asks. UnsafeSettings for an address that a credential must not be sent to."""
    url, credential_file = core_place(options)
    if url:
        core = behind_http(url, credential_file, clock=utc_now, bounds=_BOUNDS)
    else:
        core = embedded(options.data / "bank.sqlite", clock=utc_now, permits=CorePermits(log.permit_verifier()))
    try:
        yield core.bank
    finally:
        await core.close()


async def effects_since(core: CoreBank, since: datetime) -> list[CoreEffect]:
    """Every page of them. CoreUnavailable."""
    found: list[CoreEffect] = []
    cursor: str | None = None
    while True:
        answer = await core.effects(since, cursor)
        found += answer.effects
        cursor = answer.next_cursor
        if cursor is None:
            return found


async def _intents(log: Log, since: datetime, why: Why) -> _Log:
    """The intents since then, with their last end states. Each page is a question of its own; so is the opening of the instructions."""
    wanted = Query(since=since, kinds=_ENDINGS)
    intents: dict[int, dict[str, object]] = {}
    ends: dict[int, str] = {}
    cursor: str | None = None
    while True:
        answer = await page(log, wanted, why, cursor=cursor, limit=500)
        for found in answer.found:
            fields = dict(found.fields)
            of = fields.get("intent")
            if fields["kind"] == RecordKind.INTENT.value:
                intents[found.index] = fields
            elif isinstance(of, dict):
                ends[int(of["index"])] = str(fields["end_state"])
        cursor = answer.next_cursor
        if cursor is None:
            break
    await question(log, RecordKind.AUDIT_REVEAL, why, {"instructions_since": rfc3339(since)})
    seen = _Log([])
    for index, fields in intents.items():
        function = fields["function"]
        name = str(function["name"]) if isinstance(function, dict) else ""
        if name not in _OURS:
            seen.elsewhere += 1
            continue
        try:
            amount = await _amount(log, index)
        except (NotSealed, KeyDestroyed):
            amount, seen.sealed = None, seen.sealed + 1
        call = str(fields["call"])
        at = datetime.fromisoformat(str(fields["time"]))
        seen.intents.append(IntentOnRecord(core_key(call), call, index, name, at, ends.get(index), amount))
    return seen


async def _amount(log: Log, index: int) -> Money | None:
    """The amount of the instruction of this intent, as the permit covered it."""
    told = json.loads(str(value_of((await open_sealed(log, index))["instruction"])))
    amount = told["order"].get("amount")
    return None if amount is None else Money.parse(amount["value"], amount["currency"])


def _plain(finding: Difference) -> dict[str, object]:
    intent = finding.intent
    return {
        "what": finding.what.value,
        "record": None if intent is None else intent.index,
        "call": None if intent is None else intent.call_id,
        "key": _key(finding),
        "function": None if intent is None else intent.function,
        "end_state": None if intent is None else intent.end_state,
        "amount": None if intent is None else _money(intent.amount),
        "effects": [
            {"order": it.order, "status": it.status, "amount": _money(it.amount), "customer": it.customer, "at": rfc3339(it.at)}
            for it in finding.effects
        ],
    }


def _row(finding: Difference) -> Sequence[object]:
    intent = finding.intent
    did = ", ".join(f"{it.order} {it.status} {_words(it.amount)}".rstrip() for it in finding.effects)
    if intent is None:
        return finding.what, rfc3339(finding.effects[0].at)[:19], None, None, "nothing", did, _key(finding)
    intended = f"{intent.end_state or 'open'} {_words(intent.amount)}".rstrip()
    return finding.what, rfc3339(intent.at)[:19], intent.index, intent.function, intended, did or "nothing", intent.key


def _key(finding: Difference) -> str | None:
    return finding.intent.key if finding.intent is not None else finding.effects[0].key


def _money(amount: Money | None) -> dict[str, str] | None:
    return None if amount is None else {"value": amount.value, "currency": amount.currency}


def _words(amount: Money | None) -> str:
    return "" if amount is None else f"{amount.value} {amount.currency}"
