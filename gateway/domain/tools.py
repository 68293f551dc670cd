"""The gateway's own tools, which an assistant calls as it calls a function of the bank: over files that a run was given, at no core.

A call of one goes through the call pipeline like any other: granted by the customer, decided by the policies, on record, redacted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from adapters.function import KEPT_READS, BankingFunction

if TYPE_CHECKING:
    from gateway.domain.stages import Call

PART_CHUNKS = 20
"""Chunks of a part of a document that is read whole: of the usual size some 24,000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFunction(BankingFunction):
    """`announced`: what it is about to do is on record before it begins, and what came of it afterwards.

    `facts`: what else the policies see of a call, beside its arguments: sets of texts, by name.
    """

    retention: str = KEPT_READS
    announced: bool = False
    facts: Mapping[str, "Callable[[ToolContext], Sequence[str]]"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionOutput:
    """What a call was answered, as its model was told. `name`: of a file that holds it."""

    call: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What the tools of one run may use. Ids are looked up anew at each use, as far as the customer sees them.

    `vector_stores` are searched, `files` are those of the code interpreter, `results_most` and `threshold` bound a search.
    """

    thread: str
    turn: int = 0
    """Which answer of the run's model asks."""
    vector_stores: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    results_most: int = 20
    threshold: float = 0.0
    document: str = ""
    """The id of one file that is read in the place of a search, whatever the query; empty: none."""
    part: int = 0
    """Of that file: which, from 0."""
    tier: str = ""
    """Of the code interpreter: `compute` or `python`; empty where there is none."""
    container: str = ""
    """Whose session its code runs in; empty: the thread's."""
    outputs: tuple[FunctionOutput, ...] = ()
    """What the functions of this run have answered, for its code."""
    begun: frozenset[str] = frozenset()
    """Native ids of the calls that this run had begun before it was taken up again."""


class Tool(Protocol):
    """What stands behind a ToolFunction."""

    async def use(self, call: "Call") -> Mapping[str, object]:
        """The raw output. Unfit for an argument that fits nothing, Unavailable where a part does not answer; nothing was done then."""
