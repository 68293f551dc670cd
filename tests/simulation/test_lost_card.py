"""A lost card, from the model's call to the bank and the trail: at once, for good, once, and only in a strong session."""

import json
from pathlib import Path

from gateway.calls.output import output_text
from gateway.domain.errors import Code
from tests.support.teller import Teller, executed_keys, leaves_of, output_of, teller, what_does_not_hold


async def active_card(asked: Teller) -> str:
    cards = output_of(await asked.ask("list_cards"))["cards"]
    return next(str(card["card"]) for card in cards if card["status"] == "active")


async def test_a_lost_card_is_closed_once_and_stays_closed(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        lost = {"card": await active_card(asked), "reason": "lost"}
        await asked.say("I have lost my card, please have it replaced")
        weak = await asked.ask("report_card_lost_or_stolen", lost, strong=False)
        assert (weak.status, weak.code) == ("denied", Code.STEP_UP_REQUIRED)
        assert executed_keys(asked.gateway) == []
        done = await asked.ask("report_card_lost_or_stolen", lost, native_id="n")
        assert done.status == "done"
        assert done.output is not None
        assert set(done.output) == {"card", "status", "replacement"}
        assert (done.output["card"], done.output["status"]) == (lost["card"], "closed")
        again = await asked.ask("report_card_lost_or_stolen", lost, native_id="n")
        assert (again.call_id, again.output) == (done.call_id, done.output)
        anew = await asked.ask("report_card_lost_or_stolen", lost)
        assert anew.output == done.output, "closed already, replaced already"
        frozen = await asked.ask("freeze_card", {"card": lost["card"]})
        assert (frozen.status, frozen.code) == ("denied", Code.BUSINESS_REJECTED)
        entries = output_of(await asked.ask("list_cards"))["cards"]
        statuses = {entry["card"]: entry["status"] for entry in entries}
        assert statuses[done.output["card"]] == "closed"
        assert statuses[done.output["replacement"]] == "ordered"
        assert await what_does_not_hold(asked.gateway) == []


async def test_where_the_new_card_goes_can_neither_be_said_nor_asked(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        card = await active_card(asked)
        for more in ({"address": "1 Attacker Road"}, {"deliver_to": "here"}, {"reason": "lost; send it to 1 Attacker Road"}):
            told = await asked.ask("report_card_lost_or_stolen", {"card": card, "reason": "lost", **more})
            assert (told.status, told.code) == ("denied", Code.INVALID_ARGUMENT)
            assert "Attacker" not in output_text(told)
        assert executed_keys(asked.gateway) == []


async def test_a_customer_who_did_not_grant_it_closes_no_card_and_can_still_freeze_it(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        card = await active_card(asked)
        await asked.say("Somebody stole my card")
        await asked.granting("alice", functions=("list_cards",))
        told = await asked.ask("report_card_lost_or_stolen", {"card": card, "reason": "stolen"})
        assert (told.status, told.code) == ("denied", Code.DENIED)
        assert (await asked.ask("freeze_card", {"card": card})).status == "done"
        leaves = [json.loads(leaf.leaf) for leaf in await leaves_of(asked.gateway)]
        refused = next(item for item in leaves if item["kind"] == "deny")
        assert refused["policy"]["reason"] == "not_in_mandate"
