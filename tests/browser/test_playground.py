"""The playground in a real Chromium, over the real server and a scripted model: the whole way, and what no answer can do to it."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_confirm_page import contrast
from tests.doors.conftest import Served
from tests.support import forks
from tests.support.chatting import chatting, customer_token, scripted, service_token
from tests.support.chromium import DESKTOP, PHONE, chromium, device
from tests.support.models import Asked, Reply, asks, last_words, outputs, turns

pytest.importorskip("webauthn", reason="webauthn is absent")

CUSTOMER = "bruno"
EVIL = (
    "<script>document.title='owned'</script> <img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\"> "
    "[here](https://evil.example/x) javascript:alert(1) \u202e end"
)
RED = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a73000000"
    "104944415478da63f8cfc000440c100a001fee03fd635ebb5b0000000049454e44ae426082"
)
"""A red image of two pixels by two."""
PAY = "Pay Camden Rooms £12.34."


@dataclass
class Bank:
    """The server, and the model's words: `half` waits for `go_on` in the middle of its text, and `endless` for ever."""

    served: Served
    release: Callable[[asyncio.Event], None]
    go_on: asyncio.Event


@dataclass
class Model:
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    never: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, body: dict[str, Any]) -> Reply:
        words, turn = last_words(body), turns(body)
        if words == PAY:
            return _paying(turn, [json.loads(output) for output in outputs(body)])
        return {
            "Hello.": Reply("Good day. What may I do for you?", fragments=6, go_on=self.go_on),
            "What accounts do I have?": [Reply(calls=(asks("list_accounts"),)), Reply("These are your accounts.")][turn],
            "Pay the taxman.": [Reply(calls=(Asked("initiate_transfer", '{"to":"ben-\u202e9"}'),)), Reply("That was refused.")][
                turn
            ],
            "Show me my payments.": [Reply(calls=(asks("show_screen", screen="payments"),)), Reply("They are on the screen.")][
                turn
            ],
            EVIL: Reply("MARK", fragments=1),
            "Talk.": Reply("On and on. " * 20, fragments=10, go_on=self.never),
        }[words]


def _paying(turn: int, said: list[Any]) -> Reply:
    if turn == 0:
        return Reply(calls=(asks("list_accounts"),))
    account = next(
        message["account"]
        for message in said[0]["result"]["accounts"]
        if message["currency"] == "GBP" and message["status"] == "open"
    )
    if turn == 1:
        return Reply(calls=(asks("list_beneficiaries", account=account),))
    if turn == 2:
        payee = next(
            message["beneficiary"] for message in said[1]["result"]["beneficiaries"] if "Camden Rooms" in str(message["name"])
        )
        paying = {"from": account, "to": payee, "amount": {"value": "12.34", "currency": "GBP"}}
        return Reply(calls=(asks("initiate_transfer", **paying),))
    return Reply("Your rent is paid.")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    model = Model()
    with scripted(model) as (server, release), chatting(tmp_path_factory.mktemp("playground"), server) as served:
        yield Bank(served, release, model.go_on)


@pytest.fixture(scope="module")
def browser(bank: Bank) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def opened(page: Any, bank: Bank) -> Any:
    """The page with both tokens and a new assistant."""
    page.goto(
        f"{bank.served.url}/console/playground#token={customer_token(bank.served, CUSTOMER)}&service={service_token(bank.served)}"
    )
    model = page.get_by_label("Model", exact=True)
    page.get_by_label("list_accounts").wait_for(state="attached")
    model.evaluate("each => { each.closest('details').open = true }")  # the page opens it itself where there is no assistant yet
    model.fill("scripted")
    page.get_by_role("button", name="Make it").click()
    page.locator("#listed option[value^=asst_]:checked").wait_for(state="attached")
    return page


def say(page: Any, words: str) -> None:
    page.get_by_label("Message").fill(words)
    page.get_by_label("Message").press("Enter")
    page.locator(".message.user", has_text=words.split("\u202e", maxsplit=1)[0]).last.wait_for()


def ended(page: Any, state: str, count: int) -> None:
    page.locator(".end", has_text=f"Run {state}").nth(count - 1).wait_for()


def test_the_whole_way(browser: Any, bank: Bank) -> None:
    with device(browser, PHONE, color_scheme="dark") as phone:
        page, asked, failed = phone.page, [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("console", lambda message: failed.append(message.text))
        page.goto(f"{bank.served.url}/console/playground")
        page.get_by_label("Message").fill("Hello.")
        page.get_by_label("Message").press("Enter")
        assert page.get_by_role("status").inner_text() == "Give the customer's token first."
        assert page.evaluate("document.activeElement.id") == "customer"
        page.goto("about:blank")
        opened(page, bank)
        assert page.url == f"{bank.served.url}/console/playground", "the tokens left the address"

        say(page, "Hello.")
        page.locator(".message.assistant[aria-busy=true]", has_text="Good day.").wait_for()
        assert "do for you" not in page.locator(".message.assistant").inner_text()
        bank.release(bank.go_on)
        page.locator(".message.assistant[aria-busy=false]", has_text="What may I do for you?").wait_for()
        ended(page, "completed", 1)

        say(page, "What accounts do I have?")
        call = page.get_by_role("article", name="Call of list_accounts")
        call.locator(".mark", has_text="done").wait_for()
        assert re.search(r'"accounts": \[', call.inner_text())
        assert re.search(r"record \d+ of the trail, leaf\s+[0-9a-f]{64}", call.inner_text())
        page.locator(".message.assistant", has_text="These are your accounts.").wait_for()
        ended(page, "completed", 2)

        say(page, "Pay the taxman.")
        page.locator(".card.denied .mark", has_text="denied · ").wait_for()
        assert '"ben-⟨U+202E⟩9"' in page.locator(".card.denied").inner_text(), "what turns text around is spelt out"
        ended(page, "completed", 3)

        confirm(page, bank)
        ended(page, "completed", 4)

        say(page, "Show me my payments.")
        call = page.get_by_role("article", name="Call of show_screen")
        call.get_by_text("your app is to execute it").wait_for()
        output = page.get_by_label("Output of show_screen")
        assert output.evaluate("each => each === document.activeElement")
        output.fill('{"shown": "payments"}')
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator(".message.assistant", has_text="They are on the screen.").wait_for()
        output.wait_for(state="detached")
        assert call.get_by_text("executed by your app").is_visible()
        ended(page, "completed", 5)

        say(page, "Talk.")
        page.locator(".message.assistant[aria-busy=true]", has_text="On and on.").wait_for()
        page.get_by_role("button", name="Cancel run").click()
        ended(page, "cancelled", 1)
        assert page.locator("[aria-busy=true]").count() == 0

        page.get_by_role("heading", name="Set up").click()
        page.get_by_label("Assistant's id").fill("asst_of_nobody")
        say(page, "Hello.")
        page.locator(".note.bad", has_text="404 not_found").wait_for()

        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert all(question.startswith(f"{bank.served.url}/") for question in asked)
        assert not [question for question in asked if "token" in question or "eyJ" in question]
        assert not [item for item in failed if "404" not in item], "no script failed, and nothing was refused by the policy"
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_an_image_is_sent_as_a_file_and_drawn(browser: Any, bank: Bank) -> None:
    with device(browser, PHONE) as phone:
        failed: list[str] = []
        phone.page.on("console", lambda message: failed.append(message.text))
        page = opened(phone.page, bank)
        page.get_by_label("Attach files").set_input_files({"name": "receipt.png", "mimeType": "image/png", "buffer": RED})
        page.locator("#attached li", has_text="kept").wait_for()
        say(page, "What accounts do I have?")
        drawn = page.locator(".message.user canvas[width='2']")
        drawn.wait_for()
        assert drawn.evaluate("each => [...each.getContext('2d').getImageData(0, 0, 1, 1).data]") == [255, 0, 0, 255]
        assert re.fullmatch(r"file_[0-9a-f]{24}", drawn.get_attribute("aria-label") or "")
        page.locator(".message.assistant", has_text="These are your accounts.").wait_for()
        ended(page, "completed", 1)
        assert page.locator("#attached li").count() == 0
        page.get_by_label("Attach files").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no image"})
        page.get_by_label("Message").fill("Hello.")
        page.get_by_label("Message").press("Enter")
        page.locator(".note.bad", has_text="must be a PNG").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert not [item for item in failed if "400" not in item], "nothing was refused by the policy"


def confirm(page: Any, bank: Bank) -> None:
    """A payment waits for the customer's own word, and goes on by itself once they gave it."""
    say(page, PAY)
    call = page.get_by_role("article", name="Call of initiate_transfer").last
    call.locator(".mark", has_text="held for the customer").wait_for()
    card = page.locator(".note.warn")
    link = card.get_by_role("link", name="Open the confirmation")
    where = link.get_attribute("href")
    assert where.startswith(f"{bank.served.url.replace('127.0.0.1', 'localhost')}/confirm/cnf_")
    assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener noreferrer")
    assert re.fullmatch(r"\d+:\d\d left", card.get_by_role("timer").inner_text())
    command = forks.command("dev", "confirm", where.rsplit("/", 1)[1], "--customer", CUSTOMER)
    subprocess.run([*command, "--data", str(bank.served.data), "--url", bank.served.url], check=True, capture_output=True)
    call.locator(".mark.done").wait_for()
    page.locator(".message.assistant", has_text="Your rent is paid.").wait_for()
    card.wait_for(state="detached")


def test_script_of_an_answer_stays_text_and_nothing_is_fetched_from_elsewhere(browser: Any, bank: Bank) -> None:
    """The gateway lets none of it out; here the page alone is held to it, as if it did."""

    def unfiltered(route: Any) -> None:
        answered = route.fetch()
        route.fulfill(response=answered, body=answered.text().replace("MARK", json.dumps(EVIL)[1:-1]))

    with device(browser, DESKTOP) as desk:
        asked: list[str] = []
        desk.page.on("request", lambda request: asked.append(request.url))
        page = opened(desk.page, bank)
        page.route("**/runs", unfiltered)
        say(page, EVIL)
        ended(page, "completed", 1)
        for item in page.locator(".message").all():
            assert EVIL.replace("\u202e", "⟨U+202E⟩") in item.inner_text()
        assert page.locator(".message").count() == 2
        assert page.title() == "Playground · Tellergate"
        assert page.locator("#log a, #log img, #log script").count() == 0
        assert page.locator("script").count() == 3
        assert all(url.startswith(f"{bank.served.url}/") for url in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_can_be_read_by_everybody(browser: Any, bank: Bank, scheme: str, size: dict[str, int], tmp_path: Path) -> None:
    with device(browser, size, color_scheme=scheme) as seen:
        page = opened(seen.page, bank)
        page.screenshot(path=tmp_path / f"set-up-{size['width']}-{scheme}.png")
        say(page, "Pay the taxman.")
        ended(page, "completed", 1)
        page.locator(".setup").evaluate("each => { each.open = true }")
        page.screenshot(path=tmp_path / f"said-{size['width']}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.get_by_role("heading", level=1).count() == 1
        for selector in (
            "h1",
            "header p",
            "label",
            "small",
            ".soft",
            ".message",
            ".mark",
            "pre",
            ".proof",
            ".end",
            "#state",
            "#send",
        ):
            assert contrast(page, selector) >= 4.5, selector
        for button in page.locator("button:visible").all():
            assert button.bounding_box()["height"] >= 44
        page.get_by_label("Message").press("Shift+Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
