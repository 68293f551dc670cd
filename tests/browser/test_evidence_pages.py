"""Evidence is taken away, and a person erased, on the listener's page by hand: two people, a real Chromium, on a phone and a desktop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from tests.attacks import test_staff_evidence
from tests.browser.test_confirm_page import contrast
from tests.doors.conftest import Served
from tests.support.chromium import DESKTOP, PHONE, chromium, device
from tests.support.signing_in import sign_in

listener = test_staff_evidence.listener


@pytest.fixture(scope="module")
def browser(listener: tuple[Served, str]) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def readable(page: Any, size: dict[str, int]) -> None:
    """Nothing runs out of the page, everything is told apart from its ground, and each thing to touch is large enough."""
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for selector in ("h1", "h2", "small", "dt", "dd", "summary", "label", "button.yes", "button.bad", "pre"):
        if page.locator(selector).count() and page.locator(selector).first.is_visible():
            assert contrast(page, selector) >= 4.5, selector
    for item in page.locator("button, summary, input:not([type=hidden]):not([type=checkbox])").all():
        if item.is_visible():
            assert item.bounding_box()["height"] >= 40, item.evaluate("element => element.outerHTML")


def test_evidence_and_an_erasure_are_asked_for_approved_and_done_by_hand(
    listener: tuple[Served, str], browser: Any, tmp_path: Path
) -> None:
    """One person with a phone in the light, the other at a desk in the dark."""
    served, origin = listener
    customer = "carla"
    served.call("list_accounts", {}, token=served.token(customer))
    dark = device(browser, DESKTOP, color_scheme="dark")
    with device(browser, PHONE, color_scheme="light") as one, dark as other:
        page, second = one.page, other.page
        sign_in(page, origin, "eve", "auditor")
        page.get_by_text("Ask to take evidence away").click()
        form = page.locator("form[action='/approvals/export']")
        form.get_by_label("Customer").fill(customer)
        form.get_by_label("From this day").fill("2026-01-01")
        form.get_by_label("Open what the records keep sealed").check()
        form.get_by_label("What for").fill("a complaint of the customer about two payments")
        form.get_by_label("Case").fill("C-17")
        page.screenshot(path=tmp_path / "1-ask-export.png", full_page=True)
        readable(page, PHONE)
        form.get_by_role("button", name="Ask for approval").click()
        page.get_by_text("Another person must approve it.").wait_for()
        sign_in(second, origin, "mel", "auditor")
        second.screenshot(path=tmp_path / "2-approve.png", full_page=True)
        readable(second, DESKTOP)
        second.get_by_role("button", name="Approve exactly this").click()
        second.get_by_text("approved by mel").wait_for()
        page.goto(origin)
        page.screenshot(path=tmp_path / "3-download.png", full_page=True)
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download the bundle, once").click()
        downloading.value.save_as(tmp_path / "evidence.zip")
        assert verify.main([str(tmp_path / "evidence.zip")], lambda _: None) == 0
        page.goto(origin)
        assert page.get_by_role("button", name="Download the bundle, once").count() == 0
        for at, name in ((page, "ada"), (second, "ben")):
            sign_in(at, origin, name, "officer")
        page.get_by_text("Ask to erase a person").click()
        form = page.locator("form[action='/approvals/erase']")
        form.get_by_label("Customer").fill(customer)
        form.get_by_label("What for").fill("their request")
        form.get_by_label("Case").fill("E-1")
        page.screenshot(path=tmp_path / "4-ask-erase.png", full_page=True)
        form.get_by_role("button", name="Ask for approval").click()
        second.goto(origin)
        second.get_by_role("button", name="Approve exactly this").click()
        second.get_by_text("approved by ben").wait_for()
        page.goto(origin)
        page.screenshot(path=tmp_path / "5-erase.png", full_page=True)
        readable(page, PHONE)
        page.get_by_role("button", name="Erase for good").click()
        page.get_by_role("heading", name="Erased", exact=True).wait_for()
        page.screenshot(path=tmp_path / "6-erased.png", full_page=True)
        readable(page, PHONE)
        assert customer not in page.content()
        page.goto(origin)
        page.get_by_text("Nothing waits.").wait_for()
