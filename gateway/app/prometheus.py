"""What Prometheus is told: the instruments of this process in its text form, and those of the workers beside it. Needs the extra `metrics`.

Instruments are OpenTelemetry's, made once, for the collector and for Prometheus. A scrape comes to whichever worker takes it, so each
worker puts its text into memory that all of them share, every few seconds, and the one that is asked tells all of them, each sample with
its worker.
"""

import asyncio
import time
from collections.abc import Iterator

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gateway.app.shared_pages import SharedPages

TOLD_EACH_S = 5.0


class _Told(Collector):
    """Families that are there already, under a registry that only writes them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


class PrometheusText:
    """The text of this process, or of all workers. Concurrency: one event loop; the text is made in a thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.reader: MetricReader = PrometheusMetricReader(
            disable_target_info=True, scope_info_enabled=False, registry=self._registry
        )
        self.pages: SharedPages | None = None
        self.worker = 0

    def beside(self, pages: SharedPages | None, worker: int) -> None:
        """From now on this is the worker of this number, beside others; None: there are no others."""
        self.pages, self.worker = pages, worker

    async def scraped(self) -> bytes:
        """What Prometheus gets: text format 0.0.4, each sample with the label `worker`."""
        return await asyncio.to_thread(self._all)

    async def run(self) -> None:
        """Tell the others, for as long as there are any."""
        while self.pages is not None:
            await asyncio.to_thread(self._put, self.pages)
            await asyncio.sleep(TOLD_EACH_S)

    def _put(self, pages: SharedPages) -> None:
        pages.put(self.worker, generate_latest(self._registry), time.monotonic())

    def _all(self) -> bytes:
        now_s = time.monotonic()
        if self.pages is None:
            texts: dict[int, bytes | None] = {self.worker: generate_latest(self._registry)}
        else:
            self._put(self.pages)
            texts = {worker: self.pages.get(worker, now_s) for worker in range(self.pages.workers)}
        registry = CollectorRegistry()
        registry.register(_Told(_merged(texts)))
        return generate_latest(registry)


def _merged(texts: dict[int, bytes | None]) -> list[Metric]:
    up = Metric("tellergate_worker_up", "Whether the worker of this number tells what it does", "gauge")
    families: dict[str, Metric] = {up.name: up}
    for worker, text in texts.items():
        label = {"worker": str(worker)}
        up.add_sample(up.name, label, float(text is not None))
        for family in text_string_to_metric_families("" if text is None else text.decode()):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.add_sample(sample.name, {**sample.labels, **label}, sample.value)
    return list(families.values())
