"""The tools of ours that are served."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gateway.domain.tools import Tool


@dataclass(frozen=True, slots=True)
class ServedTools:
    """`end_forgotten`: a chore, where code runs: ends the sessions of threads that are there no more."""

    by_name: Mapping[str, Tool] = field(default_factory=dict)
    end_forgotten: Callable[[], Awaitable[None]] | None = None
