"""Agents that nobody here wrote, unmodified, over the doors that they speak: each through the same cases, at one gateway."""

import asyncio
import re
from collections import Counter
from decimal import Decimal

import pytest

from adapters.cores.sandbox.people import CARDS, HOLDINGS
from tests.support import talked_table
from tests.support.talked import CASES, CLIENTS, HELD, LANES, Client, Lane, Seen, play

SCREEN = "Of {} accounts the payments are on your screen."
PLAYED = [pytest.param(client, case, id=f"{client.name}-{client.door}-{case}") for client in CLIENTS for case in CASES]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return asyncio.run(play(tmp_path_factory.mktemp("agents") / "data"))


@pytest.mark.parametrize(("client", "case"), PLAYED)
def test_what_a_client_sees(seen: Seen, client: Client, case: str) -> None:
    if client.peer in seen.absent:
        pytest.skip(seen.absent[client.peer])
    assert client.peer not in seen.broken, seen.broken[client.peer]
    saw = seen.cases[client.name, client.door, case]
    assert "error" not in saw, saw
    customer = lane_of(client).customer
    accounts = sum(customer in holding.owners for holding in HOLDINGS)
    assert saw["shown"] == (["payments"] if case in ("app", "streaming") else []), "the bank's own is never asked of it"
    match case:
        case "parallel":
            assert saw["text"] == f"You have {accounts} accounts and {sum(card.holder == customer for card in CARDS)} cards."
        case "app":
            assert saw["text"] == SCREEN.format(accounts)
        case "streaming":
            assert (saw["text"], saw["pieces"] > 1) == (SCREEN.format(accounts), True)
        case "held":
            assert saw["text"] == (client.raises or HELD)
            assert (saw["page"] is not None) is client.shows_page
            before = balance_in(seen.cases[client.name, client.door, "balance"]["text"])
            assert balance_in(saw["after"]) == before - Decimal(saw["value"]), "the app goes on, and the money has moved once"


def test_each_client_was_played_and_none_beside_them(seen: Seen) -> None:
    assert set(seen.cases) == {(client.name, client.door, case) for client in installed(seen) for case in CASES}


def test_a_payment_is_done_once_and_not_before_its_customer_has_confirmed(seen: Seen) -> None:
    assert len(seen.early) == len(installed(seen))
    assert set(seen.early.values()) == {0}
    assert set(seen.done.values()) == {1}
    assert seen.payments == len(installed(seen))


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.customer)
def test_what_counts_as_said_is_what_the_customer_said_as_often_as_they_said_it(seen: Seen, lane: Lane) -> None:
    """Whatever of the history a client resends."""
    clients = [client for client in installed(seen) if client.peer in lane.peers]
    said: Counter[str] = Counter()
    for client in clients:
        value = seen.cases[client.name, client.door, "held"]["value"]
        said += Counter(["What is my balance?"] * 2 + ["Show me my payments."] * 2 + ["What do I have?"])
        said[f"Please pay £{value} to {lane.payee}"] += 1
    assert seen.words[lane.customer] == said


def test_the_guide_says_of_each_what_it_can_and_cannot() -> None:
    text = talked_table.PLACE.read_text()
    assert talked_table.renewed(text) == text, "python -m tests.support.talked_table --write"


def installed(seen: Seen) -> list[Client]:
    """Those that were played. With REQUIRE_PEERS that is all of them."""
    return [client for client in CLIENTS if client.peer not in seen.absent]


def lane_of(client: Client) -> Lane:
    return next(lane for lane in LANES if client.peer in lane.peers)


def balance_in(text: str) -> Decimal:
    found = re.fullmatch(r"Your balance is (-?[0-9.]+)\.", text)
    assert found, text
    return Decimal(found[1])
