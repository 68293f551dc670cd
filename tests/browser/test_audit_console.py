"""The auditors' console in a real Chromium: from a phone to a wall, light and dark, by keyboard alone, without scripts, and past axe."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.attacks import test_staff_evidence
from tests.browser.test_evidence_pages import sign_in
from tests.doors.conftest import Served
from tests.doors.test_customers_word import dev, held
from tests.support.chromium import chromium, device
from tests.support.peers import installed

listener = test_staff_evidence.listener

HOME = "/console/audit"
WIDE = """[...document.querySelectorAll("body *")].filter(item => item.getBoundingClientRect().right > innerWidth + 1)
    .map(item => item.outerHTML.slice(0, 90))"""
WIDTHS = (320, 768, 1280, 2560)


@dataclass
class World:
    """A gateway in which something happened: a call that was held, confirmed and carried out, one that was refused, and reads."""

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
    return World(origin, call, read, (peer / "node_modules/axe-core/axe.min.js").read_text())


@pytest.fixture(scope="module")
def browser(world: World) -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def begin(page: Any, origin: str, name: str = "eve", case: str = "C-17") -> None:
    """Sign in, and say what for."""
    sign_in(page, origin, name, "auditor")
    page.goto(origin + HOME)
    page.get_by_label("What for").fill("a complaint about a payment")
    page.get_by_label("Case", exact=True).fill(case)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("heading", name="Search the trail").wait_for()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_and_can_be_used_by_everybody(
    world: World, browser: Any, width: int, scheme: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp(f"{width}-{scheme}")
    with device(browser, {"width": width, "height": 900}, color_scheme=scheme) as eve:
        page = eve.page
        begin(page, world.origin)
        looked_at(page, world, place, "2-search")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#found").wait_for()
        looked_at(page, world, place, "3-found")
        page.goto(f"{world.origin}{HOME}/calls/{world.call}")
        looked_at(page, world, place, "4-life")
        page.goto(f"{world.origin}{HOME}/records/{world.read}")
        page.get_by_role("button", name="Check here").click()
        page.get_by_text("This record is in the signed log").wait_for()
        looked_at(page, world, place, "5-record")
        for name in ("state", "retention"):
            page.goto(f"{world.origin}{HOME}/{name}")
            looked_at(page, world, place, f"6-{name}")
