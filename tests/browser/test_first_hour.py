"""The first hour in a real Chromium: from the landing page of `serve --dev`, without any setting, to an answer and to the documentation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.app.development.scripted_model import MODEL
from tests.browser.test_confirm_page import contrast
from tests.support import databases
from tests.support.chromium import DESKTOP, PHONE, chromium, device
from tests.support.processes import started

pytest.importorskip("webauthn", reason="webauthn is absent")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("first") / "data"
    command = ["serve", "--dev", "--data", str(data), "--port", "0", "--json", "--audit-wait-ms", "20000"]
    with contextlib.ExitStack() as stack:
        _, said = stack.enter_context(started(*command, "--database", databases.url(data)))
        yield str(said["url"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def watched(page: Any) -> list[str]:
    """What the console complains of, a violation of the page's policy among it."""
    complaints: list[str] = []

    def heard(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} {message.location}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
def test_from_the_first_page_to_an_answer(browser: Any, url: str, size: dict[str, int]) -> None:
    with device(browser, size) as opened:
        page = opened.page
        complaints = watched(page)
        page.goto(f"{url}/")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen"
        assert page.get_by_text(MODEL).count() == 1
        assert contrast(page, ".places p") >= 4.5
        assert contrast(page, ".model") >= 4.5
        page.get_by_role("link", name="Playground").click()
        page.locator("#listed option[value^=asst_]:checked").wait_for(state="attached")
        assert page.url == f"{url}/console/playground", "the tokens left the address"
        assert page.get_by_label("Model", exact=True).input_value() == MODEL
        page.get_by_label("Message").fill("What is the balance of my account?")
        page.get_by_label("Message").press("Enter")
        page.locator(".end", has_text="Run completed").wait_for()
        assert "Your Everyday account holds" in page.locator(".message.assistant").last.text_content()
        assert f"model {MODEL}" in page.locator(".end").text_content()
        assert complaints == []


def test_the_documentation_is_served_from_here_alone_and_calls_the_api(browser: Any, url: str) -> None:
    with device(browser, DESKTOP) as opened:
        page = opened.page
        complaints, asked = watched(page), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/")
        page.get_by_role("link", name="API documentation").click()
        page.locator(".opblock").first.wait_for()
        assert page.url == f"{url}/docs"
        page.locator(".opblock", has_text="/v1/conversations").first.locator(".opblock-summary-control").click()
        page.get_by_role("button", name="Execute", exact=True).click()
        page.locator(".live-responses-table", has_text="conv_").wait_for()
        assert [where for where in asked if not where.startswith((url, "data:"))] == []
        assert complaints == []
        for path in ("/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
            policy = httpx.get(f"{url}{path}").headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
