"""Which records a stream takes: a question of the language of questions that a leaf answers by itself. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import fields

from audit.query import Query
from audit.question_language import parse_question
from audit.terms import Term, terms_of

Takes = Callable[[Mapping[str, object]], bool]
"""Of a parsed leaf: whether the stream takes it."""

_TERMS: Mapping[str, str] = {
    "function": "function",
    "decision": "decision",
    "policy": "policy",
    "bundle_hash": "bundle",
    "end_state": "end_state",
    "approver": "approver",
    "agent": "agent",
    "by": "by",
    "reason": "reason",
    "word": "word",
    "switch": "switch",
}
"""What a query may ask, and the term of a leaf that answers it."""


class SelectionInvalid(ValueError):
    """A question that no leaf answers by itself: about times, customers, what is sealed, or how a call stands by now."""


def selection(text: str) -> Takes:
    """What a stream with this question takes; an empty one takes everything. QuestionInvalid, SelectionInvalid."""
    query = parse_question(text)
    asked = {field.name for field in fields(Query) if getattr(query, field.name) not in (None, ())}
    if unknown := asked - _TERMS.keys() - {"kinds"}:
        known = ", ".join(("kind", *_TERMS.values())).replace("end_state", "end")
        raise SelectionInvalid(f"{', '.join(sorted(unknown))}: a stream is chosen by what a record says itself: {known}")
    kinds = frozenset(query.kinds)
    wanted: set[Term] = {(term, value) for name, term in _TERMS.items() if (value := getattr(query, name)) is not None}

    def takes(leaf: Mapping[str, object]) -> bool:
        return (not kinds or leaf.get("kind") in kinds) and (not wanted or wanted <= terms_of(leaf))

    return takes
