"""Standing mandates and the activity list on a real server: whose they are, what their terms must be, and that both count at once."""

import contextlib
import io
from typing import Any

import pytest

from gateway.cli import main
from gateway.domain.principal import SCOPE_CONFIRM
from tests.doors.conftest import Served
from tests.support.asking import approved, why

pytest.importorskip("webauthn", reason="webauthn is absent")

CUSTOMER, FLAT = "bruno", "20000055779911"
"""Bruno pays the rent of his room each month: an account that he knows."""

TERMS = {
    "payees": None,
    "per_payment": {"value": "25.00", "currency": "GBP"},
    "per_day": {"value": "40.00", "currency": "GBP"},
    "payments_per_day": 5,
    "days": 30,
}


def own(served: Served, customer: str = CUSTOMER, **claims: Any) -> str:
    """A token of the customer's own device."""
    return served.token(customer, **{"agent": None, "scope": SCOPE_CONFIRM, **claims})


def pay(served: Served, amount: str, native_id: str) -> dict[str, Any]:
    """Bruno asks his assistant to pay for his room."""
    token = served.token(CUSTOMER)
    where: dict[str, Any] = {"conversation": served.conversation(token), "token": token}
    accounts = served.call("list_accounts", {}, **where)["model"]["result"]["accounts"]
    account = next(item["account"] for item in accounts if item["currency"] == "GBP" and item["status"] == "open")
    payees = served.call("list_beneficiaries", {"account": account}, **where)["model"]["result"]["beneficiaries"]
    payee = next(item["beneficiary"] for item in payees if "Camden Rooms" in str(item["name"]))
    served.say(f"pay Camden Rooms £{amount}", conversation=where["conversation"], customer=CUSTOMER)
    arguments = {"from": account, "to": payee, "amount": {"value": amount, "currency": "GBP"}}
    return served.call("initiate_transfer", arguments, native_id=native_id, **where)


def dev(served: Served, verb: str, confirmation: str) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        status = main(["dev", verb, confirmation, "--customer", CUSTOMER, "--data", str(served.data), "--url", served.url])
    return status, printed.getvalue()


def proposed(served: Served, **changed: Any) -> str:
    answered = served.post("/v1/mandates", {**TERMS, **changed}, token=own(served))
    assert answered.status_code == 200, answered.text
    return str(answered.json()["confirmation_id"])


def standing(served: Served, customer: str = CUSTOMER) -> list[dict[str, Any]]:
    answered = served.get("/v1/mandates", token=own(served, customer))
    assert answered.status_code == 200, answered.text
    found: list[dict[str, Any]] = answered.json()["data"]
    return found


def revoke(served: Served, mandate: str, token: str) -> Any:
    return served.http.delete(f"/v1/mandates/{mandate}", headers={"authorization": f"Bearer {token}"})


def refused(answered: Any) -> tuple[int, str, str | None]:
    error = answered.json()["error"]
    return answered.status_code, error["code"], error["param"]


def everything(served: Served, path: str = "/v1/activity", customer: str = CUSTOMER) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answered = served.get(path + after, token=own(served, customer))
        assert answered.status_code == 200, answered.text
        page = answered.json()
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        after = f"?cursor={page['next_cursor']}"


def test_a_mandate_is_granted_paid_under_and_revoked_and_each_step_counts_at_once(served: Served) -> None:
    confirmation = proposed(served)
    assert standing(served) == [], "what is only asked for is not in force"
    held = pay(served, "3.01", "standing-1")
    assert held["status"] == "held"
    assert dev(served, "decline", held["confirmation_id"])[0] == 0
    status, said = dev(served, "confirm", confirmation)
    assert status == 0, said
    (mandate,) = standing(served)
    assert (mandate["per_payment"], mandate["per_day"], mandate["payments_per_day"]) == (
        TERMS["per_payment"],
        TERMS["per_day"],
        TERMS["payments_per_day"],
    )
    assert standing(served, "alice") == []
    done = pay(served, "3.02", "standing-2")
    assert (done["status"], done["confirmation_id"]) == ("done", None)
    for somebody in (own(served, "alice"), own(served, "nobody")):
        assert refused(revoke(served, mandate["id"], somebody)) == (404, "not_found", "mandate_id")
    assert pay(served, "3.03", "standing-3")["status"] == "done", "nobody else can revoke it"
    gone = revoke(served, mandate["id"], own(served))
    assert (gone.status_code, gone.json()) == (200, {"id": mandate["id"], "revoked": True})
    held = pay(served, "3.04", "standing-4")
    assert held["status"] == "held"
    assert dev(served, "decline", held["confirmation_id"])[0] == 0, "an open one would stand before the next"
    assert standing(served) == []
    assert refused(revoke(served, mandate["id"], own(served))) == (404, "not_found", "mandate_id")

    told = everything(served)
    of_calls = {answer["call_id"]: answer for answer in told if answer["what"] == "outcome"}
    assert of_calls[done["call_id"]]["standing_mandate"] == mandate["id"]
    assert ("admin", "revoked") in {
        (answer["what"], answer["word"]) for answer in told if answer["standing_mandate"] == mandate["id"]
    }
    assert any(answer["confirmation_id"] == confirmation and answer["word"] == "confirmed" for answer in told)
    assert done["call_id"] not in {item["call_id"] for item in everything(served, customer="alice")}


def test_a_payment_that_was_confirmed_names_its_confirmation(served: Served) -> None:
    held = pay(served, "3.11", "standing-5")
    assert dev(served, "confirm", held["confirmation_id"])[0] == 0
    (outcome,) = [item for item in everything(served) if item["call_id"] == held["call_id"] and item["what"] == "outcome"]
    assert (outcome["confirmation_id"], outcome["standing_mandate"]) == (held["confirmation_id"], None)


WRONG: list[tuple[dict[str, Any], str | None]] = [
    ({"payees": []}, "payees"),
    ({"payees": ["GB33BUKB20201555555555"]}, "payees"),
    ({"per_payment": {"value": "0", "currency": "GBP"}}, "per_payment"),
    ({"per_payment": {"value": "1.001", "currency": "GBP"}}, "per_payment"),
    ({"per_payment": {"value": "-1", "currency": "GBP"}}, "per_payment"),
    ({"per_payment": {"value": "1", "currency": "gbp"}}, "per_payment.currency"),
    ({"per_day": {"value": "1e3", "currency": "GBP"}}, "per_day"),
    ({"per_day": {"value": "40", "currency": "EUR"}}, "per_day"),
    ({"payments_per_day": 0}, "payments_per_day"),
    ({"payments_per_day": True}, "payments_per_day"),
    ({"days": 0}, "days"),
    ({"days": 366}, "days"),
    ({"days": "30"}, "days"),
    ({"agent": ""}, "agent"),
    ({"account": "GB33BUKB20201555555555"}, "account"),
    ({"account": FLAT}, "account"),
    ({"more": 1}, "more"),
]


@pytest.mark.parametrize(("changed", "param"), WRONG)
def test_terms_that_make_no_mandate_are_refused_by_their_name(served: Served, changed: dict[str, Any], param: str | None) -> None:
    answered = served.post("/v1/mandates", {**TERMS, **changed}, token=own(served))
    assert refused(answered) == (400, "invalid_request", param)
    assert "GB33BUKB" not in answered.text


def test_a_payee_whom_the_customer_pays_may_be_named_and_is_shown_by_name(served: Served) -> None:
    confirmation = proposed(served, payees=[f"{FLAT[:6]} {FLAT[6:]}"])
    intent = served.get(f"/v1/confirmations/{confirmation}", token=own(served)).json()["intent"]
    assert [(item["name"], item["identifier"]) for item in intent["mandate"]["payees"]] == [("Camden Rooms", "20-00-00 55779911")]
    assert intent["mandate"]["account"] is None
    assert refused(served.get(f"/v1/confirmations/{confirmation}", token=own(served, "alice")))[:2] == (404, "not_found")
    assert dev(served, "decline", confirmation)[0] == 0


def test_a_mandate_may_name_the_account_that_pays_and_everybody_is_told_which(served: Served) -> None:
    held = pay(served, "3.41", "standing-8")
    paying = served.get(f"/v1/confirmations/{held['confirmation_id']}", token=own(served)).json()["intent"]["calls"][0]["account"]
    assert dev(served, "decline", held["confirmation_id"])[0] == 0
    number = str(paying).rpartition("(")[2].removesuffix(")")
    confirmation = proposed(served, account=number.replace(" ", "").replace("-", ""))
    intent = served.get(f"/v1/confirmations/{confirmation}", token=own(served)).json()["intent"]
    assert f"{intent['mandate']['account']['name']} ({intent['mandate']['account']['identifier']})" == paying
    status, said = dev(served, "confirm", confirmation)
    assert (status, f"From account: {intent['mandate']['account']['name']} {number}" in said) == (0, True), said
    (mandate,) = standing(served)
    assert mandate["account"].startswith("acc:")
    assert revoke(served, mandate["id"], own(served)).status_code == 200


ROUTES = [("GET", "/v1/mandates"), ("POST", "/v1/mandates"), ("DELETE", f"/v1/mandates/std_{'0' * 32}")]
ROUTES += [("GET", "/v1/activity"), ("GET", "/v1/activity/looks")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_they_are_the_customer_s_own(served: Served, method: str, path: str) -> None:
    """An agent that holds the scope by mistake is refused as well: it would grant itself what it may do unasked."""
    for claims in ({"agent": "assistant", "scope": SCOPE_CONFIRM}, {"agent": None, "scope": "function_calls"}):
        token = served.token(CUSTOMER, **claims)
        answered = served.http.request(method, path, json=TERMS, headers={"authorization": f"Bearer {token}"})
        assert refused(answered)[:2] == (403, "insufficient_scope")
    assert refused(served.http.request(method, path, json=TERMS))[:2] == (401, "missing_token")


def test_a_cursor_counts_in_its_own_list_alone(served: Served) -> None:
    pages: dict[str, str] = {}
    for path in ("/v1/activity", "/v1/activity/looks"):
        for _ in range(60):
            page = served.get(path, token=own(served)).json()
            if page["next_cursor"] is not None:
                pages[path] = page["next_cursor"]
                break
            served.get("/v1/functions?shape=chat", token=own(served))  # refused, which is on record
            served.get("/v1/activity", token=own(served))  # a look
    assert set(pages) == {"/v1/activity", "/v1/activity/looks"}
    assert served.get(f"/v1/activity?cursor={pages['/v1/activity']}", token=own(served)).status_code == 200
    others = [("/v1/activity", pages["/v1/activity/looks"], CUSTOMER), ("/v1/activity/looks", pages["/v1/activity"], CUSTOMER)]
    others += [("/v1/activity", pages["/v1/activity"], "alice"), ("/v1/activity", "9.9.9.x", CUSTOMER)]
    for path, cursor, customer in others:
        assert refused(served.get(f"{path}?cursor={cursor}", token=own(served, customer))) == (400, "invalid_request", "cursor")


def test_who_looked_is_told_to_whom_it_was_about_alone(served: Served) -> None:
    """Whether they asked by the customer, by a call or a conversation of theirs, or opened a sealed record."""
    done = pay(served, "3.21", "standing-6")
    (record,) = [item for item in everything(served) if item["call_id"] == done["call_id"]]
    (leaf,) = [item["leaf"] for item in served.audit("--call", done["call_id"])["records"]]
    served.audit("--customer", CUSTOMER, "--kind", "outcome")
    served.audit("--conversation", leaf["conversation"])
    served.audit("--function", "list_accounts")
    assert approved(served.data, "audit", "reveal", str(record["record"]), *why(served.data))[0] == 0
    mine = [item for item in everything(served, "/v1/activity/looks") if item["who"] == "eve"]
    assert [item["what"] for item in mine[-4:]] == ["audit.query", "audit.query", "audit.query", "audit.reveal"]
    assert {(item["purpose"], item["case"]) for item in mine} == {("to see", "none")}
    others = {item["record"] for item in everything(served, "/v1/activity/looks", customer="alice")}
    assert others.isdisjoint(item["record"] for item in mine)
    assert dev(served, "decline", done["confirmation_id"])[0] == 0
