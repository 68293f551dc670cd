"""The gateway's own tools in the playground, in a real Chromium: files that go along, an answer that cites one, code and what it made."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.code.jailed import PACKAGES
from tests.browser.test_confirm_page import contrast
from tests.browser.test_playground import ended, say
from tests.doors.conftest import Served
from tests.support.chatting import chatting, customer_token, scripted, service_token
from tests.support.chromium import DESKTOP, PHONE, chromium, device
from tests.support.jails import jail, refusal
from tests.support.models import Reply, asks, last_words, outputs

pytest.importorskip("webauthn", reason="webauthn is absent")

CUSTOMER = "bruno"
EVIL = "<img src=x onerror=\"document.title='owned'\">"
TERMS = f"A lost card is replaced within five days, for ten euros. {EVIL} Call us when it is gone.\n"
SPENT = b"month,spent\nJune,120\nJuly,80\nAugust,95\n"
BYTES_MOST = 100_000
LOST, DRAW = "What if my card is lost?", "Draw what I spent."
CODE = """\
import matplotlib.pyplot as plt
import pandas as pd

frame = pd.read_csv("/mnt/data/spent.csv")
print("In all", frame["spent"].sum(), "<b>euros</b>")
frame.plot.bar(x="month", y="spent", legend=False, title="Spent")
plt.tight_layout()
plt.show()
frame.to_csv("/mnt/data/sum of it.csv", index=False)
"""


GO_ON = asyncio.Event()
"""What the middle of the code waits for."""


def model(body: dict[str, Any]) -> Reply:
    told = [json.loads(output) for output in outputs(body)]
    if last_words(body) == LOST:
        if not told:
            return Reply(calls=(asks("file_search", query="lost card"),))
        (first, *_) = told[0]["result"]["results"]
        return Reply(
            f"It is replaced within five days {first['cite']}, for ten euros {first['cite']}. 🏦 No 【9:9†source】.", fragments=9
        )
    if not told:
        return Reply(calls=(asks("code_interpreter", code=CODE),), fragments=20, go_on=GO_ON)
    if not told[0]["ok"]:
        return Reply("That was not possible.")
    (table,) = [file["path"] for file in told[0]["result"]["files"] if not file["image"]]
    return Reply(f"🏦 June was the dearest month. Here is [the table]({table}) as well. Not sandbox:/mnt/data/other.", fragments=9)


@dataclass
class Bank:
    served: Served
    release: Callable[[asyncio.Event], None]

    @property
    def url(self) -> str:
        return self.served.url


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    tier = "python" if refusal(PACKAGES) is None else "off"
    with (
        scripted(model) as (server, release),
        chatting(
            tmp_path_factory.mktemp("tools"), server, f'code_interpreter = "{tier}"\nfile_bytes_most = {BYTES_MOST}\n'
        ) as served,
    ):
        yield Bank(served, release)


@pytest.fixture(scope="module")
def browser(bank: Bank) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def opened(page: Any, bank: Bank, *tools: str) -> Any:
    """The page with both tokens and a new assistant of these tools."""
    tokens = f"token={customer_token(bank.served, CUSTOMER)}&service={service_token(bank.served)}"
    page.goto(f"{bank.url}/console/playground#{tokens}&tools={','.join(tools)}")
    form = page.get_by_label("Model", exact=True)
    page.get_by_label("list_accounts").wait_for(state="attached")
    form.evaluate("each => { each.closest('details').open = true }")
    form.fill("scripted")
    page.get_by_role("button", name="Make it").click()
    page.locator("#listed option[value^=asst_]:checked").wait_for(state="attached")
    return page


def attach(page: Any, name: str, content: bytes, kind: str = "text/plain") -> None:
    page.get_by_label("Attach files").set_input_files({"name": name, "mimeType": kind, "buffer": content})
    page.locator("#attached li:not(.sending)", has_text=name).wait_for()


def test_an_answer_opens_at_the_passage_that_it_cites(browser: Any, bank: Bank, tmp_path: Path) -> None:
    with device(browser, DESKTOP, color_scheme="light") as seen:
        complaints: list[str] = []
        seen.page.on("console", lambda message: complaints.append(message.text))
        page = opened(seen.page, bank, "file_search")
        attach(page, "terms.txt", TERMS.encode())
        attach(page, "odd.bin", bytes(range(256)), "application/octet-stream")
        page.screenshot(path=tmp_path / "chosen.png")
        say(page, LOST)
        sent = page.locator(".message.user")
        sent.locator("li", has_text="terms.txt").get_by_text("read", exact=True).wait_for()
        sent.locator(".bad", has_text="not readable").wait_for()
        ended(page, "completed", 1)
        said = page.locator(".message.assistant")
        assert said.locator(".said").inner_text() == "It is replaced within five days 1, for ten euros 1. 🏦 No 【9:9†source】."
        mark = said.get_by_role("button", name="Source 1").first
        assert mark.bounding_box()["height"] >= 24
        passage = page.get_by_role("complementary", name="Source 1: terms.txt")
        for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            mark.click()
            assert '<img src=x onerror="' in passage.inner_text(), "as text"
            assert "in its author's words" in passage.inner_text()
            assert "fitted best" not in passage.inner_text(), "it is the very passage"
            page.screenshot(path=tmp_path / f"passage-{scheme}.png")
            for selector in (".cite[aria-expanded=true]", "#passage-about", ".note.theirs", "#passage pre", ".attachments small"):
                assert contrast(page, selector) >= 4.5, (scheme, selector)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            page.keyboard.press("Escape")
            assert not passage.is_visible()
            assert mark.evaluate("each => each === document.activeElement"), "back where one was"
        page.get_by_role("article", name="Call of file_search").get_by_text("score").first.wait_for()
        assert page.title() == "Playground · Tellergate"
        assert page.locator("#log img, #passage img").count() == 0
        assert complaints == []


def test_code_its_picture_and_the_file_that_it_made(browser: Any, bank: Bank, tmp_path: Path) -> None:
    jail(PACKAGES)
    with device(browser, PHONE, accept_downloads=True) as seen:
        complaints: list[str] = []
        seen.page.on("console", lambda message: complaints.append(message.text))
        page = opened(seen.page, bank, "code_interpreter")
        attach(page, "spent.csv", SPENT, "text/csv")
        assert page.get_by_label("What spent.csv is for").input_value() == "code"
        say(page, DRAW)
        call = page.get_by_role("article", name="Call of code_interpreter")
        call.get_by_label("Code").get_by_text("import matplotlib").wait_for()
        fold = call.locator("details")
        assert fold.evaluate("each => each.open"), "it is shown while it is written"
        assert len(call.get_by_label("Code").inner_text()) < len(CODE)
        bank.release(GO_ON)
        ended(page, "completed", 1)
        assert fold.evaluate("each => each.open") is False
        fold.get_by_text("Code and what it printed, 1 picture").click()
        assert call.get_by_label("Code").inner_text() == CODE
        assert "In all 295 <b>euros</b>" in call.inner_text()
        drawn = page.locator(".message.assistant canvas:not([width='1'])")
        drawn.wait_for()
        call.locator("canvas:not([width='1'])").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.screenshot(path=tmp_path / "code-phone.png", full_page=True)
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="dark")
        drawn.scroll_into_view_if_needed()
        page.screenshot(path=tmp_path / "code-dark.png")
        shown = page.locator(".message.assistant .said").inner_text()
        assert shown.startswith("🏦 June was the dearest month. Here is the table as well. Not ")
        assert page.locator(".download").count() == 1, "a path that names no file of theirs is no link"
        with page.expect_download() as saving:
            page.get_by_role("button", name="Download the table").click()
        assert saving.value.suggested_filename == "sum of it.csv"
        assert Path(saving.value.path()).read_bytes() == SPENT
        assert page.url == f"{bank.url}/console/playground", "the page stayed"
        for selector in (".download", ".fold summary", ".program"):
            assert contrast(page, selector) >= 4.5, selector
        assert complaints == []


def test_what_is_not_served_or_not_taken_is_said_where_it_was_chosen(browser: Any, bank: Bank) -> None:
    with device(browser, DESKTOP) as desk:
        page = desk.page
        page.route("**/v1/assistants", _without_code)
        opened(page, bank, "file_search", "code_interpreter")
        page.get_by_text("Not served by this gateway: code_interpreter.").wait_for(state="attached")
        assert page.locator("#use-code_interpreter").is_disabled()
        assert page.locator("#use-file_search").is_checked()
        attach(page, "large.txt", bytes(BYTES_MOST + 1))
        assert "413 too_large" in page.locator("#attached li.bad", has_text="large.txt").inner_text()
        page.get_by_label("Message").fill("Hello.")
        page.get_by_label("Message").press("Enter")
        page.locator(".note.bad", has_text="large.txt was not kept: remove it").wait_for()
        page.get_by_role("button", name="Remove large.txt").click()
        assert page.locator("#attached li").count() == 0


def _without_code(route: Any) -> None:
    """As a gateway without a code interpreter answers."""
    tools = json.loads(route.request.post_data or "{}").get("tools", [])
    place = next((number for number, tool in enumerate(tools) if tool["type"] == "code_interpreter"), None)
    if place is None:
        route.continue_()
        return
    told = {"message": "not supported here", "type": "invalid_request_error", "param": f"tools[{place}]", "code": "unsupported"}
    route.fulfill(status=400, json={"error": told})
