"""Leaves: canonical bytes, commitments, and the closed schema."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785

from audit import leaf
from audit.disclosure import SALT_BYTES, commitment
from audit.encoding import unb64url
from audit.leaf import Approver, Committed, EndState, Frame, IntentRef, LeafInvalid, Masked, Public, Record, RecordKind, Sca
from audit.schema import check_fields, validate
from tests.trail import a_record, an_intent

FRAME = Frame("bank.example/log", "w1", "pseudonym", "A" * 43)


def rendered(record: Record, frame: Frame = FRAME) -> bytes:
    secrets = leaf.secrets_of(record)
    disclosed = leaf.disclose(secrets, b"\x07" * SALT_BYTES * len(secrets))
    found = leaf.leaf_fields(record, disclosed, frame)
    check_fields(found)
    return leaf.render(found).splice(5 if frame.customer is not None else None, 6 if record.conversation is not None else None)


NUMBER: Any = 1.5
"""Which no value of a record may be."""


def full_record() -> Record:
    """Every field of a record is set."""
    return an_intent(
        parent="call_0",
        on_behalf_of="C-1001",
        approver=Approver("officer-2", {"amount": "12.50"}),
        sca=Sca(level="L3", method="passkey", confirmation="cnf_1", evidence={"sig": "x"}, exemption="13"),
        result={"status": Public("ACSC"), "masked": Masked("****1234")},
        facts={"note": "x", "many": ("a", "b"), "count": 3, "flag": True, "none": None},
        intent=IntentRef(3, b"\x01" * 32),
        kind=RecordKind.OUTCOME,
        end_state=EndState.EXECUTED,
    )


def test_a_leaf_with_every_field_is_valid_and_canonical() -> None:
    made = rendered(full_record())
    assert all(getattr(full_record(), field.name) not in (None, {}, ()) for field in fields(Record))
    found: dict[str, Any] = validate(made)
    assert rfc8785.dumps(found) == made
    assert (found["customer_seq"], found["conversation_seq"]) == (5, 6)


def test_the_format_of_version_1_does_not_change() -> None:
    """The format is final: a change of these bytes needs another version."""
    record = a_record(
        arguments={"account": Committed("GB00-1"), "type": Public("ITAV")}, result={}, sealed={}, policy=None, grounding={}
    )
    assert rendered(record).decode() == (
        '{"actor":{"agent":"bank-app","model":"a-model"},'
        '"arguments":{"account":{"commitment":"pCqxobPnyaUoPnTaSGEb90Ea60_C_l7AINs_Pd7PZoQ"},"type":{"public":"ITAV"}},'
        '"call":"call_1","conversation":"conv_1","conversation_seq":6,"customer":"pseudonym","customer_seq":5,'
        f'"function":{{"name":"get_account_balance","schema":"{"aa" * 32}","version":1}},"kind":"read",'
        '"log":"bank.example/log","redaction":"default-1","retention":"P7Y",'
        f'"sealed":{{"digest":"{"A" * 43}","fields":{{}}}},"time":"2026-11-24T10:00:00.000000Z","timings":{{"decide":81}},'
        '"trace":{"id":"0af7651916cd43dd8448eb211c80319c","span":"b7ad6b7169203331"},"v":1,"writer":"w1"}'
    )


def test_sequences_are_spliced_where_they_belong_even_if_other_text_looks_like_them() -> None:
    trap = '","conversation_seq":1,"customer_seq":1,"'
    record = a_record(
        arguments={"customer_seq": Public(trap), "conversation_seq": Public(1)},
        agent=trap,
        timings={"customer_seq": 1, "conversation_seq": 1},
        facts={"customer_seq": 1},
    )
    found = validate(rendered(record))
    assert (found["customer_seq"], found["conversation_seq"]) == (5, 6)
    assert found["timings"] == {"customer_seq": 1, "conversation_seq": 1}
    assert found["actor"] == {"agent": trap, "model": "a-model"}


@pytest.mark.parametrize("conversation", ["conv_1", None])
@pytest.mark.parametrize("customer", ["pseudonym", None])
def test_sequences_are_there_exactly_with_their_customer_or_conversation(customer: str | None, conversation: str | None) -> None:
    record = a_record(kind=RecordKind.ADMIN, conversation=conversation, customer=customer)
    found = validate(rendered(record, replace(FRAME, customer=customer)))
    assert ("customer_seq" in found) == (customer is not None)
    assert ("conversation_seq" in found) == (conversation is not None)


def test_a_commitment_is_that_of_the_rfc_9901_disclosure_and_hides_the_value() -> None:
    record = a_record()
    secrets = leaf.secrets_of(record)
    disclosed = leaf.disclose(secrets, bytes(range(SALT_BYTES)) * len(secrets))
    made = rendered(record)
    text = disclosed.disclosures["arguments.account"]
    salt, name, value = json.loads(unb64url(text))
    assert (unb64url(salt), name, value) == (bytes(range(16)), "account", "GB00-1")
    assert b"GB00-1" not in made
    assert b"C-1001" not in made
    assert b"12.50" not in made


def test_rfc_9901_example_of_a_disclosure_digest() -> None:
    """Section 4.2.3: the digest over the example disclosure of `family_name`."""
    assert commitment("WyI2cU1RdlJMNWhhaiIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0") == "uutlBuYeMDyjLLTpf6Jxi7yNkEF35jdyWMn9U7b_RYY"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"call_id": ""}, "call"),
        ({"call_id": "a b"}, "call"),
        ({"agent": "x" * 256}, "actor"),
        ({"retention": "7 years"}, "retention"),
        ({"trace_id": "0AF7651916CD43DD8448EB211C80319C"}, "trace"),
        ({"timings": {"decide": -1}}, "timings"),
        ({"timings": {"decide": 2**53}}, "timings"),
        ({"timings": {"decide": True}}, "timings"),
        ({"timings": {"décider": 1}}, "timings"),
        ({"facts": {"x": 1.5}}, "facts"),
        ({"facts": {"x": {"nested": 1}}}, "facts"),
        ({"arguments": {"amount": Public(NUMBER)}}, "arguments"),
        ({"arguments": {"a b": Public("x")}}, "arguments"),
        ({"grounding": {"object": ""}}, "grounding"),
        ({"customer": None}, "customer"),
        ({"function": None}, "function"),
        ({"end_state": EndState.EXECUTED}, "end_state"),
    ],
)
def test_what_breaks_the_schema_is_refused_by_the_field(changes: dict[str, Any], field: str) -> None:
    record = a_record(**changes)
    with pytest.raises(LeafInvalid, match=f"^{field}:"):
        rendered(record, replace(FRAME, customer=None if record.customer is None else "pseudonym"))


def test_an_intent_without_its_instruction_is_refused() -> None:
    with pytest.raises(LeafInvalid, match="instruction: absent"):
        rendered(an_intent(instruction=None))


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"bytes"])
def test_a_sealed_value_that_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(LeafInvalid, match="decision_request"):
        rendered(a_record(sealed={"decision_request": value}))


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(LeafInvalid, match="surrogate"):
        rendered(a_record(arguments={"text": Public("\ud800")}))


def test_a_leaf_beyond_its_length_is_refused() -> None:
    rendered(a_record(arguments={"text": Public("x" * 64_000)}))
    with pytest.raises(LeafInvalid, match="too long"):
        rendered(a_record(arguments={"text": Public("x" * 65_000)}))


@pytest.mark.parametrize("time", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))])  # noqa: DTZ001
def test_a_time_that_is_not_utc_is_refused(time: datetime) -> None:
    with pytest.raises(ValueError, match="UTC"):
        rendered(a_record(time=time))


def test_times_have_six_digits() -> None:
    assert leaf.rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000Z"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":1.0'),
        (b'"v":1', b'"v":true'),
        (b'"v":1', b'"v": 1'),
        (b'"kind":"read"', b'"kind":"write"'),
        (b'"kind":"read",', b""),
        (b'"kind":"read"', b'"kind":"read","kind":"read"'),
        (b'"kind":"read"', b'"kind":"r\\u0065ad"'),
        (b'"kind":"read"', b'"kind":"read","kinder":1'),
        (b'"customer_seq":5', b'"customer_seq":0'),
        (b'"customer_seq":5', b'"customer_seq":5e0'),
        (b'"customer_seq":5,', b""),
        (b'"customer":"pseudonym","customer_seq":5,', b""),
        (b"10:00:00.000000Z", b"10:00:00.000Z"),
        (b"10:00:00.000000Z", b"24:00:00.000000Z"),
        (b'"public":"ITAV"', b'"public":"ITAV","masked":"x"'),
        (b'"public":"ITAV"', b'"secret":"ITAV"'),
        (b'"public":"ITAV"', b'"public":NaN'),
        (b'"writer":"w1"}', b'"writer":"w1"} '),
    ],
)
def test_bytes_that_are_not_a_canonical_leaf_are_refused(old: bytes, new: bytes) -> None:
    good = rendered(a_record())
    validate(good)
    assert old in good
    with pytest.raises(LeafInvalid):
        validate(good.replace(old, new, 1))


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b"{", b"{}", b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_leaf_at_all_are_refused(raw: bytes) -> None:
    with pytest.raises(LeafInvalid):
        validate(raw)
