"""The confirm page in a real Chromium with a virtual authenticator: what the customer sees, and what the browser enforces."""

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.domain.doubts import DOUBTS, Doubt
from gateway.identity.compact import encode
from tests.support.chromium import DESKTOP, PHONE, Device, chromium, device, serving
from tests.support.passkeys import MemoryConfirmations, MemoryPasskeys, intent_of, proposal_of

pytest.importorskip("webauthn", reason="webauthn is absent")
pytest.importorskip("jinja2", reason="jinja2 is absent")
from tests.support.confirming import Front  # after the skips


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


class Bank:
    """The page on `localhost`, and what waits there."""

    def __init__(self, front: Front, port: int) -> None:
        self.front, self.port = front, port
        self.origin = f"http://localhost:{port}"
        self.api = f"http://127.0.0.1:{port}"

    def url(self, confirmation: str = "cnf_1") -> str:
        return f"{self.origin}/confirm/{confirmation}"

    def propose(self, name: str = "cnf_1", *, age_s: int = 0, **changed: Any) -> None:
        created = self.front.now - timedelta(seconds=age_s)
        intent = intent_of(name, expires=(created + timedelta(minutes=15)).isoformat(), **changed)
        self.front.kept.kept[name] = proposal_of(intent, created=created)

    def enrol(self, at: Device, customer: str = "alice") -> None:
        """As the bank's identity system does it."""
        credential, public_key = at.add_passkey("localhost")
        body = {"customer": customer, "credential": credential, "public_key": encode(public_key), "sign_count": 1}
        headers = {"authorization": f"Bearer {self.front.enrolling()}"}
        answered = httpx.post(f"{self.api}/v1/passkeys", json=body, headers=headers)
        assert answered.status_code == 200, answered.text

    def state(self, name: str = "cnf_1") -> str:
        return self.front.kept.kept[name].state

    def signed_in(self, at: Device, name: str = "cnf_1") -> Any:
        """The page after the sign-in."""
        at.page.goto(self.url(name))
        at.page.get_by_role("button", name="Sign in with passkey").click()
        at.page.get_by_role("button", name="Decline").wait_for()
        return at.page


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    front = Front(
        tmp_path, MemoryConfirmations(), MemoryPasskeys(), cooling_off_s=0, origin=f"http://localhost:{port}", rp_id="localhost"
    )
    made = Bank(front, port)
    made.propose()
    with serving(front.app, port):
        yield made


def test_enrol_sign_in_read_and_confirm(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone)
        page = bank.signed_in(phone)
        for shown in ("120.50 GBP", "Bob Builder", "GB94BARC10201530093459", "Initiated through an assistant", "you wrote it"):
            assert page.get_by_text(shown).first.is_visible(), shown
        page.get_by_role("button", name="Confirm 120.50 GBP").click()
        page.get_by_role("heading", name="Done").wait_for()
        assert not page.get_by_role("button", name="Decline").is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Done"
        assert bank.state() == "confirmed"
        assert bank.front.kept.confirmed[0].by == "alice"
        page.reload()
        page.get_by_role("heading", name="Confirmed before").wait_for()
        assert page.get_by_role("button").count() == 0


def test_decline_is_one_press_without_the_passkey(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone)
        page = bank.signed_in(phone)
        page.wait_for_load_state()  # with its style
        yes, no = (page.get_by_role("button", name=name).bounding_box() for name in ("Confirm", "Decline"))
        assert (yes["width"], yes["height"], yes["y"]) == (no["width"], no["height"], no["y"])
        page.get_by_role("button", name="Decline").click()
        page.get_by_role("heading", name="Declined").first.wait_for()
        assert bank.state() == "declined"


def test_an_intent_that_changed_between_page_and_signature_is_refused(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone)
        page = bank.signed_in(phone)
        opened = bank.front.kept.kept["cnf_1"].opened
        changed = intent_of(total={"value": "9120.50", "currency": "GBP"})
        bank.front.kept.kept["cnf_1"] = proposal_of(changed, created=bank.front.now, opened=opened)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("heading", name="That could not be checked").wait_for()
        assert bank.state() == "open"
        assert bank.front.trail.said[-1] == ("alice", "not_confirmed_wrong_challenge")


def test_a_page_that_asks_for_another_signature_gets_nothing(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone)
        page = bank.signed_in(phone)
        page.evaluate("challenge => { document.querySelector('main').dataset.challenge = challenge }", encode(b"x" * 32))
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("heading", name="That could not be checked").wait_for()
        assert bank.state() == "open"


def test_each_thing_that_goes_wrong_says_what_to_do(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone)
        page = bank.signed_in(phone)
        phone.verifies_user(False)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("heading", name="Not signed").wait_for()
        phone.verifies_user(True)
        bank.propose("cnf_0", age_s=60)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("heading", name="Something older comes first").wait_for()
        del bank.front.kept.kept["cnf_0"]
        page.reload()
        bank.front.later(minutes=5)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("heading", name="You were signed out").wait_for()
        bank.front.later(minutes=10)
        page.goto(bank.url())
        page.get_by_role("button", name="Sign in with passkey").click()
        page.get_by_role("heading", name="Too late").wait_for()
        assert bank.state() == "open"
        assert not bank.front.kept.confirmed


def test_another_customer_s_passkey_sees_nothing(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone, "mallory")
        phone.page.goto(bank.url())
        phone.page.get_by_role("button", name="Sign in with passkey").click()
        phone.page.get_by_role("heading", name="Nothing waits for you here").wait_for()
        assert "Bob" not in phone.page.content()


def test_no_script_of_a_text_runs_and_nothing_is_fetched_from_elsewhere(browser: Any, bank: Bank) -> None:
    evil = "<script>document.title='owned'</script><img src='http://127.0.0.1:9/x' onerror=\"document.title='owned'\">\u202e"
    intent = intent_of(agent=evil, memo=evil)
    for argument in intent["calls"][0]["arguments"]:
        argument.update(label=evil, value=evil, source=evil)
    intent["calls"][0].update(title=evil, consequence=evil, rail=evil, fees=[evil], payee={"name": evil, "identifier": evil})
    intent["warnings"] = [{"code": "x", "text": evil}]
    bank.front.kept.kept["cnf_1"] = proposal_of(intent, created=bank.front.now)
    with device(browser) as phone:
        bank.enrol(phone)
        asked: list[str] = []
        phone.page.on("request", lambda request: asked.append(request.url))
        page = bank.signed_in(phone)
        assert page.title() == "Confirm this?"
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == 0
        assert all(url.startswith(bank.origin) for url in asked)


def test_it_cannot_be_put_into_a_frame_nor_spoken_to_by_the_api_s_origin(browser: Any, bank: Bank) -> None:
    with device(browser) as phone:
        bank.enrol(phone)
        bank.signed_in(phone)
        page = phone.page
        page.goto(f"{bank.api}/v1/nothing")
        page.set_content(f"<iframe src='{bank.url()}'></iframe>")
        page.wait_for_timeout(300)
        framed = [frame for frame in page.frames if frame != page.main_frame]
        assert not any("Something waits" in frame.content() or "Bob" in frame.content() for frame in framed)
        failed = page.evaluate(
            """url => fetch(url, {method: "POST", credentials: "include", headers: {"content-type": "application/json"},
            body: '{"decline": true}'}).then(() => "answered", () => "failed")""",
            f"{bank.url()}/decline",
        )
        assert failed == "failed"
        assert bank.state() == "open"


def test_without_scripts_it_says_so(browser: Any, bank: Bank) -> None:
    with device(browser, java_script_enabled=False) as phone:
        phone.page.goto(bank.url())
        assert "needs JavaScript" in phone.page.locator("noscript p").inner_text()
        assert phone.page.locator("noscript p").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_usual_payment_fits_one_screen_and_can_be_read_by_everybody(
    browser: Any, bank: Bank, scheme: str, size: dict[str, int], tmp_path: Path
) -> None:
    with device(browser, size, color_scheme=scheme) as seen:
        bank.enrol(seen)
        page = bank.signed_in(seen)
        page.screenshot(path=tmp_path / f"{size['width']}-{scheme}.png")
        height, width = page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
        assert height <= size["height"]
        assert width <= size["width"]
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.get_by_role("heading", level=1).count() == 1
        for button in page.get_by_role("button").all():
            assert button.bounding_box()["height"] >= 44
        for selector in ("h1", "dt", "dd", ".asked", "small", "figcaption", ".warning li", ".yes", ".no", "summary", ".until"):
            assert contrast(page, selector) >= 4.5, selector
        free, buttons = page.locator(".free").bounding_box(), page.locator(".actions").bounding_box()
        assert free["y"] + free["height"] < buttons["y"], "free text is never beside the button"
        page.locator("body").press("Tab")
        reached = []
        for _ in range(3):
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            page.keyboard.press("Tab")
        assert reached[1:] == ["Decline", "Confirm 120.50 GBP"]


DOUBTFUL: dict[str, list[dict[str, Any]]] = {
    "quoted": [
        {"text": "Please pay Bob Builder £120.50", "understood": True},
        {"text": " once the roof is finished", "understood": False},
    ],
    "doubts": [{"code": doubt.value, "text": DOUBTS[doubt]} for doubt in (Doubt.NOT_WHOLE, Doubt.CONDITION, Doubt.ACCOUNT)],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_words_that_were_not_understood_are_marked_without_colour_too(
    browser: Any, bank: Bank, scheme: str, size: dict[str, int], tmp_path: Path
) -> None:
    call = {**intent_of()["calls"][0], **DOUBTFUL}
    call["arguments"] = [
        {**argument, "value": ""} if argument["name"] == "reference" else argument for argument in call["arguments"]
    ]
    bank.propose(calls=[call])
    with device(browser, size, color_scheme=scheme) as seen:
        bank.enrol(seen)
        page = bank.signed_in(seen)
        page.screenshot(path=tmp_path / f"doubts-{size['width']}-{scheme}.png", full_page=True)
        assert page.locator(".said blockquote").inner_text() == "Please pay Bob Builder £120.50 once the roof is finished"
        assert page.get_by_text("The marked words were not understood").is_visible()
        mark = page.locator("mark")
        assert (mark.count(), mark.inner_text()) == (1, "once the roof is finished")
        drawn = mark.evaluate("at => [getComputedStyle(at, '::before').content, getComputedStyle(at).textDecorationLine]")
        assert drawn == ['"["', "underline"]
        reasons = page.get_by_role("list", name="Why you are asked").get_by_role("listitem").all_inner_texts()
        assert reasons == [item["text"] for item in DOUBTFUL["doubts"]]
        assert page.locator(".free").count() == 0, "no line for a reference that there is none of"
        for selector in ("mark", ".said figcaption", ".said blockquote", ".warning li"):
            assert contrast(page, selector) >= 4.5, selector
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        said, buttons = page.locator(".said").bounding_box(), page.locator(".actions").bounding_box()
        assert said["y"] + said["height"] < buttons["y"]


def test_words_that_were_all_understood_are_shown_without_a_mark(browser: Any, bank: Bank) -> None:
    bank.propose(calls=[{**intent_of()["calls"][0], "quoted": DOUBTFUL["quoted"][:1], "doubts": []}])
    with device(browser) as phone:
        bank.enrol(phone)
        page = bank.signed_in(phone)
        assert page.locator(".said").inner_text().split("\n") == ["What you wrote:", "Please pay Bob Builder £120.50"]
        assert page.locator("mark").count() == 0
        assert page.get_by_role("list", name="Why you are asked").count() == 0


def contrast(page: Any, selector: str) -> float:
    """Of an element's text with what lies behind it (WCAG 2.2 section 1.4.3)."""
    colours = page.locator(selector).first.evaluate(
        """element => {
            const ink = getComputedStyle(element).color;
            let at = element;
            while (at && getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)") at = at.parentElement;
            return [ink, getComputedStyle(at ?? document.body).backgroundColor];
        }"""
    )
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
