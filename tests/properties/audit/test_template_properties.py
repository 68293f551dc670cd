"""A leaf by template is byte for byte the leaf of the general way, and what the general way refuses is refused."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit import leaf
from audit.disclosure import SALT_BYTES
from audit.leaf import (
    Approver,
    Committed,
    Disclosed,
    EndState,
    Frame,
    Function,
    IntentRef,
    LeafInvalid,
    Masked,
    Policy,
    Public,
    Record,
    RecordKind,
    Rendered,
    Sca,
)
from audit.schema import check_fields, validate
from audit.template import TEMPLATES_MOST, Templates
from tests.properties.audit.test_leaf_properties import FIELDS, JSON, LABEL, NAME, PLAIN, TEXT
from tests.trail import START, a_record, an_intent

IDS = (
    st.from_regex(r"[!-~]{1,12}", fullmatch=True)
    | st.sampled_from(["%s", "%(call)s", '"', "\\", "\x00call\x00"])
    | TEXT
    | st.none()
)
HEX = st.from_regex(r"[0-9a-f]{32}", fullmatch=True) | IDS
SPAN = st.from_regex(r"[0-9a-f]{16}", fullmatch=True) | IDS
COUNTS = st.integers(0, 2**53 - 1) | st.sampled_from([-1, 2**53, True, 1.0, "1"])
LABELS = LABEL | st.sampled_from(["100%", "%(call)s", "\x00call\x00", '"\x00time\x00"'])
RECORDS = st.builds(
    Record,
    kind=st.sampled_from([RecordKind.READ, RecordKind.INTENT, RecordKind.OUTCOME]) | st.sampled_from(RecordKind),
    time=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  the zone is drawn beside it
    parent=st.none() | st.none() | IDS,
    call_id=IDS,
    conversation=IDS,
    customer=st.just("C-1"),
    trace_id=HEX,
    span_id=SPAN,
    agent=st.none() | LABELS,
    model=st.none() | LABELS,
    on_behalf_of=st.none() | LABEL,
    function=st.none() | st.builds(Function, name=NAME, version=COUNTS, schema_hash=st.just("ab" * 32)),
    policy=st.none()
    | st.builds(
        Policy,
        bundle_hash=st.just("cd" * 32),
        bundle_version=LABEL,
        decision=st.sampled_from(["permit", "challenge", "deny", "else"]),
        policies=st.lists(LABELS, max_size=2).map(tuple),
        reason=LABELS,
    ),
    arguments=FIELDS | st.dictionaries(NAME, JSON.map(Committed) | LABELS.map(Public), max_size=3),
    result=FIELDS | st.dictionaries(NAME, JSON.map(Committed), max_size=3),
    sealed=st.dictionaries(NAME, JSON, min_size=1, max_size=2),
    grounding=st.dictionaries(NAME, LABELS, max_size=2),
    facts=st.dictionaries(NAME, PLAIN, max_size=2),
    timings=st.dictionaries(NAME, st.integers(0, 2**53 - 1) | COUNTS, max_size=3),
    redaction=st.none() | LABEL,
    instruction=st.none() | st.just(b"{}"),
    core_key=st.none() | TEXT,
    intent=st.none() | st.builds(IntentRef, index=COUNTS, leaf_hash=st.binary(min_size=32, max_size=32) | st.just(b"short")),
    end_state=st.none() | st.sampled_from(EndState),
)
LOG = "bank.example/log"
DECIDED = Policy(bundle_hash="cd" * 32, bundle_version="7", decision="permit", policies=("owner-reads",), reason="owner")
FULL = an_intent(kind=RecordKind.OUTCOME, end_state=EndState.EXECUTED, intent=IntentRef(3, b"\x01" * 32), facts={"code": "denied"})


def rendered(record: Record, disclosed: Disclosed, frame: Frame) -> Rendered:
    found = leaf.leaf_fields(record, disclosed, frame)
    check_fields(found)
    return leaf.render(found)


def outcome(made: Callable[[], Rendered]) -> tuple[bytes, ...] | None:
    """None: refused."""
    try:
        return made().parts
    except LeafInvalid:
        return None


def generally(record: Record, salts: bytes, customer: str) -> tuple[bytes, ...] | None:
    return outcome(lambda: rendered(record, leaf.disclose(leaf.secrets_of(record), salts), Frame(LOG, "w1", customer, "A" * 43)))


def by_template(templates: Templates, record: Record, salts: bytes, customer: str) -> tuple[bytes, ...] | None:
    def made() -> Rendered:
        return templates.render(record, leaf.disclose(leaf.secrets_of(record), salts), Frame(LOG, "w1", customer, "A" * 43))

    return outcome(made)


def salts_of(record: Record, byte: int) -> bytes:
    return bytes([byte]) * SALT_BYTES * len(leaf.secrets_of(record))


@given(RECORDS, RECORDS)
@example(FULL, FULL)
def test_a_leaf_by_template_is_the_leaf_of_the_general_way(first: Record, drawn: Record) -> None:
    """`later` has the shape of `first`; what differs is drawn anew, in order or not."""
    later = replace(
        first,
        time=drawn.time,
        call_id=drawn.call_id,
        conversation=drawn.conversation,
        trace_id=drawn.trace_id,
        span_id=drawn.span_id,
        timings=dict(zip(first.timings, drawn.timings.values(), strict=False)),
        intent=first.intent and drawn.intent,
    )
    templates = Templates()
    for byte, (record, customer) in enumerate([(first, "pseudonym"), (later, "other"), (first, "third"), (drawn, "other")]):
        salts = salts_of(record, byte)
        assert by_template(templates, record, salts, customer) == generally(record, salts, customer)


def a_read(**changes: Any) -> Record:
    return a_record(**{"result": {"amount": Committed("12.50")}, "arguments": {"account": Committed("GB00-1")}, **changes})


ODD = ["%s", "%(call)s", '"', "\\", "\x00call\x00", "a\nb", "", "é", " ", "a" * 256, None]
"""Where an id should be."""
FIELD = [
    {"account": value}
    for value in (Committed("x"), Committed(None), Public("x"), Public("%s"), Public(1), Public(True), Masked("x"))
]
CHANGES: dict[str, list[Any]] = {
    "kind": [*RecordKind],
    "time": [START, datetime(1970, 1, 1, tzinfo=UTC)],
    "retention": ["P7Y", "P1M", "P", "%s"],
    "call_id": ["call_1", *ODD],
    "parent": [None, "call_0", *ODD],
    "conversation": ["conv_1", *ODD],
    "customer": ["C-1", "C-2"],
    "trace_id": ["0" * 32, "0" * 31, "0" * 31 + "G", *ODD],
    "span_id": ["0" * 16, "0" * 17, *ODD],
    "agent": ["bank-app", *ODD],
    "model": ["a-model", *ODD],
    "on_behalf_of": ["C-1001", *ODD],
    "approver": [None, Approver("officer", {}), Approver("", {})],
    "function": [
        None,
        Function("f", 1, "aa" * 32),
        Function("f", 2, "aa" * 32),
        Function("%s", 1, "aa" * 32),
        Function("f", 1, "aa"),
    ],
    "policy": [None, *(replace(DECIDED, reason=reason) for reason in ("owner", "100%", "%(call)s", ""))],
    "sca": [None, Sca(level="L3", method="passkey"), Sca(level="", method="passkey", evidence={})],
    "arguments": [{}, *FIELD, {"a b": Committed(1)}, {"account": Committed(1), "other": Committed(2)}],
    "result": [{}, *FIELD, {"other": Committed(1)}],
    "sealed": [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, {"%s": 1}],
    "grounding": [{}, {"payee": "typed"}, {"payee": "100%"}, {"payee": ""}, {"%s": "typed"}, {"amount": "typed"}],
    "facts": [{}, *({"fact": value} for value in (1, True, 0, False, "1", None, ("1",), ("1", "%s"), 2**53))],
    "timings": [{}, *({"decide": value} for value in (0, 7, -1, 2**53 - 1, 2**53, True, 1.0, "1")), {"other": 7}, {"%s": 7}],
    "redaction": [None, "default", "100%", ""],
    "instruction": [None, b"{}", b'{"key":"%s"}'],
    "core_key": [None, "k1", "%s"],
    "intent": [
        None,
        *(IntentRef(index, b"x" * 32) for index in (0, 9, -1, 2**53, True)),
        IntentRef(9, b"y" * 32),
        IntentRef(9, b"y"),
    ],
    "end_state": [None, *EndState],
}
"""Of each field of a record: what there is, and what only looks like it."""


@pytest.mark.parametrize("field", [field.name for field in fields(Record)])
def test_a_template_is_right_for_whatever_another_record_has_in_one_field(field: str) -> None:
    """One record makes a template, the next differs in this field: both ways round, of each kind that has templates."""
    for base in (a_read(), an_intent(), FULL):
        for first, later in permutations(CHANGES[field], 2):
            templates = Templates()
            for value in (first, later):
                record = replace(base, **{field: value})
                salts = salts_of(record, 1)
                assert by_template(templates, record, salts, "p") == generally(record, salts, "p"), (first, later)


def test_a_template_is_right_for_whatever_the_log_adds() -> None:
    record = a_read()
    disclosed = leaf.disclose(leaf.secrets_of(record), salts_of(record, 1))
    frames = [
        Frame(log, writer, customer, "A" * 43) for log in ("a", "%s") for writer in ("w", "%s") for customer in ("p", "q", *ODD)
    ]
    for first, later in permutations(frames, 2):
        templates = Templates()
        for frame in (first, later):
            given = (record, disclosed, frame)
            assert outcome(partial(templates.render, *given)) == outcome(partial(rendered, *given))


def test_a_leaf_by_template_is_no_longer_than_a_leaf_may_be() -> None:
    """To the byte: the template comes from a record that fits, and each next one has an id that is longer by one."""
    parts = generally(a_read(facts={"note": ""}, call_id="c"), salts_of(a_read(), 4), "p") or ()
    note, templates = "x" * (leaf.LEAF_MOST - len(b"".join(parts)) - 100), Templates()
    refused = []
    for length in range(1, 256):
        record = a_read(facts={"note": note}, call_id="c" * length)
        made = by_template(templates, record, salts_of(record, 4), "p")
        assert made == generally(record, salts_of(record, 4), "p")
        refused.append(made is None)
    assert refused == sorted(refused)
    assert {*refused} == {False, True}


def test_templates_are_bounded_and_forgetting_changes_nothing() -> None:
    templates = Templates()
    for number in range(TEMPLATES_MOST + 2):
        record = a_read(agent=f"agent-{number}")
        made = by_template(templates, record, salts_of(record, 5), "p")
        assert len(templates._known) <= TEMPLATES_MOST
        if number % 100 == 0 or number > TEMPLATES_MOST:
            assert made == generally(record, salts_of(record, 5), "p")


def test_a_template_is_used_for_the_records_of_calls() -> None:
    """Reads, intents and outcomes of one shape make one template each, which leaves that the schema accepts come from."""
    templates = Templates()
    kinds = [a_read(), an_intent(), FULL]
    for number in range(3):
        for record in kinds:
            timings = dict.fromkeys(record.timings, number)
            changed = replace(record, call_id=f"call_{number}", conversation=f"conv_{number}", timings=timings)
            disclosed = leaf.disclose(leaf.secrets_of(changed), salts_of(changed, number))
            validate(templates.render(changed, disclosed, Frame(LOG, "w1", "p", "A" * 43)).splice(5, 6))
    assert len(templates._known) == len(kinds)
