"""The auditors' console in a real Chromium: from a phone to a wall, light and dark, by keyboard alone, without scripts, and past axe."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from tests.attacks import test_staff_evidence
from tests.doors.conftest import Served
from tests.doors.test_customers_word import dev, held
from tests.support.chromium import DESKTOP, chromium, device
from tests.support.peers import installed
from tests.support.signing_in import begin, sign_in

listener = test_staff_evidence.listener

HOME = "/console/audit"
WIDE = """[...document.querySelectorAll("body *")].map(item => [item.getBoundingClientRect().right, item.outerHTML.slice(0, 90)])
    .filter(([right]) => right > document.documentElement.clientWidth + 1)"""
LOOKS = ((320, "light"), (768, "dark"), (1280, "light"), (2560, "dark"))


@dataclass
class World:
    """A gateway in which something happened: a call that was held, confirmed and carried out, one that was refused, and reads."""

    served: Served
    origin: str
    call: str
    read: int
    axe: str


@pytest.fixture(scope="module")
def world(listener: tuple[Served, str]) -> World:
    served, origin = listener
    served.call("list_accounts", {})
    paid = held(served, "12.50", "c2")
    assert dev(served, "confirm", paid["confirmation_id"])[0] == 0
    served.call("transfer_everything", {}, native_id="c9")
    leaves = [(item["index"], item["leaf"]) for item in served.audit("--customer", "alice")["records"]]
    call = paid["call_id"]
    read = next(index for index, leaf in leaves if leaf["kind"] == "read")
    peer = installed("console", "axe-core", "proof.mjs")
    return World(served, origin, call, read, (peer / "node_modules/axe-core/axe.min.js").read_text())


@pytest.fixture(scope="module")
def browser(world: World) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def looked_at(page: Any, world: World, place: Path, name: str) -> None:
    """A picture; nothing runs out of the page; axe finds nothing serious."""
    page.screenshot(path=place / f"{name}.png", full_page=True)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.evaluate(WIDE)
    page.evaluate(world.axe + "; 0")
    found = page.evaluate(
        """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
            .map(v => [v.impact, v.id, v.nodes.map(n => n.target.join(' ') + ': ' + n.failureSummary).slice(0, 3)])"""
    )
    assert [item for item in found if item[0] in ("serious", "critical")] == [], name


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_fits_and_can_be_used_by_everybody(
    world: World, browser: Any, width: int, scheme: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp(f"{width}-{scheme}")
    with device(browser, {"width": width, "height": 900}, color_scheme=scheme) as eve:
        page = eve.page
        begin(page, world.origin)
        looked_at(page, world, place, "2-search")
        page.get_by_role("link", name="Overview").click()
        page.get_by_role("heading", name="What do you want to know?").wait_for()
        looked_at(page, world, place, "1-overview")
        page.goto(world.origin + HOME)
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#found").wait_for()
        looked_at(page, world, place, "3-found")
        page.goto(f"{world.origin}{HOME}/calls/{world.call}")
        looked_at(page, world, place, "4-life")
        page.goto(f"{world.origin}{HOME}/records/{world.read}")
        page.get_by_role("button", name="Check here").click()
        page.get_by_text("This record is in the signed log").wait_for()
        looked_at(page, world, place, "5-record")
        page.goto(f"{world.origin}{HOME}/charts")
        page.get_by_role("button", name="Count").click()
        page.locator(".bars").first.wait_for()
        page.locator("summary", has_text="The same numbers").first.click()
        looked_at(page, world, place, "7-charts")
        page.goto(f"{world.origin}{HOME}/report")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("heading", name="Calls, and how they stand").wait_for()
        looked_at(page, world, place, "9-report")
        page.goto(f"{world.origin}{HOME}/case")
        page.get_by_label("Note", exact=True).fill("the branch says that the customer came twice")
        page.get_by_role("button", name="Keep in the case").click()
        page.get_by_role("button", name="Take out").first.wait_for()
        looked_at(page, world, place, "8-case")
        for name in ("state", "retention", "verify"):
            page.goto(f"{world.origin}{HOME}/{name}")
            looked_at(page, world, place, f"6-{name}")


def tab_to(page: Any, name: str, most: int = 80) -> None:
    """By the Tab key alone; each stop can be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """(() => {
                const at = document.activeElement, style = getComputedStyle(at);
                const name = at.innerText || at.getAttribute("aria-label") || at.labels?.[0]?.innerText || "";
                return [name, at.type === "date" ? "its parts are marked by the browser" : style.outlineStyle];
            })()"""
        )
        assert at[1] != "none", f"the focus on {at[0]!r} cannot be seen"
        if at[0].strip() == name:
            return
    raise AssertionError(f"{name} is not reached by Tab")


def pressed(page: Any, name: str) -> None:
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_record_is_opened_and_evidence_taken_away_by_keyboard_alone(world: World, browser: Any, tmp_path: Path) -> None:
    """No policy of the browser is gone against on the way; what is typed and pressed is all that a person without a mouse has."""
    with device(browser, DESKTOP) as eve, device(browser, DESKTOP) as mel:
        page, complaints = eve.page, list[str]()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        begin(page, world.origin)
        page.goto(f"{world.origin}{HOME}/records/{world.read}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main", "the first stop skips to the content"
        pressed(page, "Ask for approval")
        page.get_by_text("Another person who may open records").wait_for()
        sign_in(mel.page, world.origin, "mel", "auditor")
        mel.page.get_by_role("button", name="Approve exactly this").click()
        pressed(page, "Look again whether it is approved")
        page.reload()
        pressed(page, "Open what is sealed, once")
        page.get_by_text("Opened, once").wait_for()
        assert page.get_by_text("Everyday").count() >= 1
        page.screenshot(path=tmp_path / "opened.png", full_page=True)
        page.goto(world.origin + HOME)
        tab_to(page, "Question")
        page.keyboard.type(f"call:{world.call} outcome:executed")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Ask to take it away").wait_for()
        pressed(page, "Ask to take it away")
        mel.page.goto(world.origin)
        assert mel.page.get_by_text(world.call).count() == 1
        mel.page.get_by_role("button", name="Approve exactly this").click()
        page.goto(world.origin)
        tab_to(page, "Download the bundle, once")
        with page.expect_download() as downloading:
            page.keyboard.press("Enter")
        downloading.value.save_as(tmp_path / "evidence.zip")
        assert verify.main([str(tmp_path / "evidence.zip")], lambda _: None) == 0
        verified_without_a_network(page, world, tmp_path / "evidence.zip")
        assert complaints == []


def verified_without_a_network(page: Any, world: World, bundle: Path) -> None:
    """The page says of the bundle, of one byte that was changed, and of other keys what they are; nothing leaves it."""
    page.goto(f"{world.origin}{HOME}/verify")
    page.get_by_role("button", name="Verify").wait_for()
    sent = list[str]()
    page.on("request", lambda request: sent.append(request.url))
    page.context.set_offline(True)
    with zipfile.ZipFile(bundle) as whole:
        keys = whole.read("trust.json")
        name = next(item for item in whole.namelist() if item.startswith("leaves/"))
        at = bundle.read_bytes().index(whole.read(name))
    raw = bytearray(bundle.read_bytes())
    raw[at + 20] ^= 1
    others = keys.replace(b"+", b"-", 1)
    for content, trust, says in (
        (bundle.read_bytes(), None, "WHOSE it is was not checked"),
        (bundle.read_bytes(), keys, "Everything holds, by the keys that you trust."),
        (bytes(raw), keys, "IT DOES NOT HOLD"),
        (bundle.read_bytes(), others, "the file of keys cannot be used"),
    ):
        page.get_by_label("Bundle (.zip)").set_input_files({"name": "b.zip", "mimeType": "application/zip", "buffer": content})
        if trust is not None:
            page.get_by_label("Keys that you trust").set_input_files(
                {"name": "t.json", "mimeType": "application/json", "buffer": trust}
            )
        page.get_by_role("button", name="Verify").click()
        page.locator("#verdict [role=status]", has_text=says).wait_for()
    assert sent == []
    page.context.set_offline(False)


def test_a_facet_is_exchanged_in_place_the_focus_is_kept_and_the_zone_s_time_stands_beside(world: World, browser: Any) -> None:
    with device(browser, DESKTOP, timezone_id="Asia/Tokyo") as eve:
        page, complaints = eve.page, list[str]()
        page.on("console", lambda said: complaints.append(said.text))
        begin(page, world.origin)
        page.evaluate("window.stays = true")
        page.get_by_label("Question", exact=True).fill("customer:alice")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="initiate_transfer").click()
        page.get_by_role("button", name="Ask without function:initiate_transfer").wait_for()
        assert page.evaluate("window.stays"), "a part of the page was exchanged, not the page"
        page.wait_for_function("document.activeElement.id === 'found'")
        assert page.get_by_label("Question", exact=True).input_value() == "customer:alice function:initiate_transfer"
        first = page.locator("tbody time").first
        assert first.inner_text().endswith("UTC")
        assert page.locator("tbody .local").first.get_attribute("title") == "Asia/Tokyo"
        page.get_by_label("Question", exact=True).fill("nonsense")
        page.keyboard.press("Enter")
        page.get_by_text("field:value, such as").wait_for()
        assert complaints == []


def test_what_is_recorded_now_comes_by_itself_and_takes_no_focus(world: World, browser: Any) -> None:
    with device(browser, DESKTOP) as eve:
        page, complaints = eve.page, list[str]()
        page.on("console", lambda said: complaints.append(said.text))
        begin(page, world.origin)
        page.goto(f"{world.origin}{HOME}/tail")
        page.get_by_role("button", name="Begin to watch").click()
        page.get_by_role("link", name="Pause").focus()
        before = page.locator("#tail [role=status]").inner_text()
        world.served.call("list_accounts", {}, native_id="now-1")
        page.get_by_text("list_accounts was answered").first.wait_for()
        assert page.locator("#tail [role=status]").inner_text() != before
        assert page.evaluate("document.activeElement.innerText") == "Pause"
        assert complaints == []


def test_everything_works_without_scripts(world: World, browser: Any) -> None:
    with device(browser, DESKTOP, java_script_enabled=False) as eve:
        page = eve.page
        begin(page, world.origin)
        page.get_by_label("Question", exact=True).fill("customer:alice")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_role("button", name="initiate_transfer").click()
        page.get_by_role("button", name="Ask without function:initiate_transfer").wait_for()
        page.get_by_role("link", name="initiate_transfer was carried out by the core").click()
        page.get_by_role("heading", name="The customer confirmed exactly this").wait_for()
        page.get_by_role("link", name="Record", exact=False).first.click()
        page.get_by_text("The check here needs scripts").wait_for()
        assert page.get_by_role("button", name="Check here").count() == 0
        page.get_by_role("link", name="Overview").click()
        looked = page.get_by_role("form", name="Who looked at this customer?")
        looked.get_by_label("Customer").fill("alice")
        looked.get_by_role("button", name="Ask").click()
        page.get_by_role("button", name="Keep Record").first.click()
        page.get_by_role("button", name="Ask to take it away").click()
        page.get_by_text("Another person must approve it.").first.wait_for()
        page.goto(f"{world.origin}{HOME}/case")
        page.get_by_text("waits for approval").first.wait_for()
