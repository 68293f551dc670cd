"""People sign in at the operations listener by a real OpenID provider, over TLS; whatever is wrong with a sign-in, nobody is signed in."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.cli import main
from tests.attacks.test_operations_listener import free_port
from tests.support import databases
from tests.support.asking import why
from tests.support.certificates import Authority
from tests.support.fronts import Fronted, fronted
from tests.support.oidc import Oidc, provider
from tests.support.staff import Person, person

OFFICERS, AUDITORS = "bank-officers", "audit"
SWITCH = {"scope": "agent", "subject": "a-rogue", "reason": "it asks for what nobody asked it"}


class Bank:
    """A gateway whose people sign in at `oidc`."""

    def __init__(self, front: Fronted, oidc: Oidc, origin: str) -> None:
        self.front, self.oidc, self.origin = front, oidc, origin
        self.browsers = ExitStack()

    def person(self) -> Person:
        found = person(self.oidc, self.origin)
        self.browsers.enter_context(found.http)
        return found

    def officer(self, name: str, *, fresh: bool = True) -> Person:
        found = self.person()
        assert found.sign_in(name, OFFICERS, fresh=fresh).status_code == 200
        return found


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with a_bank(tmp_path_factory.mktemp("bank")) as found:
        yield found


@contextmanager
def a_bank(folder: Path) -> Iterator[Bank]:
    authority, port = Authority(folder), free_port()
    server, origin = authority.issue("server"), f"https://127.0.0.1:{port}"
    with provider(folder, server, authority.file, staff_redirect=f"{origin}/signed-in") as oidc:
        settings = {
            "operations_port": port,
            "operations_url": origin,
            "operations_tls_certificate": str(server.certificate),
            "operations_tls_key": str(server.key),
            "operations_issuer": oidc.issuer,
            "operations_client": "operations",
            "operations_client_secret_file": str(oidc.secret_file),
            "operations_roles_claim": "groups",
            "operations_roles": [f"{OFFICERS}=officer", f"{AUDITORS}=auditor"],
            "operations_strong_acr": ["urn:bank:two-factor"],
            "issuer_ca": str(authority.file),
        }
        with fronted(folder, **settings) as front:
            found = Bank(front, oidc, origin)
            with found.browsers:
                yield found


def code(answered: httpx.Response) -> tuple[int, str]:
    return answered.status_code, answered.json()["error"]["code"]


def test_an_officer_signs_in_engages_and_two_lift_after_a_fresh_sign_in(bank: Bank) -> None:
    ada = bank.officer("ada", fresh=False)
    assert (ada.session["subject"], ada.session["roles"]) == ("ada", ["officer"])
    cookie = next(item for item in ada.http.cookies.jar if item.name == "__Host-session")
    assert cookie.secure
    assert "HttpOnly" in cookie._rest  # type: ignore[attr-defined]
    engaged = ada.post("/v1/kill-switches", SWITCH).json()
    assert (engaged["state"], engaged["engaged_by"], engaged["recorded"]) == ("engaged", "ada", True)
    path, why = f"/v1/kill-switches/{engaged['id']}/lift", {"reason": "looked into"}
    assert ada.post(path, why).json()["state"] == "half_lifted"
    assert code(ada.post(path, why)) == (409, "same_officer")
    again = bank.officer("ada")
    assert code(again.post(path, why)) == (409, "same_officer"), "another browser is no other person"
    assert bank.officer("ben").post(path, why).json()["state"] == "lifted"
    assert ada.get("/v1/kill-switches").json() == {"data": []}
    facts = [record["leaf"]["facts"] for record in records(bank.front.data)]
    told = [(fact["word"], fact["by"], fact["via"]) for fact in facts if fact.get("kill_switch") == engaged["id"]]
    assert told == [
        ("kill_engaged", "ada", "operations"),
        ("kill_lift", "ada", "operations"),
        ("kill_lift", "ben", "operations"),
    ]


def records(data: Path) -> list[Any]:
    where = ["--data", str(data), "--database", databases.url(data), "--json"]
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["audit", "query", "--kind", "admin", "--limit", "500", *why(data), *where]) == 0
    found: list[Any] = json.loads(printed.getvalue())["records"]
    return found


def test_what_is_grave_needs_two_factors_just_now(bank: Bank) -> None:
    weak = bank.person()
    assert weak.sign_in("cem", OFFICERS, acr="urn:bank:one-factor").status_code == 200
    switch = weak.post("/v1/kill-switches", SWITCH).json()["id"]
    path, why = f"/v1/kill-switches/{switch}/lift", {"reason": "over"}
    assert code(weak.post(path, why)) == (403, "fresh_sign_in_required")
    refused = weak.sign_in("cem", OFFICERS, fresh=True, acr="urn:bank:one-factor")
    assert (refused.status_code, "not_fresh" in refused.text) == (403, True)
    assert code(weak.post(path, why)) == (403, "fresh_sign_in_required"), "and stays who they were"
    before = weak.http.cookies["__Host-session"]
    assert weak.sign_in("cem", OFFICERS, fresh=True).status_code == 200
    assert weak.post(path, why).json()["state"] == "half_lifted"
    old = bank.person()
    old.http.cookies.set("__Host-session", before, domain="127.0.0.1", path="/")
    assert code(old.get("/v1/session")) == (401, "missing_token"), "the session before ended"
    assert bank.officer("ben").post(path, why).json()["state"] == "lifted"


def test_who_has_no_role_is_not_signed_in_and_an_auditor_stops_nothing(bank: Bank) -> None:
    stranger = bank.person()
    refused = stranger.sign_in("mallory", "customers", "officer")
    assert (refused.status_code, "no_role" in refused.text) == (403, True)
    assert code(stranger.get("/v1/session")) == (401, "missing_token")
    assert "Sign in" in stranger.get("/").text
    auditor = bank.person()
    assert auditor.sign_in("eve", AUDITORS, fresh=True).status_code == 200
    assert code(auditor.post("/v1/kill-switches", SWITCH)) == (403, "insufficient_role")
    assert auditor.get("/v1/kill-switches").json() == {"data": []}
    tried = [item["leaf"]["facts"] for item in records(bank.front.data) if item["leaf"]["facts"].get("word") == "refused"]
    attempt = ("eve", "kill_switch.engage", "insufficient_role", "operations")
    assert attempt in [(item["by"], item["duty"], item["code"], item["via"]) for item in tried]


def test_a_forged_change_is_refused_whoever_s_cookie_it_has(bank: Bank) -> None:
    ada = bank.officer("ada")
    forged: tuple[dict[str, str], ...] = (
        {"origin": "https://evil.example"},
        {"origin": ""},
        {"origin": bank.front.url},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-csrf-token": ""},
        {"x-csrf-token": bank.officer("ada").session["csrf"]},
    )
    for headers in forged:
        assert code(ada.post("/v1/kill-switches", SWITCH, **headers)) == (403, "foreign_request"), headers
    form = {"scope": "global", "reason": "havoc"}
    assert ada.http.post(f"{bank.origin}/kill-switches", data=form, headers={"origin": bank.origin}).status_code == 403
    assert ada.get("/v1/kill-switches").json() == {"data": []}


def test_a_session_ends_at_once_when_it_is_signed_out_here_or_everywhere(bank: Bank) -> None:
    one, other = bank.officer("ada"), bank.officer("ada")
    kept = one.http.cookies["__Host-session"]
    headers = {"origin": bank.origin}
    assert one.http.post(f"{bank.origin}/sign-out", data={"csrf": one.session["csrf"]}, headers=headers).status_code == 200
    one.http.cookies.set("__Host-session", kept, domain="127.0.0.1", path="/")
    assert code(one.get("/v1/session")) == (401, "missing_token")
    third = bank.officer("ada")
    form = {"csrf": third.session["csrf"], "everywhere": "yes"}
    assert third.http.post(f"{bank.origin}/sign-out", data=form, headers=headers).status_code == 200
    assert code(other.get("/v1/session")) == (401, "missing_token")


def _other_state(query: dict[str, str]) -> None:
    query["state"] = "another"


def _other_issuer(query: dict[str, str]) -> None:
    query["iss"] = "https://evil.example"


def _no_code(query: dict[str, str]) -> None:
    del query["code"]


def _other_code(query: dict[str, str]) -> None:
    query["code"] = query["code"][::-1]


@pytest.mark.parametrize("change", [_other_state, _other_issuer, _no_code, _other_code])
def test_an_answer_to_another_sign_in_signs_nobody_in(bank: Bank, change: Callable[[dict[str, str]], None]) -> None:
    someone, query = begun(bank)
    change(query)
    assert someone.http.get(f"{bank.origin}/signed-in", params=query).status_code == 403
    assert code(someone.get("/v1/session")) == (401, "missing_token")


def test_a_code_is_of_use_in_the_browser_that_began_and_once(bank: Bank) -> None:
    someone, query = begun(bank)
    thief = bank.person()
    assert thief.http.get(f"{bank.origin}/signed-in", params=query).status_code == 403
    begin = thief.http.get(f"{bank.origin}/sign-in")
    assert begin.status_code == 303
    assert thief.http.get(f"{bank.origin}/signed-in", params=query).status_code == 403, "with a sign-in of its own"
    assert someone.http.get(f"{bank.origin}/signed-in", params=query).status_code == 200
    assert someone.session["subject"] == "ada"
    assert someone.http.get(f"{bank.origin}/signed-in", params=query).status_code == 403


def begun(bank: Bank) -> tuple[Person, dict[str, str]]:
    """A browser that is on its way back, and what it brings."""
    someone = bank.person()
    bank.oidc.staff("ada", OFFICERS)
    where = someone.http.get(f"{bank.origin}/sign-in").headers["location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert {"state", "nonce", "code_challenge", "max_age"} <= asked.keys()
    assert asked["redirect_uri"] == f"{bank.origin}/signed-in"
    while not where.startswith(f"{bank.origin}/signed-in"):
        where = str(httpx.URL(bank.oidc.issuer).join(someone.http.get(where).headers["location"]))
    return someone, {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}


def test_what_is_sealed_is_opened_once_for_who_asked_when_another_auditor_approved_exactly_that(bank: Bank) -> None:
    engaged = bank.officer("ada").post("/v1/kill-switches", {"scope": "customer", "subject": "zoe", "reason": "she called"}).json()
    index = next(item["index"] for item in records(bank.front.data) if item["leaf"]["facts"].get("kill_switch") == engaged["id"])
    eve, mel = auditor(bank, "eve"), auditor(bank, "mel")
    subject = {"record": index, "purpose": "complaint", "case": "C-1"}
    asked = eve.post("/v1/approvals", {"duty": "trail.reveal", "subject": subject, "reason": "a complaint"}).json()
    used = {"approval": asked["id"], **subject}
    approve = f"/v1/approvals/{asked['id']}/approve"
    assert code(eve.post("/v1/trail/reveal", used)) == (409, "approval_waits")
    assert code(eve.post(approve, {})) == (409, "same_person")
    assert code(auditor(bank, "eve").post(approve, {})) == (409, "same_person")
    assert code(bank.officer("ada").post(approve, {})) == (403, "insufficient_role")
    assert mel.post(approve, {}).json()["state"] == "approved"
    assert code(auditor(bank, "dan").post(approve, {})) == (409, "approval_given")
    assert code(mel.post("/v1/trail/reveal", used)) == (403, "not_approved"), "who approved does not act"
    for change in ({"record": index + 1}, {"case": "C-2"}, {"purpose": "complaint "}):
        assert code(eve.post("/v1/trail/reveal", {**used, **change})) == (403, "not_approved"), change
    opened = eve.post("/v1/trail/reveal", used).json()
    assert opened["values"]["sealed.reason"] == "she called"
    assert code(eve.post("/v1/trail/reveal", used)) == (409, "approval_used")
    assert eve.get("/v1/approvals").json() == {"data": []}
    told = [item["leaf"]["facts"] for item in records(bank.front.data)]
    words = [(fact["word"], fact["by"]) for fact in told if fact.get("approval") == asked["id"]]
    assert words == [("approval_asked", "eve"), ("approval_given", "mel"), ("approval_used", "eve")]


def test_what_needs_no_approval_or_is_not_theirs_is_not_asked_for(bank: Bank) -> None:
    eve = auditor(bank, "eve")
    refused = {
        "kill_switch.lift": (403, "insufficient_role"),
        "hold.place": (400, "invalid_request"),
        "customer.erase": (403, "insufficient_role"),
        "everything": (400, "invalid_request"),
    }
    for duty, expected in refused.items():
        assert code(eve.post("/v1/approvals", {"duty": duty, "subject": {"record": 1}, "reason": "r"})) == expected, duty
    wrong: tuple[dict[str, object], ...] = (
        {"subject": {}},
        {"subject": {"a": 0.5}},
        {"subject": {"A B": 1}},
        {"reason": ""},
        {"subject": {"a": "x" * 5000}},
    )
    for body in wrong:
        asked = {"duty": "trail.reveal", "subject": {"record": 1}, "reason": "r", **body}
        assert code(eve.post("/v1/approvals", asked)) == (400, "invalid_request"), body


def auditor(bank: Bank, name: str) -> Person:
    found = bank.person()
    assert found.sign_in(name, AUDITORS, fresh=True).status_code == 200
    return found
