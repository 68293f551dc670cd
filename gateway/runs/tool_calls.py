"""The calls of the gateway's own tools, as the Assistants API tells them. Within, they are calls of functions like any other. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jiter
import orjson

from gateway.domain.strict_json import Json

FILE_SEARCH, CODE_INTERPRETER = "file_search", "code_interpreter"
TOOL_NAMES = frozenset({FILE_SEARCH, CODE_INTERPRETER})

Call = Mapping[str, Any]


def is_tool(call: Call) -> bool:
    """Whether a call of a step is one of ours: an app's function of such a name is not."""
    return "tellergate" in call and call["function"]["name"] in TOOL_NAMES


def is_code(call: Call) -> bool:
    return is_tool(call) and call["function"]["name"] == CODE_INTERPRETER


def chosen(tools: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The tools of ours among those of a run, or an assistant."""
    return frozenset(tool["type"] for tool in tools if tool["type"] in TOOL_NAMES)


def ranking_of(tools: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """How results of file search are ranked, as the API tells it."""
    options: Any = next((tool.get(FILE_SEARCH) or {} for tool in tools if tool["type"] == FILE_SEARCH), {})
    given = options.get("ranking_options") or {}
    return {"ranker": given.get("ranker") or "auto", "score_threshold": float(given.get("score_threshold") or 0)}


def shown(call: Call, *, with_content: bool = False) -> dict[str, Json]:
    """A call as its step tells it. `with_content`: with the passages that were found."""
    if not is_tool(call):
        return dict(call)
    name = call["function"]["name"]
    detail = _search(call, with_content) if name == FILE_SEARCH else {"input": code_of(call), "outputs": list(_outputs(call))}
    return {"id": call["id"], "type": name, name: detail, "tellergate": call["tellergate"]}


def begun(call: Call) -> dict[str, Json]:
    """The first delta of a call."""
    told = shown(call)
    return {**told, FILE_SEARCH: {}} if told["type"] == FILE_SEARCH else told


def ended(call: Call, index: int, *, with_content: bool = False) -> dict[str, Json]:
    """The delta that tells what came of a call."""
    told: Any = {"index": index, **shown(call, with_content=with_content)}
    if told["type"] == CODE_INTERPRETER:
        outputs = [{"index": number, **item} for number, item in enumerate(told[CODE_INTERPRETER]["outputs"])]
        told[CODE_INTERPRETER] = {"outputs": outputs} if outputs else {}
    told.pop("id")
    return dict(told)


def query_of(call: Call) -> str | None:
    """What a call of file search looks for; None while that is not written."""
    try:
        read = jiter.from_json(call["function"]["arguments"].encode("utf-8", "replace"), allow_inf_nan=False)
    except ValueError:
        return None
    query = read.get("query") if isinstance(read, dict) else None
    return query if isinstance(query, str) else None


def code_of(call: Call) -> str:
    """The code that a call of the code interpreter asks to run, as far as it was written."""
    return _code(call["function"]["arguments"])


class CodeFragments:
    """The code of one call as its arguments are written: fragments of JSON come in, fragments of code go out."""

    def __init__(self) -> None:
        self._raw, self._read, self._told = "", 0, 0

    def feed(self, fragment: str) -> str:
        self._raw += fragment
        # Read anew only once it has grown by a part of itself: what is long is not read once for each of its letters.
        return self.end() if len(self._raw) - self._read >= len(self._raw) // 64 else ""

    def end(self) -> str:
        """What was not told yet."""
        self._read = len(self._raw)
        code = _code(self._raw)
        fragment, self._told = code[self._told :], max(self._told, len(code))
        return fragment


def citations(calls: Iterator[Call], *, with_names: bool = False) -> dict[str, Json]:
    """What a model may write of these calls' results, and the annotation that it becomes: citations of files, and paths of files made.
    `with_names`: with the names of files that are cited."""
    found: dict[str, Json] = {}
    for call in calls:
        result = result_of(call) if is_tool(call) else None
        if result is None:
            continue
        for item in result.get("results", ()):
            named: dict[str, Json] = {"filename": _text(item["name"])} if with_names else {}
            found[item["cite"]] = {"type": "file_citation", "file_citation": {"file_id": item["file"], **named}}
        for item in result.get("files", ()):
            found[item["path"]] = {"type": "file_path", "file_path": {"file_id": item["file"]}}
    return found


def paths_of(sources: Mapping[str, Any]) -> frozenset[str]:
    """Those marks that are paths of files."""
    return frozenset(mark for mark, source in sources.items() if source["type"] == "file_path")


def images(calls: Iterator[Call]) -> list[str]:
    """Ids of the images that these calls made, in their order."""
    made = (result_of(call) or {} for call in calls if is_tool(call))
    return [item["file"] for result in made for item in result.get("files", ()) if item["image"]]


def result_of(call: Call) -> Mapping[str, Any] | None:
    """What a call that was done came to; None for any other."""
    output = call["function"]["output"]
    told: Any = None if output is None else orjson.loads(output)
    return told["result"] if isinstance(told, dict) and told.get("ok") is True else None


def _search(call: Call, with_content: bool) -> dict[str, Json]:
    result = result_of(call)
    return {
        "ranking_options": call.get("ranking"),
        "results": None
        if call["function"]["output"] is None
        else [_found(item, with_content) for item in (result or {}).get("results", ())],
    }


def _found(item: Mapping[str, Any], with_content: bool) -> dict[str, Json]:
    told: dict[str, Json] = {"file_id": item["file"], "file_name": _text(item["name"]), "score": float(item["score"])}
    return {**told, "content": [{"type": "text", "text": _text(item["text"])}]} if with_content else told


def _outputs(call: Call) -> Iterator[dict[str, Json]]:
    result = result_of(call)
    if result is None:
        return
    logs = _text(result.get("logs") or result.get("document_logs") or "")
    if logs:
        yield {"type": "logs", "logs": logs}
    for item in result.get("files", ()):
        if item["image"]:
            yield {"type": "image", "image": {"file_id": item["file"]}}


def _text(value: Any) -> str:
    """A text of an output, out of its fence."""
    return str(value.get("untrusted_text", "")) if isinstance(value, Mapping) else str(value)


def _code(arguments: str) -> str:
    try:
        read = jiter.from_json(arguments.encode("utf-8", "replace"), partial_mode="trailing-strings", allow_inf_nan=False)
    except ValueError:
        return ""
    code = read.get("code") if isinstance(read, dict) else None
    return code if isinstance(code, str) else ""
