"""The pictures of the auditors' console in `audit/README.md`, from a real server and a real Chromium.

    python -m tests.browser.pictures

writes them anew; look at them before they are kept. They are small (64 colours), and no part of the package.
"""

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.chromium import chromium, device
from tests.support.questions_story import Story, telling
from tests.support.signing_in import begin

FOLDER = Path(__file__).parents[2] / "audit" / "pictures"
HOME = "/console/audit"
SCHEMES = ("light", "dark")
SIZE = {"width": 1200, "height": 760}
BYTES_MOST = 600 * 1024
"""Of all pictures together."""


class Picture(NamedTuple):
    """`route`: the page that it shows, as the application names it. `shows`: for who does not see it. `opens`: how a person gets there."""

    route: tuple[str, str]
    shows: str
    opens: Callable[[Any, Story], None]


def _overview(page: Any, story: Story) -> None:
    page.goto(f"{story.origin}{HOME}/overview")


def _search(page: Any, story: Story) -> None:
    page.goto(story.origin + HOME)
    page.get_by_label("Question", exact=True).fill("customer:alice function:initiate_transfer")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("#found").wait_for()


def _life(page: Any, story: Story) -> None:
    page.goto(f"{story.origin}{HOME}/calls/{story.calls['paid']}")


def _case(page: Any, story: Story) -> None:
    _search(page, story)
    page.get_by_role("button", name="Keep", exact=False).first.click()
    page.get_by_role("heading", name="Take the records of this case away").wait_for()


def _state(page: Any, story: Story) -> None:
    page.goto(f"{story.origin}{HOME}/state")


def _verify(page: Any, story: Story) -> None:
    page.goto(f"{story.origin}{HOME}/verify")
    page.get_by_role("button", name="Verify").wait_for()


PICTURES: Mapping[str, Picture] = {
    "overview": Picture(("GET", f"{HOME}/overview"), "Ten questions, each a form with few blanks", _overview),
    "search": Picture(("POST", f"{HOME}/search"), "An answer: what narrows it, how complete it is, and its records", _search),
    "life": Picture(
        ("GET", f"{HOME}/calls/{{call_id}}"), "A call's life: held, confirmed, sent, carried out, each by its rules", _life
    ),
    "case": Picture(("GET", f"{HOME}/case"), "A case: a record that is kept, and the bundle of its records", _case),
    "state": Picture(("GET", f"{HOME}/state"), "The log: its checkpoint, its streams and its keys", _state),
    "verify": Picture(("GET", f"{HOME}/verify"), "A bundle is verified in the browser", _verify),
}


def shown(name: str) -> str:
    """A picture as the guide shows it, light or dark as its reader has it."""
    dark, light = (f"pictures/{name}-{scheme}.png" for scheme in reversed(SCHEMES))
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<picture>{source}<img src="{light}" alt="{PICTURES[name].shows}" width="600"></picture>'


def write() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, telling(Path(place)) as story, chromium() as browser:
        for number, scheme in enumerate(SCHEMES, 17):
            with device(browser, SIZE, color_scheme=scheme) as eve:
                begin(eve.page, story.origin, case=f"C-{number}")
                for name, picture in PICTURES.items():
                    picture.opens(eve.page, story)
                    (FOLDER / f"{name}-{scheme}.png").write_bytes(_small(eve.page.screenshot()))


def _small(png: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as opened:
        opened.convert("RGB").quantize(64).save(file := io.BytesIO(), "PNG", optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    write()
