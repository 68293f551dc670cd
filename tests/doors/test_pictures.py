"""The pictures of the auditors' console: each that the guide shows is there, small, and of a page that there still is."""

import re
from pathlib import Path

from PIL import Image

from tests.browser.pictures import BYTES_MOST, FOLDER, PICTURES, SCHEMES, SIZE, shown
from tests.doors.test_staff_routes import DUTY_OF

GUIDE = Path(__file__).parents[2] / "audit" / "README.md"


def test_every_picture_of_the_guide_is_there_and_is_of_a_page_that_there_still_is() -> None:
    text = GUIDE.read_text()
    named = {name for line in re.findall(r"<picture>.*", text) for name in re.findall(r"pictures/([a-z-]+\.png)", line)}
    assert named == {f"{name}-{scheme}.png" for name in PICTURES for scheme in SCHEMES}
    assert named == {path.name for path in FOLDER.iterdir()}, "run `python -m tests.browser.pictures`"
    assert [name for name in PICTURES if shown(name) not in text] == [], "as the guide shows it"
    assert [name for name, picture in PICTURES.items() if picture.route not in DUTY_OF] == []


def test_pictures_are_small_and_of_one_size() -> None:
    for path in FOLDER.iterdir():
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.mode) == ("PNG", (SIZE["width"], SIZE["height"]), "P"), path.name
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < BYTES_MOST
