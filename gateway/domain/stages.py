"""The stages of a call: one frozen type per step, each made from the one before and holding that step's evidence. Pure.

A step's signature takes the stage that it needs, so that a step cannot be skipped: `execute` takes Intended, which only `intend` makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from adapters.core import CoreAnswer, CoreBank, ExecutionPermit, Identified, Instruction, NotSeen
from adapters.function import Argument, Arguments, BankingFunction, EffectFunction, Kind, Level, ReadFunction, Text, scheme_of
from adapters.identity import canonical
from gateway.domain.doubts import Doubt, QuotedPart
from gateway.domain.errors import MESSAGES, Code, Refusal
from gateway.domain.facts import Facts, Use
from gateway.domain.mandate import StandingMandate
from gateway.domain.obstacle import Obstacle
from gateway.domain.policies import PoliciesInForce
from gateway.domain.principal import Principal
from gateway.domain.reasons import RefusalReason, reason_of
from gateway.domain.request import CallRequest, NativeCall
from gateway.domain.states import CallStatus
from gateway.domain.steps import Steps
from gateway.domain.strict_json import Json
from policies.model import Decision, Request


class Outcome(StrEnum):
    """What grounding comes to: go on; ask the customer, showing the source. What may not even be asked never becomes Grounded."""

    GROUNDED = "grounded"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A call that the customer confirmed, as it was proposed: its arguments and their sources are the stored ones. `level` is 3 or 4."""

    confirmation: str
    level: Level
    arguments: Arguments
    sources: Mapping[str, str]
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class BatchRemainder:
    """The calls of the same request that are not done, where they move money: per currency the sum in minor units, and how many.

    `uses`: what those of them that wait for the customer take of the customer's words.
    """

    minor: Mapping[str, int] = field(default_factory=dict)
    count: Mapping[str, int] = field(default_factory=dict)
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Received:
    """Step 1's result: an authenticated customer asks for one call, which has an id of ours.

    `set_at`: when its request came; what the calls of the same request let into the conversation does not count for it.
    """

    call_id: str
    principal: Principal
    request: CallRequest
    native: NativeCall
    received_at: datetime
    span_id: str
    steps: Steps
    set_at: datetime
    rest: BatchRemainder = BatchRemainder()
    confirmed: Confirmed | None = None


@dataclass(frozen=True)
class Call:
    """Step 2's result, the flat call: who asks for what, over which objects, on which facts.

    `core`: what a read asks, once the call is decided. It may hold the answer to the read's question already, and for this call alone.
    """

    received: Received
    function: BankingFunction
    arguments: Arguments
    facts: Facts
    core: CoreBank = field(repr=False, compare=False)

    @property
    def customer(self) -> str:
        return self.received.principal.customer

    @cached_property
    def payee(self) -> Identified | None:
        """The object whom the call pays; None when it pays nobody, or names an account instead."""
        named = (self.arguments.get(argument.name) for argument in self.function.arguments if argument.kind is Kind.PAYEE)
        return next((value for value in named if isinstance(value, Identified)), None)

    @cached_property
    def payee_key(self) -> str | None:
        """Whom the call pays, as a key of `KnownPayee`; None when it pays nobody."""
        if self.payee is not None:
            return self.payee.key
        argument = payee_argument(self.function, self.arguments)
        value = None if argument is None else self.arguments[argument.name]
        return canonical(scheme_of(argument.type), value) if argument is not None and isinstance(value, str) else None


def payee_argument(function: BankingFunction, arguments: Arguments) -> Argument | None:
    """The argument that names whom a call pays: an object or an account before a text, the first one before others."""
    named = [argument for argument in function.arguments if argument.kind is Kind.PAYEE and argument.name in arguments]
    return min(named, key=lambda item: isinstance(item.type, Text), default=None)


@dataclass(frozen=True, slots=True)
class Grounded:
    """Step 3's result: where the value of each sensitive argument comes from, by its kind, and what that comes to.

    `uses`: what is used up by it. `covered`: the standing mandate under which it needs no confirmation. `doubts` and `quoted`: for the
    customer who is asked, why, and their own sentence in its parts, in order.
    """

    call: Call
    sources: Mapping[str, str]
    outcome: Outcome = Outcome.GROUNDED
    uses: tuple[Use, ...] = ()
    covered: StandingMandate | None = None
    doubts: tuple[Doubt, ...] = ()
    quoted: tuple[QuotedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """Step 4's result: permitted. What is not permitted never becomes a Decided. One request for each resource.

    `policies`: those that permitted it. What may leave, and the call's records, go by them too, whatever is in force by then.
    """

    grounded: Grounded
    requests: tuple[Request, ...]
    decision: Decision
    policies: PoliciesInForce

    @property
    def call(self) -> Call:
        return self.grounded.call


@dataclass(frozen=True, slots=True)
class DecidedRead:
    """A Decided of a function without effect: the only thing that `read` takes."""

    decided: Decided
    function: ReadFunction

    @property
    def call(self) -> Call:
        return self.decided.call


@dataclass(frozen=True, slots=True)
class DecidedEffect:
    """A Decided of a function with an effect: what `intend` takes."""

    decided: Decided
    function: EffectFunction

    @property
    def call(self) -> Call:
        return self.decided.call


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """Where a record stands in the log."""

    index: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Intended:
    """Step 5's result: the idempotency key is claimed, the limits are held and the intent is durable in the log, which gave a permit over
    exactly this instruction."""

    effect: DecidedEffect
    instruction: Instruction
    intent: RecordPosition
    permit: ExecutionPermit

    @property
    def call(self) -> Call:
        return self.effect.call


@dataclass(frozen=True, slots=True)
class Executed:
    """Step 6's result: what the core answered, which may be that nobody knows. NotSeen: nothing was sent, and `why`."""

    intended: Intended
    answer: CoreAnswer | NotSeen
    why: Obstacle | None = None

    @property
    def call(self) -> Call:
        return self.intended.call


@dataclass(frozen=True, slots=True)
class Redacted:
    """Step 7's result. `output` is all that may leave towards the model; `app`: whole values for the back end of the app alone."""

    decided: Decided
    status: CallStatus
    code: Code | None = None
    output: Mapping[str, Json] | None = None
    app: Mapping[str, Json] | None = None
    executed: Executed | None = None

    @property
    def call(self) -> Call:
        return self.decided.call


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that ended before an effect or an output, and the last stage that it reached."""

    received: Received
    reached: Received | Call | Decided
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Held:
    """A call that waits for the customer: as it was grounded, and the refusal that it is without them. `level` is 3 or 4."""

    refused: Refused
    grounded: Grounded
    level: Level

    @property
    def call(self) -> Call:
        return self.grounded.call


@dataclass(frozen=True, slots=True)
class Recorded:
    """Step 8's result: what the caller gets.

    `proof` is None only where the log could not take a record: then there is no output either. `app` is what the output has masked,
    whole, for the back end that asked: never for the model, and not told a second time.
    """

    call_id: str
    native_id: str
    status: CallStatus
    code: Code | None
    message: str | None
    output: Mapping[str, Json] | None
    proof: RecordPosition | None
    app: Mapping[str, Json] | None = None
    confirmation: str | None = None
    """Of a held call: what the customer is to confirm. For the back end, never for the model."""
    reason: RefusalReason | None = None
    """Of what was not done: why. For the back end, never for the model."""


def answer_of(
    received: Received,
    status: CallStatus,
    code: Code | None,
    *,
    cause: str | None = None,
    message: str | None = None,
    output: Mapping[str, Json] | None = None,
    app: Mapping[str, Json] | None = None,
    proof: RecordPosition | None = None,
) -> Recorded:
    """What the caller gets. `message` None: the code's own. `cause`: a refusal's own reason, as the trail holds it."""
    return Recorded(
        call_id=received.call_id,
        native_id=received.native.native_id,
        status=status,
        code=code,
        message=MESSAGES[code] if message is None and code is not None else message,
        output=output,
        app=app,
        proof=proof,
        reason=None if code is None else reason_of(code, cause),
    )
