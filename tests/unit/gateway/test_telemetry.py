"""Spans, metrics and log lines: an allow-list, the record's own ids, and nothing of the customer's."""

import json
import logging
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.cores.remote.breaker import State
from gateway.calls.telemetry import ATTRIBUTES, CallIds, Telemetry, parse_traceparent, watch_breaker
from gateway.domain.request import Trace
from tests.support.teller import Teller, leaves_of, teller


class Watched:
    def __init__(self, asked: Teller, share: float) -> None:
        self.spans, self.metrics = InMemorySpanExporter(), InMemoryMetricReader()
        ids = CallIds()
        provider = TracerProvider(id_generator=ids)
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        meter = MeterProvider([self.metrics]).get_meter("tellergate")
        object.__setattr__(asked.gateway.pipeline._parts, "telemetry", Telemetry(provider, ids, meter, sampled_share=share))


async def test_a_call_is_a_span_with_a_child_per_step_under_the_record_s_ids(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        watched = Watched(asked, share=1.0)
        answered = await asked.transfer("1.00")
        spans = watched.spans.get_finished_spans()
        (call,) = [span for span in spans if span.name == "execute_tool initiate_transfer"]
        steps = [span.name for span in spans if span.parent and call.context and span.parent.span_id == call.context.span_id]
        assert steps == ["validate", "ground", "decide", "intend", "execute", "redact", "record"]
        assert answered.proof is not None
        leaf = json.loads((await leaves_of(asked.gateway))[answered.proof.index].leaf)
        assert call.context is not None
        assert leaf["trace"] == {"id": f"{call.context.trace_id:032x}", "span": f"{call.context.span_id:016x}"}
        assert set(leaf["timings"]) == set(steps) - {"record"}
        assert_allowed(spans)


def assert_allowed(spans: tuple[ReadableSpan, ...]) -> None:
    told = json.dumps([[span.name, dict(span.attributes or {})] for span in spans])
    for span in spans:
        assert set(span.attributes or {}) <= set(ATTRIBUTES)
    for personal in ("alice", "Everyday", "acc_", "conv_", "17026"):
        assert personal not in told


async def test_what_was_not_done_is_always_sampled_and_the_rest_by_its_share(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        watched = Watched(asked, share=0.0)
        await asked.ask("list_accounts")
        assert watched.spans.get_finished_spans() == ()
        await asked.ask("get_account_balance", {"account": "acc_nonsense"})
        assert [span.name for span in watched.spans.get_finished_spans()][-1] == "execute_tool get_account_balance"
        assert_allowed(watched.spans.get_finished_spans())


async def test_a_function_that_is_not_declared_labels_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with teller(tmp_path / "data") as asked:
        watched = Watched(asked, share=1.0)
        with caplog.at_level(logging.INFO, "tellergate.call"):
            await asked.ask("ignore_previous_instructions", {"alice": "secret"})
        told = watched.metrics.get_metrics_data().to_json() if watched.metrics.get_metrics_data() else ""  # type: ignore[union-attr]
        assert "ignore_previous" not in told + caplog.text
        assert "secret" not in caplog.text
        (line,) = [record.message for record in caplog.records]
        assert json.loads(line)["code"] == "denied"


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True),
        ),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", False),
        ),
        ("00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", None),
        ("", None),
        (None, None),
    ],
)
def test_trace_context_is_read_as_w3c_says(header: str | None, trace: Trace | None) -> None:
    assert parse_traceparent(header) == trace


def test_the_breaker_of_the_core_is_a_gauge() -> None:
    reader, states = InMemoryMetricReader(), list(State)
    watch_breaker(MeterProvider([reader]).get_meter("tellergate"), lambda: states[0].value)
    seen = []
    while states:
        found = reader.get_metrics_data()
        assert found is not None
        (metric,) = found.resource_metrics[0].scope_metrics[0].metrics
        assert metric.name == "tellergate.core.breaker"
        seen.append(metric.data.data_points[0].value)  # type: ignore[union-attr]
        states.pop(0)
    assert seen == [0, 1, 2]
