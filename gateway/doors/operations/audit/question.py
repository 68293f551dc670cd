"""A question in one line, as people type it, and back: `function:initiate_transfer outcome:executed since:2026-03-01`. Pure."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from audit.leaf import EndState, RecordKind
from audit.query import Query
from gateway.domain.errors import Fault, RequestFault

QUESTION_MOST = 1000

FIELD_OF = {
    "function": "function",
    "outcome": "end_state",
    "decision": "decision",
    "policy": "policy",
    "customer": "customer",
    "conversation": "conversation",
    "call": "call_id",
    "trace": "trace_id",
    "bundle": "bundle_hash",
    "approver": "approver",
    "about": "about",
    "kind": "kinds",
    "since": "since",
    "until": "until",
}
"""What is typed before the colon, and the field of a question that it says."""


def question_of(text: str) -> Query:
    """RequestFault that says which word was not understood."""
    if len(text) > QUESTION_MOST:
        raise _not_understood(f"a question has at most {QUESTION_MOST} characters")
    try:
        words = shlex.split(text)
    except ValueError:
        raise _not_understood("a quotation mark is not closed") from None
    query = Query()
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or name not in FIELD_OF or not value:
            raise _not_understood(f"each word is NAME:VALUE, and a name is one of {', '.join(FIELD_OF)}")
        query = with_field(query, FIELD_OF[name], _value(name, value, query))
    return query


def with_field(query: Query, field: str, value: object) -> Query:
    """The same question with another value of one field; `None` and `()` ask for any."""
    changed: dict[str, Any] = {field: value}
    return replace(query, **changed)


def text_of(query: Query) -> str:
    """The same question as one line."""
    said = []
    for name, field in FIELD_OF.items():
        value = getattr(query, field)
        for item in value if isinstance(value, tuple) else () if value is None else (value,):
            text = item.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(item, datetime) else str(item)
            said.append(f"{name}:{shlex.quote(text.removesuffix('T00:00:00Z'))}")
    return " ".join(said)


def _value(name: str, value: str, query: Query) -> object:
    if name == "kind":
        if value not in tuple(RecordKind):
            raise _not_understood(f"kind: one of {', '.join(RecordKind)}")
        return (*query.kinds, RecordKind(value))
    if name == "outcome" and value not in tuple(EndState):
        raise _not_understood(f"outcome: one of {', '.join(EndState)}")
    if name in ("since", "until"):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _not_understood(f"{name}: a day such as 2026-03-01, or a moment such as 2026-03-01T09:30:00Z") from None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return value


def _not_understood(message: str) -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, message, param="q")
