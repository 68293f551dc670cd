"""Whom a text means: payees by the names that the customer saved, and by their account numbers. Pure."""

from collections.abc import Collection, Sequence
from functools import lru_cache

from adapters.core import KnownPayee
from gateway.grounding.confusables import skeletons
from gateway.grounding.lexing import Lexed, holds_phrase, words_of

_TOO_COMMON = frozenset(
    """the and for ltd limited plc inc llc gmbh co company bank account payment card current savings services group uk mr mrs ms miss dr
    sir my our your new old to of from at in on a an may will""".split()  # noqa: SIM905  # read as the text that it is
)
"""Words of names that stand in sentences without naming anybody."""


def named_in(lexed: Lexed, payees: Sequence[KnownPayee]) -> frozenset[str]:
    """Keys of the payees, saved or not, that the text names; an account that nobody knows is its own key.

    A payee is named by the whole saved name, by its account, or by one word of the name that no other saved name holds. A word that
    several hold names them all.
    """
    found: set[str] = set()
    by_account: dict[str, set[str]] = {}
    for payee in payees:
        if payee.identifier:
            by_account.setdefault(payee.identifier, set()).add(payee.key)
    for account in lexed.accounts:
        found |= by_account.get(account, {account})
    for token in lexed.tokens:
        found |= by_account.get(token, set())
    whole = {payee.key for payee in payees if holds_phrase(lexed.words, words_of_name(payee.name))}
    longest = {payee.key for payee in payees if payee.key in whole and not _within_another(payee, payees, whole)}
    said = set(lexed.words) - _words_of_all(payees, whole)
    partly = {payee.key for payee in payees if said.intersection(distinctive(payee.name))}
    return frozenset(found | longest | (partly - whole))


@lru_cache(maxsize=4096)
def words_of_name(name: str) -> tuple[str, ...]:
    """The words of a saved name; the same names are looked at with each call."""
    return words_of(name)


def distinctive(name: str) -> frozenset[str]:
    """The words of a name by which it may be called."""
    return frozenset(word for word in words_of_name(name) if len(word) >= 3 and word not in _TOO_COMMON)


def alike(payee: str, payees: Sequence[KnownPayee]) -> bool:
    """Whether another saved name looks like this payee's: then nobody can say who was meant."""
    mine = frozenset(look for item in payees if item.key == payee and item.name for look in skeletons(item.name))
    return any(mine & skeletons(item.name) for item in payees if item.key != payee and item.name)


def _within_another(payee: KnownPayee, payees: Sequence[KnownPayee], whole: Collection[str]) -> bool:
    """Anna is not meant where Anna Schmidt was written and both are saved."""
    mine = words_of_name(payee.name)
    longer = (words_of_name(item.name) for item in payees if item.key in whole and item.key != payee.key)
    return any(len(words) > len(mine) and holds_phrase(words, mine) for words in longer)


def _words_of_all(payees: Sequence[KnownPayee], keys: Collection[str]) -> set[str]:
    return {word for payee in payees if payee.key in keys for word in words_of_name(payee.name)}
