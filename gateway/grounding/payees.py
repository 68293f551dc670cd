"""Whom a name means that stands in an order: a saved payee by the whole saved name, or by a part that no other has. Pure."""

from collections.abc import Sequence
from functools import lru_cache

from adapters.answers import electronic
from adapters.core import KnownPayee
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.tokens import Token, tokens

_COMPANY_ENDINGS = frozenset({"ltd", "limited", "plc", "inc", "llc", "llp", "gmbh", "ag", "co", "corp", "sa", "bv", "nv", "srl"})
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "sir", "prof"})


def meant_by(phrase: str, payees: Sequence[KnownPayee]) -> frozenset[str]:
    """Keys of the payees that this name or account may mean: none, one, or several where nobody can say which."""
    words = _words(phrase)
    if _is_account(phrase):
        return frozenset(payee.key for payee in payees if payee.identifier and electronic(payee.identifier) == phrase) or frozenset(
            {phrase}
        )
    name = _without_endings(words)
    whole = frozenset(payee.key for payee in payees if name and (_name(payee.name) == name or payee.key == phrase))
    if whole or not _is_distinctive(words):
        return whole
    return frozenset(payee.key for payee in payees if _stands_in(words, _name(payee.name)))


@lru_cache(maxsize=4096)
def _name(saved: str) -> tuple[str, ...]:
    return _without_endings(_words(saved))


def _words(text: str) -> tuple[str, ...]:
    """For comparison: folded, "&" as "and", whatever stands between them."""
    pieces = [piece for piece in tokens(text) if piece.kind is not Token.PUNCTUATION or piece.text == "&"]
    return tuple("and" if piece.text == "&" else piece.text.replace("'", "") for piece in pieces)


def _without_endings(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without a company's ending and a person's title."""
    while len(words) > 1 and words[-1] in _COMPANY_ENDINGS:
        words = words[:-1]
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    return words


def _is_account(phrase: str) -> bool:
    pieces = tokens(phrase)
    return len(pieces) == 1 and pieces[0].kind is Token.ACCOUNT


def _is_distinctive(words: Sequence[str]) -> bool:
    """Whether these words may call somebody whose name is longer: common words, months and units mean a payee as a whole name alone."""
    return any(len(word) >= 3 and word not in ENGLISH.closed and word not in ENGLISH.known for word in words)


def _stands_in(words: Sequence[str], name: Sequence[str]) -> bool:
    return any(tuple(name[at : at + len(words)]) == tuple(words) for at in range(len(name) - len(words) + 1))
