"""Weighs each sensitive argument of a call: where its value comes from, and what follows. Pure.

Three outcomes (design section 5). Grounded: the customer's own recent words say it, or the bank's own data; go on. Ask: the customer must
confirm, and is shown the source. Ungrounded: denied without asking, since asking for everything trains people to say yes.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from adapters.answers import ORDERS
from adapters.core import ExistingOrder, Identified, Money
from adapters.function import Argument, BankingFunction, Effect, Kind, lists_of, scheme_of
from adapters.identity import canonical
from gateway.domain.doubts import Doubt
from gateway.domain.errors import Code, Refusal
from gateway.domain.facts import Evidence, Use
from gateway.domain.limits import standing_holds
from gateway.domain.mandate import StandingMandate
from gateway.domain.stages import Call, Grounded, Outcome, payee_argument
from gateway.grounding.debited import is_default
from gateway.grounding.following import follows
from gateway.grounding.intents import delegates, in_scope, is_correction
from gateway.grounding.lexing import Figure, Lexed, is_code, lex
from gateway.grounding.names import alike, named_in
from gateway.grounding.orders import Spoken
from gateway.grounding.sources import (
    AMBIGUOUS,
    ASKED,
    CALCULATED,
    DENIED,
    DOCUMENT,
    INDIRECT,
    KNOWN,
    NEW,
    OUT_OF_SCOPE,
    OWN,
    PASTED,
    TYPED,
    UNCHANGED,
    UNGROUNDED,
    UNNAMED,
    USED,
    WITHDRAWN,
    doubts_of,
    worse,
)
from gateway.grounding.spoken import is_spoken_of, keys_of_payee, spoken_of
from gateway.grounding.texts import long_digits, reveals, says
from gateway.grounding.turns import TypedTurn, holds, pairs, typed_turns

COOLING_OFF = timedelta(hours=24)
"""How long after it was saved, or first paid, a payee is still new."""


class Ungrounded(Refusal):
    """A value that the customer never meant. What the model learns is neutral; `sources` are for the record."""

    def __init__(self, reason: str, sources: Mapping[str, str]) -> None:
        super().__init__(Code.DENIED, reason)
        self.sources = sources


def must_be_grounded(function: BankingFunction) -> bool:
    """Whether a function's arguments can do harm: an effect, text that leaves the bank, a document's name. Protection never waits."""
    sensitive = function.effect in (Effect.WRITE, Effect.IRREVERSIBLE) or function.egress
    return not function.emergency and (sensitive or any(argument.kind is Kind.DOCUMENT for argument in function.arguments))


def ground(call: Call) -> Grounded:
    """The sources of a call's sensitive arguments. Ungrounded for a value that may not even be asked about."""
    confirmed = call.received.confirmed
    if confirmed is not None:
        return Grounded(call, confirmed.sources, uses=confirmed.uses)
    evidence = call.facts.evidence
    if evidence is None:
        return Grounded(call, {})
    spoken = spoken_of(call, evidence) if is_spoken_of(call) else Spoken()
    judge = _Judge(call, evidence, spoken)
    sources = judge.sources()
    if spoken.is_against:
        raise Ungrounded("ungrounded_withdrawn", {**sources, "scope": WITHDRAWN})
    if spoken.only_asks:
        raise Ungrounded("ungrounded_scope", {**sources, "scope": UNGROUNDED})
    denied = [kind for kind, source in sources.items() if source in DENIED]
    if denied:
        raise Ungrounded(f"ungrounded_{denied[0] if evidence.heard.words else 'no_words'}", sources)
    moves_own = sources.get(Kind.PAYEE) == OWN
    asked = call.function.effect is not Effect.READ and any(source in ASKED for source in sources.values())
    several = [Doubt.SEVERAL_ACCOUNTS] if sources.get(Kind.PAYEE) == DOCUMENT and judge.has_several_accounts else []
    doubts = doubts_of(sources, several if moves_own else [*several, *spoken.doubts])
    covered = None
    if spoken.is_whole and not asked:
        says_account = spoken.says_account
        standing = [
            it for it in call.facts.standing if says_account or is_default(call, evidence, keys_of_payee(call, evidence), it)
        ]
        if call.facts.standing and not standing:
            doubts = (*doubts, Doubt.ACCOUNT)
        covered = _covered(call, sources, standing)
    outcome = Outcome.ASK if asked or (doubts and call.facts.standing) else Outcome.GROUNDED
    return Grounded(call, sources, outcome, tuple(judge.uses), covered, doubts, spoken.quoted)


def _covered(call: Call, sources: Mapping[str, str], standing: Sequence[StandingMandate]) -> StandingMandate | None:
    """The one of these that spares the customer the question: of a whole order to a known payee, within its bounds."""
    amount, payee = call.arguments.amount(), call.payee_key
    if amount is None or payee is None or sources.get(Kind.PAYEE) != KNOWN:
        return None
    agent, rest = call.received.principal.agent, call.received.rest
    for mandate in standing:
        others = (rest.minor.get(amount.currency, 0), rest.count.get(amount.currency, 0))
        if mandate.covers(agent, call.facts.as_of, payee) and standing_holds(
            mandate, call.facts.paid_under(mandate), amount, *others
        ):
            return mandate
    return None


class _Judge:
    """One call and what it is held against; `uses` fills while it judges. What is only looked at in doubt is read only then."""

    def __init__(self, call: Call, evidence: Evidence, spoken: Spoken) -> None:
        self._call = call
        self._spoken = spoken
        self._known = evidence.acquaintance
        self._heard = heard = evidence.heard
        self._raw = [word.text for word in heard.words if word.origin == "typed"]
        self._used = (*heard.uses, *call.received.rest.uses)
        self.uses: list[Use] = []

    @cached_property
    def _typed(self) -> list[TypedTurn]:
        return typed_turns(self._heard.words, self._known.payees)

    def _named_in(self, lexed: Lexed) -> frozenset[str]:
        return named_in(lexed, self._known.payees)

    @cached_property
    def _pasted(self) -> list[Lexed]:
        return [lex(word.text) for word in self._heard.words if word.origin != "typed"]

    @property
    def has_several_accounts(self) -> bool:
        """Whether a document that the customer named holds more accounts than one."""
        return any(len(set(lexed.accounts)) > 1 for lexed in self._documents)

    @cached_property
    def _documents(self) -> list[Lexed]:
        return [lex(reading.text) for reading in self._heard.readings if reading.document is not None]

    @cached_property
    def _corrected(self) -> int:
        """The last turn in which the customer took something back."""
        return max((turn.number for turn in self._typed if is_correction(turn.text)), default=0)

    def sources(self) -> dict[str, str]:
        function, arguments = self._call.function, self._call.arguments
        found: dict[str, str] = {}
        for argument in sorted(function.arguments, key=lambda item: item.kind is not Kind.PAYEE):
            if argument.kind is None or argument.name not in arguments:
                continue
            source, kind = self._source(argument), str(argument.kind)
            if source is not None:
                found[kind] = worse(found.get(kind), source)
        moves_own = found.get(Kind.PAYEE) == OWN
        is_asked_for = moves_own or self._spoken.is_whole
        if function.effect is not Effect.READ and not is_asked_for and not in_scope(function, self._raw):
            # Not plainly asked for: the customer may be asked, once, about what they typed themselves. Two doubts are one too many
            # unless they named the document, and said to do what stands in it
            told = DOCUMENT in found.values() and delegates(self._raw)
            doubted = not told and (self._call.facts.conversation.tainted or bool(INDIRECT.intersection(found.values())))
            found["scope"] = UNGROUNDED if doubted else OUT_OF_SCOPE
        return found

    def _source(self, argument: Argument) -> str | None:
        value = self._call.arguments[argument.name]
        match argument.kind:
            case Kind.PAYEE:
                return self._name(str(value)) if self._is_a_name(argument) else self._payee()
            case Kind.AMOUNT:
                return self._amount(value) if isinstance(value, Money) and self._has_effect else None
            case Kind.CREDENTIAL:
                return self._credential(str(value))
            case Kind.PROFILE:
                return self._profile(str(value))
            case Kind.FREE_TEXT:
                return self._free_text(str(value)) if self._has_effect or self._call.function.egress else None
            case Kind.DOCUMENT:
                return TYPED if self._is_named(str(value)) else NEW if self._has_effect else UNNAMED
            case Kind.OBJECT:
                return self._object(argument, value) if self._has_effect else None
        return None

    @property
    def _has_effect(self) -> bool:
        return self._call.function.effect is not Effect.READ

    # payees

    def _is_a_name(self, argument: Argument) -> bool:
        """Beside the account that is paid, another argument of the kind payee is what the customer calls them."""
        return argument is not payee_argument(self._call.function, self._call.arguments)

    def _payee(self) -> str:
        call, key = self._call, self._call.payee_key
        if key is None:
            return UNGROUNDED
        if self._is_own(key):
            return OWN
        order = self._order()
        if order is not None and order.payee == key:
            return UNCHANGED
        by_key = any(payee.key == key for payee in self._known.payees)  # else it is the account of one who is saved
        keys = {key} if by_key else {key, *(payee.key for payee in self._known.payees if payee.identifier == key)}
        before = call.facts.as_of - COOLING_OFF
        is_known = any(self._is_known(item, before) for item in keys)
        if self._spoken.is_whole:
            return AMBIGUOUS if any(alike(item, self._known.payees) for item in keys) else KNOWN if is_known else NEW
        source = self._said(
            lambda turn: turn.named, lambda turn: bool(keys & turn.named), lambda lexed: bool(keys & self._named_in(lexed))
        )
        if source in (None, PASTED) and order is not None:
            return UNGROUNDED  # an existing order is redirected by the customer's own words alone
        named_otherwise = bool(self._typed and self._typed[0].named)
        if source is None and not named_otherwise and any(self._stands_in(key, lexed) for lexed in self._documents):
            return DOCUMENT  # where they last named nobody: their own word is above a document's
        if (
            source == AMBIGUOUS
            and not is_known
            and any(self._is_known(argument, before) for turn in self._typed for argument in turn.named)
        ):
            return UNGROUNDED  # of several, one that the customer pays: never the other
        if source == AMBIGUOUS and self._pairs:
            source = TYPED if self._is_paired(keys) else UNGROUNDED
        if source != TYPED:
            return source or UNGROUNDED
        if any(alike(item, self._known.payees) for item in keys):
            return AMBIGUOUS
        return KNOWN if is_known else NEW

    @cached_property
    def _pairs(self) -> list[tuple[frozenset[str], Figure]]:
        return pairs(self._typed[0].text, self._known.payees) if self._typed else []

    def _is_paired(self, keys: Set[str]) -> bool:
        amount = self._call.arguments.amount()
        return any(payees & keys and (amount is None or figure.may_be(amount)) for payees, figure in self._pairs)

    def _is_own(self, key: str) -> bool:
        call, payee = self._call, self._call.payee
        if payee is None:
            return key in self._known.own_accounts
        resource = call.arguments.get(call.function.resource) if call.function.resource else None
        owners = call.facts.objects[resource].owners if isinstance(resource, Identified) else frozenset({call.customer})
        return key.startswith("acc:") and call.facts.objects[payee].owners == owners

    def _is_known(self, key: str, before: datetime) -> bool:
        return any(
            max(payee.known_since, payee.saved_at or payee.known_since) <= before
            for payee in self._known.payees
            if payee.key == key and payee.known_since is not None
        )

    def _stands_in(self, key: str, lexed: Lexed) -> bool:
        return key in self._named_in(lexed) or key in lexed.tokens or key in lexed.accounts

    def _said(
        self,
        candidates: Callable[[TypedTurn], Set[object]],
        says: Callable[[TypedTurn], bool],
        stands_in: Callable[[Lexed], bool],
    ) -> str | None:
        """Typed, if the last turn that says any says this one alone; ambiguous, if it says several or an earlier turn says it, which no
        later one took back. What was pasted counts where the customer typed none."""
        latest = next((turn for turn in self._typed if candidates(turn)), None)
        if latest is not None and says(latest):
            return TYPED if len(candidates(latest)) == 1 else AMBIGUOUS
        if latest is not None and latest.number <= self._corrected:
            return None
        if any(says(turn) for turn in self._typed):
            return AMBIGUOUS
        return PASTED if latest is None and any(stands_in(lexed) for lexed in self._pasted) else None

    # amounts

    def _amount(self, money: Money) -> str:
        order, payee = self._order(), self._call.payee_key
        if payee is not None and self._is_own(payee) and not self._call.facts.conversation.tainted:
            return OWN
        if order is not None and order.amount == money:
            return UNCHANGED
        if self._spoken.is_whole:
            return self._ordered(money)
        unused = [turn for turn in self._typed if self._left(turn, money) > 0]
        source = self._said(lambda turn: turn.amounts, lambda turn: holds(turn.lexed, money), lambda lexed: holds(lexed, money))
        if source in (TYPED, AMBIGUOUS):
            if not unused:
                return USED
            if source == AMBIGUOUS and any(figure.may_be(money) for _, figure in self._pairs):
                source = TYPED  # whose it is was judged with the payee
            self.uses.append(Use(Kind.AMOUNT.value, money.value, unused[0].number))
            return source
        if source is not None:
            return source
        written = sum(figure.may_be(money) for lexed in self._documents for figure in lexed.figures)
        if written:
            use = Use(Kind.AMOUNT.value, money.value, self._heard.turn)  # used up like a typed one, in the turn that asks for it
            if self._used.count(use) >= written:
                return USED
            self.uses.append(use)
            return DOCUMENT
        return CALCULATED if self._follows(money) else UNGROUNDED

    def _ordered(self, money: Money) -> str:
        """Of a whole order: it is used once for each time that it was said."""
        use = Use(Kind.AMOUNT.value, money.value, self._spoken.turn)
        if self._used.count(use) >= self._spoken.times:
            return USED
        self.uses.append(use)
        return TYPED

    def _left(self, turn: TypedTurn, money: Money) -> int:
        said = sum(figure.may_be(money) for figure in turn.lexed.figures)
        before = (*self._used, *self.uses)  # of this call too: two amounts of a call are not said by one figure
        used = sum(use.turn == turn.number and use.kind == Kind.AMOUNT and use.value == money.value for use in before)
        return said - used

    def _follows(self, money: Money) -> bool:
        """Whether the amount follows from what the customer said or named, with each other or with what the bank told."""
        meant = [turn.lexed for turn in self._typed] + self._pasted + self._documents
        readings = [lex(reading.text) for reading in self._heard.readings if reading.document is None]
        told = {figure.value for reading in readings for figure in reading.figures}
        ordered = {Decimal(order.amount.value) for order in self._known.orders.values() if order.amount is not None}
        return follows(money, meant, told, ordered)

    # the rest

    def _order(self) -> ExistingOrder | None:
        """The existing order that the call names, if it names one."""
        for argument in self._call.function.arguments:
            of_orders = not argument.lists or ORDERS in argument.lists  # another list's identifiers are no orders'
            if argument.kind is Kind.OBJECT and of_orders and argument.name in self._call.arguments:
                value = self._call.arguments[argument.name]
                found = self._known.orders.get(value.key if isinstance(value, Identified) else str(value))
                if found is not None:
                    return found
        return None

    def _object(self, argument: Argument, value: object) -> str:
        """An object of ours was checked for its owner with the facts; one of an upstream must be among what the upstream told."""
        if isinstance(value, Identified | tuple):
            return OWN
        key = canonical(scheme_of(argument.type), str(value))
        return OWN if self._known.lists(key, lists_of(self._call.function.effect, argument)) else UNGROUNDED

    def _credential(self, value: str) -> str:
        pieces = {piece.strip(".,;:!?\"'()") for text in self._raw for piece in text.split()}
        return NEW if value in pieces or any(f'"{value}"' in text or f"'{value}'" in text for text in self._raw) else UNGROUNDED

    def _name(self, value: str) -> str:
        return self._phrase(value) or UNGROUNDED

    def _profile(self, value: str) -> str:
        source = self._phrase(value)
        return NEW if source == TYPED else source or UNGROUNDED

    def _phrase(self, value: str) -> str | None:
        if self._is_named(value):
            return TYPED
        if says(value, (word.text for word in self._heard.words if word.origin != "typed")):
            return PASTED
        return DOCUMENT if says(value, (reading.text for reading in self._heard.readings if reading.document)) else None

    def _free_text(self, value: str) -> str:
        """Text may be a model's own wording, but no account, address or long number goes along that the customer did not type."""
        lexed = lex(value)
        if not long_digits(value) <= {run for text in self._raw for run in long_digits(text)}:
            return UNGROUNDED
        revealing = {code for code in lexed.codes if reveals(code)}
        typed = [turn.lexed for turn in self._typed]
        if all(any(is_code(code, item) for item in typed) for code in revealing) and set(lexed.accounts) <= {
            account for item in typed for account in item.accounts
        }:
            return TYPED if revealing else OWN
        return UNGROUNDED

    def _is_named(self, value: str) -> bool:
        """Whether the customer typed it, whole."""
        return says(value, self._raw)


__all__ = ["COOLING_OFF", "Ungrounded", "ground", "must_be_grounded"]
