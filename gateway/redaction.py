"""interim"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from adapters.core import Identified, Money
from adapters.function import Field, Label
from gateway.strict_json import Json


@dataclass(frozen=True, slots=True)
class Redacted:
    value: dict[str, Json]
    labels: frozenset[Label]
    dropped: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


def redact(
    output: tuple[Field, ...], raw: Mapping[str, object], *, reference: Callable[[Identified], str], allowed: frozenset[str]
) -> Redacted:
    def one(f, v):
        if v is None:
            return None
        if isinstance(f.type, tuple):
            return [rec(f.type, x) for x in v] if f.many else rec(f.type, v)
        if f.many:
            return [leafy(x) for x in v]
        return leafy(v)

    def leafy(v):
        if isinstance(v, Identified):
            return reference(v)
        if isinstance(v, Money):
            return {"value": v.value, "currency": v.currency}
        if isinstance(v, (datetime, date)):
            return v.isoformat()
        return v

    def rec(fs, raw):
        return {f.name: one(f, raw.get(f.name)) for f in fs if f.data_class in allowed}

    return Redacted(rec(output, raw), frozenset())
