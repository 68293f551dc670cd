"""What the tools of a run may use: the assistant's, as they were when it began, and the thread's, as they are now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.runs.objects import own_of
from gateway.store.resources import SEARCH, files_of, stores_of
from gateway.store.runs import Run
from gateway.store.threads import Thread

RESULTS_MOST = 20
"""Of a search, where the tool does not say how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How the run's `file_search` searches. `score_threshold`: from 0 to 1, what is worth less is left out."""

    max_num_results: int = RESULTS_MOST
    score_threshold: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResources:
    """Ids, the thread's first, each once. `files`: for the code interpreter.

    They were readable to who named them; whether they are still there, and still readable, is to be asked where they are used.
    """

    vector_stores: tuple[str, ...]
    files: tuple[str, ...]
    search: SearchOptions


def resources_of(run: Run, thread: Thread) -> RunResources:
    """Whether the run has these tools at all, its `tools` say."""
    of_assistant = own_of(run).get("resources")
    return RunResources(
        vector_stores=tuple(dict.fromkeys((*stores_of(thread.resources), *stores_of(of_assistant)))),
        files=tuple(dict.fromkeys((*files_of(thread.resources), *files_of(of_assistant)))),
        search=_options(run.body),
    )


def _options(body: Mapping[str, Any]) -> SearchOptions:
    for tool in body["tools"]:
        if tool["type"] == SEARCH:
            said = tool.get(SEARCH) or {}
            return SearchOptions(
                max_num_results=said.get("max_num_results") or RESULTS_MOST,
                score_threshold=(said.get("ranking_options") or {}).get("score_threshold", 0.0),
            )
    return SearchOptions()
