"""The gateway's own tools as a response names them, and what they may use: in this response alone, whatever an earlier one named."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.strict_json import Json
from gateway.doors.assistants_api.resources import NamedId
from gateway.doors.assistants_api.tool_schemas import (
    FunctionDefinition,
    FunctionTool,
    SearchRanking,
    SearchTool,
    SearchToolOptions,
)
from gateway.doors.responses_api.schemas import ResponseFunction, ResponseRequest, ResponseSearch
from gateway.runs.objects import AS_FUNCTIONS
from gateway.runs.tool_calls import TOOL_NAMES
from gateway.store.resources import SEARCH, STORE_IDS
from gateway.store.runs import Run


def run_tools(request: ResponseRequest) -> Sequence[FunctionTool | SearchTool]:
    """As runs have them."""
    return [_run_tool(tool) for tool in request.tools or ()]


def named_ids(request: ResponseRequest) -> Iterator[NamedId]:
    """What tools are to use, with the fields in which it stands."""
    for number, tool in enumerate(request.tools or ()):
        if isinstance(tool, ResponseSearch):
            for place, store in enumerate(tool.vector_store_ids):
                yield NamedId("vector store", store, f"tools[{number}].vector_store_ids[{place}]")


def own_of_tools(request: ResponseRequest) -> dict[str, Json]:
    """What a run has for itself of these: its resources, and that its listeners are told of all calls alike."""
    resources: dict[str, Json] = {}
    for tool in request.tools or ():
        if isinstance(tool, ResponseSearch):
            resources[SEARCH] = {STORE_IDS: list(dict.fromkeys(tool.vector_store_ids))}
    return {AS_FUNCTIONS: True, "resources": resources}


def going_on_with(run: Run, request: ResponseRequest) -> Mapping[str, Json]:
    """What changes of the body of a run that goes on with the app's outputs: its functions stay, and of the gateway's own tools it has
    those that this request names."""
    tools: Any = run.body["tools"]
    own: Any = run.body["own"]
    named = [tool.model_dump(exclude_unset=True) for tool in run_tools(request) if tool.type in TOOL_NAMES]
    return {
        "tools": [*(tool for tool in tools if tool["type"] not in TOOL_NAMES), *named],
        "own": {**own, **own_of_tools(request)},
    }


def _run_tool(tool: ResponseFunction | ResponseSearch) -> FunctionTool | SearchTool:
    if isinstance(tool, ResponseFunction):
        return FunctionTool(type="function", function=FunctionDefinition(**tool.model_dump(exclude={"type"}, exclude_unset=True)))
    threshold = None if tool.ranking_options is None else tool.ranking_options.score_threshold
    ranking = None if threshold is None else SearchRanking(score_threshold=threshold)
    options = SearchToolOptions(max_num_results=tool.max_num_results, ranking_options=ranking)
    return SearchTool(type="file_search", file_search=options)
