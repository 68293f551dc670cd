"""Canonical form equals RFC 8785 for whatever a record holds; what validates is what was rendered."""

import json
from datetime import UTC, datetime
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit import leaf
from audit.disclosure import SALT_BYTES, commitment
from audit.encoding import b64url, unb64url
from audit.leaf import Committed, Frame, Masked, Public, Record, RecordKind
from audit.schema import check_fields, validate

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LABEL = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True)
INTEGER = st.integers(-(2**53) + 1, 2**53 - 1)
PLAIN = st.none() | st.booleans() | INTEGER | TEXT | st.lists(TEXT, max_size=3).map(tuple)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda item: st.lists(item) | st.dictionaries(TEXT, item),
    max_leaves=8,
)
FIELDS = st.dictionaries(NAME, PLAIN.map(Public) | JSON.map(Committed) | TEXT.map(Masked), max_size=4)
RECORDS = st.builds(
    Record,
    kind=st.just(RecordKind.ADMIN),
    time=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  the zone is drawn beside it
    conversation=st.none() | st.just("conv_1"),
    customer=st.none() | st.just("C-1"),
    agent=st.none() | LABEL,
    model=st.none() | LABEL,
    arguments=FIELDS,
    result=FIELDS,
    sealed=st.dictionaries(NAME, JSON, max_size=2),
    grounding=st.dictionaries(NAME, LABEL, max_size=2),
    facts=st.dictionaries(NAME, PLAIN, max_size=4),
    timings=st.dictionaries(NAME, st.integers(0, 2**53 - 1), max_size=3),
    core_key=st.none() | TEXT,
)


@given(RECORDS, st.integers(1, 2**53 - 1), st.integers(1, 2**53 - 1))
def test_a_rendered_record_is_a_valid_leaf_in_the_form_of_rfc_8785(
    record: Record, customer_seq: int, conversation_seq: int
) -> None:
    secrets = leaf.secrets_of(record)
    disclosed = leaf.disclose(secrets, bytes(range(SALT_BYTES)) * len(secrets))
    customer = None if record.customer is None else "pseudonym"
    fields = leaf.leaf_fields(record, disclosed, Frame("log", "w1", customer, "A" * 43 if secrets else None))
    check_fields(fields)
    made = leaf.render(fields).splice(
        None if customer is None else customer_seq, None if record.conversation is None else conversation_seq
    )
    found: dict[str, Any] = validate(made)
    assert rfc8785.dumps(found) == made
    assert found.get("customer_seq") == (None if customer is None else customer_seq)
    assert found.get("conversation_seq") == (None if record.conversation is None else conversation_seq)
    for path, text in disclosed.disclosures.items():
        assert commitment(text).encode() in made
        salt, name, value = json.loads(unb64url(text))
        assert (unb64url(salt), name) == (bytes(range(16)), path.split(".", 1)[-1] if "." in path else path)
        assert value == {f"{section}.{name}" if section else name: value for section, name, value in secrets}[path]


@given(st.binary(max_size=40))
def test_base64url_is_undone(raw: bytes) -> None:
    assert unb64url(b64url(raw)) == raw
