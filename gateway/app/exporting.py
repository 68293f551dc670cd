"""Sends spans and metrics to an OpenTelemetry collector, by OTLP over HTTP. Needs the extra `otlp`; `main` imports it when it is asked for.

What is sent is what `gateway.calls.telemetry` makes: an allow-list without personal data. A collector that does not answer costs the calls
nothing: spans wait in a bounded queue on a thread of their own, and are dropped beyond it.
"""

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from gateway.calls.telemetry import CallIds

_TIMEOUT_S = 5


def exporting(endpoint: str, ids: CallIds, *further: MetricReader) -> tuple[TracerProvider, MeterProvider]:
    """Providers that export to this base URL (`/v1/traces` and `/v1/metrics` below it, by the OTLP specification). `further`: who else
    reads the metrics."""
    base, resource = endpoint.rstrip("/"), Resource.create({SERVICE_NAME: "tellergate"})
    tracing = TracerProvider(resource=resource, id_generator=ids)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces", timeout=_TIMEOUT_S)))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics", timeout=_TIMEOUT_S))
    return tracing, MeterProvider([reader, *further], resource=resource)
