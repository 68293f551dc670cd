"""What an assistant's own tools look like on the wire: citations, fragments of code, and files that code made."""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.strict_json import Json
from gateway.runs.annotations import Annotating
from gateway.runs.outgoing import OutgoingFilter
from gateway.runs.tool_calls import CodeFragments, citations, ended, shown

CITED: Json = {"type": "file_citation", "file_citation": {"file_id": "file_1"}}
MARKS = ("【1:0†source】", "【1:10†source】", "sandbox:/mnt/data/a.csv", "sandbox:/mnt/data/a.csv.gz", "ss")
texts = st.lists(st.one_of(st.sampled_from(MARKS), st.text("s【1:0†source】.é🙂 a", max_size=8)), max_size=12).map("".join)


def told(text: str, cuts: list[int]) -> tuple[str, list[dict[str, Json]], list[dict[str, Json]]]:
    annotating, out, news = Annotating(dict.fromkeys(MARKS, CITED)), list[str](), list[dict[str, Json]]()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for first, behind in pairwise(places):
        portion, annotations = annotating.feed(text[first:behind])
        out.append(portion)
        news += annotations
    portion, annotations = annotating.end()
    return "".join([*out, portion]), [*news, *annotations], annotating.annotations


@given(text=texts, cuts=st.lists(st.integers(0, 60), max_size=12))
def test_a_citation_is_where_its_mark_stands_whatever_the_portions(text: str, cuts: list[int]) -> None:
    out, news, whole = told(text, cuts)
    assert out == text
    assert whole == told(text, [])[2]
    assert [{name: value for name, value in item.items() if name != "index"} for item in news] == whole
    assert [item["index"] for item in news] == list(range(len(whole)))
    for item in whole:
        first, behind = item["start_index"], item["end_index"]
        assert isinstance(first, int)
        assert isinstance(behind, int)
        assert text[first:behind] == item["text"]


@given(text=st.text("s【:0†】", max_size=20))
def test_what_marks_nothing_is_no_citation(text: str) -> None:
    annotating = Annotating({"【1:0†source】": CITED})
    annotating.feed(text)
    annotating.end()
    assert annotating.annotations == []


@given(code=st.text(max_size=200), cuts=st.lists(st.integers(0, 400), max_size=20))
def test_fragments_of_code_are_the_code(code: str, cuts: list[int]) -> None:
    raw = json.dumps({"code": code})
    fragments = CodeFragments()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    out = [fragments.feed(raw[first:behind]) for first, behind in pairwise(places)]
    assert "".join([*out, fragments.end()]) == code.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def call(name: str, output: Mapping[str, Any] | None, arguments: str = "{}", **ours: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments, "output": None if output is None else json.dumps(output)}
    return {"id": "call_1", "type": "function", "function": function, "tellergate": None, **ours}


FOUND = {
    "ok": True,
    "result": {
        "results": [
            {
                "cite": "【1:0†source】",
                "file": "file_1",
                "name": {"untrusted_text": "terms.pdf"},
                "score": "0.5000",
                "text": {"untrusted_text": "No fee."},
            }
        ]
    },
}
REFUSED = {"ok": False, "error": {"code": "denied", "message": "No."}}
RAN = {
    "ok": True,
    "result": {
        "ending": "done",
        "note": "",
        "logs": {"untrusted_text": "55"},
        "files": [
            {"path": "sandbox:/mnt/data/a.png", "file": "file_2", "image": True},
            {"path": "sandbox:/mnt/data/a.csv", "file": "file_3", "image": False},
        ],
    },
}


def test_a_search_is_told_with_and_without_what_was_found() -> None:
    item: Any = shown(call("file_search", FOUND))
    assert item["file_search"]["results"] == [{"file_id": "file_1", "file_name": "terms.pdf", "score": 0.5}]
    whole: Any = shown(call("file_search", FOUND), with_content=True)
    assert whole["file_search"]["results"][0]["content"] == [{"type": "text", "text": "No fee."}]
    nothing: Any = shown(call("file_search", REFUSED))
    assert nothing["file_search"]["results"] == []
    open_: Any = shown(call("file_search", None))
    assert open_["file_search"]["results"] is None


def test_code_is_told_with_its_logs_and_images_and_its_files_are_sources() -> None:
    ran = call("code_interpreter", RAN, '{"code":"print(55)"}')
    item: Any = shown(ran)
    outputs = [{"type": "logs", "logs": "55"}, {"type": "image", "image": {"file_id": "file_2"}}]
    assert item["code_interpreter"] == {"input": "print(55)", "outputs": outputs}
    delta: Any = ended(ran, 3)
    assert delta["index"] == 3
    assert [output["index"] for output in delta["code_interpreter"]["outputs"]] == [0, 1]
    assert set(citations(iter([ran, call("file_search", FOUND)]))) == {
        "sandbox:/mnt/data/a.png",
        "sandbox:/mnt/data/a.csv",
        "【1:0†source】",
    }


def test_an_apps_function_of_such_a_name_stays_a_function() -> None:
    theirs = call("file_search", None)
    del theirs["tellergate"]
    assert shown(theirs) == theirs
    assert citations(iter([theirs])) == {}


@given(cuts=st.lists(st.integers(0, 80), max_size=8))
def test_only_the_paths_of_files_that_were_made_may_be_linked_to(cuts: list[int]) -> None:
    path = "sandbox:/mnt/data/report%201.csv"
    for text, passes in (
        (f"See [the file]({path}).", True),
        (f"See {path}.", True),
        (f"See [it]({path}?x=1).", False),
        (f"See [it]({path}.exe).", False),
        ("See [it](sandbox:/mnt/data/other.csv).", False),
        (f"See https://evil.example/{path} now.", False),
    ):
        outgoing = OutgoingFilter(frozenset(), frozenset(), frozenset(), frozenset({path}))
        places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
        out = "".join([*(outgoing.feed(text[a:b]) for a, b in pairwise(places)), outgoing.end()])
        assert (out == text) is passes, out
        assert passes or path not in out.replace("[link removed]", "")
