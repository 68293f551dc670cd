"""Identifiers in what a model says: accounts, cards, phones and addresses that the customer was not shown are replaced.

Pure. `detection` finds them in windows. A window ends at a space behind which nothing that was begun can go on; in an endless row of
digits it ends at WINDOW_CHARS, after AHEAD_CHARS more were looked at, which is longer than any identifier.
"""

import re
from collections.abc import Callable

from gateway.calls.detection import ACCOUNT_WORDS, IBAN_GAP, IBAN_LENGTHS, DetectedKind, Detection, findings_in
from gateway.calls.folding import Folding
from gateway.domain.characters import without_invisible
from gateway.domain.linear_regex import LinearRegexes

WINDOW_CHARS = 768
AHEAD_CHARS = 384
"""More than the longest address (64, an at sign, 254), and than an IBAN with all its separators (133)."""

_MAX_IBAN_CHARS = 144
_SPACE = re.compile(r"\s")
_DIGIT = re.compile("[0-9]")
_INTERESTING = re.compile("[0-9@]")
_GOES_ON = re.compile(
    rf"(?i)(?:\A|(?<![A-Za-z0-9_])(?:{ACCOUNT_WORDS})+)[\W_]*\Z"
)  # what RE2 takes for the edge of a word: ASCII's
_IBAN_BEGUN = LinearRegexes(
    [
        rf"(?i)(?:{'|'.join(IBAN_LENGTHS)})[ \n.,:/-]?(?:[0-9](?:[0-9](?:{IBAN_GAP}[A-Z0-9]){{0,30}}{IBAN_GAP})?)?\z",
    ]
)


class Masking:
    """Replaces what `is_shown`, asked with the kind, the electronic form and the folded text, does not know.

    Fed in any portions: what comes out together is the same for all of them.
    """

    def __init__(self, is_shown: Callable[[DetectedKind, str, str], bool]) -> None:
        self._is_shown = is_shown
        self._held = ""
        self._looked = 0
        self._folding = Folding()
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
                at = self._decided(out, at, self._cut(at))
            else:
                break
        self._held = self._held[at:]
        self._looked -= at
        self._folding.shift(at)
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
        held, most = self._held, min(len(self._held), start + WINDOW_CHARS + AHEAD_CHARS)
        while self._looked < most:
            space = _SPACE.search(held, self._looked, most)
            end = most if space is None else space.end()
            self._folding.take(held, self._looked, end)
            self._looked = end
            if (
                space is not None
                and space.start() > start
                and not held[space.start() - 1].isspace()
                and _is_complete("".join(self._folding.letters[-_MAX_IBAN_CHARS:]))
            ):
                return end
        return None

    def _cut(self, start: int) -> int:
        """Where a window without a pause ends: at its last line break, or its last space behind a number, so that no value is torn."""
        most = start + WINDOW_CHARS
        for ending in (_LINE_END, _NUMBER_END):
            found = ending.search(self._held, start, most)
            if found is not None:
                return found.end()
        return most

    def _decided(self, out: list[str], start: int, most: int) -> int:
        """Puts out what is held from `start` to `most`, but cuts nothing that is found; to where it was."""
        plain, places = "".join(self._folding.letters), self._folding.places
        parts: list[str] = []
        at = start
        for it in findings_in(plain) if _INTERESTING.search(plain) is not None else ():
            begins, ends = places[it.start], places[it.end - 1] + 1
            if begins >= most:
                break
            electronic = _address(self._held[begins:ends]) if it.found is DetectedKind.EMAIL else _electronic(it, plain)
            if not self._is_shown(it.found, electronic, plain[it.start : it.end]):
                parts += [self._held[at:begins], it.found.value]
                at = ends
            most = max(most, ends)
        parts.append(self._held[at:most])
        self._folding.drop(most)
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


_NO_MARKUP = str.maketrans("", "", "\\*`~")
_LINE_END = re.compile(r"(?s).*[0-9\W]\n")
_NUMBER_END = re.compile(r"(?s).*[0-9]\s")
_MARKERS = frozenset(it.value for it in DetectedKind)


def collected(text: str) -> frozenset[str]:
    """Every identifier in a text that is visible already, in electronic form, and the parts by which it is also known."""
    shown: set[str] = set()

    def note(kind: DetectedKind, electronic: str, _: str) -> bool:
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


def _is_complete(words: str) -> bool:
    """Whether nothing that was begun in `words`, which end with a space, can go on behind it."""
    last = words.rsplit(maxsplit=1)[-1:]
    if not last or _DIGIT.search(last[0]) or _GOES_ON.search(last[0]):
        return False
    return not _IBAN_BEGUN.matching(words)


def _address(written: str) -> str:
    """Of an e-mail address, with its marks and underscores: another one may differ in nothing else."""
    return without_invisible(written.translate(_NO_MARKUP)).casefold()


def _electronic(finding: Detection, plain: str) -> str:
    """Without separators, in one case. A phone number in its international form; the digits alone of accounts and cards."""
    text = plain[finding.start : finding.end].casefold()
    if finding.found is DetectedKind.IBAN:
        return "".join([letter for letter in text if letter.isalnum()])
    digits = "".join([letter for letter in text if letter.isdecimal()])
    if finding.found is not DetectedKind.PHONE:
        return digits
    national = digits.removeprefix("00")
    national = "44" + national[1:] if national.startswith("0") else national
    return "44" + national[3:] if national.startswith("440") else national
