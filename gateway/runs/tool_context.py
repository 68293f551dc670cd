"""What the tools of a run are given. Pure."""

from typing import Any

from gateway.domain.tools import ToolContext
from gateway.runs.resources import resources_of
from gateway.runs.tool_calls import chosen
from gateway.store.runs import Run
from gateway.store.threads import Thread


def context_of(run: Run, thread: Thread, turn: int) -> ToolContext | None:
    """None for a run without tools of ours. `turn`: how many answers of the model the run has had."""
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
    )
