"""How long the steps of a call took. Noted by the pipeline, read by telemetry and the record; nothing is decided from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns


@dataclass(slots=True)
class Steps:
    """How long each step took. The one mutable thing in the pipeline; nothing is decided from it."""

    started_ns: int = field(default_factory=perf_counter_ns)
    ended: list[tuple[str, int]] = field(default_factory=list)

    def end(self, step: str) -> None:
        self.ended.append((step, perf_counter_ns()))

    def intervals(self) -> Sequence[tuple[str, int, int]]:
        """Name, start and end of each step, in nanoseconds of the process's own clock."""
        starts = [self.started_ns, *(ended_ns for _, ended_ns in self.ended)]
        return [(name, start, end) for start, (name, end) in zip(starts, self.ended, strict=False)]

    def timings_us(self) -> Mapping[str, int]:
        """Microseconds that each step took."""
        return {name: (end - start) // 1000 for name, start, end in self.intervals()}
