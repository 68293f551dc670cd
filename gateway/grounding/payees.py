"""Whom a name means that stands in an order: a saved payee by the whole saved name, or by a part that no other has. Pure."""

from collections.abc import Sequence
from functools import lru_cache

from gateway.grounding.grammar import ENGLISH
from gateway.grounding.lexing import holds_phrase
from gateway.grounding.names import INDEXES, SavedAs
from gateway.grounding.tokens import Token, tokens

_COMPANY_ENDINGS = frozenset({"ltd", "limited", "plc", "inc", "llc", "llp", "gmbh", "ag", "co", "corp", "sa", "bv", "nv", "srl"})
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "sir", "prof"})
_NOBODY: frozenset[str] = frozenset()

Words = tuple[str, ...]


class SavedNames:
    """The payees of one customer, found by what they are called. Built in the time of one look at each payee, and remembered."""

    def __init__(self, payees: Sequence[SavedAs]) -> None:
        self._whole: dict[Words, set[str]] = {}
        self._by_word: dict[str, list[tuple[Words, str]]] = {}
        self._by_account: dict[str, set[str]] = {}
        for payee in payees:
            words = _name(payee.name)
            self._whole.setdefault(words, set()).add(payee.key)
            self._whole.setdefault((payee.key,), set()).add(payee.key)
            for word in dict.fromkeys(words):
                self._by_word.setdefault(word, []).append((words, payee.key))
            if payee.identifier:
                self._by_account.setdefault(payee.identifier, set()).add(payee.key)

    def meant_by(self, phrase: str | None) -> frozenset[str]:
        """Keys of the payees that this name or account may mean: none, one, or several where nobody can say which."""
        if not phrase:
            return _NOBODY
        words, is_account = _words(phrase)
        if is_account:
            return frozenset(self._by_account.get(phrase, {phrase}))
        whole = self._whole.get(_without_endings(words)) or self._whole.get((phrase,))
        if whole or not _is_distinctive(words):
            return frozenset(whole or ())
        return frozenset(key for name, key in self._by_word.get(words[0], ()) if holds_phrase(name, words))


@lru_cache(maxsize=INDEXES)
def saved_names(payees: tuple[SavedAs, ...]) -> SavedNames:
    """The same names, read anew with each call, are looked at once."""
    return SavedNames(payees)


def name_of(written: str) -> str:
    """A name for comparison with another: equal where they are written alike but for accents, capitals, "&" and a company's ending."""
    return " ".join(_name(written))


@lru_cache(maxsize=4096)
def _name(saved: str) -> Words:
    return _without_endings(_words(saved)[0])


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[Words, bool]:
    """For comparison: folded, "&" as "and", whatever stands between them; and whether it is an account and nothing else."""
    pieces = [piece for piece in tokens(text) if piece.kind is not Token.PUNCTUATION or piece.text == "&"]
    words = tuple("and" if piece.text == "&" else piece.text.replace("'", "") for piece in pieces)
    return words, len(pieces) == 1 and pieces[0].kind is Token.ACCOUNT


def _without_endings(words: Words) -> Words:
    """Without a company's ending and a person's title."""
    while len(words) > 1 and words[-1] in _COMPANY_ENDINGS:
        words = words[:-1]
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    return words


@lru_cache(maxsize=4096)
def _is_distinctive(words: Words) -> bool:
    """Whether these words may call somebody whose name is longer: common words, months and units mean a payee as a whole name alone."""
    return any(len(word) >= 3 and word not in ENGLISH.closed and word not in ENGLISH.known for word in words)
