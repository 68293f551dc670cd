"""What a model's answer may carry to the customer: links to allowed hosts alone, and no identifier that the customer was not shown.

Pure: no I/O, no clock. The model is hostile: an image or a link is its way out for data, and an account number its way to redirect a
payment. What cannot be seen is dropped first; then come the links (`links`), then the identifiers (`identifiers`), which so see the text
as the customer will. Held back is at most what the two say, some 3,200 characters, mostly a word or two.

Out of reach: an allowed host that redirects elsewhere or shows what others put there; choose hosts that do neither. A receiver that
decodes twice (entities of entities) renders what nobody can see here.
"""

from collections.abc import Callable

from gateway.calls.detection import DetectedKind
from gateway.domain.characters import INVISIBLE
from gateway.runs.identifiers import Masking, collected
from gateway.runs.links import REMOVED, Links
from gateway.runs.told import is_told

__all__ = ["REMOVED", "OutgoingFilter", "identifiers"]


class OutgoingFilter:
    """The filter for one answer. Fed in any portions, what comes out together is the same, and nothing is ever taken back."""

    def __init__(
        self,
        hosts: frozenset[str],
        shown: frozenset[str] | Callable[[str], bool],
        figures: frozenset[str] = frozenset(),
        paths: frozenset[str] = frozenset(),
    ) -> None:
        """`hosts`: exact names in lower case ASCII; https, default port. `shown`: what `identifiers` told of texts that the customer saw,
        or whether it did. `figures`: what the bank told (`told`). `paths`: whole addresses of files of the thread. ValueError for a host
        that is none.
        """
        is_shown = shown.__contains__ if isinstance(shown, frozenset) else shown

        def may_stay(kind: DetectedKind, electronic: str, text: str) -> bool:
            return is_shown(electronic) or (kind in _OF_FIGURES and is_told(text, figures))

        self._visible = VisibleNames()
        self._links = Links(hosts, paths)
        self._masking = Masking(may_stay)

    def feed(self, text: str) -> str:
        """What may go out now."""
        return self._masking.feed(self._links.feed(self._visible.feed(text)))

    def end(self) -> str:
        """The rest. Nothing may be fed after it."""
        return self._masking.feed(self._links.end()) + self._masking.end()

    @property
    def held_chars(self) -> int:
        """Characters held back now."""
        return self._links.held_chars + self._masking.held_chars


def identifiers(text: str) -> frozenset[str]:
    """The identifiers in a text that the customer wrote or saw, for `OutgoingFilter`. Any length, in linear time."""
    return collected(VisibleNames().feed(text))


class VisibleNames:
    """Drops what cannot be seen, letter by letter: controls, formats, bidirectional marks, fillers, lone surrogates.

    Joiners and variation selectors stay behind a letter that is none of ASCII, one at a time: Persian and emoji need them.
    """

    def __init__(self) -> None:
        self._last = "a"

    def feed(self, text: str) -> str:
        if text.isascii() and text.isprintable():
            self._last = text[-1:] or self._last
            return text
        kept: list[str] = []
        last = self._last
        for letter in text:
            if letter in _JOINING:
                if last.isascii() or last in _JOINING:
                    continue
            elif letter in "\t\n\r":
                pass
            elif letter.isspace():
                letter = letter if letter == " " or letter in _SPACES else " "  # noqa: PLW2901
            elif not letter.isprintable() or letter in INVISIBLE:
                continue
            kept.append(letter)
            last = letter
        self._last = last
        return "".join(kept)


_OF_FIGURES = frozenset({DetectedKind.CARD, DetectedKind.ACCOUNT, DetectedKind.PHONE})
"""What figures beside each other can look like."""
_JOINING = frozenset("\u200c\u200d\ufe0f")
_SPACES = frozenset("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000")
