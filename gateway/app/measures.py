"""What is measured beside calls: the log, keys, policies, runs, dependencies and alarms. No label names a customer, a call or an amount."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from adapters.alarms import ALARM, CoreAlarm, code_of
from gateway.app.clock import Clock
from gateway.app.gateway import Gateway
from gateway.app.health import readiness_of
from gateway.domain.alarms import Alarm
from gateway.oversight.background_verification import BackgroundVerification
from gateway.oversight.health import DependencyState
from gateway.oversight.streams import Streams, StreamStanding
from gateway.oversight.timestamps import Timestamps, shown

READY_EACH_S = 5.0

_Observing = Callable[[CallbackOptions], Iterable[Observation]]


def _of(value: Callable[[], float]) -> list[_Observing]:
    return [lambda _options: [Observation(value())]]


def _counted(meter: Meter, name: str, label: str, counts: Counter[str], what: str) -> None:
    """A counter that is kept elsewhere, read when somebody asks. Its labels are closed lists."""

    def read(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {label: key}) for key, count in sorted(counts.items())]

    meter.create_observable_counter(name, [read], description=what)


def watch(meter: Meter, gateway: Gateway) -> None:
    """Gauges that are read when somebody asks, and what the log's writer tells of each group."""
    log, clock = gateway.log, gateway.door.clock

    def ages(_options: CallbackOptions) -> Iterable[Observation]:
        now_s = clock().timestamp()
        rings = [*gateway.keys.rings(), *log.signers.all(), log.keys.wrapping]
        for ring in rings:
            key = ring.active()
            yield Observation(now_s - max(key.made_s, key.begins_s), {"purpose": ring.purpose.name})

    meter.create_observable_gauge("tellergate.key.age", [ages], "s", "Age of the active key of each purpose")
    meter.create_observable_gauge("tellergate.log.size", _of(log.size), description="Records in the log, as this process knows")
    waiting = _of(lambda: log.transactions.waiting)
    meter.create_observable_gauge(
        "tellergate.log.waiting", waiting, description="Records and changes that wait for the log's writer"
    )
    age = [lambda _options: [] if log.checkpoint_s is None else [Observation(clock().timestamp() - log.checkpoint_s)]]
    meter.create_observable_gauge("tellergate.checkpoint.age", age, "s", "Since the last published checkpoint")
    _watch_verification(meter, gateway.verification)
    bundle = [lambda _options: [Observation(1, {"version": str(gateway.policies.decider.policies.bundle.version)})]]
    meter.create_observable_gauge(
        "tellergate.policies", bundle, description="1, with the version of the policy bundle that decides here"
    )
    refused = _of(lambda: float(gateway.policies.refused is not None))
    meter.create_observable_gauge(
        "tellergate.policies.refused", refused, description="1 while the newest activation must not decide here"
    )
    pool = gateway.running.api.pool
    if pool is not None:
        meter.create_observable_gauge(
            "tellergate.runs.driven", _of(lambda: pool.driven), description="Runs that this process drives"
        )
        meter.create_observable_gauge("tellergate.runs.most", _of(lambda: pool.most), description="Runs that it may drive at once")
        _counted(meter, "tellergate.runs.ended", "state", pool.parts.ended, "Runs that ended here, by state")
        _counted(meter, "tellergate.model.answers", "outcome", pool.parts.answers, "Questions to the model, by what came of them")
    spoken = gateway.door.records.counters.spoken
    _counted(meter, "tellergate.confirmations", "word", spoken, "What customers said to what waited for them")
    if gateway.webhooks is not None:
        _counted(meter, "tellergate.webhooks", "outcome", gateway.webhooks.tries, "Tries to tell late outcomes")
    _watch_timestamps(meter, gateway.timestamps, clock)
    if gateway.streams is not None:
        _watch_streams(meter, gateway.streams)
    if gateway.running.files is not None and (meant := gateway.running.files.meant) is not None:
        searches = meant.searches
        _counted(
            meter, "tellergate.searches", "by", searches, "Searches of vector stores, by words and meaning or why by words alone"
        )
        opened = _of(lambda: meant.opened.size)
        meter.create_observable_gauge("tellergate.vectors.opened", opened, "By", "Bytes of opened vectors that are kept")
    sizes = meter.create_histogram("tellergate.log.group", description="Records and changes of one transaction of the log")
    seconds = meter.create_histogram(
        "tellergate.log.commit.duration", unit="s", description="From the beginning of a group to its end"
    )

    def grouped(size: int, took_s: float) -> None:
        sizes.record(size)
        seconds.record(took_s)

    log.transactions.observe(grouped)


def _watch_verification(meter: Meter, verification: BackgroundVerification) -> None:
    """Of all processes of an installation: each looks at what the one keeps that verifies."""

    def age(_options: CallbackOptions) -> Iterable[Observation]:
        return [] if verification.verifier.known is None else [Observation(verification.unverified_s())]

    def size(_options: CallbackOptions) -> Iterable[Observation]:
        known = verification.verifier.known
        return [] if known is None or known.last is None else [Observation(known.last.size)]

    meter.create_observable_gauge("tellergate.verification.age", [age], "s", "Since the whole stored log was verified last")
    meter.create_observable_gauge("tellergate.verification.size", [size], description="Records that were verified then")


def _watch_timestamps(meter: Meter, timestamps: Timestamps | None, clock: Clock) -> None:
    """Of each authority, as this process last saw: each minute."""

    if timestamps is None:
        return

    def age(_options: CallbackOptions) -> Iterable[Observation]:
        now_s = clock().timestamp()
        return [Observation(now_s - at_s, {"authority": shown(name)}) for name, at_s in sorted(timestamps.stamped_s.items())]

    meter.create_observable_gauge(
        "tellergate.timestamp.age", [age], "s", "Since an authority stamped the log last, by its own clock"
    )


def _watch_streams(meter: Meter, streams: Streams) -> None:
    """How far each stream is, as this process last saw: each second. Names of streams are the settings' own."""

    def told(of: Callable[[StreamStanding], float]) -> list[_Observing]:
        return [lambda _options: [Observation(of(standing), {"stream": name}) for name, standing in streams.standings.items()]]

    behind, age = told(lambda standing: standing.behind), told(lambda standing: standing.behind_s)
    meter.create_observable_gauge(
        "tellergate.stream.behind", behind, description="Records that a stream's receiver has yet to have"
    )
    meter.create_observable_gauge("tellergate.stream.age", age, "s", "Age of the oldest of them")
    sent = [lambda _options: [Observation(count, {"stream": name}) for name, count in streams.sent.items()]]
    meter.create_observable_counter(
        "tellergate.stream.sent", sent, description="Records that receivers acknowledged to this process"
    )


class DependencyStates:
    """The last answers of the dependencies, asked every few seconds: who scrapes waits for none of them."""

    def __init__(self, meter: Meter, gateway: Gateway) -> None:
        self._readiness = readiness_of(gateway)
        self._states: dict[str, float] = {}
        meter.create_observable_gauge("tellergate.ready", [self._told], description="1 where a dependency answers, by its name")

    def _told(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(state, {"dependency": name}) for name, state in self._states.items()]

    async def run(self) -> None:
        while True:
            report = await self._readiness.report()
            self._states = {name: float(state is DependencyState.OK) for name, state in report.states.items()}
            await asyncio.sleep(READY_EACH_S)


class Measuring:
    """Everything of this module for one gateway, from its start to its end."""

    def __init__(self, gateway: Gateway) -> None:
        meter = gateway.instruments[1].get_meter("tellergate")
        watch(meter, gateway)
        self._states, self._alarms = DependencyStates(meter, gateway), AlarmCounter(meter)
        self._logger = logging.getLogger("tellergate")
        self._prometheus = gateway.prometheus

    @contextlib.contextmanager
    def going(self) -> Iterator[Sequence[Coroutine[object, object, None]]]:
        """Alarms are counted while the block runs; what else is to be done meanwhile."""
        self._logger.addHandler(self._alarms)
        try:
            yield (self._states.run(), *(() if self._prometheus is None else (self._prometheus.run(),)))
        finally:
            self._logger.removeHandler(self._alarms)


class AlarmCounter(logging.Handler):
    """Counts the alarms that are logged, by their codes, which are a closed list."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(logging.WARNING)
        self._alarms = meter.create_counter("tellergate.alarms", description="Alarms logged, by their codes in the runbook")
        for alarm in (*Alarm, *CoreAlarm):  # from nothing to one is no increase to Prometheus, from zero to one is
            self._alarms.add(0, {ALARM: alarm.form.code})

    def emit(self, record: logging.LogRecord) -> None:
        if (code := code_of(str(record.msg))) is not None:
            self._alarms.add(1, {ALARM: code})
