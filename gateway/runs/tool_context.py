"""What the tools of a run are given. And that what must not be done twice was begun."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.domain.states import IndexState
from gateway.domain.tools import FunctionOutput, ToolContext
from gateway.runs.objects import CONTAINER, own_of
from gateway.runs.resources import resources_of
from gateway.runs.tool_calls import chosen, is_code, is_tool
from gateway.store.items import ItemStore
from gateway.store.runs import Run
from gateway.store.steps import Step, calls_of, of_run, with_calls
from gateway.store.threads import Thread
from gateway.store.vectors import counts_of

OUTPUTS_MOST = 20
"""Answers of functions that code is given: the newest."""


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
        container=own_of(run).get(CONTAINER, ""),
        begun=frozenset() if step is None else _begun(step),
    )


async def context_with_outputs(store: ItemStore, context: ToolContext | None, step: Step) -> ToolContext | None:
    """For the calls of a step: with what functions have answered in its run, where code may be among them. Unavailable."""
    if context is None or not any(map(is_code, calls_of(step))):
        return context
    earlier = await store.read(lambda connection: of_run(connection, step.run))
    return replace(context, outputs=tuple(_outputs(earlier))[-OUTPUTS_MOST:])


def _outputs(steps: Sequence[Step]) -> Iterator[FunctionOutput]:
    """Of all calls of functions, in their order, each under a name of its own."""
    counts = Counter[str]()
    for call in (call for step in steps for call in calls_of(step)):
        name, output = call["function"]["name"], call["function"]["output"]
        if output is not None and not is_tool(call):
            counts[name] += 1
            yield FunctionOutput(call["id"], f"{name}-{counts[name]}.json", output)


def begun(step: Step) -> Step | None:
    """The step with what says of its code that it was begun; None where there is none, or it says so."""
    new = {call["id"]: {**call, "begun": True} for call in calls_of(step) if _is_to_begin(call) and "begun" not in call}
    return with_calls(step, new) if new else None


async def is_indexing(store: ItemStore, context: ToolContext) -> bool:
    """Whether files of these vector stores are not searched yet. Unavailable."""
    counts = await store.read(lambda connection: counts_of(connection, context.vector_stores))
    return any(count.of.get(IndexState.IN_PROGRESS) for count in counts.values())


def _begun(step: Step) -> frozenset[str]:
    return frozenset(call["id"] for call in calls_of(step) if _is_to_begin(call) and "begun" in call)


def _is_to_begin(call: Mapping[str, Any]) -> bool:
    return is_code(call) and call["tellergate"] is None
