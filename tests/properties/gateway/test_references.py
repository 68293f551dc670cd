"""A reference resolves for its customer, conversation, kind and time, and for nothing else."""

from datetime import date, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.core import Identified, ReferenceKind
from audit.keyring import KeyKind
from gateway.calls.references import LIFETIME_DAYS, References
from tests.support.keys import one_key

RING = one_key(KeyKind.SIV, bytes(range(64)))
TODAY = date(2026, 11, 24)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
KINDS = st.sampled_from(ReferenceKind)
ALL = tuple(ReferenceKind)


@given(NAMES, NAMES, NAMES, KINDS, st.integers(0, LIFETIME_DAYS))
def test_it_resolves_to_what_it_was_issued_for(customer: str, conversation: str, name: str, kind: ReferenceKind, days: int) -> None:
    issuer = References(RING)
    issued = issuer.issue(customer, conversation, Identified(kind, name), TODAY)
    found = issuer.resolve(customer, conversation, issued, ALL, today=TODAY + timedelta(days=days))
    assert found == Identified(kind, name)
    assert name not in issued or len(name) < 4
    assert issued == issuer.issue(customer, conversation, Identified(kind, name), TODAY), "the same for a whole day"


@given(NAMES, NAMES, NAMES, NAMES, KINDS)
def test_it_resolves_for_nobody_else_and_nowhere_else(
    customer: str, other: str, conversation: str, name: str, kind: ReferenceKind
) -> None:
    assume(customer != other)
    assume(conversation != other)
    issuer = References(RING)
    issued = issuer.issue(customer, conversation, Identified(kind, name), TODAY)
    assert issuer.resolve(other, conversation, issued, ALL, today=TODAY) is None
    assert issuer.resolve(customer, other, issued, ALL, today=TODAY) is None
    assert issuer.resolve(customer, conversation, issued, ALL, today=TODAY + timedelta(days=LIFETIME_DAYS + 1)) is None
    assert References(one_key(KeyKind.SIV, bytes(64 * [7]))).resolve(customer, conversation, issued, ALL, today=TODAY) is None
    others = tuple(item for item in ReferenceKind if item is not kind)
    assert issuer.resolve(customer, conversation, issued, others, today=TODAY) is None
    for wrong in others:
        renamed = wrong.value + issued.removeprefix(kind.value)
        assert issuer.resolve(customer, conversation, renamed, ALL, today=TODAY) is None


@given(NAMES, st.data())
def test_no_other_spelling_is_the_same_reference(name: str, data: st.DataObject) -> None:
    issuer = References(RING)
    issued = issuer.issue("alice", "conv", Identified(ReferenceKind.ACCOUNT, name), TODAY)
    at = data.draw(st.integers(0, len(issued) - 1))
    character = data.draw(st.characters(codec="utf-8"))
    changed = issued[:at] + character + issued[at + 1 :]
    assume(changed != issued)
    assert issuer.resolve("alice", "conv", changed, ALL, today=TODAY) is None
    for padded in (issued + "=", issued + "A", issued + "\n", " " + issued, issued[:-1]):
        assert issuer.resolve("alice", "conv", padded, ALL, today=TODAY) is None


@given(st.text(max_size=120))
def test_whatever_is_made_up_resolves_to_nothing(text: str) -> None:
    assert References(RING).resolve("alice", "conv", text, ALL, today=TODAY) is None
