"""The gateway's own tools as a response names them, and what they may use: in this response alone, whatever an earlier one named."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.strict_json import Json
from gateway.doors.assistants_api.resources import NamedId
from gateway.doors.assistants_api.tool_schemas import (
    CodeTool,
    FunctionDefinition,
    FunctionTool,
    SearchRanking,
    SearchTool,
    SearchToolOptions,
    Tool,
)
from gateway.doors.responses_api.schemas import ResponseCode, ResponseFunction, ResponseRequest, ResponseSearch
from gateway.runs.budget import CALLS_MOST
from gateway.runs.objects import AS_FUNCTIONS, CONTAINER
from gateway.runs.tool_calls import TOOL_NAMES
from gateway.store.resources import CODE, FILE_IDS, SEARCH, STORE_IDS
from gateway.store.runs import Run


def run_tools(request: ResponseRequest) -> Sequence[Tool]:
    """As runs have them."""
    return [_run_tool(tool) for tool in request.tools or ()]


def named_ids(request: ResponseRequest) -> Iterator[NamedId]:
    """What tools are to use, with the fields in which it stands."""
    for number, tool in enumerate(request.tools or ()):
        if isinstance(tool, ResponseSearch):
            for place, store in enumerate(tool.vector_store_ids):
                yield NamedId("vector store", store, f"tools[{number}].vector_store_ids[{place}]")
        elif isinstance(tool, ResponseCode):
            for place, file in enumerate(tool.container.file_ids or ()):
                yield NamedId("file", file, f"tools[{number}].container.file_ids[{place}]")


def own_of_tools(request: ResponseRequest, thread: str) -> dict[str, Json]:
    """What a run of this thread has for itself of these: its resources, the session of its code, how many calls it takes, and that its
    listeners are told of all calls alike."""
    resources: dict[str, Json] = {}
    files: list[str] = []
    for tool in request.tools or ():
        if isinstance(tool, ResponseSearch):
            resources[SEARCH] = {STORE_IDS: list(dict.fromkeys(tool.vector_store_ids))}
        elif isinstance(tool, ResponseCode):
            files = list(dict.fromkeys(tool.container.file_ids or ()))
            resources[CODE] = {FILE_IDS: [*files]}
    own: dict[str, Json] = {AS_FUNCTIONS: True, "resources": resources, CONTAINER: _container(thread, files)}
    return {**own, CALLS_MOST: request.max_tool_calls}


def going_on_with(run: Run, request: ResponseRequest) -> Mapping[str, Json]:
    """What changes of the body of a run that goes on with the app's outputs: its functions stay, and of the gateway's own tools it has
    those that this request names."""
    tools: Any = run.body["tools"]
    own: Any = run.body["own"]
    named = [tool.model_dump(exclude_unset=True) for tool in run_tools(request) if tool.type in TOOL_NAMES]
    return {
        "tools": [*(tool for tool in tools if tool["type"] not in TOOL_NAMES), *named],
        "own": {**own, **own_of_tools(request, run.thread), "spent": {**own.get("spent", {}), "calls": 0}},
    }


def _container(thread: str, files: Sequence[str]) -> str:
    """The id of a session, in which a file stays that was once there: one for each set of files that responses of a thread name."""
    return f"cntr_{hashlib.sha256(chr(0).join((thread, *sorted(files))).encode()).hexdigest()[:24]}"


def _run_tool(tool: ResponseFunction | ResponseSearch | ResponseCode) -> Tool:
    if isinstance(tool, ResponseCode):
        return CodeTool(type="code_interpreter")
    if isinstance(tool, ResponseFunction):
        return FunctionTool(type="function", function=FunctionDefinition(**tool.model_dump(exclude={"type"}, exclude_unset=True)))
    threshold = None if tool.ranking_options is None else tool.ranking_options.score_threshold
    ranking = None if threshold is None else SearchRanking(score_threshold=threshold)
    options = SearchToolOptions(max_num_results=tool.max_num_results, ranking_options=ranking)
    return SearchTool(type="file_search", file_search=options)
