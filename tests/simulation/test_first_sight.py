"""Templates by segment: who is seen for the first time gets the mandate of their segment, once, on record; nobody gets anything back that
the bank ended, and whatever fails grants nothing.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from adapters.core import Account, CoreUnavailable
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from gateway.app.mandate_templates import templates_of
from gateway.app.serving import build_app
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.domain.errors import Unavailable
from gateway.domain.principal import SCOPE_CALLS
from gateway.domain.reasons import RefusalReason
from gateway.store.tables import CUSTOMERS
from tests.support.opening import open_gateway
from tests.support.teller import Teller, leaves_of, principal, teller

TEMPLATES = """
[retail]
functions = ["list_accounts", "freeze_card"]
days = 30
restrictions = ["reads_only"]
[retail.limits.GBP]
payment_minor = 1000
day_minor = 2000
week_minor = 3000
month_minor = 4000
day_count = 5

[private]
functions = ["list_accounts"]
days = 30
[private.limits]
"""


def templates(folder: Path, text: str = TEMPLATES) -> dict[str, Any]:
    path = folder / "templates.toml"
    path.write_text(text)
    return {"segment_claim": "segment", "mandate_templates": path}


async def forget(asked: Teller, *customers: str) -> None:
    """As though nothing had ever been granted to them."""
    change = delete(CUSTOMERS).where(CUSTOMERS.c.customer.in_(customers))
    await asked.gateway.book._database.write(lambda connection: connection.execute(change))


async def listed(asked: Teller, customer: str, segment: str | None) -> set[str]:
    """The functions that this customer's assistant is offered: over HTTP, with a token that names the segment."""
    token = LocalIssuer(asked.gateway.settings.data).token(customer, agent="assistant", scope=SCOPE_CALLS, segment=segment)
    transport = httpx.ASGITransport(build_app(asked.gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answered = await client.get("/v1/functions?shape=responses", headers={"authorization": f"Bearer {token}"})
    assert answered.status_code == 200, answered.text
    return {definition["name"] for definition in answered.json()["data"]}


async def words(asked: Teller) -> list[str]:
    found = [json.loads(leaf.leaf) for leaf in await leaves_of(asked.gateway)]
    return [leaf["facts"]["word"] for leaf in found if str((leaf.get("facts") or {}).get("word", "")).startswith("mandate")]


async def test_a_customer_of_a_segment_is_granted_its_template_once_and_on_record(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", **templates(tmp_path)) as asked:
        await forget(asked, "bruno", "carla")
        assert "list_accounts" not in await listed(asked, "bruno", None), "a token that names no segment grants nothing"
        assert "list_accounts" not in await listed(asked, "bruno", "unheard-of")
        assert {"list_accounts", "freeze_card"} <= await listed(asked, "bruno", "retail")
        granted = await asked.gateway.granted.of("bruno")
        assert granted is not None
        sight = asked.gateway.door.first_sight
        assert sight is not None
        open_ones = {account.id for account in await sight._core.accounts("bruno") if account.status == "open"}
        assert set(granted.accounts) == open_ones
        assert granted.restrictions == ("reads_only",)
        assert granted.limits_in("GBP").day_count == 5
        assert await listed(asked, "bruno", "private") >= {"freeze_card"}, "another segment later changes nothing"
        assert (await asked.ask("list_accounts", customer="bruno")).status == "done"
        assert await words(asked) == ["mandate_granted"]


async def test_what_the_bank_ended_comes_back_by_no_template(tmp_path: Path) -> None:
    changes = templates(tmp_path)
    async with teller(tmp_path / "data", **changes) as asked:
        await asked.gateway.granted.end("david", "bank-system")
        assert (await asked.ask("list_accounts", customer="david")).reason == RefusalReason.MANDATE_EXPIRED
        await listed(asked, "david", "retail")
        assert (await asked.ask("list_accounts", customer="david")).reason == RefusalReason.MANDATE_EXPIRED
        ended = await asked.gateway.granted.of("david")
        assert ended is not None
        assert ended.version == 2


async def test_many_first_requests_at_once_grant_once(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", **templates(tmp_path)) as asked:
        await forget(asked, "bruno")
        sight = asked.gateway.door.first_sight
        assert sight is not None
        who = principal("bruno")
        object.__setattr__(who, "segment", "retail")
        sight._known.clear()
        await asyncio.gather(*(sight.meet(who) for _ in range(20)))
        assert await words(asked) == ["mandate_granted"]


@pytest.mark.parametrize("failure", ["core", "store", "late", "no account"])
async def test_what_fails_grants_nothing_and_the_next_request_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    async with teller(tmp_path / "data", **templates(tmp_path)) as asked:
        await forget(asked, "bruno")
        sight = asked.gateway.door.first_sight
        assert sight is not None

        async def accounts(_customer: str) -> Sequence[Account]:
            if failure == "core":
                raise CoreUnavailable("down")
            if failure == "late":
                await asyncio.sleep(60)
            return []

        async def granted(_customer: str) -> None:
            raise Unavailable("store_unavailable")

        with monkeypatch.context() as patch:
            patch.setattr("gateway.oversight.first_sight.WAIT_MOST_S", 0.1)
            if failure == "store":
                patch.setattr(type(asked.gateway.granted), "of", lambda _self, customer: granted(customer))
            else:
                patch.setattr(sight, "_core", SimpleNamespace(accounts=accounts))
            assert "list_accounts" not in await listed(asked, "bruno", "retail")
        assert "list_accounts" in await listed(asked, "bruno", "retail")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[retail", "no TOML"),
        ("retail = 1", "retail: must have functions"),
        (TEMPLATES.replace("days = 30\nrest", "days = 0\nrest"), "retail.days"),
        (TEMPLATES.replace("freeze_card", "move_mountains"), "retail.functions: 1 that are not served"),
        (TEMPLATES.replace("day_count = 5", "day_count = -5"), "retail.limits.GBP"),
        (TEMPLATES.replace("[retail.limits.GBP]", "[retail.limits.pounds]"), "retail.limits"),
        (TEMPLATES.replace("days = 30\nrest", "days = 30\nmore = 1\nrest"), "retail: must have functions"),
        ("#" * 300_000, "longer than"),
    ],
)
async def test_a_file_that_says_something_else_stops_the_start(tmp_path: Path, text: str, why: str) -> None:
    changes = templates(tmp_path, text)
    with pytest.raises(UnsafeSettings, match=why):
        templates_of(changes["mandate_templates"], {"list_accounts", "freeze_card"})


async def test_without_a_claim_for_segments_templates_are_a_finding(tmp_path: Path) -> None:
    settings = replace(development(tmp_path / "data"), mandate_templates=templates(tmp_path)["mandate_templates"])
    with pytest.raises(UnsafeSettings, match="mandate_templates: has no segment_claim"):
        await open_gateway(settings)
