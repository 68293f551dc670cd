"""What a request asks for: native calls of one turn of one conversation, as a door read them. Nothing of it is trusted. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from adapters.function import BankingFunction, EffectFunction
from gateway.domain.strict_json import Parsed
from gateway.domain.tools import ToolContext, ToolFunction


def new_call_id(now: datetime, random: bytes) -> str:
    """An id of ours: milliseconds since 1970 and 64 random bits. Ordered by time, so that indexes over it grow at their end."""
    return f"call_{int(now.timestamp() * 1000):012x}{random.hex()}"


KEY_PREFIX = "tg"


def core_key(call_id: str) -> str:
    """The core's idempotency key of a call: 34 characters, derived, so that it can be asked for when every store is lost."""
    return KEY_PREFIX + sha256(b"tellergate/core-key/v1\x00" + call_id.encode()).hexdigest()[:32]


class CallFault(StrEnum):
    """Why nobody can tell what a call asks for, as a model's server wrote it, or why it is one too many: it is refused, on record, and the
    model is told why."""

    TWO_CALLS_OF_ONE_ID = "two_calls_of_one_id", "Two calls had one id and were not the same. Ask for one at a time."
    TWO_NAMES = "two_names", "The call had two names. Ask again with one."
    NO_NAME = "no_name", "The call named no function. Ask again with its name."
    TWO_ARGUMENTS = "two_arguments", "The call's arguments came twice and were not the same. Ask again."
    NOT_TEXT = "not_text", "The call's arguments are no text. Ask again without what is no character."
    UNKNOWN_KIND = "unknown_kind", "The call is of a kind that is not offered. Ask for a function by its name."
    TOO_MANY_CALLS = "too_many_calls", "No more calls are taken for this answer. Say what you have."

    told: str
    """What the model reads."""

    def __new__(cls, value: str, told: str) -> "CallFault":
        member = str.__new__(cls, value)
        member._value_ = value
        member.told = told
        return member


@dataclass(frozen=True, slots=True)
class NativeCall:
    """One call as a door read it from the model's item. Nothing of it is trusted; `arguments` is JSON text or an object."""

    native_id: str
    function: str
    arguments: str | Mapping[str, Parsed]
    fault: CallFault | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """W3C trace context: 32 and 16 lower-case hex digits, and whether the caller recorded its side."""

    trace_id: str
    parent_span_id: str | None = None
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A set of calls of one request, of one turn of one conversation."""

    shape: str
    conversation_id: str
    turn_id: str
    model: str | None
    calls: tuple[NativeCall, ...]
    trace: Trace
    offered: frozenset[str] | None = None
    """The functions that the model was offered; any other is unknown to it. None: the back end offers, and is not asked."""
    tools: ToolContext | None = None
    """What the gateway's own tools may use. None: there are none in this request."""

    def function_of(self, native: NativeCall, functions: Mapping[str, BankingFunction]) -> BankingFunction | None:
        found = functions.get(native.function) if self.offered is None or native.function in self.offered else None
        return None if isinstance(found, ToolFunction) and self.tools is None else found

    def named(self, functions: Mapping[str, BankingFunction]) -> tuple[BankingFunction, ...]:
        """The functions that its calls name, without what is none."""
        return tuple(found for native in self.calls if (found := self.function_of(native, functions)) is not None)


def has_effects(named: Sequence[BankingFunction]) -> bool:
    """Whether a call may move something, so that the token must stand. What protects the customer never waits for that."""
    return any(isinstance(function, EffectFunction) and not function.emergency for function in named)
