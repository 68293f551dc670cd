"""How a cost grows with a size, in one word, and as a picture: an SVG written by hand, a small panel for each. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape

NOISE = 1.6
"""So much more beside the most than beside the fewest is no growth: a figure of a shared machine."""

PANEL, GAP, COLUMNS = (236, 150), 14, 4


class Growth(StrEnum):
    FLAT = "flat"
    LOGARITHMIC = "logarithmic"
    LINEAR = "linear"
    WORSE = "worse"


@dataclass(frozen=True)
class Curve:
    """Microseconds by size, of what `name` says; the sizes are of `unit`."""

    name: str
    unit: str
    us: Mapping[int, float]

    @property
    def growth(self) -> Growth:
        return growth(self.us)


def growth(us: Mapping[int, float]) -> Growth:
    """Judged over the last two decades of sizes: before, what a question costs by itself covers how it grows. Flat is what costs beside the
    most no more than `NOISE` of what it costs beside the first of those. Else the costs are held against `a + b log n`, `a + b n` and
    `a + b n ** 1.5`, and the nearest says."""
    most = max(us)
    late = {size: cost for size, cost in sorted(us.items()) if size * 100 >= most}
    if len(late) < 2 or late[most] <= NOISE * late[min(late)]:
        return Growth.FLAT
    shapes = {
        Growth.LOGARITHMIC: [math.log(size) for size in late],
        Growth.LINEAR: [float(size) for size in late],
        Growth.WORSE: [float(size) ** 1.5 for size in late],
    }
    return min(shapes, key=lambda shape: _distance(shapes[shape], list(late.values())))


def _distance(x: Sequence[float], y: Sequence[float]) -> float:
    """Sum of the squared relative distances to the best line that does not fall."""
    weights = [1 / value**2 for value in y]
    total = sum(weights)
    mean_x = sum(w * a for w, a in zip(weights, x, strict=True)) / total
    mean_y = sum(w * b for w, b in zip(weights, y, strict=True)) / total
    spread = sum(w * (a - mean_x) ** 2 for w, a in zip(weights, x, strict=True))
    slope = sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True)) / spread
    rise = max(0.0, slope)
    return sum(w * (b - mean_y - rise * (a - mean_x)) ** 2 for w, a, b in zip(weights, x, y, strict=True))


def svg(title: str, curves: Sequence[Curve]) -> str:
    """Small panels with one scale each: sizes by their logarithm, microseconds from 0. Readable without colour."""
    rows = -(-len(curves) // COLUMNS)
    width = COLUMNS * (PANEL[0] + GAP) + GAP
    height = rows * (PANEL[1] + GAP) + GAP + 26
    panels = [
        _panel(curve, GAP + index % COLUMNS * (PANEL[0] + GAP), 26 + GAP + index // COLUMNS * (PANEL[1] + GAP))
        for index, curve in enumerate(curves)
    ]
    style = "text{font:10px sans-serif;fill:#222}.n{font-weight:bold}.v{text-anchor:end}.m{text-anchor:middle}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">\n'
        f'<style>{style}</style>\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
        f'<text x="{GAP}" y="22" style="font-size:13px">{escape(title)}</text>\n' + "".join(panels) + "</svg>\n"
    )


def _panel(curve: Curve, left: float, top: float) -> str:
    sizes, most = sorted(curve.us), max(curve.us.values()) or 1
    x0, x1, y0, y1 = left + 8, left + PANEL[0] - 8, top + PANEL[1] - 18, top + 46
    first, last = math.log(sizes[0]), math.log(sizes[-1]) or 1
    span = (last - first) or 1
    points = [(x0 + (math.log(size) - first) / span * (x1 - x0), y0 - curve.us[size] / most * (y0 - y1)) for size in sizes]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="#1b4f9c"/>' for x, y in points)
    what = f"{curve.us[sizes[0]]:,.0f} to {curve.us[sizes[-1]]:,.0f} us, {curve.growth.value}"
    return (
        f'<g><rect x="{left}" y="{top}" width="{PANEL[0]}" height="{PANEL[1]}" fill="none" stroke="#bbb"/>'
        f'<text class="n" x="{left + 8}" y="{top + 16}">{escape(curve.name)}</text>'
        f'<text x="{left + 8}" y="{top + 31}">{escape(what)}</text>'
        f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y0}" stroke="#888"/>'
        f'<polyline points="{line}" fill="none" stroke="#1b4f9c" stroke-width="1.5"/>{dots}'
        f'<text x="{x0}" y="{y0 + 12}">{sizes[0]:,}</text>'
        f'<text class="v" x="{x1}" y="{y0 + 12}">{sizes[-1]:,} {escape(curve.unit)}</text></g>\n'
    )
