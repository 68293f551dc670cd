"""Where a value comes from, and what follows: each source means that the call goes on, that the customer is asked, or that it is denied.

A record keeps the sources of a call by the kinds of its arguments.
"""

from collections.abc import Iterable, Mapping

from adapters.function import Kind
from gateway.domain.doubts import Doubt

OWN, KNOWN, TYPED, UNCHANGED, CONFIRMED = "own", "known", "typed", "unchanged", "confirmed"
NEW, PASTED, DOCUMENT, AMBIGUOUS, CALCULATED, OUT_OF_SCOPE = "new", "pasted", "document", "ambiguous", "calculated", "out_of_scope"
UNNAMED = "unnamed"
"""A document that is read although nobody named it: what stands in it counts for nothing."""

UNGROUNDED, USED, WITHDRAWN = "ungrounded", "used", "withdrawn"
ASKED = frozenset({NEW, PASTED, DOCUMENT, AMBIGUOUS, CALCULATED, OUT_OF_SCOPE})
DENIED = frozenset({UNGROUNDED, USED})
_DOUBTS: Mapping[str, Doubt] = {
    PASTED: Doubt.PASTED,
    DOCUMENT: Doubt.DOCUMENT,
    AMBIGUOUS: Doubt.AMBIGUOUS,
    CALCULATED: Doubt.CALCULATED,
    OUT_OF_SCOPE: Doubt.NO_ORDER,
}
_NEW_KINDS: Mapping[str, Doubt] = {
    Kind.PAYEE.value: Doubt.NEW_PAYEE,
    Kind.CREDENTIAL.value: Doubt.CREDENTIAL,
    Kind.PROFILE.value: Doubt.PROFILE,
    Kind.DOCUMENT.value: Doubt.DOCUMENT,
}
_ORDER = {doubt: place for place, doubt in enumerate(Doubt)}
INDIRECT = frozenset({PASTED, DOCUMENT, CALCULATED})


def doubts_of(sources: Mapping[str, str], spoken: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """Why the customer is asked, in the order in which they are shown."""
    found = {
        _NEW_KINDS.get(kind, Doubt.NOT_WHOLE) if source == NEW else _DOUBTS[source]
        for kind, source in sources.items()
        if source in ASKED
    }
    found.update(spoken)
    return tuple(sorted(found, key=_ORDER.__getitem__)) if found else ()


_RANK: Mapping[str, int] = {**dict.fromkeys(DENIED, 2), **dict.fromkeys(ASKED, 1)}


def worse(one: str | None, other: str) -> str:
    return other if one is None or _RANK.get(other, 0) > _RANK.get(one, 0) else one
