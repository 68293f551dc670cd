"""Figures that the bank itself told in a conversation, so that an answer may list them beside each other.

Pure. Text of third parties and documents is not in it, or whoever writes a memo could have a number shown as an account; nor are figures
of fewer than four digits, of which any number could be made.
"""

import re
from collections.abc import Iterator

import orjson

from gateway.calls.redaction import FENCE
from gateway.calls.values import ValueKind, values

_FEWEST_DIGITS = 4
_FIGURE = re.compile("[0-9]+(?:[.,'][0-9]{3})*(?![0-9])|[0-9]+")
_MASK = "****"


def told(output: str) -> frozenset[str]:
    """The whole numbers, and the amounts without their decimals, of a banking function's output; none if it is no JSON."""
    try:
        value = orjson.loads(output)
    except orjson.JSONDecodeError:
        return frozenset()
    return frozenset(it for text in _texts(value) if _MASK not in text for it in re.findall(rf"[0-9]{{{_FEWEST_DIGITS},}}", text))


def is_told(text: str, figures: frozenset[str]) -> bool:
    """Whether every figure of a folded text was told, whatever groups its thousands. Days are left out of account."""
    if not figures:
        return False
    for it in values(text):
        if it.kind is ValueKind.DATE:
            text = text[: it.start] + " " * (it.end - it.start) + text[it.end :]
    found = [re.sub("[^0-9]", "", figure) for figure in _FIGURE.findall(text)]
    return bool(found) and figures.issuperset(found)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, it in value.items():
            if name != FENCE:
                yield from _texts(it)
    elif isinstance(value, list):
        for it in value:
            yield from _texts(it)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
