"""`call.settled`: every late outcome is told, signed, at least once, whatever the receiver does; and nothing else is."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from adapters.core import Unknown
from audit.rotation_records import rotate
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.app.gateway import Gateway
from gateway.app.keys import GATEWAY_PURPOSES, WEBHOOK, file_keys
from gateway.app.serving import build_app
from gateway.calls.record import Records
from gateway.client import CallSettled, verify_webhook
from gateway.domain.errors import Unavailable
from gateway.domain.kill_switch import Scope
from gateway.domain.proposal import ConfirmationEvidence, Method
from gateway.domain.stages import Recorded
from gateway.oversight.webhooks import LEASE, Webhooks, backoff_s, public_key
from gateway.store.webhooks import SqlOutbox
from tests.support.databases import book_in, sql
from tests.support.receiver import Receiver, receiving, verified
from tests.support.teller import Teller, payment, teller, what_does_not_hold
from tests.support.waiting import wait_until


@dataclass
class Told:
    """A gateway that tells, a receiver, and a clock for deliveries that can be set ahead."""

    teller: Teller
    receiver: Receiver
    account: str
    payee: str
    ahead: timedelta = timedelta(0)

    @property
    def gateway(self) -> Gateway:
        return self.teller.gateway

    @property
    def webhooks(self) -> Webhooks:
        assert self.gateway.webhooks is not None
        return self.gateway.webhooks

    def now(self) -> datetime:
        return utc_now() + self.ahead

    async def later(self, **passed: float) -> int:
        """Deliver what is due after this time; how many were tried."""
        self.ahead += timedelta(**passed)
        return await self.webhooks.deliver_due()

    async def held(self, value: str = "20.00") -> Recorded:
        await self.teller.say(f"Please pay Harbour Lettings £{value}")
        answered = await self.teller.ask("initiate_transfer", payment(self.account, self.payee, value))
        assert answered.status == "held", answered
        return answered

    async def confirm(self, held: Recorded) -> Recorded:
        proposal = await self.gateway.confirmations.open("alice", str(held.confirmation), utc_now())
        assert proposal is not None
        kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
        evidence = ConfirmationEvidence("alice", Method.PASSKEY, utc_now(), kept)
        (answered,) = await self.gateway.confirmations.confirm("alice", proposal.id, evidence)
        return answered

    def rows(self, where: str = "1 = 1") -> int:
        return sql(self.gateway.settings.data, DatabaseName.GATEWAY, f"update webhooks set id = id where {where}")


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    async with receiving() as (receiver, url), teller(tmp_path / "data", webhook_url=url) as asked:
        account = (await asked.accounts())[0]
        listed = await asked.ask("list_beneficiaries", {"account": account})
        assert listed.output is not None
        payees: Any = listed.output["beneficiaries"]
        payee = next(str(item["beneficiary"]) for item in payees if "Harbour" in str(item["name"]))
        made = Told(asked, receiver, account, payee)
        made.webhooks.clock = made.now
        receiver.public_key = public_key(made.webhooks.keys.public)
        yield made


def outcome(event: dict[str, Any]) -> tuple[str, str, str | None, str | None]:
    assert set(event) == {"type", "id", "call_id", "status", "code", "confirmation_id", "at"}
    assert event["type"] == "call.settled"
    assert datetime.fromisoformat(event["at"]).tzinfo is not None
    return event["call_id"], event["status"], event["code"], event["confirmation_id"]


async def test_what_was_held_is_told_once_it_ended_and_nothing_of_what_it_was(told: Told) -> None:
    held = await told.held()
    assert (await told.later(minutes=1), told.receiver.asked) == (0, [])
    assert (await told.confirm(held)).status == "done"
    assert await told.later(seconds=2) == 1
    (event,) = told.receiver.taken
    assert outcome(event) == (held.call_id, "done", None, held.confirmation)
    _, headers, body = told.receiver.asked[0]
    assert verify_webhook(body, headers, [told.receiver.public_key], now=told.now()) == CallSettled(
        "call.settled", event["id"], event["at"], held.call_id, "done", None, held.confirmation
    )
    assert not any(word in body.decode() + str(headers) for word in ("20.00", "Harbour", "alice", "initiate_transfer"))
    assert await told.later(days=2) == 0, "once it was taken it is not sent again"


@pytest.mark.parametrize("how", ["declined", "expired", "killed"])
async def test_what_does_not_happen_is_told_too(told: Told, how: str) -> None:
    held = await told.held()
    if how == "declined":
        await told.gateway.confirmations.decline("alice", str(held.confirmation), utc_now())
    elif how == "killed":
        await told.gateway.kill_switches.engage(Scope.CUSTOMER, "alice", "a test", "officer-1")
        assert (await told.confirm(held)).status == "denied"
    else:
        sql(told.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set expires_us = 1")
    await told.later(**({"hours": 1} if how == "expired" else {"seconds": 2}))
    assert [outcome(pair) for pair in told.receiver.taken] == [(held.call_id, "denied", "denied", held.confirmation)]


async def test_a_call_that_ends_in_its_own_answer_is_not_told(told: Told) -> None:
    assert (await told.teller.transfer("1.00")).status == "done"
    assert (await told.teller.transfer("1000000.00")).status == "denied"
    assert (await told.later(days=2), told.rows()) == (0, 0)


@pytest.mark.parametrize("was_done", [True, False])
async def test_what_was_in_doubt_is_told_when_recovery_has_ended_it(
    told: Told, was_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = told.gateway.core
    real = core.submit

    async def nobody_knows(*asked: Any) -> Unknown:
        if was_done:
            await real(*asked)
        return Unknown("a test")

    parts = told.gateway.pipeline._parts
    with monkeypatch.context() as dark:
        dark.setattr(type(parts.core), "submit", lambda _self, *asked: nobody_knows(*asked))
        doubt = await told.teller.transfer("1.00")
    assert doubt.status == "in_doubt"
    assert (await told.later(minutes=1), told.receiver.asked) == (0, [])
    await told.gateway.recovery.sweep(grace=timedelta(0))
    await told.later(seconds=2)
    ended = ("done", None) if was_done else ("unavailable", "temporarily_unavailable")
    assert [outcome(pair) for pair in told.receiver.taken] == [(doubt.call_id, *ended, None)]
    assert await what_does_not_hold(told.gateway) == []


async def test_while_nobody_knows_nothing_is_told(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    core = type(told.gateway.pipeline._parts.core)

    async def nobody_knows(*_: Any) -> Unknown:
        return Unknown("a test")

    with monkeypatch.context() as dark:
        dark.setattr(core, "submit", nobody_knows)
        dark.setattr(core, "status", nobody_knows)
        doubt = await told.teller.transfer("1.00")
        await told.gateway.recovery.sweep(grace=timedelta(0))
        assert [await told.later(minutes=2) for _ in range(5)] == [1] * 5, "it is looked after"
        assert told.receiver.asked == []
    await told.gateway.recovery.sweep(grace=timedelta(0))
    await told.later(minutes=2)
    assert [outcome(pair)[:2] for pair in told.receiver.taken] == [(doubt.call_id, "unavailable")]


async def test_what_was_done_and_could_not_be_recorded_is_told_once_it_is(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(*_: Any) -> None:
        raise Unavailable("audit_unavailable")

    debit, credit = (await told.teller.accounts())[:2]
    with monkeypatch.context() as dark:
        dark.setattr(Records, "outcome", dead)
        doubt = await told.teller.ask("initiate_transfer", payment(debit, credit, "1.00"))
    assert (doubt.status, told.gateway.pipeline.unrecorded) == ("in_doubt", {doubt.call_id})
    assert (await told.later(minutes=1), told.receiver.asked) == (0, [])
    await told.gateway.recovery._end_unrecorded(told.gateway.pipeline)
    await told.later(seconds=2)
    assert [outcome(pair)[:2] for pair in told.receiver.taken] == [(doubt.call_id, "done")]


async def test_it_is_told_whatever_the_receiver_does_first_with_the_same_id_and_body(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.webhooks.timeout_s = 0.3
    told.receiver.faults = [500, "cut", "slow", 302, 404, 301]
    held = await told.held()
    await told.confirm(held)
    waits = [await told.later(seconds=2)]
    while not told.receiver.taken:
        assert len(waits) < 50
        waits.append(await told.later(seconds=2 ** len(waits)))
    assert [outcome(pair)[:2] for pair in told.receiver.taken] == [(held.call_id, "done")]
    assert {path for path, _, _ in told.receiver.asked} == {"/hook"}, "no redirect is followed"
    assert len({(headers["webhook-id"], body) for _, headers, body in told.receiver.asked}) == 1
    assert len(told.receiver.asked) == 7
    alarms = [json.loads(record.message) for record in caplog.records if "webhook_not_delivered" in record.message]
    assert [alarm["tries"] for alarm in alarms] == [3, 4, 5, 6]
    assert [alarm["cause"] for alarm in alarms][1:] == ["status 302", "status 404", "status 301"]


async def test_a_receiver_that_is_not_there_gets_it_when_it_is_back(told: Told) -> None:
    there, told.webhooks.url = told.webhooks.url, "http://127.0.0.1:9/hook"
    await told.confirm(await told.held())
    assert await told.later(seconds=2) == 1
    told.webhooks.url = there
    assert await told.later(seconds=2) == 1
    assert len(told.receiver.taken) == 1


async def test_any_byte_that_is_changed_is_no_webhook_of_ours(told: Told) -> None:
    await told.confirm(await told.held())
    await told.later(seconds=2)
    _, headers, body = told.receiver.asked[0]
    assert verified(told.receiver.public_key, headers, body)["status"] == "done"
    for name, changed in (("webhook-id", "msg_0"), ("webhook-timestamp", "1"), ("webhook-signature", "v1a," + "A" * 86 + "==")):
        with pytest.raises(InvalidSignature):
            verified(told.receiver.public_key, {**headers, name: changed}, body)
    with pytest.raises(InvalidSignature):
        verified(told.receiver.public_key, headers, body.replace(b"done", b"dona"))


async def test_a_call_that_was_held_before_a_rotation_goes_on_and_receivers_of_either_key_believe_it(told: Told) -> None:
    """Every key of the gateway is rotated between the question and the customer's word."""
    held = await told.held()
    data, log = told.gateway.settings.data, told.gateway.log
    begins_s = int(datetime.now(UTC).timestamp()) + 2
    for purpose in GATEWAY_PURPOSES:
        rotate(file_keys(data), purpose, log.origin, begins_s)
    await told.gateway.keys.take_over(log)
    await asyncio.sleep(begins_s - datetime.now(UTC).timestamp())
    new = public_key(told.webhooks.keys.public)
    assert new != told.receiver.public_key
    assert (await told.confirm(held)).status == "done"
    assert await told.later(seconds=2) == 1
    _, headers, body = told.receiver.asked[0]
    for key in (told.receiver.public_key, new):
        assert verified(key, headers, body)["status"] == "done"
    file_keys(data).retire(WEBHOOK, told.webhooks.keys.keys[0].id)
    await told.gateway.keys.take_over(log)
    await told.confirm(await told.held("21.00"))
    await told.later(seconds=2)
    _, headers, body = told.receiver.asked[1]
    assert verified(new, headers, body)["status"] == "done"
    with pytest.raises(InvalidSignature):
        verified(told.receiver.public_key, headers, body)


async def test_several_workers_share_the_outbox_and_none_sends_what_another_has(told: Told) -> None:
    held = [await told.held(f"2{number}.00") for number in range(4)]
    for held_call in held:
        assert (await told.confirm(held_call)).status == "done"
    told.ahead += timedelta(seconds=2)
    told.receiver.faults = ["slow"] * 4
    others, books = [], []
    for _ in range(3):
        other = await book_in(told.gateway.settings.data, told.gateway.book._mandate_key)
        books.append(other)
        others.append(replace(told.webhooks, book=other, outbox=SqlOutbox(other), _session=None))
    running = [asyncio.create_task(item.deliver_due()) for item in others]
    await wait_until(lambda: len(told.receiver.asked) == 4)
    assert await told.webhooks.deliver_due() == 0, "all of it is taken"
    told.receiver.released.set()
    assert sum(await asyncio.gather(*running)) == 4
    assert (told.receiver.most_at_once, len(told.receiver.asked)) == (1, 4)
    assert await told.later(seconds=2) == 4
    assert sorted(pair["call_id"] for pair in told.receiver.taken) == sorted(held_call.call_id for held_call in held)
    for item, other in zip(others, books, strict=True):
        await item.close()
        await other.close()


async def test_what_a_worker_died_with_is_sent_by_another_after_its_lease(told: Told) -> None:
    await told.confirm(await told.held())
    told.ahead += timedelta(seconds=2)
    assert len(await told.webhooks.outbox.lease(told.now(), told.now() + LEASE, 16)) == 1
    assert await told.later(seconds=LEASE.total_seconds() - 1) == 0
    assert await told.later(seconds=2) == 1
    assert len(told.receiver.taken) == 1


async def test_what_was_told_long_ago_is_forgotten_and_nothing_else(told: Told) -> None:
    first, _ = await told.held("20.00"), await told.held("21.00")
    await told.confirm(first)
    await told.later(seconds=2)
    assert told.rows() == 2
    told.ahead += timedelta(days=8)
    await told.webhooks.forget()
    assert (told.rows(), told.rows("delivered_us is null")) == (1, 1)


async def test_a_gateway_that_is_served_tells_by_itself(told: Told) -> None:
    told.webhooks.clock = utc_now
    app = build_app(told.gateway)
    async with app.router.lifespan_context(app):
        held = await told.held()
        await told.gateway.confirmations.decline("alice", str(held.confirmation), utc_now())
        await wait_until(lambda: bool(told.receiver.taken))
    assert [outcome(pair)[:2] for pair in told.receiver.taken] == [(held.call_id, "denied")]


async def test_without_a_receiver_nothing_is_kept(tmp_path: Path) -> None:
    async with teller(tmp_path) as asked:
        assert asked.gateway.webhooks is None
        await asked.gateway.book.expect_outcome("call_x", utc_now())
        assert sql(tmp_path, DatabaseName.GATEWAY, "update webhooks set id = id") == 0


def test_the_back_off_grows_to_a_day_and_never_beyond() -> None:
    waits = [backoff_s(tries, 86_400, 1.0) for tries in range(40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[10], max(waits)) == (1.0, 1024.0, 86_400.0)
    assert [backoff_s(tries, 86_400, 0.0) for tries in range(40)] == [wait / 2 for wait in waits]
