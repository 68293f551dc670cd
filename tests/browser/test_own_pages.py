"""The customer's own pages in a real Chromium, over a real server: read, revoke and ask by hand, by keyboard, on a phone and a desktop."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.domain.principal import SCOPE_ENROL
from gateway.identity.compact import encode
from tests.browser.test_confirm_page import contrast
from tests.doors import conftest
from tests.doors.conftest import Served
from tests.doors.test_mandates import CUSTOMER, dev, pay, proposed, revoke, standing
from tests.doors.test_mandates import own as own_token
from tests.doors.test_own_pages import EVIL, PLACES
from tests.support import databases
from tests.support.asking import why
from tests.support.chromium import DESKTOP, PHONE, Device, chromium, device

pytest.importorskip("webauthn", reason="webauthn is absent")


served = conftest.served


@pytest.fixture(scope="module")
def bank(served: Served) -> Served:
    """A customer for whom there is something of everything."""
    assert dev(served, "confirm", proposed(served, payees=["20000055779911"]))[0] == 0
    pay(served, "1.01", "seen-1")
    served.call("list_accounts", {}, token=served.token(CUSTOMER), conversation=served.conversation(served.token(CUSTOMER)))
    token = served.token(CUSTOMER, agent=EVIL.replace("\u202e", ""))
    conversation = served.conversation(served.token(CUSTOMER))
    served.call("list_cards", {}, token=token, conversation=conversation)
    paying = {"from": "acc-1", "to": "ben-1", "amount": {"value": "9.99", "currency": "GBP"}}
    served.call("initiate_transfer", paying, token=served.token(CUSTOMER), conversation=conversation)
    where = ["--data", str(served.data), "--database", databases.url(served.data), "--json", "--customer", CUSTOMER]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["audit", "query", *where, *why(served.data, purpose="your complaint", case="C-17")]) == 0
        assert main(["audit", "query", *where, *why(served.data, purpose=EVIL, case=EVIL)]) == 0
    assert pay(served, "30.00", "seen-2")["status"] == "held", "over the bound of one payment"
    return served


@pytest.fixture(scope="module")
def browser(bank: Served) -> Iterator[Any]:  # after the bank: its commands run event loops of their own
    with chromium() as opened:
        yield opened


def origin(bank: Served) -> str:
    return bank.url.replace("127.0.0.1", "localhost")


def signed_in(bank: Served, at: Device, place: str = "/activity") -> Any:
    """The page after a sign-in with a passkey of this device."""
    credential, public_key = at.add_passkey("localhost")
    body = {"customer": CUSTOMER, "credential": credential, "public_key": encode(public_key), "sign_count": 1}
    enrolling = bank.token("identity", agent=None, scope=SCOPE_ENROL, client="identity")
    assert bank.post("/v1/passkeys", body, token=enrolling).status_code == 200
    at.page.goto(f"{origin(bank)}{place}")
    at.page.get_by_role("button", name="Sign in with passkey").click()
    at.page.get_by_role("navigation").wait_for()
    return at.page


def revoke_all(bank: Served) -> None:
    for item in standing(bank):
        revoke(bank, item["id"], own_token(bank))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_each_page_can_be_read_by_everybody(browser: Any, bank: Served, scheme: str, size: dict[str, int], tmp_path: Path) -> None:
    with device(browser, size, color_scheme=scheme) as seen:
        asked: list[str] = []
        seen.page.on("request", lambda request: asked.append(request.url))
        page = signed_in(bank, seen)
        for place in PLACES:
            page.goto(f"{origin(bank)}{place}")
            page.screenshot(path=tmp_path / f"{place.strip('/').replace('/', '-')}-{size['width']}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], place
            assert page.get_by_role("heading", level=1).count() == 1
            assert page.locator("nav [aria-current=page]").count() == 1
            assert page.locator("img").count() == 0
            assert "owned" not in page.title()
            for selector in (
                "h1",
                "h2",
                "strong",
                "small",
                "dt",
                "dd",
                ".mark.refused",
                ".mark.done",
                ".waits a",
                ".yes",
                ".no",
                "label",
                "a",
            ):
                if page.locator(selector).count():
                    assert contrast(page, selector) >= 4.5, (place, selector)
            for item in page.locator("button, input[name], textarea, select, nav a").all():
                target = item.locator("xpath=ancestor::label[@class='choice']")
                assert (target if target.count() else item).bounding_box()["height"] >= 44, (place, item)
            for item in page.locator("input, textarea, select").all():
                assert item.evaluate("element => element.labels.length === 1")
        assert all(url.startswith(origin(bank)) for url in asked)


def test_what_was_done_is_told_in_plain_words_and_what_waits_is_one_link_away(browser: Any, bank: Served) -> None:
    with device(browser) as phone:
        page = signed_in(bank, phone)
        entries = page.get_by_role("listitem")
        for words in ("done under your standing mandate", "See your accounts", "You confirmed: A standing mandate"):
            assert entries.filter(has_text=words).count() >= 1, words
        waits = page.get_by_role("region", name="Waits for you").get_by_role("link").first
        assert "30.00 GBP to Camden Rooms" in waits.inner_text()
        waits.click()
        page.get_by_role("heading", name="Something waits for your confirmation").wait_for()
        page.goto(f"{origin(bank)}/activity/looks")
        assert entries.filter(has_text="eve looked, for: your complaint").count() == 1


def test_without_scripts_what_a_session_shows_can_be_read(browser: Any, bank: Served) -> None:
    with device(browser) as phone:
        signed_in(bank, phone)
        cookies = phone.page.context.cookies()
    with device(browser, java_script_enabled=False) as plain:
        plain.page.goto(f"{origin(bank)}/activity")
        assert "needs JavaScript" in plain.page.locator("noscript p").inner_text()
        plain.page.context.add_cookies(cookies)
        plain.page.goto(f"{origin(bank)}/activity")
        assert plain.page.get_by_text("done under your standing mandate").first.is_visible()
        plain.page.get_by_role("link", name="Mandates").click()
        assert plain.page.get_by_text("Camden Rooms 20-00-00 55779911").first.is_visible()
        assert "can be read without JavaScript" in plain.page.locator("noscript p").inner_text()


def test_a_wrong_form_says_so_at_the_field_and_loses_nothing(browser: Any, bank: Served) -> None:
    with device(browser) as phone:
        page = signed_in(bank, phone, "/mandates")
        filled = {
            "Most for one payment": "25,50",
            "Most in 24 hours": "40",
            "Payments in 24 hours": "3",
            "For how many days": "400",
        }
        page.get_by_label("Account numbers").fill("GB33BUKB20201555555555")
        assert page.get_by_label("Only these accounts").is_checked()
        for label, value in filled.items():
            page.get_by_label(label).fill(value)
        page.get_by_role("button", name="Go on to confirm it").click()
        page.locator("[aria-invalid=true]").first.wait_for()
        assert page.locator("[aria-invalid=true]").count() == 2
        assert page.evaluate("document.activeElement.name") == "per_payment"
        described = page.get_by_label("For how many days").get_attribute("aria-describedby")
        assert "whole number from 1 to 365" in page.locator(f"#{described.split()[1]}").inner_text()
        for label, value in filled.items():
            assert page.get_by_label(label).input_value() == value
        page.get_by_label("Most for one payment").fill("25.50")
        page.get_by_label("For how many days").fill("40")
        page.get_by_role("button", name="Go on to confirm it").click()
        page.get_by_text("A payee whom you have not paid yet cannot be in it.").wait_for()
        assert page.evaluate("document.activeElement.name") == "payees"
        page.context.clear_cookies()
        page.get_by_role("button", name="Go on to confirm it").click()
        page.get_by_role("heading", name="You were signed out").wait_for()
        assert page.get_by_label("Most for one payment").input_value() == "25.50"


def test_asked_for_confirmed_and_revoked_by_keyboard_alone(browser: Any, bank: Served) -> None:
    """Last: it takes every mandate away."""
    with device(browser, DESKTOP) as desk:
        page = signed_in(bank, desk, "/mandates")
        revoke_all(bank)
        page.reload()
        page.get_by_label("Everyone whom I have paid before").focus()
        for keys in ("Tab", "Tab"):
            page.keyboard.press(keys)
        assert page.evaluate("document.activeElement.name") == "currency"
        page.get_by_label("Currency").select_option("GBP")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "account"
        own = page.get_by_label("From which account").locator("option", has_text="GBP").first
        own_number = own.get_attribute("value")
        page.get_by_label("From which account").select_option(own_number)
        for value in ("12", "36", "3", "10"):
            page.keyboard.press("Tab")
            page.keyboard.type(value)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Go on to confirm it"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Sign in with passkey").press("Enter")
        confirm = page.get_by_role("button", name="Confirm")
        confirm.wait_for()
        for shown in (
            "You asked for this yourself",
            "at most 12.00 GBP",
            "at most 36.00 GBP",
            "at most 3 payments",
            "everyone whom you have paid",
            own_number,
        ):
            assert page.get_by_text(shown).first.is_visible(), shown
        assert standing(bank) == []
        confirm.press("Enter")
        page.get_by_role("heading", name="In force").wait_for()
        assert [item["per_payment"]["value"] for item in standing(bank)] == ["12.00"]
        page.get_by_role("link", name="standing mandates").press("Enter")
        page.wait_for_load_state()  # the script that listens comes after the button
        button = page.get_by_role("button", name="Revoke")
        button.press("Enter")
        page.get_by_text("Revoked. From now on every payment is asked again.").wait_for()
        assert standing(bank) == []
        assert not button.is_visible()
