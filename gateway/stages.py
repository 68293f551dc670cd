"""The stages of a call: one frozen type per step, each made from the one before and holding that step's evidence. Pure.

A step's signature takes the stage that it needs, so that a step cannot be skipped: `execute` takes Intended, which only `intend` makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from adapters.answers import electronic
from adapters.core import Acquaintance, CoreAnswer, ExecutionPermit, Identified, Instruction, NotSeen, ObjectFacts
from adapters.function import Argument, Arguments, BankingFunction, EffectFunction, Kind, Level, ReadFunction, Text
from gateway.errors import MESSAGES, Code, Refusal
from gateway.identity import Principal
from gateway.kill import Kills
from gateway.limits import Totals
from gateway.mandate import Mandate, StandingMandate
from gateway.steps import Steps
from gateway.strict_json import Json, Parsed
from policies.model import Decision, Request


def new_call_id(now: datetime, random: bytes) -> str:
    """An id of ours: milliseconds since 1970 and 64 random bits. Ordered by time, so that indexes over it grow at their end."""
    return f"call_{int(now.timestamp() * 1000):012x}{random.hex()}"


def core_key(call_id: str) -> str:
    """The core's idempotency key of a call: 34 characters, derived, so that it can be asked for when every store is lost."""
    return "tg" + sha256(b"tellergate/core-key/v1\x00" + call_id.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class NativeCall:
    """One call as a door read it from the model's item. Nothing of it is trusted; `arguments` is JSON text or an object."""

    native_id: str
    function: str
    arguments: str | Mapping[str, Parsed]


@dataclass(frozen=True, slots=True)
class Trace:
    """W3C trace context: 32 and 16 lower-case hex digits, and whether the caller recorded its side."""

    trace_id: str
    parent_span_id: str | None = None
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A set of calls of one request, of one turn of one conversation."""

    shape: str
    conversation_id: str
    turn_id: str
    model: str | None
    calls: tuple[NativeCall, ...]
    trace: Trace
    offered: frozenset[str] | None = None
    """The functions that the model was offered; any other is unknown to it. None: the back end offers, and is not asked."""

    def function_of(self, native: NativeCall, functions: Mapping[str, BankingFunction]) -> BankingFunction | None:
        return functions.get(native.function) if self.offered is None or native.function in self.offered else None

    def has_effects(self, functions: Mapping[str, BankingFunction]) -> bool:
        """Whether a call may move something, so that the token must stand. What protects the customer never waits for that."""
        named = (self.function_of(native, functions) for native in self.calls)
        return any(isinstance(function, EffectFunction) and not function.emergency for function in named)


class Outcome(StrEnum):
    """What grounding comes to: go on; ask the customer, showing the source. What may not even be asked never becomes Grounded."""

    GROUNDED = "grounded"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Use:
    """What a call takes of the customer's words: a value of one kind, said in this turn."""

    kind: str
    value: str
    turn: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A call that the customer confirmed, as it was proposed: its arguments and their sources are the stored ones. `level` is 3 or 4."""

    confirmation: str
    level: Level
    arguments: Arguments
    sources: Mapping[str, str]
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Rest:
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
    asked: Asked
    native: NativeCall
    received_at: datetime
    span_id: str
    steps: Steps
    set_at: datetime
    rest: Rest = Rest()
    confirmed: Confirmed | None = None


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What the gateway's store knows of the customer. `mandate` None: nothing was granted."""

    mandate: Mandate | None
    frozen: bool


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    """`tainted`: third parties' text was returned into this conversation, or within a day to this agent of this customer."""

    id: str
    tainted: bool


Known = tuple[CustomerFacts, ConversationFacts, Kills]
"""A conversation, its customer and the kill switches, read together."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the customer said in one message; `origin` is typed, pasted or document."""

    turn: int
    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that the customer named, and what was read in it; without a document, the bank's own figures beside others' text."""

    document: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the customer said in the last turns, the documents that they named, and what was used of it. `turn`: of their last word."""

    turn: int = 0
    words: tuple[Word, ...] = ()
    readings: tuple[Reading, ...] = ()
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounds:
    """On what the arguments of a call are grounded. Gathered only for calls that have something to ground."""

    heard: Heard
    acquaintance: Acquaintance


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may rest on, gathered once. `totals` do not include this call; None without an amount.

    `standing`: the standing mandates in force; `automatic`: what this agent paid without a confirmation.
    """

    as_of: datetime
    level: Level
    customer: CustomerFacts
    conversation: ConversationFacts
    objects: Mapping[Identified, ObjectFacts]
    totals: Totals | None
    kills: Kills
    grounds: Grounds | None = None
    standing: tuple[StandingMandate, ...] = ()
    automatic: Totals | None = None

    @property
    def versions(self) -> tuple[int, bool, bool, int]:
        """What a reservation compares again under its lock: mandate version, frozen, tainted, kill epoch."""
        mandate = self.customer.mandate
        return (mandate.version if mandate else 0, self.customer.frozen, self.conversation.tainted, self.kills.epoch)


@dataclass(frozen=True, slots=True)
class Call:
    """Step 2's result, the flat call: who asks for what, over which objects, on which facts."""

    received: Received
    function: BankingFunction
    arguments: Arguments
    facts: Facts

    @property
    def customer(self) -> str:
        return self.received.principal.customer

    @property
    def payee(self) -> Identified | None:
        """The object whom the call pays; None when it pays nobody, or names an account instead."""
        named = (self.arguments.get(each.name) for each in self.function.arguments if each.kind is Kind.PAYEE)
        return next((value for value in named if isinstance(value, Identified)), None)

    @property
    def payee_key(self) -> str | None:
        """Whom the call pays, as a key of `KnownPayee`; None when it pays nobody."""
        if self.payee is not None:
            return f"{self.payee.kind.value}:{self.payee.id}"
        argument = payee_argument(self.function, self.arguments)
        value = None if argument is None else self.arguments[argument.name]
        return electronic(value) if isinstance(value, str) else None


def payee_argument(function: BankingFunction, arguments: Arguments) -> Argument | None:
    """The argument that names whom a call pays: an object or an account before a text, the first one before others."""
    named = [each for each in function.arguments if each.kind is Kind.PAYEE and each.name in arguments]
    return min(named, key=lambda each: isinstance(each.type, Text), default=None)


@dataclass(frozen=True, slots=True)
class Grounded:
    """Step 3's result: where the value of each sensitive argument comes from, by its kind, and what that comes to.

    `uses`: what is used up by it. `covered`: the standing mandate under which it needs no confirmation.
    """

    call: Call
    sources: Mapping[str, str]
    outcome: Outcome = Outcome.GROUNDED
    uses: tuple[Use, ...] = ()
    covered: StandingMandate | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """Step 4's result: permitted. What is not permitted never becomes a Decided. One request for each resource."""

    grounded: Grounded
    requests: tuple[Request, ...]
    decision: Decision

    @property
    def call(self) -> Call:
        return self.grounded.call


@dataclass(frozen=True, slots=True)
class DecidedRead:
    """A Decided of a function without effect: the only thing that `read` takes."""

    decided: Decided
    function: ReadFunction


@dataclass(frozen=True, slots=True)
class DecidedEffect:
    """A Decided of a function with an effect: what `reserve` takes."""

    decided: Decided
    function: EffectFunction


@dataclass(frozen=True, slots=True)
class Reserved:
    """Step 5's result: the idempotency key is claimed, the limits are held, the core's key is durable."""

    effect: DecidedEffect
    instruction: Instruction


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands in the log."""

    index: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Intended:
    """Step 6's result: the intent is durable in the log, which gave a permit over exactly this instruction."""

    reserved: Reserved
    intent: Place
    permit: ExecutionPermit


@dataclass(frozen=True, slots=True)
class Executed:
    """Step 7's result: what the core answered, which may be that nobody knows. NotSeen: nothing was sent, and `why`."""

    intended: Intended
    answer: CoreAnswer | NotSeen
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Step 8's result: the reservation is posted, voided, released, or left pending."""

    executed: Executed


@dataclass(frozen=True, slots=True)
class Redacted:
    """Step 9's result. `output` is all that may leave towards the model; `app`: whole values for the back end of the app alone."""

    decided: Decided
    status: str
    code: Code | None = None
    output: Mapping[str, Json] | None = None
    app: Mapping[str, Json] | None = None
    settled: Settled | None = None


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


@dataclass(frozen=True, slots=True)
class Recorded:
    """Step 10's result: what the caller gets. `status`: done, denied, held, in_doubt or unavailable.

    `proof` is None only where the log could not take a record: then there is no output either. `app` is what the output has masked,
    whole, for the back end that asked: never for the model, and not told a second time.
    """

    call_id: str
    native_id: str
    status: str
    code: Code | None
    message: str | None
    output: Mapping[str, Json] | None
    proof: Place | None
    app: Mapping[str, Json] | None = None
    confirmation: str | None = None
    """Of a held call: what the customer is to confirm. For the back end, never for the model."""


def answer_of(
    received: Received,
    status: str,
    code: Code | None,
    *,
    message: str | None = None,
    output: Mapping[str, Json] | None = None,
    proof: Place | None = None,
) -> Recorded:
    """What the caller gets. `message` None: the code's own."""
    return Recorded(
        call_id=received.call_id,
        native_id=received.native.native_id,
        status=status,
        code=code,
        message=message or (MESSAGES[code] if code else None),
        output=output,
        proof=proof,
    )
