"""What a request asks for: native calls of one turn of one conversation, as a door read them. Nothing of it is trusted. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from adapters.function import BankingFunction, EffectFunction
from gateway.domain.strict_json import Parsed


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

    def function_of(self, native: NativeCall, functions: Mapping[str, BankingFunction]) -> BankingFunction | None:
        return functions.get(native.function) if self.offered is None or native.function in self.offered else None

    def named(self, functions: Mapping[str, BankingFunction]) -> tuple[BankingFunction, ...]:
        """The functions that its calls name, without what is none."""
        return tuple(found for native in self.calls if (found := self.function_of(native, functions)) is not None)


def has_effects(named: Sequence[BankingFunction]) -> bool:
    """Whether a call may move something, so that the token must stand. What protects the customer never waits for that."""
    return any(isinstance(function, EffectFunction) and not function.emergency for function in named)
