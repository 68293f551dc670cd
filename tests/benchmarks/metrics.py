"""What `metrics` costs: the instruments of a call and of a group of the log, and a scrape.

    python -m tests.benchmarks.metrics [--json] [--rounds 20000]

Processor time; the least of five stretches, since the machine is others' too. Asserts no time.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from opentelemetry.metrics import Meter, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider

from gateway.app.prometheus import PrometheusText


def _us(work: Callable[[], object], rounds: int) -> float:
    least = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for _ in range(rounds):
            work()
        least = min(least, time.process_time() - begun)
    return round(least / rounds * 1e6, 2)


def of_a_call(meter: Meter) -> Callable[[], None]:
    """As `gateway.calls.telemetry` has it: a count and a duration."""
    calls, seconds = meter.create_counter("tellergate.calls"), meter.create_histogram("tellergate.call.duration")

    def answered() -> None:
        calls.add(1, {"function": "initiate_transfer", "status": "done", "code": ""})
        seconds.record(0.02, {"function": "initiate_transfer"})

    return answered


def of_a_group(meter: Meter) -> Callable[[], None]:
    """As `gateway.app.measures` has it: a size and a duration."""
    sizes, seconds = meter.create_histogram("tellergate.log.group"), meter.create_histogram("tellergate.log.commit.duration")

    def grouped() -> None:
        sizes.record(4)
        seconds.record(0.01)

    return grouped


def run(rounds: int) -> dict[str, float]:
    text = PrometheusText()
    told, nothing = MeterProvider([text.reader]).get_meter("tellergate"), NoOpMeterProvider().get_meter("tellergate")
    return {
        "call_off_us": _us(of_a_call(nothing), rounds),
        "call_on_us": _us(of_a_call(told), rounds),
        "group_on_us": _us(of_a_group(told), rounds),
        "scrape_us": _us(lambda: asyncio.run(text.scraped()), 20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=20_000)
    options = parser.parse_args()
    found = run(options.rounds)
    print(json.dumps(found) if options.json else "\n".join(f"{name:14} {value:>10}" for name, value in found.items()))


if __name__ == "__main__":
    main()
