"""What the customer wants done, by their own words: a small, deterministic list, documented by being read. Pure.

A function is in scope if the words of its intents were said. It is widened by the customer alone: nothing that a function
returned, and nothing that a model wrote, is looked at. What is out of scope is asked of the customer, or, once third parties' text was
read, refused: then whoever wrote that text may be who wants it.
"""

from collections.abc import Iterable, Mapping

from adapters.core import ReferenceKind
from adapters.function import BankingFunction, Effect, Kind, Reference


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LEXICON: Mapping[str, frozenset[str]] = {
    "pay": _words(
        """pay paid paying repay prepay payment payments pays send sending sent transfer transferring transfers move moving give wire
        refund refunds refunding reimburse settle settling owe owed donate donation deposit split cover top topup tip return bill
        invoice buy order forward"""
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


def in_scope(function: BankingFunction, words: Iterable[str]) -> bool:
    """Whether the customer's words ask for what this function does: by a word of its intents, or of its own name."""
    said = frozenset(words)
    of_name = frozenset(part for part in function.name.split("_") if len(part) > 3)
    return bool(said & of_name) or any(said & LEXICON[intent] for intent in intents_of(function))
