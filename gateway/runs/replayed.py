"""What both APIs replay and read in the same way. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import jiter

from gateway.domain.strict_json import Json
from gateway.runs.model import ImagePart, TextPart, Usage

DETAILS: Mapping[str, Literal["auto", "low", "high"]] = {"auto": "auto", "low": "low", "high": "high"}

MAX_TOKENS = 2**31 - 1

_IMAGE = "[image]"


def assistant_text(parts: Sequence[TextPart | ImagePart]) -> str:
    """What the assistant said, as one text: neither API takes an image in its name."""
    return "\n\n".join(part.text if isinstance(part, TextPart) else _IMAGE for part in parts)


def replayable(arguments: str) -> str:
    """The arguments if they are a JSON object, else an empty one: servers refuse a whole thread for what its model once wrote.

    That they were refused is said by the call's output.
    """
    try:
        value = jiter.from_json(arguments.encode(), allow_inf_nan=False)
    except ValueError:
        return "{}"
    return arguments if isinstance(value, dict) else "{}"


def as_arguments(given: Json) -> str:
    """The text of a call's arguments: they are one, or, at some servers, the JSON itself. None where there are none."""
    if given is None:
        return ""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def replayable_name(name: str) -> str:
    """The name as both APIs take one: a call that was refused for its name is told again under what is left of it."""
    return re.sub("[^A-Za-z0-9_-]", "_", name)[:64] or "_"


def joined(text: str) -> str:
    """The text with each character that a server cut in two halves (UTF-16) as one again."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def usage(reported: Json, prompt: str, completion: str) -> Usage | None:
    """Of a usage object, by the names of its members. None where it is absent, or counts what nobody can have used."""
    if not isinstance(reported, dict):
        return None
    counts = [reported.get(prompt), reported.get(completion)]
    read = [count for count in counts if type(count) is int and 0 <= count <= MAX_TOKENS]
    return Usage(read[0], read[1]) if len(read) == 2 else None
