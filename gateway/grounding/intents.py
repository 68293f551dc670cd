"""What the customer wants done, by their own words: a small, deterministic list, documented by being read. Pure.

A function is in scope if the words of its intents were said. It is widened by the customer alone: nothing that a function
returned, and nothing that a model wrote, is looked at. What is out of scope is asked of the customer, or, once third parties' text was
read, refused: then whoever wrote that text may be who wants it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from adapters.core import ReferenceKind
from adapters.function import BankingFunction, Effect, Kind, Reference
from gateway.grounding.lexing import normal, words_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SENTENCE = re.compile(r"[^.!?\n]*(?:\.(?=\S)[^.!?\n]*)*[.!?\n]?")
_ASKING = _words(
    """what which why when who whom whose where how did does do is are was were has have had am will would should could can may"""
)
_POLITELY = re.compile(r"(?:can|could|would|will|may) (?:you|we|i)\b|would it|is it possible|how about")

_CORRECTING = _words("no not wait sorry actually instead meant rather correction only oops mistake")


def is_correction(text: str) -> bool:
    """Whether a later word of the customer takes back what they said before."""
    return bool(_CORRECTING.intersection(words_of(text)))


def _sentences(text: str) -> Iterator[str]:
    """Those that may want something done."""
    for sentence in _SENTENCE.findall(text):
        words = words_of(sentence)
        asks = sentence.rstrip().endswith("?") and any(word in _ASKING for word in words[:2])
        if words and (not asks or _POLITELY.search(normal(sentence))):
            yield sentence


_DELEGATING = _words("follow do does act handle process execute obey comply carry deal sort settle according as")
_SAID_THERE = _words("it says say instructions instruction steps letter notice document file told asks there what")


def delegates(texts: Iterable[str]) -> bool:
    """Whether the customer says to do what stands in a document: "follow it", "do what it says", "handle the letter as it asks"."""
    said = [frozenset(words_of(sentence)) for text in texts for sentence in _sentences(text)]
    return any(words & _DELEGATING and (words & _SAID_THERE or "follow" in words) for words in said)


LEXICON: Mapping[str, frozenset[str]] = {
    "pay": _words(
        """pay paid paying repay prepay pays send sending sent transfer transferring move moving give wire refund refunding reimburse settle
        settling owe owed donate split cover top topup tip return buy forward"""
    ),
    "order": _words(
        """standing recurring regular regularly monthly weekly yearly annually every schedule scheduled rent rental subscription
        subscribe subscribed instalment amend adjust update change changes increase raise lower reduce modify adapt set setup new
        order orders"""
    ),
    "stop": _words("cancel cancelling stop stopping end terminate remove delete drop revoke unsubscribe close skip pause"),
    "payee": _words("payee payees beneficiary add save saved new remove delete recipient"),
    "card": _words("card cards lost stolen lose stole missing block freeze frozen unfreeze thaw unblock reactivate replace"),
    "dispute": _words("dispute disputed chargeback claim complain wrong unauthorised unauthorized recognise recognize fraud"),
    "credential": _words("password passcode pin passphrase secret code login credentials credential"),
    "profile": _words(
        "address move moved moving name surname phone email details profile street city postcode update change married"
    ),
}
"""The words of each intent, in English; another language is another list."""


def intents_of(function: BankingFunction) -> frozenset[str]:
    """The intents that a function serves, from what it declares."""
    kinds = {argument.kind for argument in function.arguments}
    named = {kind for argument in function.arguments if isinstance(argument.type, Reference) for kind in argument.type.kinds}
    if Kind.CREDENTIAL in kinds:
        return frozenset({"credential"})
    if Kind.PROFILE in kinds:
        return frozenset({"profile"})
    if ReferenceKind.CARD in named:
        return frozenset({"card"})
    if Kind.AMOUNT in kinds or function.effect is Effect.IRREVERSIBLE:
        return frozenset({"order", "pay"} if function.effect is Effect.WRITE else {"pay"})
    if Kind.PAYEE in kinds:
        return frozenset({"payee", "pay"})
    return frozenset({"dispute"} if function.egress else {"stop", "order"})


_BILLS = _words("payment payments transfers refunds bill bills invoice donation deposit order")
"""Nouns that ask for a payment where nothing else is asked for: "payment" beside "adapt" is an order's."""


def in_scope(function: BankingFunction, texts: Iterable[str]) -> bool:
    """Whether what the customer wrote asks for what this function does: by a word of its intents, or of its own name.

    A question asks for nothing to be done, unless it is a polite request.
    """
    said = frozenset(word for text in texts for sentence in _sentences(text) for word in words_of(sentence))
    of_name = frozenset(part for part in function.name.split("_") if len(part) > 3)
    intents = intents_of(function)
    if said & (of_name - _BILLS) or any(said & LEXICON[intent] for intent in intents):
        return True
    others = frozenset().union(*(words for name, words in LEXICON.items() if name not in intents))
    return "pay" in intents and bool(said & _BILLS) and not said & (others - _BILLS)
