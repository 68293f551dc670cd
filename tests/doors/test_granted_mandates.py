"""What the bank's system grants and ends at the door: it counts at once, versions only grow, a repeated request changes nothing, and nobody
else's token does."""

import base64
import json
from typing import Any

import httpx
import pytest

from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_ENROL, SCOPE_KILL, SCOPE_MANDATES
from gateway.doors.examples import EXAMPLES
from tests.doors.conftest import Served

TERMS: dict[str, Any] = EXAMPLES["put_customer_mandate"].request


def bank(served: Served, **claims: Any) -> str:
    return served.token("bank-system", **{"agent": None, "client": "bank-system", "scope": SCOPE_MANDATES, **claims})


def ask(served: Served, method: str, customer: str, body: Any = None, token: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {token or bank(served)}"}
    return served.http.request(method, f"/v1/customers/{customer}/mandate", json=body, headers=headers)


def code(answered: httpx.Response) -> tuple[int, str, str | None]:
    error = answered.json()["error"]
    return answered.status_code, error["code"], error["param"]


def accounts_of(served: Served, customer: str) -> dict[str, Any]:
    return served.call("list_accounts", {}, token=served.token(customer))


def test_a_mandate_counts_from_the_next_call_on_and_ends_at_once(served: Served) -> None:
    assert code(ask(served, "GET", "nora")) == (404, "not_found", "customer")
    assert accounts_of(served, "nora")["reason"] == "no_mandate"
    put = ask(served, "PUT", "nora", TERMS)
    assert (put.status_code, put.json()["state"]) == (200, "in_force")
    assert ask(served, "GET", "nora").json() == put.json()
    assert accounts_of(served, "nora")["status"] == "done"
    ended = ask(served, "DELETE", "nora").json()
    assert (ended["state"], ended["version"]) == ("ended", 2)
    assert accounts_of(served, "nora")["reason"] == "mandate_expired"
    assert ask(served, "DELETE", "nora").json() == ended, "what has ended stays as it is"
    assert ask(served, "PUT", "nora", {**TERMS, "version": 3}).status_code == 200
    assert accounts_of(served, "nora")["status"] == "done"


def test_restrictions_hold_for_this_customer_alone(served: Served) -> None:
    """Everything but a few reads is refused, before the customer is asked; the emergency door stays open."""
    granted = ask(served, "GET", "carla").json()
    terms = {name: value for name, value in granted.items() if name not in {"customer", "state"}}
    conversation = served.conversation(served.token("carla"))
    where = {"conversation": conversation, "token": served.token("carla")}
    card = served.call("list_cards", {}, native_id="c1", **where)["model"]["result"]["cards"][0]["card"]
    restricted = {**terms, "version": terms["version"] + 1, "restrictions": ["reads_only"]}
    assert ask(served, "PUT", "carla", restricted).status_code == 200
    try:
        assert served.call("freeze_card", {"card": card}, native_id="c2", **where)["status"] == "done"
        stopped = served.call("unfreeze_card", {"card": card}, native_id="c3", **where)
        assert (stopped["status"], stopped["code"], stopped["reason"]) == ("denied", "denied", "restricted")
        assert served.call("list_accounts", {}, native_id="c4", **where)["status"] == "done"
    finally:
        assert ask(served, "PUT", "carla", {**terms, "version": terms["version"] + 2}).status_code == 200
    assert served.call("unfreeze_card", {"card": card}, native_id="c5", **where)["status"] == "held"


def test_who_got_no_answer_may_ask_again_and_versions_only_grow(served: Served) -> None:
    second = {**TERMS, "version": 2}
    for _ in range(2):
        assert ask(served, "PUT", "quinn", second).status_code == 200
    assert code(ask(served, "PUT", "quinn", {**second, "accounts": ["acc-2"]})) == (409, "mandate_not_newer", "version")
    assert code(ask(served, "PUT", "quinn", TERMS)) == (409, "mandate_not_newer", "version")
    assert ask(served, "GET", "quinn").json()["accounts"] == second["accounts"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"functions": ["pay_everybody"]}, "functions"),
        ({"functions": []}, "functions"),
        ({"functions": ["list_accounts", "list_accounts"]}, "functions"),
        ({"restrictions": ["reads_onyl"]}, "restrictions"),
        ({"ends": "2026-01-01T00:00:00+00:00"}, "ends"),
        ({"ends": "2025-01-01T00:00:00+00:00"}, "ends"),
        ({"ends": "2099-01-01"}, "ends"),
        ({"ends": "tomorrow"}, "ends"),
        ({"starts": "2026-01-01T00:00:00"}, "starts"),
        ({"version": 0}, "version"),
        ({"version": "1"}, "version"),
        ({"limits": {"gbp": {}}}, "limits.gbp"),
        ({"limits": {"GBP": {"payment_minor": -1}}}, "limits.GBP"),
        ({"customer": "somebody-else"}, "customer"),
    ],
    ids=str,
)
def test_what_makes_no_mandate_is_refused_by_name_and_nothing_is_stored(
    served: Served, changed: dict[str, Any], field: str
) -> None:
    status, fault, param = code(ask(served, "PUT", "rita", {**TERMS, **changed}))
    assert (status, fault) == (400, "invalid_request")
    assert (param or "").startswith(field)
    assert code(ask(served, "GET", "rita"))[0] == 404


def test_no_other_token_grants(served: Served) -> None:
    """One that does anything else, one of a person, one of a customer, an agent's."""
    others = [
        *(bank(served, scope=f"{SCOPE_MANDATES} {other}") for other in (SCOPE_CALLS, SCOPE_ASSISTANTS, SCOPE_ENROL, SCOPE_KILL)),
        *(bank(served, scope=other) for other in (SCOPE_CALLS, SCOPE_ASSISTANTS, SCOPE_ENROL, SCOPE_KILL)),
        bank(served, client="another-client"),
        bank(served, agent="a-rogue"),
        served.token("sam", agent=None, scope=SCOPE_MANDATES),
        served.token("sam", scope=SCOPE_MANDATES),
    ]
    for token in others:
        for method, body in (("GET", None), ("PUT", TERMS), ("DELETE", None)):
            assert code(ask(served, method, "sam", body, token))[:2] == (403, "insufficient_scope")
    assert code(ask(served, "GET", "sam"))[0] == 404


def test_each_change_is_on_record_without_the_terms_in_clear(served: Served) -> None:
    ask(served, "PUT", "tess", TERMS)
    ask(served, "DELETE", "tess")
    shown = served.get("/v1/activity", token=served.token("tess", agent=None, scope="confirm")).json()["data"]
    assert [item["word"] for item in shown if item["word"]] == ["mandate_granted", "mandate_ended"]
    assert base64.b64encode(b"acc-1").decode() not in json.dumps(shown)
