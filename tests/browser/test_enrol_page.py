"""Development's page that enrols a real passkey, in a real Chromium: enrolled here, the passkey signs in as its customer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.test_own_pages import origin
from tests.doors import conftest
from tests.doors.conftest import Served
from tests.support.chromium import DESKTOP, PHONE, chromium, device

pytest.importorskip("webauthn", reason="webauthn is absent")

served = conftest.served
CUSTOMER = "david"
NOT_OURS = "the request must come from this page's own script, as application/json"


@pytest.fixture(scope="module")
def browser(served: Served) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_passkey_that_was_made_here_signs_in_as_its_customer_alone(
    browser: Any, served: Served, size: dict[str, int], tmp_path: Path
) -> None:
    with device(browser, size) as at:
        at.page.goto(f"{origin(served)}/enrol")
        at.page.get_by_label("Customer").select_option(CUSTOMER)
        at.page.screenshot(path=tmp_path / "enrol.png")
        at.page.get_by_role("button", name="Create a passkey").click()
        at.page.get_by_role("heading", name="Enrolled").wait_for()
        at.page.goto(f"{origin(served)}/activity")
        at.page.get_by_role("button", name="Sign in with passkey").click()
        at.page.get_by_role("navigation").wait_for()
    with ThreadPoolExecutor(1) as beside:  # the command runs an event loop of its own; the browser's runs in this thread
        found = beside.submit(served.audit, "--kind", "admin").result()
    records = [record["leaf"]["facts"] for record in found["records"]]
    assert any(facts.get("passkey") == "enrolled" for facts in records), records


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"customer": CUSTOMER},
        {"customer": CUSTOMER, "registration": None},
        {"customer": CUSTOMER, "registration": {"response": {"clientDataJSON": "e30"}}},
        {"customer": CUSTOMER, "registration": {"response": {"clientDataJSON": "\u00e9"}}},
        {"customer": "nobody", "registration": {}},
    ],
    ids=str,
)
def test_what_is_no_registration_enrols_nothing(served: Served, content: dict[str, object]) -> None:
    answer = httpx.post(f"{origin(served)}/enrol", json=content, headers={"origin": origin(served)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_another_page_enrols_nothing(served: Served) -> None:
    content = {"customer": CUSTOMER, "registration": {}}
    for headers in ({}, {"origin": "http://evil.example"}, {"origin": origin(served), "sec-fetch-site": "cross-site"}):
        answer = httpx.post(f"{origin(served)}/enrol", json=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, NOT_OURS)
