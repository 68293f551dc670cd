"""A gateway whose keys are in a PKCS#11 token: the whole story of a payment, rotations under traffic, and the token away."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audit import token_device
from audit.inspection import verify_store
from audit.keys import CUSTOMERS
from audit.rotation_records import rotate
from audit.token_keys import TokenKeys
from gateway.app.clock import utc_now
from gateway.app.health import readiness_of
from gateway.app.keys import PURPOSES
from gateway.domain.proposal import ConfirmationEvidence, Method
from gateway.domain.stages import Recorded
from gateway.oversight.webhooks import public_key
from tests.support.production import private
from tests.support.receiver import receiving
from tests.support.softhsm import MODULE, PIN, new_token, unplugged
from tests.support.teller import Teller, executed_keys, payment, teller, what_does_not_hold
from tests.support.waiting import WAITS_S, wait_until


@pytest.fixture
def label() -> str:
    return new_token()


@pytest.fixture
def in_token(label: str, tmp_path: Path) -> Mapping[str, Any]:
    pin = private(tmp_path / "pin", f"{PIN}\n")
    return {"key_storage": "pkcs11", "pkcs11_module": MODULE, "pkcs11_token": label, "pkcs11_pin_file": pin}


@pytest.fixture
async def asked(in_token: Mapping[str, Any], tmp_path: Path) -> AsyncIterator[Teller]:
    async with teller(tmp_path / "data", **in_token) as made:
        yield made


async def held(asked: Teller, value: str) -> Recorded:
    account = (await asked.accounts())[0]
    listed: Any = (await asked.ask("list_beneficiaries", {"account": account})).output
    payee = next(str(item["beneficiary"]) for item in listed["beneficiaries"] if "Harbour" in str(item["name"]))
    await asked.say(f"Please pay Harbour Lettings £{value}")
    return await asked.ask("initiate_transfer", payment(account, payee, value))


async def confirmed(asked: Teller, waiting: Recorded) -> Recorded:
    proposal = await asked.gateway.confirmations.open("alice", str(waiting.confirmation), utc_now())
    assert proposal is not None
    kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
    evidence = ConfirmationEvidence("alice", Method.PASSKEY, utc_now(), kept)
    (answered,) = await asked.gateway.confirmations.confirm("alice", proposal.id, evidence)
    return answered


async def test_a_payment_is_made_confirmed_told_and_verified_with_every_key_in_the_token(
    in_token: Mapping[str, Any], tmp_path: Path
) -> None:
    async with receiving() as (receiver, url), teller(tmp_path / "data", webhook_url=url, **in_token) as asked:
        webhooks = asked.gateway.webhooks
        assert webhooks is not None
        receiver.public_key = public_key(webhooks.keys.public)
        waiting = await held(asked, "20.00")
        assert waiting.status == "held", waiting
        assert (await confirmed(asked, waiting)).status == "done"

        async with asyncio.timeout(WAITS_S):
            while not receiver.taken:
                await webhooks.deliver_due()
                await asyncio.sleep(0.1)
        assert receiver.taken[0]["status"] == "done"
        await asked.gateway.log.publish(force=True)
        assert await what_does_not_hold(asked.gateway) == []
        storage = asked.gateway.keys.storage
        assert isinstance(storage, TokenKeys)
        assert [purpose.name for purpose in PURPOSES if not storage.is_inside(purpose)] == []
    async with teller(tmp_path / "data", **in_token) as again:
        assert (await again.transfer("3.00")).status == "done", "and after another start"
        assert await verify_store(again.gateway.log) == []


PAYMENTS_MOST = 40
"""However quick the host is: of a day fifty may be made."""


async def test_each_key_is_rotated_under_traffic_and_what_the_older_ones_made_holds(asked: Teller) -> None:
    gateway, stop = asked.gateway, asyncio.Event()
    seen: list[str] = []

    async def traffic() -> None:
        debit, credit = (await asked.accounts())[:2]
        while not stop.is_set():
            if len(seen) < PAYMENTS_MOST:
                answered = await asked.ask("initiate_transfer", payment(debit, credit, f"{len(seen) + 1}.00"))
            else:
                answered = await asked.ask("list_accounts", {})
            seen.append(answered.status)

    waiting = await held(asked, "21.00")
    going = asyncio.create_task(traffic())
    begins_s = int(time.time()) + 1
    for purpose in PURPOSES:
        await asyncio.to_thread(rotate, gateway.keys.storage, purpose, gateway.log.origin, begins_s)
    await gateway.keys.take_over(gateway.log)
    await gateway.log.publish(force=True)
    while time.time() < begins_s + 0.2:
        await asyncio.sleep(0.05)
    count = len(seen)
    await wait_until(lambda: len(seen) > count + 2)
    stop.set()
    await going
    assert set(seen) <= {"done", "held"}, seen
    assert "done" in seen
    assert (await confirmed(asked, waiting)).status == "done", "what was proposed before is confirmed after"
    await gateway.log.publish(force=True)
    before = (await asyncio.to_thread(gateway.keys.storage.load, CUSTOMERS))[0]
    assert await gateway.log.keys.rewrap() > 0
    await asyncio.to_thread(gateway.keys.storage.retire, CUSTOMERS, before.id)
    await gateway.log.take_over_rotations()
    assert (await asked.transfer("0.37")).status == "done"
    assert await what_does_not_hold(gateway) == []


async def test_without_the_token_nothing_is_paid_readiness_says_so_and_it_goes_on_when_it_is_back(
    asked: Teller, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_device, "REST_S", 0.0)
    debit, credit = (await asked.accounts())[:2]
    assert (await asked.ask("initiate_transfer", payment(debit, credit, "5.00"))).status == "done"
    done = len(executed_keys(asked.gateway))
    readiness = readiness_of(asked.gateway)
    assert (await readiness.report()).states["key_storage"] == "ok"
    with unplugged(label):
        answered = await asked.ask("initiate_transfer", payment(debit, credit, "6.00"), native_id="while-away")
        assert (answered.status, answered.code) == ("unavailable", "temporarily_unavailable"), answered
        report = await readiness_of(asked.gateway).report()
        assert (report.ready, report.states["key_storage"]) == (True, "unavailable"), "a kill switch is still engaged here"
    assert len(executed_keys(asked.gateway)) == done, "nothing happened"
    assert (await readiness_of(asked.gateway).report()).states["key_storage"] == "ok"
    assert (await asked.ask("initiate_transfer", payment(debit, credit, "7.00"))).status == "done"
    await asked.gateway.recovery.sweep(grace=utc_now() - utc_now())
    await asked.gateway.log.publish(force=True)
    assert await what_does_not_hold(asked.gateway) == []
