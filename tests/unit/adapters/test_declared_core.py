"""The composed core: one act for one key, whatever the network does, and never another word about it than the true one."""

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.core import CoreUnavailable, Declined, Done, Money, NotSeen, Unknown
from adapters.declared.core import SKEW
from tests.support.banks import NOON
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
