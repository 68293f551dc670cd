"""The pages of the bank's people in a real Chromium: a sign-in at a real provider over TLS, a switch that two people lift, an approval."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.test_people import AUDITORS, OFFICERS, Bank, a_bank, auditor
from tests.support.chromium import DESKTOP, PHONE, chromium, device

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with a_bank(tmp_path_factory.mktemp("bank")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(bank: Bank) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def sign_in(bank: Bank, page: Any, name: str, *groups: str, link: str = "Sign in") -> None:
    """By hand, from the first page to the last."""
    bank.oidc.staff(name, *groups)
    page.goto(bank.origin)
    page.get_by_role("link", name=link).click()
    page.get_by_role("button", name="Sign out").wait_for()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_person_stops_an_agent_and_two_let_it_go_on(
    bank: Bank, browser: Any, size: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    pictures = tmp_path_factory.mktemp("pictures")
    with device(browser, size, ignore_https_errors=True) as ada, device(browser, size, ignore_https_errors=True) as ben:
        complaints: list[str] = []
        ada.page.on("console", lambda said: complaints.append(said.text))
        sign_in(bank, ada.page, "ada", OFFICERS)
        ada.page.get_by_label("Which one").fill(HOSTILE)
        ada.page.get_by_label("Why").first.fill("it asks for what nobody asked it")
        ada.page.get_by_role("button", name="Engage").click()
        card = ada.page.locator("section.card")
        card.get_by_role("heading", name=f"Engaged: agent {HOSTILE}").wait_for()
        ada.page.get_by_role("link", name="Sign in again for what is grave").wait_for(state="detached")
        ada.page.screenshot(path=pictures / "engaged.png", full_page=True)
        assert ada.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing runs out of the page"
        card.get_by_label("Why it may go on").fill("looked into")
        card.get_by_role("button", name="Give the first lift").click()
        ada.page.get_by_role("heading", name="Half lifted, still stops").wait_for()
        assert card.get_by_role("button").count() == 0, "who gave the first gives no second"
        sign_in(bank, ben.page, "ben", OFFICERS)
        card = ben.page.locator("section.card")
        card.get_by_label("Why it may go on").fill("looked into")
        card.get_by_role("button", name="Give the second lift").click()
        ben.page.get_by_text("None is engaged.").wait_for()
        assert all("401" in item for item in complaints), "the first page's status, and no policy that something went against"
        ben.page.get_by_role("button", name="Sign out").click()
        ben.page.get_by_role("heading", name="You are signed out").wait_for()
        ben.page.goto(bank.origin)
        ben.page.get_by_role("link", name="Sign in").wait_for()


def test_an_auditor_approves_exactly_what_another_asked(bank: Bank, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    subject = {"record": 1, "purpose": HOSTILE, "case": "C-1"}
    asked = auditor(bank, "eve").post("/v1/approvals", {"duty": "trail.reveal", "subject": subject, "reason": "a complaint"}).json()
    with device(browser, PHONE, ignore_https_errors=True) as mel, device(browser, PHONE, ignore_https_errors=True) as eve:
        sign_in(bank, eve.page, "eve", AUDITORS)
        eve.page.get_by_text("Another person must approve it.").wait_for()
        assert eve.page.get_by_role("button", name="Approve").count() == 0
        assert eve.page.get_by_role("button", name="Engage").count() == 0, "an auditor stops nothing"
        sign_in(bank, mel.page, "mel", AUDITORS)
        mel.page.screenshot(path=tmp_path_factory.mktemp("pictures") / "approvals.png", full_page=True)
        assert mel.page.get_by_text(HOSTILE).count() == 1, "as text, and exactly as it was asked"
        mel.page.get_by_role("button", name="Approve exactly this").click()
        mel.page.get_by_text("approved by mel").wait_for()
    assert auditor(bank, "eve").get("/v1/approvals").json()["data"][0]["id"] == asked["id"]
