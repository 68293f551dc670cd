"""Citations in what a model says: where it writes the mark of a passage that was found, or the path of a file that was made. Pure.

Indices are those of the message's text in Unicode code points, from 0; the mark stays in the text. What marks nothing is no annotation.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.domain.strict_json import Json

Portion = tuple[str, list[dict[str, Json]]]
"""A piece of text, and the annotations that end in it."""


class Annotating:
    """The annotations of one text, fed in any portions: what comes out together is the same for all of them."""

    def __init__(self, sources: Mapping[str, Json]) -> None:
        """`sources`: what a mark in the text refers to, as its annotation says it."""
        self._sources = sources
        marks = sorted(sources, key=len, reverse=True)
        self._mark = re.compile("|".join(map(re.escape, marks))) if marks else None
        self._first = {mark[0] for mark in sources}
        self._longest = max(map(len, marks), default=0)
        self._held, self._at = "", 0
        self.annotations: list[dict[str, Json]] = []
        """Those of the whole text so far, as the message has them."""

    def feed(self, text: str) -> Portion:
        """What may go out now: a mark is told whole, with its annotation."""
        self._held += text
        return self._told(self._undecided())

    def end(self) -> Portion:
        """What was held back."""
        return self._told(len(self._held))

    def _undecided(self) -> int:
        """Where what may become a mark yet begins."""
        held = self._held
        for start in range(max(0, len(held) - self._longest + 1), len(held)):
            tail = held[start:]
            if tail[0] in self._first and any(mark.startswith(tail) and mark != tail for mark in self._sources):
                return start
        return len(held)

    def _told(self, behind: int) -> Portion:
        text, new = self._held[:behind], list[dict[str, Json]]()
        for found in self._mark.finditer(self._held) if self._mark is not None else ():
            if found.start() >= behind:
                break
            source: Any = self._sources[found.group()]
            new.append(
                {**source, "text": found.group(), "start_index": self._at + found.start(), "end_index": self._at + found.end()}
            )
            behind, text = max(behind, found.end()), self._held[: max(behind, found.end())]
        self._held, self._at = self._held[behind:], self._at + behind
        numbered = [{"index": len(self.annotations) + number, **item} for number, item in enumerate(new)]
        self.annotations += new
        return text, numbered
