"""Long random histories against a small model: a customer, an assistant, a clock, and parts that fail, both ways, at any step.

Held after every step: each effect was asked for in the customer's own words, and confirmed or within their standing mandate; none
twice; the limits and the mandate's bounds to the unit. Held in the end, once recovery has run: the books balance, each intent has one end,
the trail verifies, and nobody was told otherwise. `pytest --hypothesis-seed N` plays a run again; `python -m tests.simulation.histories N`
plays N histories.
"""

import asyncio
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from adapters.core import Money
from audit.leaf import RecordKind
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.app.development.settings import development
from gateway.calls.record import Records
from gateway.confirmations.standing_mandates import MandateTerms
from gateway.domain.errors import Unavailable
from gateway.domain.mandate import Limits
from gateway.domain.ports import ProposalNotOpen
from gateway.domain.proposal import ConfirmationEvidence, Method
from gateway.domain.request import core_key
from gateway.domain.stages import Recorded
from tests.simulation.test_faults import FAULTS, LOG, Failing, break_one, of_kind
from tests.support.databases import sql, sqlite_only
from tests.support.opening import open_gateway
from tests.support.options import long_or
from tests.support.teller import Teller, executed_keys, payment, principal, what_does_not_hold

DAY_MINOR, STANDING_MINOR = 3_000, 1_000
LIMITS = Limits(DAY_MINOR, DAY_MINOR, 1_000_000, 1_000_000, 1_000)
PAYEE = "Harbour Lettings"


@dataclass
class Paying:
    """One payment that the assistant tried, as the model knows it. `is_free`: nobody needs to be asked any more."""

    minor: int
    native_id: str
    said: bool
    at: datetime
    call_id: str = ""
    confirmation: str | None = None
    told: str = ""
    declined: bool = False
    confirmed: bool = False
    under_mandate: bool = False

    @property
    def value(self) -> str:
        return f"{self.minor // 100}.{self.minor % 100:02d}"


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


fault = st.sampled_from([None, None, None, *((name, done) for name in FAULTS for done in (False, True))])
minor = st.integers(100, 1_400)


class Histories(RuleBasedStateMachine):
    paid = Bundle("paid")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tellergate-"))
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.tried: list[Paying] = []
        self.numbers = 0
        self.has_mandate = False
        self.frozen = False
        self.spent_times: dict[str, datetime] = {}
        self.runner.run(self._open())
        self.runner.run(self._limits())
        self.mine_before = set(executed_keys(self.asked.gateway))

    # the gateway, its end and its beginning

    async def _open(self) -> None:
        chosen = replace(development(self.folder), audit_wait_ms=20_000, calls_per_minute=100_000, duplicate_window_s=1)
        chosen = replace(chosen, proposals_waiting=1_000, proposals_per_day=1_000)
        self.asked = Teller(await open_gateway(chosen, clock=self.clock))
        self.ids: dict[str, tuple[str, str, str]] = {}

    async def _limits(self) -> None:
        await self.asked.granting("alice", limits={"GBP": LIMITS})

    async def _where(self) -> tuple[str, str, str]:
        """A conversation of its own for each payment, with its references: words of one ground no other."""
        book = self.asked.gateway.book
        where = await book.open_conversation("alice", self.clock())
        accounts = (await self.asked.ask("list_accounts", conversation=where)).output
        if accounts is None:  # frozen
            return where, "", ""
        listed: Any = accounts["accounts"]
        account = next(item["account"] for item in listed if item["currency"] == "GBP" and item["status"] == "open")
        payees: Any = (await self.asked.ask("list_beneficiaries", {"account": account}, conversation=where)).output
        return where, account, next(payee["beneficiary"] for payee in payees["beneficiaries"] if PAYEE in str(payee["name"]))

    async def _pay(self, paying: Paying, places: tuple[str, str, str], broken: tuple[str, bool] | None) -> Recorded:
        where, account, payee = places
        gateway, whole = self.asked.gateway, self.asked.gateway.pipeline._parts
        if broken is not None:
            what, method, error, when, *_ = FAULTS[broken[0]]
            break_one(self.asked, what, lambda inner: Failing(inner, method, error, done=broken[1], when=when))
        try:
            return await self.asked.ask(
                "initiate_transfer", payment(account, payee, paying.value), native_id=paying.native_id, conversation=where
            )
        finally:
            gateway.pipeline._parts = whole

    def _heard(self, paying: Paying, answered: Recorded) -> None:
        paying.call_id, paying.told = answered.call_id, answered.status
        paying.confirmation = answered.confirmation
        if answered.status in ("done", "in_doubt"):
            paying.under_mandate |= self.has_mandate and not paying.confirmed

    @rule(target=paid, minor=minor, said=st.sampled_from([True, True, True, False]), broken=fault)
    def pay(self, minor: int, said: bool, broken: tuple[str, bool] | None) -> Paying:
        self.numbers += 1
        minor = minor // 100 * 100 + self.numbers % 100  # told apart by its pence
        paying = Paying(minor, f"n{self.numbers}", said, self.clock())

        async def go() -> None:
            places = await self._where()
            self.ids[paying.native_id] = places
            if said:
                await self.asked.say(f"Please pay {PAYEE} £{paying.value}", conversation=places[0])
            if places[2]:
                self._heard(paying, await self._pay(paying, places, broken))

        self.runner.run(go())
        self.tried.append(paying)
        return paying

    @rule(paying=paid, broken=fault)
    def ask_again_under_the_same_ids(self, paying: Paying, broken: tuple[str, bool] | None) -> None:
        places = self.ids.get(paying.native_id)
        if places is None or not places[2]:
            return
        before = paying.told
        answered = self.runner.run(self._pay(paying, places, broken))
        if before == "done":
            assert answered.status in ("done", "in_doubt", "unavailable"), answered
        if answered.call_id and answered.status in ("done", "held", "in_doubt"):
            self._heard(paying, answered)

    @rule(
        paying=paid,
        broken=st.sampled_from([None, None, *((name, done) for name in FAULTS for done in (False, True)), "record", "recorded"]),
    )
    def confirm(self, paying: Paying, broken: Any) -> None:
        if paying.confirmation is None or paying.declined:
            return

        async def go() -> None:
            gateway, whole = self.asked.gateway, self.asked.gateway.pipeline._parts
            confirming = gateway.confirmations
            proposal = await confirming.open("alice", str(paying.confirmation), self.clock())
            assert proposal is not None
            assert proposal.content["total"] == {"value": paying.value, "currency": "GBP"}
            if isinstance(broken, tuple):
                what, method, error, when, *_ = FAULTS[broken[0]]
                break_one(self.asked, what, lambda inner: Failing(inner, method, error, done=broken[1], when=when))
            elif broken is not None:
                log = Failing(
                    confirming.records.log, "append_with", LOG, done=broken == "recorded", when=of_kind(RecordKind.CONFIRMATION)
                )
                records = Records(log, confirming.records.declared, confirming.records.wait_ms)  # type: ignore[arg-type]
                confirming = replace(confirming, records=records)
            kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
            try:
                answered = await confirming.confirm(
                    "alice", proposal.id, ConfirmationEvidence("alice", Method.PASSKEY, self.clock(), kept)
                )
                paying.confirmed = True
                for call in answered:
                    self._heard(paying, call)
            except ProposalNotOpen as stands:
                assert stands.state in ("waits", "expired", "confirmed", "challenge_expired"), stands
                paying.confirmed |= stands.state == "confirmed"
            except Unavailable:
                pass
            finally:
                gateway.pipeline._parts = whole
                state = await gateway.confirmations.find("alice", proposal.id)
                paying.confirmed |= state is not None and state.state == "confirmed"

        self.runner.run(go())

    @rule(paying=paid)
    def decline(self, paying: Paying) -> None:
        if paying.confirmation is None:
            return
        try:
            self.runner.run(self.asked.gateway.confirmations.decline("alice", paying.confirmation, self.clock()))
            paying.declined = True
        except ProposalNotOpen:
            pass

    @rule()
    def grant_a_standing_mandate(self) -> None:
        async def go() -> None:
            gateway = self.asked.gateway
            terms = MandateTerms(
                payees=None,
                payment=Money(STANDING_MINOR, "GBP"),
                day=Money(STANDING_MINOR, "GBP"),
                day_count=50,
                days=300,
                agent=None,
            )
            proposal = await gateway.standing_mandates.propose(principal("alice", agent=None), terms)
            await gateway.confirmations.open("alice", proposal.id, self.clock())
            kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
            await gateway.confirmations.confirm(
                "alice", proposal.id, ConfirmationEvidence("alice", Method.PASSKEY, self.clock(), kept)
            )

        if not self.has_mandate:
            self.runner.run(go())
            self.has_mandate = True

    @rule()
    def revoke_it(self) -> None:
        async def go() -> None:
            for item in await self.asked.gateway.standing_mandates.standing("alice"):
                assert await self.asked.gateway.standing_mandates.revoke("alice", item.id)

        self.runner.run(go())
        self.has_mandate = False

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        sql(self.folder, DatabaseName.GATEWAY, "update customers set frozen = :frozen where customer = 'alice'", frozen=frozen)
        self.frozen = frozen

    @rule(minutes=st.sampled_from([1, 4, 16, 60, 25 * 60]))
    def time_goes_by(self, minutes: int) -> None:
        self.clock.ahead += timedelta(minutes=minutes)

    @rule()
    def recover(self) -> None:
        async def go() -> None:
            gateway = self.asked.gateway
            await gateway.recovery.sweep(grace=timedelta(0))
            await gateway.recovery._end_unrecorded(gateway.pipeline)
            sql(
                self.folder,
                DatabaseName.GATEWAY,
                "update confirmations set ended_us = ended_us - 60000000 where ended_us is not null",
            )
            await gateway.confirmations.resume()

        self.runner.run(go())

    @rule()
    def restart(self) -> None:
        self.runner.run(self.asked.gateway.close())
        self.runner.run(self._open())

    # what must hold

    def _effects(self) -> list[Paying]:
        done = [key for key in executed_keys(self.asked.gateway) if key not in self.mine_before]
        assert len(done) == len(set(done)), "twice"
        by_key = {core_key(paying.call_id): paying for paying in self.tried if paying.call_id}
        assert set(done) <= set(by_key), "an effect that nobody asked for"
        return [by_key[key] for key in done]

    @invariant()
    def every_effect_was_meant_and_within_its_bounds(self) -> None:
        done = self._effects()
        for paying in done:
            assert paying.said, paying
            assert paying.confirmed or paying.under_mandate, paying
            assert not paying.declined, paying
            self.spent_times.setdefault(paying.native_id, self.clock())
        since = self.clock() - timedelta(hours=23, minutes=59)
        lately = [paying for paying in done if self.spent_times[paying.native_id] > since]
        assert sum(paying.minor for paying in lately) <= DAY_MINOR
        assert sum(paying.minor for paying in lately if not paying.confirmed) <= STANDING_MINOR

    def teardown(self) -> None:
        try:
            if not self.frozen:
                self.recover()
            self.every_effect_was_meant_and_within_its_bounds()
            assert self.runner.run(what_does_not_hold(self.asked.gateway)) == [] or self.frozen
            done = {paying.native_id for paying in self._effects()}
            for paying in self.tried:
                assert paying.told != "done" or paying.native_id in done, "told as done, and it was not"
        finally:
            self.runner.run(self.asked.gateway.close())
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)


LONGER = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
Histories.TestCase.settings = settings(LONGER, max_examples=long_or(10, 3), stateful_step_count=20)
TestHistories = sqlite_only("its own gateways, on files of their own")(Histories.TestCase)
