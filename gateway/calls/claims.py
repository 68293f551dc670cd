"""What a decided call becomes at the edges of the pipeline: a claim, an instruction, something held, something read. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from adapters.core import CoreAnswer, Declined, Done, Identified, Instruction, Money, NotSeen, Unknown
from adapters.function import BankingFunction, EffectFunction, Kind, Label, Level
from gateway.calls.arguments import canonical_bytes, parse
from gateway.calls.decide import PolicyRefusal
from gateway.calls.redaction import RedactedValue
from gateway.domain.errors import Code, Refusal
from gateway.domain.facts import DocumentText, Use
from gateway.domain.ports import Claim
from gateway.domain.request import NativeCall, core_key
from gateway.domain.stages import BatchRemainder, Call, Decided, DecidedEffect, Held, Refused
from gateway.domain.states import RELEASED, CallState, SettledAs
from gateway.domain.strict_json import Json
from gateway.grounding.sources import TYPED

MOST_READ_CHARS = 16_000
"""Of one document; what is beyond it evidence nothing."""

STATE_AFTER: Mapping[type[CoreAnswer | NotSeen], SettledAs] = {
    Done: CallState.POSTED,
    Declined: CallState.VOIDED,
    Unknown: CallState.UNKNOWN,
    NotSeen: RELEASED,
}
"""What becomes of a reservation after the core's answer. Released: it is as if the call had not been asked for."""

MOST_FIGURES = 100
"""Of one output, from which an amount may follow."""

_NO_REST = BatchRemainder()

_WAIT_FOR = {Code.CONFIRMATION_REQUIRED: Level.L3, Code.APPROVAL_REQUIRED: Level.L4}


def instruction_of(effect: DecidedEffect) -> Instruction:
    """What the core is told, under the key that the call's id leads to."""
    call = effect.call
    return Instruction(
        key=core_key(call.received.call_id),
        customer=call.customer,
        agent=call.received.principal.acting,
        order=effect.function.order(call.arguments),
    )


def claim_of(effect: DecidedEffect, instruction: Instruction) -> Claim:
    """The claim of an effect: its ids, its part of the limits, and the facts that it was decided on."""
    grounded = effect.decided.grounded
    call, received = grounded.call, grounded.call.received
    confirmed = received.confirmed
    return Claim(
        call_id=received.call_id,
        customer=call.customer,
        conversation=received.request.conversation_id,
        turn=received.request.turn_id,
        native_id=received.native.native_id,
        function=effect.function.name,
        arguments_hash=arguments_hash(call),
        agent=received.principal.acting,
        channel=received.principal.channel,
        core_key=instruction.key,
        trace_id=received.request.trace.trace_id,
        at=received.received_at,
        amount=call.arguments.amount(),
        payee=call.payee_key,
        decided_on=call.facts.versions,
        set_at=received.set_at,
        uses=grounded.uses,
        confirmation=None if confirmed is None else confirmed.confirmation,
        covered=grounded.covered,
    )


def arguments_hash(call: Call) -> bytes:
    """By which a repeat under the same ids is told from another call."""
    return sha256(canonical_bytes(call.function.name, call.arguments)).digest()


def held_of(refused: Refused) -> Held | None:
    """A refusal that the customer can lift: the call waits for them. None for every other, and for what they confirmed already."""
    refusal, reached = refused.refusal, refused.reached
    if refused.received.confirmed is not None:
        return None
    if isinstance(refusal, PolicyRefusal) and refusal.code in _WAIT_FOR:
        if isinstance(refusal.grounded.call.function, EffectFunction):
            return Held(refused, refusal.grounded, _WAIT_FOR[refusal.code])
    elif refusal.code is Code.DUPLICATE_SUSPECTED and isinstance(reached, Decided):
        return Held(refused, reached.grounded, Level.L3)
    return None


def amounts_of(calls: Sequence[NativeCall], functions: Mapping[str, BankingFunction]) -> list[Money | None]:
    """What each call of a request would move."""
    return [_amount(native, functions.get(native.function)) for native in calls] if len(calls) > 1 else [None]


def rest_of(later: Sequence[Money | None], held: Sequence[Held]) -> BatchRemainder:
    """The other calls of a request: it is judged on its sum, of what is still to come and of what waits for the customer."""
    if not later and not held:
        return _NO_REST
    waiting = [held_call.grounded.call.arguments.amount() for held_call in held]
    uses = tuple(use for held_call in held for use in held_call.grounded.uses)
    return _rest((money for money in (*later, *waiting) if money is not None), uses)


def reading_of(decided: Decided, shown: RedactedValue) -> DocumentText | None:
    """What a read that let others' text in leaves for grounding: the text of a document that the customer named, or the bank's figures."""
    call = decided.call
    argument = next((item for item in call.function.arguments if item.kind is Kind.DOCUMENT and item.name in call.arguments), None)
    if argument is not None:
        is_named = decided.grounded.sources.get(Kind.DOCUMENT.value) == TYPED and Label.DOCUMENT in shown.labels
        text = "\n".join(shown.documents)[:MOST_READ_CHARS]
        return DocumentText(str(call.arguments[argument.name]), text) if is_named else None
    figures = list(dict.fromkeys(_figures(shown.value)))[:MOST_FIGURES]
    return DocumentText(None, "; ".join(figures)) if figures else None


def _figures(value: Json) -> Iterator[str]:
    """The amounts in an output, whatever its depth: what the bank itself says, not what others wrote."""
    if isinstance(value, Mapping):
        if value.keys() == {"value", "currency"}:
            yield str(value["value"])
        else:
            for member in value.values():
                yield from _figures(member)
    elif isinstance(value, list):
        for member in value:
            yield from _figures(member)


def _rest(moneys: Iterable[Money], uses: tuple[Use, ...]) -> BatchRemainder:
    minor: dict[str, int] = {}
    count: dict[str, int] = {}
    for money in moneys:
        minor[money.currency] = minor.get(money.currency, 0) + money.minor
        count[money.currency] = count.get(money.currency, 0) + 1
    return BatchRemainder(minor, count, uses)


def _amount(native: NativeCall, function: BankingFunction | None) -> Money | None:
    """What a call would move, if it can be read at all; whether it is well formed is found out in its turn."""
    if not isinstance(function, EffectFunction):
        return None
    try:
        return parse(function, native.arguments, lambda _, kinds: Identified(kinds[0], "")).amount()
    except Refusal:
        return None
