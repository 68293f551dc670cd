"""Identifiers in what a model says: accounts, cards, phones and addresses that the customer was not shown are replaced.

Pure. `detection` finds them in windows. A window ends at a space behind which nothing that was begun can go on; in an endless row of
digits it ends at WINDOW_CHARS, after AHEAD_CHARS more were looked at, which is longer than any identifier.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable

from gateway.calls.detection import IBAN_LENGTHS, DetectedKind, Detection, findings
from gateway.domain.characters import INVISIBLE

WINDOW_CHARS = 768
AHEAD_CHARS = 384
"""More than the longest address (64, an at sign, 254), and than an IBAN with all its separators (102)."""

_CHARS_OF_ONE = 3
"""Most characters that one may be normalised to; windows stay within what `detection` takes."""
_MAX_IBAN_CHARS = 112
_INTERESTING = re.compile("[0-9@]")
_WORDS = "account|acct|acc|a/c|konto|conto|compte|sort|code|number|num|no|nr|is|and"
_GOES_ON = re.compile(rf"(?i)(?:\A|(?<![A-Za-z0-9_])(?:{_WORDS}))[\W_]*\Z")  # what RE2 takes for the edge of a word: ASCII's
_IBAN_BEGUN = re.compile(
    rf"(?i)(?:{'|'.join(IBAN_LENGTHS)})[ .-]?(?:[0-9](?:[0-9](?:[ .\-/]{{0,2}}[A-Z0-9]){{0,30}}[ .\-/]{{0,2}})?)?\Z", re.ASCII
)
_MARKUP = frozenset("\\*_`~")
"""What Markdown takes out of the middle of a number."""
_SEPARATORS = {**dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"), **dict.fromkeys(map(ord, "·•∙⋅‧"), "."), ord("‹"): "<"}


class Masking:
    """Replaces what `is_shown` does not know. Fed in any portions: what comes out together is the same for all of them."""

    def __init__(self, is_shown: Callable[[DetectedKind, str], bool]) -> None:
        self._is_shown = is_shown
        self._held = ""
        self._looked = 0
        # What is held as `redaction.cleaned` has it, without what Markdown takes out, and the place that each character had.
        self._letters: list[str] = []
        self._places: list[int] = []
        self._is_after_marker = False

    def feed(self, text: str) -> str:
        """What may go out now. `text` is visible already (`outgoing.Visible`)."""
        self._held += text
        at = 0
        out: list[str] = []
        while True:
            end = self._pause(at)
            if end is not None:
                at = self._decided(out, at, end)
            elif self._looked - at == WINDOW_CHARS + AHEAD_CHARS:
                at = self._decided(out, at, at + WINDOW_CHARS)
            else:
                break
        self._held = self._held[at:]
        self._looked -= at
        self._places = [place - at for place in self._places]
        return "".join(out)

    def end(self) -> str:
        """What was held back."""
        out: list[str] = []
        self._decided(out, 0, len(self._held))
        self._held = ""
        return "".join(out)

    @property
    def held_chars(self) -> int:
        return len(self._held)

    def _pause(self, start: int) -> int | None:
        """The first place not looked at yet behind a word and its space that nothing goes on from."""
        held = self._held
        for at in range(self._looked, min(len(held), start + WINDOW_CHARS + AHEAD_CHARS)):
            letter = held[at]
            self._looked = at + 1
            self._take(letter, at)
            if (
                letter.isspace()
                and at > start
                and not held[at - 1].isspace()
                and _is_complete("".join(self._letters[-_MAX_IBAN_CHARS:]))
            ):
                return at + 1
        return None

    def _take(self, letter: str, at: int) -> None:
        for it in letter if letter.isascii() else _normal(letter):
            if it.isspace():
                if self._letters and self._letters[-1] == " ":
                    continue
                it = " "  # noqa: PLW2901
            elif it in _MARKUP or it in INVISIBLE or not it.isprintable() or unicodedata.category(it)[0] == "M":
                continue
            self._letters.append(str(unicodedata.decimal(it)) if it.isdecimal() else it)
            self._places.append(at)

    def _decided(self, out: list[str], start: int, most: int) -> int:
        """Puts out what is held from `start` to `most`, but cuts nothing that is found; to where it was."""
        plain = "".join(self._letters)
        parts: list[str] = []
        at = start
        for it in _found(plain):
            begins, ends = self._places[it.start], self._places[it.end - 1] + 1
            if begins >= most:
                break
            if not self._is_shown(it.found, _electronic(it, plain)):
                parts += [self._held[at:begins], it.found.value]
                at = ends
            most = max(most, ends)
        parts.append(self._held[at:most])
        left = bisect_left(self._places, most)
        del self._letters[:left], self._places[:left]
        out.append(self._parted(parts))
        return most

    def _parted(self, parts: list[str]) -> str:
        """Joined, with a space where what follows a marker would make a link of it."""
        out: list[str] = []
        for part in parts:
            if part:
                if self._is_after_marker and part[0] in "(:[":
                    out.append(" ")
                out.append(part)
                self._is_after_marker = part in _MARKERS
        return "".join(out)


_MARKERS = frozenset(it.value for it in DetectedKind)


def collected(text: str) -> frozenset[str]:
    """Every identifier in a text that is visible already, in electronic form, and the parts by which it is also known."""
    shown: set[str] = set()

    def note(kind: DetectedKind, electronic: str) -> bool:
        shown.add(electronic)
        if kind is DetectedKind.IBAN and electronic.startswith("gb"):
            shown.update((electronic[8:], electronic[14:]))  # sort code and account, and the account alone
        elif kind is DetectedKind.ACCOUNT and len(electronic) == 14:
            shown.add(electronic[6:])
        return True

    masking = Masking(note)
    masking.feed(text)
    masking.end()
    return frozenset(shown)


def _found(plain: str) -> list[Detection]:
    """What is in it, also what is seen only once its neighbours are taken away: `12345678GB29NWBK...` has no end of a number before."""
    detections: list[Detection] = []
    while _INTERESTING.search(plain) is not None and (more := findings(plain)):
        detections += more
        for it in more:
            plain = plain[: it.start] + "[" * (it.end - it.start) + plain[it.end :]
    return sorted(detections, key=lambda it: it.start)


def _is_complete(words: str) -> bool:
    """Whether nothing that was begun in `words`, which end with a space, can go on behind it."""
    last = words.rsplit(maxsplit=1)[-1:]
    if not last or any(letter.isdecimal() for letter in last[0]) or _GOES_ON.search(last[0].strip()):
        return False
    return _IBAN_BEGUN.search(words) is None


def _normal(letter: str) -> str:
    normal = unicodedata.normalize("NFKC", letter).translate(_SEPARATORS)
    return normal if len(normal) <= _CHARS_OF_ONE else letter


def _electronic(finding: Detection, plain: str) -> str:
    """Without separators, in one case. A phone number in its international form; the digits alone of accounts and cards."""
    text = plain[finding.start : finding.end].casefold()
    if finding.found is DetectedKind.EMAIL:
        return text
    if finding.found is DetectedKind.IBAN:
        return "".join([letter for letter in text if letter.isalnum()])
    digits = "".join([letter for letter in text if letter.isdecimal()])
    if finding.found is not DetectedKind.PHONE:
        return digits
    national = digits.removeprefix("00")
    national = "44" + national[1:] if national.startswith("0") else national
    return "44" + national[3:] if national.startswith("440") else national
