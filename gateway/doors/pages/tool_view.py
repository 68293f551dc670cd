"""What the gateway's own tools did, in the customer's words: which documents were read, and what was computed. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.calls.tools import CODE_INTERPRETER
from gateway.doors.pages.confirm_view import visible

ENDINGS: Mapping[str, str] = {
    "done": "done",
    "failed": "it ended with an error",
    "time": "stopped, it took too long",
    "memory": "stopped, it took too much memory",
    "output": "stopped, it printed too much",
    "files": "done, but it made more files than may be kept, and none was",
    "too_large": "not run, its files were too large",
    "broken": "stopped, it broke what it ran in",
    "lost": "it was begun, and nobody knows how it ended",
}
"""How code ended (`CodeEnding`)."""

BEGUN = "it was begun, and how it ended is not on record yet"


def ids(item: Mapping[str, Any]) -> Iterator[str]:
    """Of all files that a record tells of."""
    if item["file"]:
        yield item["file"]
    for name in ("read", "given", "made"):
        yield from (item["tool"] or {}).get(name, ())


def outcome(function: str, tool: Mapping[str, Any]) -> tuple[str, str]:
    """What came of a call that was answered, and its tone."""
    if function != CODE_INTERPRETER.name:
        return ("told to the assistant" if tool.get("read") else "nothing was found"), ""
    ending = str(tool.get("ending"))
    return ENDINGS.get(ending, "it has ended"), "done" if ending == "done" else ""


def files(item: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Which files there were: by name where it is known, and by id where the file is gone."""
    if item["file"]:
        return visible(names.get(item["file"], item["file"]))
    tool = item["tool"] or {}
    told = {"Read": tool.get("read"), "Given": tool.get("given"), "Made": tool.get("made")}
    return " ".join(f"{word}: {', '.join(visible(names.get(id_, id_)) for id_ in of)}." for word, of in told.items() if of)
