"""Sanctions and fraud (TC-12): a payee on the list is not paid, when it is asked and when it is about to be sent; nobody is told why."""

import json
from dataclasses import replace
from pathlib import Path

from gateway.app.databases import DatabaseName
from gateway.calls.output import output_text
from gateway.calls.screening import ScreeningList
from gateway.domain.errors import Code
from tests.simulation.test_confirming import Desk, desk
from tests.support.databases import sql
from tests.support.teller import executed_keys, leaves_of, what_does_not_hold

__all__ = ["desk"]

ACCOUNT = "04-00-04 12345678  # Harbour Lettings\n"


async def listed(desk: Desk, folder: Path, text: str) -> Path:
    """Screen by a list with this text from now on."""
    path = folder / "listed.txt"
    path.write_text(text)
    pipeline = desk.gateway.pipeline
    pipeline._parts = replace(pipeline._parts, screening=ScreeningList(path))
    return path


async def test_who_is_on_the_list_is_not_paid_and_the_model_does_not_learn_why(desk: Desk, tmp_path: Path) -> None:
    proposal = await desk.held("20.00")
    before = len(executed_keys(desk.gateway))
    path = await listed(desk, tmp_path, ACCOUNT)
    (answered,) = await desk.confirm(proposal)
    assert (answered.status, answered.code) == ("denied", Code.DENIED)
    told = output_text(answered)
    assert not any(word in told.lower() for word in ("list", "sanction", "fraud", "block", "harbour"))
    assert len(executed_keys(desk.gateway)) == before
    reasons = [json.loads(leaf.leaf).get("facts", {}).get("reason") for leaf in await leaves_of(desk.gateway)]
    assert reasons[-1] == "blocked"
    path.write_text("name: HARBOUR lettings\n")
    (answered,) = await desk.confirm(await desk.held("21.00"))
    assert answered.status == "denied"
    path.write_text("name: Somebody Else\n12345612345678\n")
    (answered,) = await desk.confirm(await desk.held("22.00"))
    assert answered.status == "done"


async def test_who_comes_onto_the_list_at_the_last_moment_is_not_paid_either(desk: Desk, tmp_path: Path) -> None:
    proposal = await desk.held("20.00")
    before = len(executed_keys(desk.gateway))
    path = await listed(desk, tmp_path, "")
    records = desk.gateway.pipeline._parts.records
    real = type(records).intend

    async def intend(*given: object) -> object:
        made = await real(*given)
        path.write_text(ACCOUNT)
        return made

    type(records).intend = intend
    try:
        (answered,) = await desk.confirm(proposal)
    finally:
        type(records).intend = real
    assert (answered.status, answered.code) == ("denied", Code.DENIED)
    assert len(executed_keys(desk.gateway)) == before
    assert (await desk.gateway.book.totals("alice", "GBP", desk.now())).day_minor == 0, "what was held is given back"
    assert await what_does_not_hold(desk.gateway) == []


async def test_without_its_list_nothing_is_paid(desk: Desk, tmp_path: Path) -> None:
    proposal = await desk.held("20.00")
    path = await listed(desk, tmp_path, ACCOUNT)
    path.unlink()
    (answered,) = await desk.confirm(proposal)
    assert (answered.status, answered.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
    before = len(executed_keys(desk.gateway))
    path.write_text("")
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set ended_us = ended_us - 60000000")
    assert await desk.gateway.confirmations.resume() == 0, (
        "the customer was told that nothing happened, and may have paid otherwise"
    )
    assert len(executed_keys(desk.gateway)) == before
