"""How a curve's growth is judged, and the picture of it."""

import math
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plot import Curve, Growth, growth, svg

SHAPES: dict[Growth, Callable[[float], float]] = {
    Growth.FLAT: lambda _size: 1.0,
    Growth.LOGARITHMIC: math.log,
    Growth.LINEAR: lambda size: size,
    Growth.WORSE: lambda size: size**2,
}

SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000)


@pytest.mark.parametrize("shape", SHAPES)
@given(st.floats(0.5, 500), st.lists(st.floats(0.97, 1.03), min_size=len(SIZES), max_size=len(SIZES)))
def test_a_curve_is_called_what_it_is(shape: Growth, scale: float, noise: list[float]) -> None:
    us = {size: scale * SHAPES[shape](size) * each for size, each in zip(SIZES, noise, strict=True)}
    if shape is Growth.LOGARITHMIC:
        us = {size: cost - scale * math.log(60) for size, cost in us.items() if size >= 100}  # else it hardly doubles
    assert growth(us) is shape


@given(st.dictionaries(st.integers(1, 10**6), st.floats(0.001, 10**6), min_size=1, max_size=8))
def test_every_curve_has_a_verdict_and_a_panel(us: dict[int, float]) -> None:
    curve = Curve('<a & "b">', "rows", us)
    picture = ElementTree.fromstring(svg("a < b", [curve] * 5))  # our own
    texts = ["".join(element.itertext()) for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count('<a & "b">') == 5
    assert sum(curve.growth.value in text for text in texts) == 5
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 5 * len(us)
    box = [float(number) for number in picture.attrib["viewBox"].split()]
    assert all(0 <= float(it.attrib["cx"]) <= box[2] and 0 <= float(it.attrib["cy"]) <= box[3] for it in circles)


def test_what_falls_or_only_shakes_is_flat() -> None:
    assert growth({1: 900.0, 10: 500.0, 100: 400.0}) is Growth.FLAT
    assert growth({10: 100.0, 100: 130.0, 1000: 90.0, 10_000: 140.0}) is Growth.FLAT
    assert growth({1: 1.0, 1_000: 100.0, 10_000: 100.0}) is Growth.FLAT, "what it costs by itself covers the beginning"
