"""What the log knows from a position on, as what is put back into the gateway's tables (`gateway.store.forgotten`). Reads only."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.core import CoreEffect, Money
from audit.disclosure import value_of
from audit.keys import KeyDestroyed
from audit.leaf import EndState, RecordKind
from audit.log import Log
from audit.opening import NotSealed, open_sealed
from audit.store.find import Filter, find
from audit.store.reads import StoredLeaf
from gateway.calls.recovery import STATE_OF_END
from gateway.domain.kill_switch import KillSwitch, Scope
from gateway.domain.mandate import MandateSigner, SignedMandate, mandate_of, standing_of
from gateway.domain.request import KEY_PREFIX, core_key
from gateway.domain.states import CallState, ProposalState
from gateway.store.forgotten import (
    Known,
    KnownCall,
    KnownEffect,
    KnownEnd,
    KnownErasure,
    KnownMandate,
    KnownPasskeyRevoked,
    KnownRevocation,
    KnownStanding,
    KnownSwitch,
    KnownTaint,
    KnownWord,
)
from gateway.store.items import Settlement
from gateway.store.times import to_us

LEAVES_AT_ONCE = 500

_NO_IDS = "recovered"
"""The turn of a call whose record does not hold its ids, as those of earlier versions: nobody asks under it."""


@dataclass(slots=True)
class ForgottenOfLog:
    """`size`: of the log as it was read. `unknown`: records whose sealed part is gone, or whose customer is."""

    size: int
    known: list[Known] = field(default_factory=list)
    unknown: int = 0


async def read_forgotten(log: Log, since: int, key: MandateSigner) -> ForgottenOfLog:
    """Everything from the record `since` on. `key` signs what customers granted, as it is on record. LogUnavailable, LogCorrupt."""
    size, _ = await log.head()
    reader = _Reader(log, key, ForgottenOfLog(size))
    async for leaf in _leaves(log, since, size):
        try:
            await reader.take(leaf)
        except (NotSealed, KeyDestroyed, _NobodyKnown):
            reader.found.unknown += 1
    return reader.found


def known_effects(effects: Sequence[CoreEffect]) -> list[Known]:
    """Those that moved or will move money by keys of ours."""
    return [
        KnownEffect(effect.key, effect.customer, effect.order, effect.amount, effect.at)
        for effect in effects
        if effect.key is not None
        and effect.key.startswith(KEY_PREFIX)
        and effect.customer is not None
        and effect.amount is not None
        and effect.status != "declined"
    ]


async def erasures_of_keys(log: Log) -> list[Known]:
    """Who was erased as the key store knows, whose list of destructions is in no backup of the databases: where the log was restored from
    before, no record of it tells. LogUnavailable, LogCorrupt."""
    size, _ = await log.head()
    ids = [await ids_of(log, subject, size) for subject in sorted(await log.keys.destroyed())]
    return [KnownErasure(of_one) for of_one in ids if of_one]


async def ids_of(log: Log, subject: str, before: int) -> frozenset[str]:
    """The ids in clear of a person's records: of calls, conversations, confirmations and standing mandates."""
    found: set[str] = set()
    wanted, after = Filter(customer=subject), -1
    while rows := await log.read(lambda reads, after=after: find(reads.connection, wanted, before, after, LEAVES_AT_ONCE)):  # type: ignore[misc]
        for row in rows:
            fields = json.loads(row.leaf)
            facts = fields.get("facts", {})
            ids = (fields.get("call"), fields.get("conversation"), facts.get("confirmation"), facts.get("standing_mandate"))
            found.update(item for item in ids if isinstance(item, str))
        after = rows[-1].idx
    return frozenset(found)


async def _leaves(log: Log, start: int, end: int) -> AsyncIterator[StoredLeaf]:
    for first in range(start, end, LEAVES_AT_ONCE):
        until = min(end, first + LEAVES_AT_ONCE)
        for leaf in await log.read_long(lambda reads, first=first, until=until: list(reads.leaves(first, until))):  # type: ignore[misc]
            yield leaf


class _NobodyKnown(Exception):
    """The customer of a record was erased, or their pseudonym is lost."""


class _Reader:
    def __init__(self, log: Log, key: MandateSigner, found: ForgottenOfLog) -> None:
        self._log, self._key, self.found = log, key, found
        self._customers: dict[str, str | None] = {}
        self._imported: dict[str, list[Known]] = {}

    async def take(self, stored: StoredLeaf) -> None:
        fields = json.loads(stored.leaf)
        match RecordKind(fields["kind"]):
            case RecordKind.INTENT:
                await self._intent(stored.idx, fields)
            case RecordKind.OUTCOME | RecordKind.UNKNOWN | RecordKind.RECONCILED:
                state = STATE_OF_END[EndState(fields["end_state"])]
                self._add(KnownEnd(Settlement(call_id=fields["call"], state=state, at=_time(fields))))
            case RecordKind.READ if "customer" in fields and "agent" in fields.get("actor", {}):
                customer = await self._customer(fields)
                self._add(KnownTaint(customer, fields["actor"]["agent"], fields.get("conversation", ""), _time(fields)))
            case RecordKind.CONFIRMATION:
                await self._word(stored.idx, fields)
            case RecordKind.ADMIN:
                await self._admin(stored.idx, fields)
            case RecordKind.KEY_DESTROY:
                self._add(KnownErasure(await ids_of(self._log, fields["facts"]["subject"], stored.idx)))
            case _:
                pass

    def _add(self, known: Known) -> None:
        self.found.known.append(known)

    async def _intent(self, index: int, fields: Mapping[str, Any]) -> None:
        customer, values = await self._customer(fields), await self._sealed(index)
        call, at = fields["call"], _time(fields)
        claim = values.get("sealed.claim") or _earlier_claim(call, json.loads(str(values["instruction"])))
        grounding = fields.get("grounding", {})
        row = {
            "call_id": call,
            "customer": customer,
            "conversation": fields["conversation"],
            "turn": claim["turn"],
            "native_id": claim["native_id"],
            "function": fields["function"]["name"],
            "arguments_hash": bytes.fromhex(claim["arguments_sha256"]),
            "agent": fields.get("actor", {}).get("agent"),
            "channel": claim["channel"],
            "core_key": core_key(call),
            "trace_id": fields["trace"]["id"],
            "state": CallState.PENDING,
            "created_us": to_us(at),
            "currency": claim["currency"],
            "minor": claim["minor"],
            "payee": claim["payee"],
            "confirmation": grounding.get("confirmation"),
            "standing_mandate": grounding.get("standing"),
        }
        self._add(KnownCall(row))

    async def _word(self, index: int, fields: Mapping[str, Any]) -> None:
        facts, at = fields["facts"], _time(fields)
        state = ProposalState(facts["word"])
        self._add(KnownWord(facts["confirmation"], state, at))
        if state is ProposalState.DECLINED:
            return
        intent = (await self._sealed(index)).get("sealed.intent", {})
        shown = intent.get("mandate") if isinstance(intent, dict) else None
        if isinstance(shown, dict):
            terms = standing_of(str(shown["exactly"]).encode())
            self._add(KnownStanding(SignedMandate(terms, terms.sign(self._key)), at))

    async def _admin(self, index: int, fields: Mapping[str, Any]) -> None:
        facts, at = fields.get("facts", {}), _time(fields)
        word = facts.get("word")
        if word == "kill_engaged":
            self._add(KnownSwitch(await self._switch(index, fields, at)))
        elif word == "revoked" and "standing_mandate" in facts:
            self._add(KnownRevocation(await self._customer(fields), facts["standing_mandate"], at))
        elif facts.get("passkey") == "revoked":
            credential = str((await self._sealed(index))["sealed.credential"])
            self._add(KnownPasskeyRevoked(await self._customer(fields), credential, at))
        elif word in ("mandate_granted", "mandate_ended"):
            self._add(await self._mandate(index))
        elif word == "mandate_import":
            self._imported.setdefault(facts["file_sha256"], []).append(await self._mandate(index))
        elif word == "mandates_imported":  # what was only about to be imported was not
            self.found.known += self._imported.pop(facts["file_sha256"], [])

    async def _mandate(self, index: int) -> KnownMandate:
        terms = (await self._sealed(index))["sealed.mandate"]
        mandate = mandate_of(json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
        return KnownMandate(mandate, mandate.sign(self._key))

    async def _switch(self, index: int, fields: Mapping[str, Any], at: datetime) -> KillSwitch:
        facts, scope = fields["facts"], Scope(fields["facts"]["scope"])
        of_customer = scope is Scope.CUSTOMER
        return KillSwitch(
            id=facts["kill_switch"],
            scope=scope,
            subject=await self._customer(fields) if of_customer else facts["subject"],
            reason=str((await self._sealed(index))["sealed.reason"]) if of_customer else facts["reason"],
            engaged_by=facts["by"],
            engaged=at,
        )

    async def _customer(self, fields: Mapping[str, Any]) -> str:
        subject = fields["customer"]
        if subject not in self._customers:
            self._customers[subject] = await self._log.keys.customer_of(subject)
        customer = self._customers[subject]
        if customer is None:
            raise _NobodyKnown
        return customer

    async def _sealed(self, index: int) -> Mapping[str, Any]:
        return {path: value_of(text) for path, text in (await open_sealed(self._log, index)).items()}


def _earlier_claim(call: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the instruction tells of a claim whose record does not hold it."""
    amount = told["order"].get("amount")
    money = None if amount is None else Money.parse(amount["value"], amount["currency"])
    return {
        "turn": _NO_IDS,
        "native_id": call,
        "arguments_sha256": hashlib.sha256(call.encode()).hexdigest(),
        "channel": _NO_IDS,
        "payee": None,
        "currency": None if money is None else money.currency,
        "minor": None if money is None else money.minor,
    }


def _time(fields: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(fields["time"])
