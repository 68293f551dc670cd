"""What tells of the calls: spans and metrics, kept in the process, read by Prometheus, or sent to a collector."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.trace import NoOpTracerProvider

from gateway.app.gateway import Instruments
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.telemetry import CallIds, Telemetry, watch_breaker

if TYPE_CHECKING:
    from gateway.app.prometheus import PrometheusText


def telemetry(instruments: Instruments, ids: CallIds, breaker: Callable[[], str] | None, sampled_share: float) -> Telemetry:
    """What the calls tell, and the state of the core's breaker where there is one."""
    tracing, metering = instruments
    meter = metering.get_meter("tellergate")
    if breaker is not None:
        watch_breaker(meter, breaker)
    return Telemetry(tracing, ids, meter, sampled_share=sampled_share)


def prometheus() -> "PrometheusText":
    """UnsafeSettings without the extra `metrics`."""
    try:
        from gateway.app.prometheus import PrometheusText
    except ImportError:
        raise UnsafeSettings("metrics is on, but the extra `metrics` is not installed") from None
    return PrometheusText()


def instruments_of(endpoint: str, ids: CallIds, further: Sequence[MetricReader]) -> Instruments:
    """UnsafeSettings without the extra `otlp`."""
    if not endpoint:  # an SDK that nobody reads costs a call some thirty microseconds
        return NoOpTracerProvider(), MeterProvider(further) if further else NoOpMeterProvider()
    try:
        from gateway.app.exporting import exporting
    except ImportError:
        raise UnsafeSettings("otlp_endpoint is set, but the extra `otlp` is not installed") from None
    return exporting(endpoint, ids, *further)
