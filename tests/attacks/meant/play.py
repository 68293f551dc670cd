"""How a case is played: the customer speaks, the model (the attacker's) calls what it likes, the customer is asked, the bank counts."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.app.clock import utc_now
from gateway.app.development.settings import development
from gateway.domain.facts import HeardMessage
from gateway.domain.mandate import StandingMandate
from gateway.domain.ports import ProposalNotOpen
from gateway.domain.proposal import ConfirmationEvidence, Method
from gateway.domain.request import CallRequest, NativeCall
from gateway.domain.stages import Recorded
from gateway.store.conversations import take_back
from gateway.store.items import Item
from gateway.store.standing_mandates import StoreStandingMandate
from tests.attacks.meant.world import Bank, Done, World, served
from tests.support.keys import mandate_signer
from tests.support.opening import open_gateway
from tests.support.teller import TRACE, Teller, principal

HIDDEN = "(kept hidden)"
"""What a confirm page shows in the place of a credential: the customer knows what they asked for."""

MANIFEST = Path(__file__).parent / "functions.yaml"


class Customer(StrEnum):
    """Who is asked. Attentive: says yes to what they meant and to nothing else. Rubber stamp: says yes."""

    REFUSING = "refusing"
    ATTENTIVE = "attentive"
    RUBBER_STAMP = "rubber stamp"


class Mandate(StrEnum):
    """What the customer granted beforehand."""

    CONFIRMED = "every payment confirmed"
    STANDING = "standing mandate"


@dataclass(frozen=True)
class Said:
    """The customer's words in one turn, in this or in an `earlier` conversation."""

    text: str
    origin: str = "typed"
    earlier: bool = False


@dataclass(frozen=True)
class Removed:
    """The customer deletes one of their messages of this conversation, by its number, from 0."""

    message: int


@dataclass(frozen=True)
class Calls:
    """What the model of one assistant asks for in one request, as (function, arguments)."""

    calls: tuple[tuple[str, dict[str, Any]], ...]
    agent: str = "assistant"


Step = Said | Removed | Calls


@dataclass(frozen=True, slots=True)
class _Remove(Item[None]):
    conversation: str
    message: int

    def apply(self, connection: Connection) -> None:
        take_back(connection, self.conversation, self.message)


def call(function: str, **arguments: Any) -> Calls:
    return Calls(((function, arguments),))


@dataclass(frozen=True)
class Case:
    """`meant`: whether the customer meant something that the bank did. `wanted`, of a task: what must have been done in the end."""

    name: str
    kind: str
    steps: tuple[Step, ...]
    meant: Callable[[Done], bool] = lambda _done: False
    wanted: Callable[[Sequence[Done]], bool] = lambda _done: True
    world: Callable[[], World] = World

    def beyond(self, done: Sequence[Done]) -> list[Done]:
        """What the bank did that the customer did not mean: the attack's success. What was meant is meant once."""
        return [effect for number, effect in enumerate(done) if not self.meant(effect) or effect in done[:number]]


@dataclass
class Played:
    """What came of it: what the bank did, what was asked of the customer, how each call was answered."""

    done: list[Done]
    asked: int = 0
    answers: list[Recorded] = field(default_factory=list)
    lists: int = 0


@dataclass
class Stage:
    """One gateway for many cases: each has a customer of its own."""

    teller: Teller
    bank: Bank
    customers: list[str]
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    async def play(self, case: Case, customer: Customer, mandate: Mandate) -> Played:
        name, world = self.customers.pop(), case.world()
        self.bank.worlds[name] = world
        book = self.teller.gateway.book
        if mandate is Mandate.STANDING:
            await self._sign(name)
        here, before = [await book.open_conversation(name, utc_now()) for _ in range(2)]
        played = Played(world.done)
        for number, step in enumerate(case.steps):
            if isinstance(step, Said):
                where = before if step.earlier else here
                assert await book.store_messages(name, where, [HeardMessage(step.text, step.origin)], utc_now()) is not None
            elif isinstance(step, Removed):
                await book.write(_Remove(here, step.message))
            else:
                await self._call(name, here, f"turn{number}", step, (case, customer, played))
        return played

    async def _call(self, name: str, where: str, turn: str, step: Calls, rest: tuple[Case, Customer, Played]) -> None:
        case, customer, played = rest
        native = tuple(NativeCall(f"n{next(self.ids)}", function, json.dumps(given)) for function, given in step.calls)
        asked = CallRequest("responses", where, turn, "hijacked", native, TRACE)
        answered = await self.teller.gateway.pipeline.take(principal(name, agent=step.agent), asked)
        played.answers += answered
        for confirmation in dict.fromkeys(item.confirmation for item in answered if item.confirmation is not None):
            played.asked += 1
            await self._ask(name, confirmation, (case, customer, played.done))

    async def _ask(self, name: str, confirmation: str, rest: tuple[Case, Customer, list[Done]]) -> None:
        """Before the customer's eyes."""
        case, customer, done = rest
        confirming = self.teller.gateway.confirmations
        proposal = await confirming.open(name, confirmation, utc_now())
        assert proposal is not None
        shown = [_as_done(item) for item in proposal.content["calls"]]  # type: ignore[union-attr]
        agrees = {
            Customer.REFUSING: False,
            Customer.ATTENTIVE: not case.beyond([*done, *shown])[len(case.beyond(done)) :],
            Customer.RUBBER_STAMP: True,
        }[customer]
        if not agrees:
            await confirming.decline(name, confirmation, utc_now())
            return
        kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
        with_it = ConfirmationEvidence(name, Method.PASSKEY, utc_now(), kept)
        try:
            await confirming.confirm(name, confirmation, with_it)
        except ProposalNotOpen as stands:
            assert stands.state == "waits", stands

    async def _sign(self, name: str) -> None:
        """To everyone whom the customer knows, 100 at most, 250 a day, five payments."""
        now = utc_now()
        key = mandate_signer(self.teller.gateway.settings.data)
        terms = StandingMandate(
            id=f"std_{name}",
            customer=name,
            agent=None,
            currency="GBP",
            payees=None,
            payment_minor=10_000,
            day_minor=25_000,
            day_count=5,
            starts=now - timedelta(seconds=1),
            ends=now + timedelta(days=30),
        )
        await self.teller.gateway.book.write(StoreStandingMandate(terms, terms.sign(key), now))


_WHAT = {"pay": "pay", "repeat_pay": "order", "change_order": "change", "set_passcode": "passcode", "set_address": "address"}


def _as_done(shown: Any) -> Done:
    """What a proposal says that would be done. A credential is not shown: the customer knows what they asked for."""
    given = {item["name"]: item["value"] for item in shown["arguments"]}
    amount = shown["amount"]
    return Done(
        _WHAT[shown["function"]],
        given.get("to"),
        None if amount is None else Decimal(amount["value"]),
        str(given.get("note") or given.get("code") or given.get("street") or ""),
        int(given["id"]) if "id" in given else None,
    )


@asynccontextmanager
async def stage(folder: Path, count: int) -> AsyncIterator[Stage]:
    """A gateway for `count` cases."""
    bank, names = Bank(), [f"c{number:05d}" for number in range(count)]
    async with served(bank) as url:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / "functions.yaml"
        manifest.write_text(MANIFEST.read_text().replace("__URL__", url).replace("__CUSTOMERS__", ", ".join(names)))
        settings = replace(development(folder / "data"), functions=manifest, audit_wait_ms=20_000, calls_per_minute=100_000)
        gateway = await open_gateway(settings)
        try:
            yield Stage(Teller(gateway), bank, names)
        finally:
            await gateway.close()
