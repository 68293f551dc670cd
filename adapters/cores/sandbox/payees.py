"""Whether a payee's name is that of an account's holder: the rules of the sandbox bank's Confirmation of Payee. Pure.

The outcomes are those of Pay.UK's rule book (and of the EPC's Verification of Payee): a match; a close match, of which alone the
holder's name is told; no match; not possible, for holders who opted out and banks that take no part.
"""

import unicodedata
from collections.abc import Sequence
from datetime import timedelta

LIFETIME = timedelta(hours=1)

MATCH, CLOSE_MATCH, NO_MATCH, NOT_POSSIBLE = "match", "close_match", "no_match", "not_possible"

_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "the"})
_SAME = {"ltd": "limited", "co": "company"}
_LEGAL_FORMS = frozenset({"limited", "company", "plc", "llp"})


def answered(name: str, holders: Sequence[tuple[str, bool]], *, takes_part: bool) -> tuple[str, str | None]:
    """The outcome, and the holder's name where it may be told. `holders`: name, and whether they opted out; none: no such account.

    The best outcome of several holders counts; one who opted out takes the account out of it.
    """
    if not takes_part or any(opted_out for _, opted_out in holders):
        return NOT_POSSIBLE, None
    outcomes = {compared(name, holder): holder for holder, _ in reversed(holders)}
    if MATCH in outcomes:
        return MATCH, None
    if CLOSE_MATCH in outcomes:
        return CLOSE_MATCH, outcomes[CLOSE_MATCH]
    return NO_MATCH, None


def compared(one: str, other: str) -> str:
    """Match, close match or no match of two names; the same whichever comes first."""
    words, others = _words(one), _words(other)
    if not words or not others:
        return NO_MATCH
    if "".join(words) == "".join(others):
        return MATCH
    return CLOSE_MATCH if _is_close(words, others) else NO_MATCH


def account_key(identifier: str) -> tuple[str, str]:
    """How the directory knows an account, and its bank: by sort code and number, also for a GB IBAN; else by the IBAN, and its country."""
    if identifier.startswith("GB"):
        identifier = identifier[8:]
    return identifier, identifier[:6] if identifier.isdecimal() else identifier[:2]


def _words(name: str) -> list[str]:
    """Case, accents, punctuation, titles and the spelling of a company's form make no difference."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    plain = plain.casefold().replace("&", " and ").replace("'", "").replace("\u2019", "").replace(".", "")
    spaced = "".join(letter if letter.isalnum() else " " for letter in plain)
    return [_SAME.get(word, word) for word in spaced.split() if word not in _TITLES]


def _is_close(one: list[str], other: list[str]) -> bool:
    """Another order, a missing middle name, an initial for the first name, a missing legal form, or a slip or two of the pen."""
    if sorted(one) == sorted(other) or _without_form(one) == _without_form(other):
        return True
    if len(one) > 1 and len(other) > 1 and one[-1] == other[-1]:
        first, second = sorted((one[0], other[0]), key=len)
        if first == second or (len(first) == 1 and second.startswith(first)):
            return True
    letters, others = "".join(one), "".join(other)
    shorter = min(len(letters), len(others))
    return _is_within(letters, others, 2 if shorter >= 10 else 1 if shorter >= 5 else 0)


def _without_form(words: list[str]) -> list[str]:
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return kept or words


def _is_within(one: str, other: str, most: int) -> bool:
    """Whether at most so many letters are to be changed, added, left out or swapped with their neighbour. Linear in the length."""
    if abs(len(one) - len(other)) > most:
        return False
    beyond = most + 1
    before: dict[int, int] = {}
    last = {at: at for at in range(most + 1)}
    for row, letter in enumerate(one, start=1):
        now: dict[int, int] = {}
        for at in range(max(0, row - most), min(len(other), row + most) + 1):
            if at == 0:
                now[at] = row
                continue
            is_same = letter == other[at - 1]
            cost = min(last.get(at - 1, beyond) + (not is_same), last.get(at, beyond) + 1, now.get(at - 1, beyond) + 1)
            if row > 1 and at > 1 and letter == other[at - 2] and one[row - 2] == other[at - 1]:
                cost = min(cost, before.get(at - 2, beyond) + 1)
            now[at] = cost
        before, last = last, now
    return last.get(len(other), beyond) <= most
