"""The composed core: one act for one key, whatever the network does, and never another word about it than the true one."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.core import CoreUnavailable, Declined, Done, Money, NotSeen, PermitRefused, Transfer, Unknown
from adapters.declared.core import SKEW
from tests.support.banks import NOON, Permit
from tests.support.declared import composed, manifest_of, over, settles
from tests.support.upstream import CREDENTIAL, manifest_text, upstream

PAY = '{"note":"lunch","to":"GB29NWBK60161331926819","value":{"currency":"EUR","value":"12.30"}}'
CHANGE = '{"id":7,"value":{"currency":"EUR","value":"60.00"}}'
ONCE_ONLY = {"honoured: true": "honoured: false"}
NO_TIME = {"instruction_ms: 5000": "instruction_ms: 300"}
LATER = timedelta(seconds=30) + SKEW


async def test_a_call_is_one_request_with_the_key_the_customer_and_every_digit(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        answer = await made.send("pay", PAY)
        assert answer == Done({"payment": "p1", "value": Money(1230, "EUR")})
        (seen,) = made.bank.seen
        assert (seen.method, seen.path, seen.query) == ("POST", "/payments", "")
        assert (seen.customer, seen.key, seen.authorization) == ("emma", "key-1", f"Bearer {CREDENTIAL}")
        assert seen.body == b'{"to":"GB29NWBK60161331926819","value":12.30,"note":"lunch"}'
        assert await made.core.executed(NOON) == 1


async def test_fifty_at_once_act_once_and_answer_alike(tmp_path: Path) -> None:
    async with composed(tmp_path, **ONCE_ONLY) as made:
        answers = await asyncio.gather(*(made.send("pay", PAY) for _ in range(50)))
        assert isinstance(answers[0], Done)
        assert all(answer == answers[0] for answer in answers)
        assert len(made.bank.seen) == made.bank.count("pay") == 1
        assert await made.core.status("key-1") == answers[0]


@pytest.mark.parametrize("fault", ["cut", "half", "500", "503", "garbage", "elsewhere", "huge", "409", "401", "slow"])
@pytest.mark.parametrize("when", ["", " after"])
async def test_what_is_not_understood_is_unknown_and_sent_once(tmp_path: Path, fault: str, when: str) -> None:
    async with composed(tmp_path, **ONCE_ONLY, **NO_TIME) as made:
        made.bank.acts_once = False
        made.bank.faults = [fault + when]
        assert isinstance(await made.send("pay", PAY), Unknown)
        assert isinstance(await made.send("pay", PAY), Unknown)
        assert len([item for item in made.bank.seen if item.method == "POST"]) == 1
        await settles(made, "pay", PAY, happened=bool(when))


@pytest.mark.parametrize("fault", ["cut", "half", "500", "garbage", "409"])
@pytest.mark.parametrize("when", ["", " after"])
async def test_an_upstream_that_acts_once_for_a_key_is_asked_again_with_it(tmp_path: Path, fault: str, when: str) -> None:
    async with composed(tmp_path) as made:
        made.bank.faults = [fault + when]
        assert isinstance(await made.send("pay", PAY), Done)
        assert made.bank.count("pay") == 1
        assert {item.key for item in made.bank.seen} == {"key-1"}
        assert len(made.bank.seen) == 2


async def test_a_request_that_a_box_between_doubles_acts_once_where_the_upstream_honours_its_key(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        made.bank.faults = ["doubled"]
        assert isinstance(await made.send("pay", PAY), Done)
        assert made.bank.count("pay") == 1


@pytest.mark.parametrize("when", ["", " after"])
async def test_the_client_never_repeats_a_put_by_itself(tmp_path: Path, when: str) -> None:
    async with composed(tmp_path, **ONCE_ONLY) as made:
        made.bank.faults = ["cut" + when]
        assert isinstance(await made.send("change_order", CHANGE), Unknown)
        assert len(made.bank.seen) == 1
        made.clock.turn(LATER)
        assert await made.core.status("key-1") == Unknown("the upstream cannot be asked")


async def test_where_nothing_listens_nothing_was_sent_and_the_key_may_be_used(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        async with upstream("foreign") as (bank, url):
            port = int(url.rpartition(":")[2])
        async with over(tmp_path, made.behind, bank, manifest_of(manifest_text("foreign", url))) as closed:
            with pytest.raises(CoreUnavailable):
                await closed.send("pay", PAY)
            async with upstream("foreign", bank, port):
                assert isinstance(await closed.send("pay", PAY), Done)
        async with over(tmp_path, made.behind, bank, manifest_of(manifest_text("foreign", url))) as closed:
            with pytest.raises(CoreUnavailable):
                await closed.send("pay", PAY, "key-2")
            assert await closed.core.status("key-2") == NotSeen()
            assert await closed.send("pay", PAY, "key-2") == Declined("DUPL")
        assert bank.count("pay") == 1


@pytest.mark.parametrize("honoured", [True, False])
async def test_after_a_crash_the_journal_speaks(tmp_path: Path, honoured: bool) -> None:
    """The process died between the first byte and the answer."""
    async with composed(tmp_path, **({} if honoured else ONCE_ONLY)) as made:
        made.bank.faults = ["slow after"]
        dying = asyncio.ensure_future(made.send("pay", PAY))
        while not made.bank.effects:
            await asyncio.sleep(0.01)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        text = manifest_text("foreign", made.itself._upstream.address.url)
        text = text if honoured else text.replace("honoured: true", "honoured: false")
        async with over(tmp_path, made.behind, made.bank, manifest_of(text)) as again:
            assert await again.core.status("key-1") == Unknown("on its way")
            answer = await again.send("pay", PAY)
            assert isinstance(answer, Done if honoured else Unknown)
            made.clock.turn(LATER)
            assert isinstance(await again.core.status("key-1"), Done)
        assert made.bank.count("pay") == 1


async def test_a_listed_refusal_is_declined_and_stays_so(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        much = PAY.replace("12.30", "5000.00")
        assert await made.send("pay", much) == Declined("AM04")
        assert await made.send("pay", much) == Declined("AM04") == await made.core.status("key-1")
        assert len(made.bank.seen) == 1
        assert await made.core.executed(NOON) == 0


async def test_a_key_is_for_one_instruction_whoever_carries_it_out(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        assert isinstance(await made.send("pay", PAY), Done)
        assert await made.send("pay", PAY.replace("12.30", "12.31")) == Declined("DUPL")
        assert await made.send("pay", PAY, customer="bruno") == Declined("DUPL")
        order = Transfer(made.behind.main, made.behind.spare, Money(100, "GBP"), "TEST")
        told = made.told("pay", PAY)
        other = type(told)("key-1", "alice", "agent-1", order)
        assert await made.core.submit(other, Permit(other.canonical(), NOON + timedelta(seconds=30))) == Declined("DUPL")
        assert made.bank.count("pay") == 1


@pytest.mark.parametrize("flaw", ["none", "other bytes", "too late"])
async def test_nothing_is_sent_without_a_permit_over_exactly_these_bytes(tmp_path: Path, flaw: str) -> None:
    async with composed(tmp_path) as made:
        told = made.told("pay", PAY)
        bad = {
            "none": None,
            "other bytes": Permit(made.told("pay", PAY, "key-2").canonical(), NOON + timedelta(seconds=30)),
            "too late": Permit(told.canonical(), NOON),
        }[flaw]
        with pytest.raises(PermitRefused):
            await made.core.submit(told, bad)  # type: ignore[arg-type]
        assert made.bank.seen == []
        assert isinstance(await made.send("pay", PAY), Done)


async def test_that_it_happened_is_never_lost_over_a_field(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        made.bank.extra = {"value": "a lot", "secret": "x"}
        assert await made.send("pay", PAY) == Done({"payment": "p1"})
        assert await made.core.status("key-1") == Done({"payment": "p1"})


async def test_a_function_that_is_not_served_is_declined_before_anything_is_sent(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        assert await made.send("another", "{}") == Declined("AG01")
        assert made.bank.seen == []


async def test_a_customer_that_no_header_holds_is_never_sent(tmp_path: Path) -> None:
    async with composed(tmp_path) as made:
        for number, customer in enumerate(("emma\r\nX-Customer: bruno", "emma bruno", "é", "")):
            with pytest.raises(CoreUnavailable):
                await made.send("pay", PAY, f"key-{number}", customer)
        assert made.bank.seen == []
