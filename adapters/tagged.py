"""The scalar values of an answer in JSON, each with its type, so that what is stored reads exactly as it was said. Pure."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from adapters.core import Identified, Money, ReferenceKind


def tagged(value: object) -> object:
    """TypeError for a value that no answer may hold."""
    match value:
        case Identified():
            return {"identified": [value.kind.value, value.id]}
        case Money():
            return {"money": [value.minor, value.currency]}
        case datetime():
            return {"time": value.isoformat()}
        case date():
            return {"day": value.isoformat()}
        case str() | bool() | int() | None:
            return value
    raise TypeError(f"an answer cannot hold {type(value).__name__}")


def untagged(value: object) -> Any:
    """The value that `tagged` wrote. ValueError for anything else."""
    match value:
        case {"identified": [str(kind), str(identifier)]}:
            return Identified(ReferenceKind(kind), identifier)
        case {"money": [int(minor), str(currency)]}:
            return Money(minor, currency)
        case {"time": str(text)}:
            return datetime.fromisoformat(text)
        case {"day": str(text)}:
            return date.fromisoformat(text)
        case Mapping() | list():
            raise ValueError("no value of an answer")
    return value
