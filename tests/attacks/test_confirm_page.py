"""Attacks on the confirm page: in the page's own process, without a browser. What a browser must enforce is in `tests/browser`."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.identity.compact import decode, encode
from tests.support.passkeys import ORIGIN, Authenticator, MemoryConfirmations, MemoryPasskeys, intent_of, proposal_of

pytest.importorskip("webauthn", reason="webauthn is absent")
pytest.importorskip("jinja2", reason="jinja2 is absent")
from tests.support.confirming import Front  # after the skips

PATH = "/confirm/cnf_1"
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\u202e"


@pytest.fixture
def front(tmp_path: Path) -> Front:
    made = Front(tmp_path, MemoryConfirmations(), MemoryPasskeys())
    made.kept.kept["cnf_1"] = proposal_of(intent_of(), created=made.now)
    return made


def challenge_in(page: httpx.Response) -> bytes:
    found = re.search(r'data-challenge="([^"]*)"', page.text)
    assert found is not None
    return decode(found[1])


async def signed_in(front: Front, device: Authenticator, path: str = PATH) -> httpx.AsyncClient:
    browser = front.browser()
    over = challenge_in(await browser.get(path))
    answered = await browser.post(f"{path}/sign-in", json={"assertion": device.assertion(over)})
    assert answered.status_code == 200, answered.text
    cookie = answered.headers["set-cookie"]
    assert cookie.startswith("__Host-confirm=")
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Secure"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    return browser


def code(answered: httpx.Response) -> tuple[int, str]:
    return answered.status_code, answered.json()["error"]["code"]


async def test_without_a_session_nothing_of_the_intent_is_shown_and_nothing_can_be_said(front: Front) -> None:
    browser = front.browser()
    shown = await browser.get(PATH)
    absent = await browser.get("/confirm/cnf_absent")
    hidden = re.compile(r'data-(challenge|path)="[^"]*"')
    assert hidden.sub("", shown.text) == hidden.sub("", absent.text)
    for word in ("Bob", "120.50", "Acme", "credential"):
        assert word not in shown.text.replace('data-credentials=""', "")
    assert code(await browser.post(f"{PATH}/decline", json={"decline": True})) == (401, "invalid_token")
    assert code(await browser.post(f"{PATH}/confirm", json={"assertion": {}})) == (401, "invalid_token")
    assert front.kept.kept["cnf_1"].opened is None


async def test_sign_in_see_confirm(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    browser = await signed_in(front, device)
    page = await browser.get(PATH)
    for shown in (
        "120.50 GBP",
        "Bob Builder",
        "GB94BARC10201530093459",
        "Acme assistant",
        "you wrote it",
        "name and account belong",
    ):
        assert shown in page.text
    over = challenge_in(page)
    answered = await browser.post(f"{PATH}/confirm", json={"assertion": device.assertion(over)})
    assert answered.json() == {"outcome": "done"}
    assert code(await browser.post(f"{PATH}/confirm", json={"assertion": device.assertion(over)})) == (409, "confirmation_used")
    assert 'data-challenge=""' in (await browser.get(PATH)).text


async def test_sign_in_see_decline(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    browser = await signed_in(front, device)
    assert (await browser.post(f"{PATH}/decline", json={"decline": True})).json() == {"outcome": "declined"}
    assert front.kept.kept["cnf_1"].state == "declined"


async def test_every_answer_forbids_frames_foreign_code_and_keeping(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    browser = await signed_in(front, device)
    for path in (PATH, "/confirm/none", "/confirm.css", "/confirm.js", "/", "/v1/confirmations", f"{PATH}/sign-in"):
        headers = (await browser.get(path)).headers
        policy = dict(header.split(" ", 1) for header in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["strict-transport-security"]
        assert "publickey-credentials-get=(self)" in headers["permissions-policy"]
        assert "access-control-allow-origin" not in headers


def poisoned(value: Any) -> Any:
    """The intent with every text in it made an attack, and fields that nobody knows."""
    if isinstance(value, dict):
        return {name: poisoned(item) for name, item in value.items()} | {f"unknown<b>{EVIL}": EVIL}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return EVIL if isinstance(value, str) else value


async def test_no_text_of_any_field_becomes_markup_or_code(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    plain = proposal_of(intent_of(), created=front.now)
    evil = proposal_of({**poisoned(intent_of()), "id": "cnf_1", "customer": "alice"}, created=front.now, agent=EVIL)
    front.kept.kept["cnf_1"] = evil
    browser = await signed_in(front, device)
    page = await browser.get(PATH)
    assert page.status_code == 200
    front.kept.kept["cnf_1"] = plain
    ours = await browser.get(PATH)
    assert markup(page.text) <= markup(ours.text)
    assert "alert(1)" in page.text  # shown, as text
    assert "\u202e" not in page.text
    assert "⟨U+202E⟩" in page.text
    assert "{{7*7}}" in page.text


def markup(page: str) -> set[str]:
    """The elements and the names of their attributes."""
    return {re.sub(r'="[^"]*"', "", tag) for tag in re.findall(r"<[a-zA-Z/!][^>]*>", page)}


async def test_a_field_that_nobody_knows_is_shown_and_none_is_dropped(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    intent = intent_of(purpose_code="SALA", schedule={"every": "month", "count": 12, "last": None, "open": True})
    intent["calls"][0]["exchange_rate"] = "1.1712"
    front.kept.kept["cnf_1"] = proposal_of(intent, created=front.now)
    page = (await (await signed_in(front, device)).get(PATH)).text
    text = re.sub(r"<[^>]+>", " ", page)
    for label, value in (("Purpose code", "SALA"), ("Exchange rate", "1.1712"), ("Schedule", "Count: 12; Every: month")):
        assert re.search(rf"{label}\s+{re.escape(value)}", text), label
    for path in ("calls 1.exactly.amount", "schedule.last", "call_ids 1", "bundle"):
        assert path in text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ORIGIN + "."},
        {"origin": ORIGIN.replace("confirm.", "")},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
    ],
    ids=str,
)
async def test_another_page_cannot_speak_with_the_customer_s_cookie(front: Front, headers: dict[str, str]) -> None:
    device = Authenticator()
    front.active(device)
    browser = await signed_in(front, device)
    over = challenge_in(await browser.get(PATH))
    for act, said in (("decline", {"decline": True}), ("confirm", {"assertion": device.assertion(over)})):
        answered = await browser.post(f"{PATH}/{act}", json=said, headers=headers)
        assert code(answered) == (400, "invalid_request")
    assert front.kept.kept["cnf_1"].state == "open"


async def test_a_challenge_to_sign_in_is_good_once_for_its_page_and_two_minutes(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    front.kept.kept["cnf_2"] = proposal_of(intent_of("cnf_2"), created=front.now)
    browser = front.browser()
    over = challenge_in(await browser.get(PATH))
    said = {"assertion": device.assertion(over)}
    assert code(await browser.post("/confirm/cnf_2/sign-in", json=said)) == (422, "not_confirmed")
    assert (await browser.post(f"{PATH}/sign-in", json=said)).status_code == 200
    assert code(await browser.post(f"{PATH}/sign-in", json=said)) == (422, "not_confirmed")
    late = {"assertion": device.assertion(challenge_in(await front.browser().get(PATH)))}
    front.later(minutes=2)
    assert code(await browser.post(f"{PATH}/sign-in", json=late)) == (422, "not_confirmed")
    for forged in (b"", bytes(56), over[:-1] + bytes([over[-1] ^ 1]), over + b"x"):
        answered = await browser.post(f"{PATH}/sign-in", json={"assertion": device.assertion(forged)})
        assert code(answered) == (422, "not_confirmed")


async def test_the_signature_that_signed_in_does_not_confirm_nor_the_other_way_round(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    browser = await signed_in(front, device)
    await browser.get(PATH)
    over = challenge_in(await front.browser().get(PATH))
    assert code(await browser.post(f"{PATH}/confirm", json={"assertion": device.assertion(over)})) == (422, "not_confirmed")
    over = challenge_in(await browser.get(PATH))
    assert code(await browser.post(f"{PATH}/sign-in", json={"assertion": device.assertion(over)})) == (422, "not_confirmed")
    assert front.kept.kept["cnf_1"].state == "open"


async def test_a_session_is_for_one_customer_one_confirmation_and_five_minutes(front: Front) -> None:
    alice, bob = Authenticator(), Authenticator(credential=encode(b"bob-1"))
    front.active(alice)
    front.active(bob, "bob")
    front.kept.kept["cnf_2"] = proposal_of(intent_of("cnf_2"), created=front.now)
    browser = await signed_in(front, alice)
    assert "Bob Builder" not in (await browser.get("/confirm/cnf_2")).text
    assert code(await browser.post("/confirm/cnf_2/decline", json={"decline": True})) == (401, "invalid_token")
    strangers = await signed_in(front, bob)
    shown = await strangers.get(PATH)
    assert shown.status_code == 404
    assert "Bob Builder" not in shown.text
    assert code(await strangers.post(f"{PATH}/decline", json={"decline": True})) == (404, "not_found")
    (value,) = [item.value for item in browser.cookies.jar if item.name == "__Host-confirm"]
    for forged in (f"x{value}", f"{value}x", f"{encode(b'bob')}.{str(value).split('.', 1)[1]}", ".", "...", ""):
        answered = await front.browser(cookie=f"__Host-confirm={forged}").get(PATH)
        assert "Bob Builder" not in answered.text
    front.later(minutes=5)
    assert "Bob Builder" not in (await browser.get(PATH)).text
    assert code(await browser.post(f"{PATH}/decline", json={"decline": True})) == (401, "invalid_token")
    assert {item.state for item in front.kept.kept.values()} == {"open"}


async def test_unknown_revoked_and_cooling_passkeys_do_not_sign_in(front: Front) -> None:
    stranger, device = Authenticator(credential=encode(b"nobody")), Authenticator()
    for reason in ("unknown_passkey", "cooling_off", "counter_not_grown"):
        if reason == "cooling_off":
            front.passkeys.kept[device.credential] = device.passkey(active_from=front.now.replace(year=front.now.year + 1))
        if reason == "counter_not_grown":
            front.active(device, sign_count=9)
        browser = front.browser()
        over = challenge_in(await browser.get(PATH))
        made = stranger if reason == "unknown_passkey" else device
        answered = await browser.post(f"{PATH}/sign-in", json={"assertion": made.assertion(over, sign_count=3)})
        assert code(answered) == (422, "not_confirmed")
        assert reason in answered.text
        assert "set-cookie" not in answered.headers
    assert front.trail.counters.unauthenticated == 3


async def test_an_intent_that_changed_behind_the_page_is_not_confirmed(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    browser = await signed_in(front, device)
    over = challenge_in(await browser.get(PATH))
    changed = intent_of(total={"value": "9120.50", "currency": "GBP"})
    front.kept.kept["cnf_1"] = proposal_of(changed, created=front.now, opened=front.now)
    answered = await browser.post(f"{PATH}/confirm", json={"assertion": device.assertion(over)})
    assert code(answered) == (422, "not_confirmed")
    assert front.trail.said == [("alice", "not_confirmed_wrong_challenge")]
    assert not front.kept.confirmed


async def test_the_older_that_must_come_first_is_linked(front: Front) -> None:
    device = Authenticator()
    front.active(device)
    front.kept.kept["cnf_0"] = proposal_of(
        intent_of("cnf_0"), created=front.now.replace(year=front.now.year - 1), expires=front.now.replace(year=front.now.year + 1)
    )
    front.kept.kept = {name: front.kept.kept[name] for name in ("cnf_0", "cnf_1")}
    browser = await signed_in(front, device)
    page = await browser.get(PATH)
    assert 'href="/confirm/cnf_0"' in page.text
    over = challenge_in(page)
    answered = await browser.post(f"{PATH}/confirm", json={"assertion": device.assertion(over)})
    assert code(answered) == (409, "confirmation_waits")
