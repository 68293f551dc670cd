"""What the tools of a run are given. And that what must not be done twice was begun."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.domain.states import IndexState
from gateway.domain.tools import ToolContext
from gateway.runs.objects import seconds
from gateway.runs.resources import resources_of
from gateway.runs.tool_calls import chosen, is_code
from gateway.store.items import ItemStore
from gateway.store.runs import Run
from gateway.store.steps import Step, calls_of, with_calls
from gateway.store.threads import Thread
from gateway.store.vectors import counts_of


def context_of(run: Run, thread: Thread, turn: int, step: Step | None = None, *, tier: str = "") -> ToolContext | None:
    """None for a run without tools of ours. `turn`: how many answers of the model the run has had. `step`: whose calls are taken, as it was
    found. `tier`: of the code interpreter."""
    tools: Any = run.body["tools"]
    if not chosen(tools):
        return None
    resources = resources_of(run, thread)
    return ToolContext(
        thread=thread.id,
        turn=turn,
        vector_stores=resources.vector_stores,
        files=resources.files,
        results_most=resources.search.max_num_results,
        threshold=resources.search.score_threshold,
        tier=tier,
        begun={} if step is None else _begun(step),
    )


def begun(step: Step, at: datetime) -> Step | None:
    """The step with what says of its code that it was begun; None where there is none, or it says so."""
    new = {call["id"]: {**call, "begun": seconds(at)} for call in calls_of(step) if _is_to_begin(call) and "begun" not in call}
    return with_calls(step, new) if new else None


async def is_indexing(store: ItemStore, context: ToolContext) -> bool:
    """Whether files of these vector stores are not searched yet. Unavailable."""
    counts = await store.read(lambda connection: counts_of(connection, context.vector_stores))
    return any(count.of.get(IndexState.IN_PROGRESS) for count in counts.values())


def _begun(step: Step) -> Mapping[str, int]:
    return {call["id"]: call["begun"] for call in calls_of(step) if _is_to_begin(call) and "begun" in call}


def _is_to_begin(call: Mapping[str, Any]) -> bool:
    return is_code(call) and call["tellergate"] is None
