"""The customer's own pages on a real server: whose they are, what a session of them is good for, and what they tell."""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.app.development.software_passkey import SoftwarePasskey
from gateway.cli import main
from gateway.domain.principal import SCOPE_ENROL
from gateway.identity.compact import decode, encode
from tests.doors.conftest import Served
from tests.doors.test_mandates import CUSTOMER, dev, everything, pay, proposed, standing
from tests.support import databases
from tests.support.asking import why
from tests.support.waiting import WAITS_S

pytest.importorskip("webauthn", reason="webauthn is absent")
pytest.importorskip("jinja2", reason="jinja2 is absent")

EVIL = "<script>document.title='owned'</script><img src='//evil.example/x' onerror=alert(1)>\u202e{{ 7 * 7 }}"
FORM = {
    "who": "everyone",
    "payees": "",
    "currency": "GBP",
    "per_payment": "25",
    "per_day": "40.5",
    "payments_per_day": "5",
    "account": "",
    "days": "30",
}
PLACES = ("/activity", "/activity/looks", "/mandates")


class Browser:
    """A browser on the pages' origin, and a customer's passkey."""

    def __init__(self, served: Served, customer: str = CUSTOMER) -> None:
        self.served, self.customer = served, customer
        self.origin = served.url.replace("127.0.0.1", "localhost")
        own = {"origin": self.origin, "sec-fetch-site": "same-origin"}
        self.http = httpx.Client(base_url=self.origin, headers=own, timeout=WAITS_S)
        self.passkey = SoftwarePasskey(served.data, customer)
        enrolling = served.token("identity", agent=None, scope=SCOPE_ENROL, client="identity")
        known = {"credential": self.passkey.credential, "public_key": encode(self.passkey.public_key)}
        assert served.post("/v1/passkeys", {"customer": customer, **known}, token=enrolling).status_code in (200, 409)

    def signing(self, place: str) -> dict[str, Any]:
        """The assertion that signs in where this page asks for it."""
        challenge = re.search(r'data-challenge="([\w-]+)"', self.http.get(place).text)
        assert challenge is not None
        return {"assertion": self.passkey.assertion(decode(challenge[1]), relying_party="localhost", origin=self.origin)}

    def sign_in(self) -> "Browser":
        assert self.post("/own/sign-in", self.signing("/activity")).status_code == 200
        return self

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.http.post(path, json=body, headers=headers)


@pytest.fixture
def browser(served: Served) -> Iterator[Browser]:
    made = Browser(served)
    yield made
    made.http.close()


@pytest.mark.parametrize("place", PLACES)
def test_without_a_session_there_is_the_sign_in_and_nothing_else(served: Served, browser: Browser, place: str) -> None:
    shown = browser.http.get(place)
    assert (shown.status_code, "Sign in with passkey" in shown.text, "told to the assistant" in shown.text) == (200, True, False)
    for path, body in (("/mandates", FORM), (f"/mandates/std_{'0' * 32}/revoke", {"revoke": True})):
        assert browser.post(path, body).status_code == 401
    assert served.http.get(place).status_code == 404, "nothing of it is on the API's host"
    assert browser.sign_in().http.get(place).text.count("<nav") == 1


def test_a_session_of_these_pages_confirms_and_declines_nothing_and_the_other_way_round(served: Served, browser: Browser) -> None:
    held = pay(served, "2.01", "own-1")
    path = f"/confirm/{held['confirmation_id']}"
    browser.sign_in()
    assert path in browser.http.get("/activity").text
    browser.http.cookies.set("confirm", browser.http.cookies["own"], domain="localhost.local", path="/")
    assert "Sign in with passkey" in browser.http.get(path).text
    assert browser.post(f"{path}/decline", {"decline": True}).status_code == 401
    assert browser.post(f"{path}/confirm", browser.signing(path)).status_code == 401

    other = Browser(served)
    assert other.post("/own/sign-in", other.signing(path)).status_code == 422, "a challenge is for what it was made for"
    assert other.post(f"{path}/sign-in", other.signing("/activity")).status_code == 422
    assert other.post(f"{path}/sign-in", other.signing(path)).status_code == 200
    cookie = other.http.cookies["confirm"]
    with httpx.Client(base_url=other.origin, cookies={"own": cookie}) as thief:
        assert "Sign in with passkey" in thief.get("/activity").text
    assert other.post(f"{path}/decline", {"decline": True}).status_code == 200
    other.http.close()


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"content-type": "text/plain"}],
)
def test_another_page_cannot_speak_with_the_session(served: Served, browser: Browser, headers: dict[str, str]) -> None:
    browser.sign_in()
    for path, body in (("/mandates", FORM), (f"/mandates/std_{'0' * 32}/revoke", {"revoke": True})):
        assert browser.post(path, body, **headers).status_code == 400
    assert standing(served) == []


def test_a_mandate_is_asked_for_confirmed_shown_in_words_and_revoked(served: Served, browser: Browser) -> None:
    browser.sign_in()
    asked = browser.post("/mandates", {**FORM, "who": "these", "payees": "\n200000 55779911 \n"})
    assert asked.status_code == 200, asked.text
    confirmation = asked.json()["confirmation_id"]
    assert "Nothing: every payment to somebody else is asked" in browser.http.get("/mandates").text
    status, said = dev(served, "confirm", confirmation)
    assert status == 0, said
    for words in ("Asked for by the customer", "Pays: Camden Rooms 20-00-00 55779911", "Each payment: at most 25.00 GBP"):
        assert words in said
    shown = browser.http.get("/mandates").text
    for words in (
        "Camden Rooms 20-00-00 55779911",
        "at most 25.00 GBP",
        "at most 40.50 GBP, in at most 5 payments",
        "whichever you use",
    ):
        assert words in shown
    assert pay(served, "2.11", "own-2")["status"] == "done"
    (mandate,) = standing(served)
    path = f"/mandates/{mandate['id']}/revoke"
    stranger = Browser(served, "alice").sign_in()
    assert stranger.post(path, {"revoke": True}).status_code == 404
    assert mandate["id"] not in stranger.http.get("/mandates").text
    stranger.http.close()
    assert browser.post(path, {"revoke": False}).status_code == 400
    assert len(standing(served)) == 1
    assert browser.post(path, {"revoke": True}).json() == {"revoked": True}
    held = pay(served, "2.12", "own-3")
    assert held["status"] == "held"
    assert browser.post(path, {"revoke": True}).status_code == 404
    told = browser.http.get("/activity").text
    for words in ("done under your standing mandate", "You revoked a standing mandate", "You confirmed: A standing mandate"):
        assert words in told
    assert told.index("You revoked") < told.index("done under"), "the newest first"
    assert dev(served, "decline", held["confirmation_id"])[0] == 0


WRONG: list[tuple[dict[str, str], set[str]]] = [
    ({"per_payment": ""}, {"per_payment"}),
    ({"per_payment": "25,50", "per_day": "1e3", "days": "soon"}, {"per_payment", "per_day", "days"}),
    ({"per_payment": "0"}, {"per_payment"}),
    ({"per_payment": "50"}, {"per_day"}),
    ({"currency": "XXX"}, {"per_payment", "per_day"}),
    ({"payments_per_day": "0", "days": "366"}, {"payments_per_day", "days"}),
    ({"payments_per_day": "²"}, {"payments_per_day"}),
    ({"who": "these", "payees": " \n "}, {"payees"}),
    ({"who": "these", "payees": "GB33BUKB20201555555555"}, {"payees"}),
    ({"who": "these", "payees": "x" * 65}, {"payees"}),
    ({"account": "GB33BUKB20201555555555"}, {"account"}),
]


@pytest.mark.parametrize(("changed", "fields"), WRONG)
def test_what_makes_no_mandate_is_told_at_its_fields(browser: Browser, changed: dict[str, str], fields: set[str]) -> None:
    browser.sign_in()
    answered = browser.post("/mandates", {**FORM, **changed})
    assert (answered.status_code, set(answered.json()["fields"])) == (400, fields)
    assert not any(value in answered.text for value in changed.values() if len(value) > 20), "no input is echoed"


@pytest.mark.parametrize(
    "body", [[], {}, {**FORM, "more": "1"}, {**FORM, "days": 30}, {**FORM, "who": "me"}, {**FORM, "payees": "1" * 10_001}]
)
def test_another_form_is_no_form(browser: Browser, body: object) -> None:
    answered = browser.sign_in().post("/mandates", body)
    assert (answered.status_code, answered.json()["error"]["code"]) == (400, "invalid_request")


def test_older_pages_are_reached_by_links_and_a_wrong_cursor_finds_nothing(served: Served, browser: Browser) -> None:
    for number in range(52):
        told = served.get("/v1/functions?shape=chat", token=served.token(CUSTOMER, agent=None, scope="confirm"))
        assert told.status_code == 403, f"refusal {number}: on record"
    browser.sign_in()
    older = re.search(r'href="(\?cursor=[^"]+)"', browser.http.get("/activity").text)
    assert older is not None
    assert browser.http.get(f"/activity{older[1]}").status_code == 200
    for wrong in (f"/activity/looks{older[1]}", "/activity?cursor=x", f"/activity?cursor={EVIL}"):
        answered = browser.http.get(wrong)
        assert (answered.status_code, "evil.example" in answered.text) == (404, False)


def test_what_others_wrote_is_text_on_every_page(served: Served, browser: Browser) -> None:
    token = served.token(CUSTOMER, agent=EVIL.replace("\u202e", ""))
    assert served.get("/v1/functions?shape=chat", token=token).status_code == 200
    served.call("list_accounts", {}, token=token, conversation=served.conversation(served.token(CUSTOMER)))
    where = ["--data", str(served.data), "--database", databases.url(served.data), "--json", "--customer", CUSTOMER]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["audit", "query", *where, *why(served.data, purpose=EVIL, case=EVIL)]) == 0
    browser.sign_in()
    for place in PLACES:
        shown = browser.http.get(place)
        assert "<img" not in shown.text
        assert "owned'</script>" not in shown.text
        assert "\u202e" not in shown.text
        assert shown.headers["content-security-policy"].startswith("default-src 'none'")
        assert set(re.findall(r"<script[^>]*>", shown.text)) <= {'<script src="/confirm.js" defer>', '<script src="/own.js" defer>'}
    assert "looked, for: <bdi>&lt;script&gt;" in browser.http.get("/activity/looks").text
    assert "through <bdi>&lt;script&gt;" in browser.http.get("/activity").text


def test_to_look_is_on_record_and_shown(served: Served, browser: Browser) -> None:
    browser.sign_in().http.get("/activity")
    assert {"their own activity"} <= {item["purpose"] for item in everything(served, "/v1/activity/looks")}
    assert "the customer</bdi> looked, for: <bdi>their own activity" in browser.http.get("/activity/looks").text


def test_what_is_only_proposed_waits_on_the_activity_page(served: Served, browser: Browser) -> None:
    confirmation = proposed(served)
    assert f'href="/confirm/{confirmation}"' in browser.sign_in().http.get("/activity").text
    assert dev(served, "decline", confirmation)[0] == 0
    assert f'href="/confirm/{confirmation}"' not in browser.http.get("/activity").text
