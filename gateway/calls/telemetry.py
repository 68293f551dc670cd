"""Spans, metrics and log lines of calls. Attributes are an allow-list without personal data; the trail, not telemetry, is evidence.

The pipeline notes when each step ended, which costs a clock reading; spans are made afterwards, and only for calls that are sampled: those
whose caller sampled them, those that were not done, and a share of the rest.
"""

import logging
import random
import time
from collections.abc import Callable

import orjson
from opentelemetry import trace
from opentelemetry.metrics import Meter, Observation
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
)

from gateway.domain.request import Trace
from gateway.domain.stages import Received, Recorded
from gateway.domain.states import CallStatus

ATTRIBUTES = (
    "gen_ai.operation.name",
    "gen_ai.tool.name",
    "tellergate.call.id",
    "tellergate.call.status",
    "tellergate.call.code",
    "tellergate.log.index",
)
"""Every attribute that a span may carry; `gen_ai.*` by the OpenTelemetry semantic conventions, copied as the constants are deprecated."""

_LOG = logging.getLogger("tellergate.call")


def parse_traceparent(header: str | None) -> Trace | None:
    """The caller's context of a W3C `traceparent` header, version 00; None for a header that is absent or malformed."""
    if header is None or len(header) != 55:
        return None
    version, _, rest = header.partition("-")
    trace_id, _, rest = rest.partition("-")
    span_id, _, flags = rest.partition("-")
    if version != "00" or not (_is_hex(trace_id, 32) and _is_hex(span_id, 16) and _is_hex(flags, 2)):
        return None
    if trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and all(character in "0123456789abcdef" for character in text)


class CallIds(RandomIdGenerator):
    """Gives a call's span the id that its record holds; every other span a random one."""

    def __init__(self) -> None:
        self._next: int | None = None

    def use(self, span_id: str) -> None:
        """The id of the span that is started next."""
        self._next = int(span_id, 16)

    def generate_span_id(self) -> int:
        chosen, self._next = self._next, None
        return super().generate_span_id() if chosen is None else chosen


class Telemetry:
    """Where the pipeline reports an answered call. Never raises into it; never awaits."""

    def __init__(self, provider: TracerProvider, ids: CallIds, meter: Meter, *, sampled_share: float) -> None:
        self._tracer = provider.get_tracer("tellergate")
        self._ids = ids
        self._calls = meter.create_counter("tellergate.calls", description="Answered calls by function, status and code")
        self._seconds = meter.create_histogram("tellergate.call.duration", unit="s", description="From received to answered")
        self._share = sampled_share
        self._listens = not isinstance(provider, NoOpTracerProvider)

    def answered(self, received: Received, answered: Recorded, function: str | None) -> None:
        """`function` is the declared function's name, None for one that is not declared: a model's word is no label."""
        code = "" if answered.code is None else answered.code.value
        labels = {"function": function or "unknown", "status": answered.status, "code": code}
        self._calls.add(1, labels)
        self._seconds.record((time.perf_counter_ns() - received.steps.started_ns) / 1e9, {"function": labels["function"]})
        if answered.status != CallStatus.DONE and _LOG.isEnabledFor(logging.INFO):
            which = {"reason": answered.reason.value} if answered.status == CallStatus.UNAVAILABLE and answered.reason else {}
            line = {**labels, **which, "call_id": answered.call_id, "trace_id": received.request.trace.trace_id}
            _LOG.info(orjson.dumps(line).decode())
        if self._listens and self._wanted(received.request.trace, answered):
            self._span(received, answered, labels["function"])

    def _wanted(self, context: Trace, answered: Recorded) -> bool:
        return context.sampled or answered.status != CallStatus.DONE or random.random() < self._share  # noqa: S311  # sampling, no secret

    def _span(self, received: Received, answered: Recorded, function: str) -> None:
        context, steps = received.request.trace, received.steps
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": function,
            "tellergate.call.id": answered.call_id,
            "tellergate.call.status": answered.status,
            "tellergate.call.code": "" if answered.code is None else answered.code.value,
        }
        if answered.proof is not None:
            attributes["tellergate.log.index"] = answered.proof.index
        offset_ns = time.time_ns() - time.perf_counter_ns()
        parent = trace.set_span_in_context(NonRecordingSpan(_span_context(context)))
        self._ids.use(received.span_id)
        span = self._tracer.start_span(
            f"execute_tool {function}",
            context=parent,
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            start_time=steps.started_ns + offset_ns,
        )
        inside = trace.set_span_in_context(span)
        for name, started_ns, ended_ns in steps.intervals():
            child = self._tracer.start_span(name, context=inside, start_time=started_ns + offset_ns)
            child.end(ended_ns + offset_ns)
        if answered.status in (CallStatus.IN_DOUBT, CallStatus.UNAVAILABLE):
            span.set_status(Status(StatusCode.ERROR))
        span.end()


BREAKER = {"closed": 0, "half_open": 1, "open": 2}


def watch_breaker(meter: Meter, state: Callable[[], str]) -> None:
    """A gauge of the breaker of a core behind HTTP: 0 closed, 1 half-open, 2 open."""
    meter.create_observable_gauge(
        "tellergate.core.breaker",
        [lambda _options: [Observation(BREAKER[state()])]],
        description="Breaker of the core: 0 closed, 1 half-open, 2 open",
    )


def _span_context(context: Trace) -> SpanContext:
    """The caller's span. Without one the call's span is a root of the call's trace, under an id that nobody has."""
    parent = context.parent_span_id or context.trace_id[:16]
    return SpanContext(int(context.trace_id, 16), int(parent, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
