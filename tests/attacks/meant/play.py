"""How a case is played: the customer speaks, the model (the attacker's) calls what it likes, the customer is asked, the bank counts."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.app.clock import utc_now
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.domain.mandate import StandingMandate
from gateway.domain.ports import ProposalNotOpen
from gateway.domain.proposal import ConfirmationEvidence, Method
from gateway.store.standing_mandates import StoreStandingMandate
from tests.attacks.meant.doors import Door, Scripts, Talk, at_door, talk
from tests.attacks.meant.steps import Removed, Said, Step
from tests.attacks.meant.world import Bank, Done, World, served
from tests.support.keys import mandate_signer
from tests.support.models import model_server
from tests.support.opening import open_gateway

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
    """What came of it: what the bank did, and how often the customer was asked."""

    done: list[Done]
    asked: int = 0


@dataclass
class Stage:
    """One gateway for many cases: each has a customer of its own."""

    gateway: Gateway
    bank: Bank
    customers: list[str]
    talk: Callable[[str], Awaitable[Talk]]
    """A customer who begins to talk, by some door."""

    async def play(self, case: Case, customer: Customer, mandate: Mandate) -> Played:
        name, world = self.customers.pop(), case.world()
        self.bank.worlds[name] = world
        if mandate is Mandate.STANDING:
            await self._sign(name)
        played, talk = Played(world.done), await self.talk(name)

        async def asking(confirmation: str) -> None:
            played.asked += 1
            await self._ask(name, confirmation, (case, customer, played.done))

        for step in case.steps:
            if isinstance(step, Said):
                await talk.said(step)
            elif isinstance(step, Removed):
                await talk.removed(step.message)
            else:
                await talk.called(step, asking)
        return played

    async def _ask(self, name: str, confirmation: str, rest: tuple[Case, Customer, list[Done]]) -> None:
        """Before the customer's eyes."""
        case, customer, done = rest
        confirming = self.gateway.confirmations
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
        key = mandate_signer(self.gateway.settings.data)
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
        await self.gateway.book.write(StoreStandingMandate(terms, terms.sign(key), now))


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
async def stage(folder: Path, count: int, door: Door = Door.PIPELINE) -> AsyncIterator[Stage]:
    """A gateway for `count` cases, each by this door."""
    bank, names = Bank(), [f"c{number:05d}" for number in range(count)]
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(bank))
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / "functions.yaml"
        manifest.write_text(MANIFEST.read_text().replace("__URL__", url).replace("__CUSTOMERS__", ", ".join(names)))
        scripts = Scripts()
        model = await stack.enter_async_context(model_server(scripts.answer))
        settings = replace(
            development(folder / "data"),
            functions=manifest,
            calls_per_minute=100_000,
            requests_per_minute=100_000,
            client_requests_per_minute=10_000_000,
            model_url=model.url,
            mcp=True,
        )
        gateway = await open_gateway(settings)
        stack.push_async_callback(gateway.close)
        at = None if door is Door.PIPELINE else await stack.enter_async_context(at_door(gateway, scripts))
        yield Stage(gateway, bank, names, partial(talk, gateway, at, door))
