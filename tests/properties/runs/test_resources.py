"""What the tools of a run may use, of everything that an assistant and a thread may name."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.states import RunState
from gateway.runs.resources import RESULTS_MOST, SearchOptions, resources_of
from gateway.store.resources import files_of, replaced, stores_of
from gateway.store.runs import Run
from gateway.store.threads import Thread

_AT = datetime(2026, 1, 1, tzinfo=UTC)
IDS = st.lists(st.sampled_from([f"id_{number}" for number in range(6)]), max_size=4)
CODE = st.fixed_dictionaries({}, optional={"file_ids": IDS})
SEARCH = st.fixed_dictionaries({}, optional={"vector_store_ids": IDS})
RESOURCES = st.none() | st.fixed_dictionaries({}, optional={"code_interpreter": CODE, "file_search": SEARCH})
SCORES = st.floats(0, 1)
OPTIONS = st.fixed_dictionaries(
    {}, optional={"max_num_results": st.integers(1, 50), "ranking_options": st.fixed_dictionaries({"score_threshold": SCORES})}
)
SEARCHES = st.fixed_dictionaries({"type": st.just("file_search")}, optional={"file_search": OPTIONS | st.none()})
FUNCTIONS = st.fixed_dictionaries({"type": st.just("function"), "function": st.just({"name": "pay"})})
TOOLS = st.lists(FUNCTIONS | st.just({"type": "code_interpreter"}), max_size=3)


def run_with(own: Any, tools: list[Any]) -> Run:
    body = {"tools": tools, "own": own}
    return Run("run_1", "thread_1", "alice", "asst_1", RunState.QUEUED, _AT, _AT, None, b"", body, {})


def thread_with(resources: Any) -> Thread:
    return Thread("thread_1", "alice", "conv_1", _AT, {}, resources)


@given(RESOURCES, RESOURCES, TOOLS)
def test_the_threads_come_first_and_each_once(of_thread: Any, of_assistant: Any, tools: list[Any]) -> None:
    own = {} if of_assistant is None else {"resources": of_assistant}
    found = resources_of(run_with(own, tools), thread_with(of_thread))
    for ids, read in ((found.vector_stores, stores_of), (found.files, files_of)):
        thread, assistant = list(dict.fromkeys(read(of_thread))), read(of_assistant)
        assert list(ids[: len(thread)]) == thread
        assert set(ids) == {*thread, *assistant}
        assert len(set(ids)) == len(ids)
    assert found.search == SearchOptions(max_num_results=RESULTS_MOST, score_threshold=0.0)


@given(TOOLS, SEARCHES, TOOLS)
def test_a_search_is_as_its_tool_says(before: list[Any], search: Any, behind: list[Any]) -> None:
    options = resources_of(run_with({}, [*before, search, *behind]), thread_with(None)).search
    said = search.get("file_search") or {}
    assert options.max_num_results == said.get("max_num_results", 20)
    assert options.score_threshold == said.get("ranking_options", {}).get("score_threshold", 0.0)


@given(RESOURCES, RESOURCES)
def test_what_is_given_replaces_and_what_is_absent_stays(before: Any, given_: Any) -> None:
    after = replaced(before, given_)
    for tool in ("code_interpreter", "file_search"):
        kept = None if given_ is None else given_.get(tool, (before or {}).get(tool))
        assert (after or {}).get(tool) == kept
    assert after is None or after
