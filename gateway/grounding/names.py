"""Whom a text means: payees by the names that the customer saved, and by their account numbers. Pure."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from adapters.core import KnownPayee
from gateway.grounding.confusables import skeletons
from gateway.grounding.lexing import Lexed, holds_phrase, words_of

_TOO_COMMON = frozenset(
    """the and for ltd limited plc inc llc gmbh co company bank account payment card current savings services group uk mr mrs ms miss dr
    sir my our your new old to of from at in on a an may will""".split()  # noqa: SIM905  # read as the text that it is
)
"""Words of names that stand in sentences without naming anybody."""

INDEXES = 512
"""Customers whose payees' names are remembered as an index, least recently used first out."""

_NOBODY: frozenset[str] = frozenset()


def named_in(lexed: Lexed, payees: Sequence[KnownPayee]) -> frozenset[str]:
    """Keys of the payees, saved or not, that the text names; an account that nobody knows is its own key.

    A payee is named by the whole saved name, by its account, or by one word of the name that no other saved name holds. A word that
    several hold names them all.
    """
    names = _index_of(payees)
    found: set[str] = set()
    for account in lexed.accounts:
        found |= names.by_account.get(account, {account})
    for token in lexed.tokens:
        found |= names.by_account.get(token, _NOBODY)
    spoken = set(lexed.words)
    candidates = ((key, words) for word in spoken for words, key in names.by_first_word.get(word, ()))
    whole = [(key, words) for key, words in candidates if holds_phrase(lexed.words, words)]
    longest = {key for key, words in whole if not _within_another(key, words, whole)}
    said = spoken.difference(*(words for _, words in whole))
    partly = {key for word in said for key in names.by_word.get(word, _NOBODY)}
    return frozenset(found | longest | (partly - {key for key, _ in whole}))


class SavedAs(NamedTuple):
    """Of a payee what names are looked up by: for a key of what is remembered."""

    key: str
    name: str
    identifier: str | None


def kept(payees: Sequence[KnownPayee]) -> tuple[SavedAs, ...]:
    """What an index over these payees is remembered by: the same payees, read anew with each call, have one index."""
    return tuple([SavedAs(payee.key, payee.name, payee.identifier) for payee in payees])


class _These:
    """Payees by their identity: within a call they are asked about again and again."""

    def __init__(self, payees: Sequence[KnownPayee]) -> None:
        self.payees = payees

    def __hash__(self) -> int:
        return id(self.payees)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _These) and other.payees is self.payees


def _index_of(payees: Sequence[KnownPayee]) -> "_Index":
    return _index_of_these(_These(payees if isinstance(payees, tuple) else tuple(payees)))  # a list might change


@lru_cache(maxsize=16)
def _index_of_these(these: _These) -> "_Index":
    return _index(kept(these.payees))


@dataclass(frozen=True, slots=True)
class _Index:
    """Keys of payees by what a text may hold of them."""

    by_account: Mapping[str, Set[str]]
    by_first_word: Mapping[str, Sequence[tuple[tuple[str, ...], str]]]
    by_word: Mapping[str, Set[str]]
    by_look: Mapping[str, Set[str]]
    looks: Mapping[str, Set[str]]
    """What the names of a key look like."""


@lru_cache(maxsize=INDEXES)
def _index(payees: tuple[SavedAs, ...]) -> _Index:
    """In the time of one look at each payee; after that, a text costs what it holds."""
    by_account: dict[str, set[str]] = {}
    by_first_word: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    by_word: dict[str, set[str]] = {}
    by_look: dict[str, set[str]] = {}
    looks: dict[str, set[str]] = {}
    for payee in payees:
        if payee.identifier:
            by_account.setdefault(payee.identifier, set()).add(payee.key)
        words = words_of_name(payee.name)
        if words:
            by_first_word.setdefault(words[0], []).append((words, payee.key))
        for word in distinctive(payee.name):
            by_word.setdefault(word, set()).add(payee.key)
        for look in skeletons(payee.name) if payee.name else ():
            by_look.setdefault(look, set()).add(payee.key)
            looks.setdefault(payee.key, set()).add(look)
    return _Index(by_account, by_first_word, by_word, by_look, looks)


@lru_cache(maxsize=4096)
def words_of_name(name: str) -> tuple[str, ...]:
    """The words of a saved name; the same names are looked at with each call."""
    return words_of(name)


def distinctive(name: str) -> frozenset[str]:
    """The words of a name by which it may be called."""
    return frozenset(word for word in words_of_name(name) if len(word) >= 3 and word not in _TOO_COMMON)


def alike(payee: str, payees: Sequence[KnownPayee]) -> bool:
    """Whether another saved name looks like this payee's: then nobody can say who was meant."""
    names = _index_of(payees)
    return any(names.by_look[look] - {payee} for look in names.looks.get(payee, _NOBODY))


def _within_another(key: str, words: tuple[str, ...], whole: Sequence[tuple[str, tuple[str, ...]]]) -> bool:
    """Anna is not meant where Anna Schmidt was written and both are saved."""
    return any(len(longer) > len(words) and holds_phrase(longer, words) for other, longer in whole if other != key)
