"""What is wrong with a request's body, in words and field paths of our own.

A validation library names its internal unions and validators in its paths and texts; nothing of that may reach a client, nor may a value
that the client sent. The names of fields are repeated, cut and escaped: they say where to look.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.domain.errors import Fault, RequestFault

NAME_MOST = 64
"""Characters of one field's name that are repeated."""

PATH_MOST = 512
"""Characters of a whole path."""

_ERRORS_MOST = 64
"""Errors of one body that are looked at."""

_UNSUPPORTED = "unsupported"
_OWN = frozenset({_UNSUPPORTED, "nul", "needs_last_messages", "overlap", "either", "filters", "reserved"})
"""Types of errors whose text is ours already."""

_TEXTS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "this field is not known here",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "none_required": "must be null",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "union_tag_not_found": "must be an object with the field {discriminator}",
    "union_tag_invalid": "must be one of {expected_tags}",
}
"""By the type of the library's error. What is not here "is not valid"."""


def validated(model: type[BaseModel], value: object, *, inside: str = "") -> Any:
    """The value as this model. RequestFault that names the first field that is wrong and what it must be.

    `inside`: the path of the value itself, in the body.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise fault_of(error, value, inside=inside) from None


def expected_fields(model: type[BaseModel]) -> str:
    """What a body of this model must hold, in words."""
    fields = model.model_fields.items()
    needed = [field.alias or name for name, field in fields if field.is_required()]
    return "an object with the fields " + ", ".join(needed) if needed else "an object"


def text_of(kind: str, context: Mapping[str, object]) -> str:
    """What an error of this type says of its field."""
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "must not be empty"
    values = {name: str(value).strip("'") if name == "discriminator" else value for name, value in context.items()}
    try:
        return _TEXTS.get(kind, "is not valid").format_map(values)
    except KeyError:
        return "is not valid"


def shown(name: str) -> str:
    """A field's name as it may be repeated: cut, and in printable ASCII."""
    cut = name if len(name) <= NAME_MOST else f"{name[:NAME_MOST]}..."
    return cut.encode("unicode_escape").decode("ascii")


def fault_of(error: ValidationError, value: object, *, inside: str = "") -> RequestFault:
    """What a model said of this value, as `validated` raises it."""
    details = error.errors(include_url=False)[:_ERRORS_MOST]
    paths = [_located(item["loc"], item["type"], item["input"], value) for item in details]
    deepest = max(len(path) for path in paths)  # of a union, the member that fits best
    fitting = [number for number, path in enumerate(paths) if len(path) == deepest]
    number = next((number for number in fitting if not _is_of_another_type(details[number])), fitting[0])
    first, path = details[number], paths[number]
    if first["type"] == "union_tag_invalid":
        path = (*path, str(first["ctx"]["discriminator"]).strip("'"))
    param = _joined(inside, path) or None
    fault = Fault.UNSUPPORTED if first["type"] == _UNSUPPORTED else Fault.INVALID_REQUEST
    alike = [item for item, other in zip(details, paths, strict=True) if other == paths[number]]
    return RequestFault(fault, f"{param or 'the body'}: {_expectation(first, alike)}", param=param)


def _expectation(first: ErrorDetails, alike: Sequence[ErrorDetails]) -> str:
    """What the first error says; of a value that has the type of no member of a union, what all of them say."""
    if not _is_of_another_type(first):
        return _described(first)
    texts = [_described(item) for item in alike]
    return " or ".join(dict.fromkeys(texts)).replace(" or must be ", " or ")


def _is_of_another_type(item: ErrorDetails) -> bool:
    """A choice of words is one of texts."""
    return item["type"].endswith("_type") or (item["type"] == "literal_error" and not isinstance(item["input"], str))


def _described(item: ErrorDetails) -> str:
    if item["type"] in _OWN:
        return item["msg"]
    named = "its name " if item["loc"] and item["loc"][-1] == "[key]" else ""
    return named + text_of(item["type"], item.get("ctx", {}))


def _located(loc: Sequence[int | str], kind: str, target: object, value: object) -> tuple[int | str, ...]:
    """The path of an error in what was sent. The library's path has names of its unions and validators between the fields; what it was
    given as input tells which of its parts are fields.
    """
    parts = list(loc[:-1] if loc and loc[-1] == "[key]" else loc)
    absent = kind == "missing"
    last = parts.pop() if absent and parts else None
    path = _path(parts, target, value)
    if path is None:
        path = _guessed(parts, value)
    return (*path, last) if last is not None else path


def _path(parts: Sequence[int | str], target: object, value: object) -> tuple[int | str, ...] | None:
    """A path of some of these parts that leads to the target; None: there is none. With as many parts as possible."""
    if parts:
        first, rest = parts[0], parts[1:]
        inner = _member(value, first)
        if inner is not _NOTHING and (path := _path(rest, target, inner)) is not None:
            return (first, *path)
        return _path(rest, target, value)
    return () if value is target else None


def _guessed(parts: Sequence[int | str], value: object) -> tuple[int | str, ...]:
    """As far as the parts are members of what was sent."""
    path: list[int | str] = []
    for part in parts:
        inner = _member(value, part)
        if inner is not _NOTHING:
            path.append(part)
            value = inner
    return tuple(path)


_NOTHING = object()


def _member(value: object, part: int | str) -> object:
    if isinstance(value, dict) and isinstance(part, str):
        return value.get(part, _NOTHING)
    if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
        return value[part]
    return _NOTHING


def _joined(inside: str, path: Sequence[int | str]) -> str:
    """`messages[0].content[1].type`."""
    text = inside
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown(part)}" if text else shown(part)
    return text if len(text) <= PATH_MOST else f"{text[:PATH_MOST]}..."
