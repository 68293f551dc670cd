"""A collector on loopback gets the spans and the metrics of a call, by OTLP, with nothing of the customer's in them."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.telemetry import ATTRIBUTES
from tests.support.teller import teller


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    received: dict[str, list[bytes]] = {}

    class Collect(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.setdefault(self.path, []).append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


async def test_a_collector_gets_spans_and_metrics(tmp_path: Path, collector: tuple[str, dict[str, list[bytes]]]) -> None:
    endpoint, received = collector
    async with teller(tmp_path / "data", otlp_endpoint=endpoint, trace_share=1.0) as asked:
        answered = await asked.ask("list_accounts")
    traces = [ExportTraceServiceRequest.FromString(body) for body in received["/v1/traces"]]
    spans = [span for trace in traces for group in trace.resource_spans for scope in group.scope_spans for span in scope.spans]
    (call,) = [span for span in spans if span.name == "execute_tool list_accounts"]
    told = {attribute.key: attribute.value for attribute in call.attributes}
    assert set(told) <= set(ATTRIBUTES)
    assert told["tellergate.call.id"].string_value == answered.call_id
    assert {"validate", "decide", "read", "redact", "record"} <= {span.name for span in spans}
    metrics = [ExportMetricsServiceRequest.FromString(body) for body in received["/v1/metrics"]]
    names = {
        one.name
        for metric in metrics
        for group in metric.resource_metrics
        for scope in group.scope_metrics
        for one in scope.metrics
    }
    assert {"tellergate.calls", "tellergate.call.duration"} <= names
    everything = b"".join(body for bodies in received.values() for body in bodies)
    assert b"alice" not in everything
    assert b"conv_" not in everything


async def test_without_the_extra_it_refuses_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gateway.app.exporting", None)
    with pytest.raises(UnsafeSettings, match="extra `otlp`"):
        async with teller(tmp_path / "data", otlp_endpoint="http://127.0.0.1:1"):
            pass
