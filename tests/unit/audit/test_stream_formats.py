"""What of a record leaves, and in which form: by golden lines, by the schemas and grammars of others, and never a value of a customer's."""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.leaf import Committed, EndState, Frame, Masked, Public, Record, RecordKind, disclose, leaf_fields, secrets_of
from audit.question_language import QuestionInvalid
from audit.streams.formats import ECS_VERSION, OCSF_VERSION, StreamFormat, line_of
from audit.streams.record import PseudonymForm, StreamRecord, StreamView, allowed
from audit.streams.selection import SelectionInvalid, selection
from audit.streams.syslog import framed, message
from tests.support.stream_receivers import unframed
from tests.trail import ORIGIN, a_record, an_end, an_intent

HASH = bytes(range(32))
SUBJECT = "sub_5f0c9a"
OCSF = json.loads((Path(__file__).parents[2] / "peers" / "ocsf" / f"api_activity-{OCSF_VERSION}.json").read_text())


def leaf_of(record: Record) -> dict[str, Any]:
    secrets = secrets_of(record)
    made = leaf_fields(
        record, disclose(secrets, bytes(16 * len(secrets))), Frame(ORIGIN, "w1", SUBJECT, "d" * 43 if secrets else None)
    )
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found


def record_of(record: Record, pseudonyms: PseudonymForm = PseudonymForm.HASHED) -> StreamRecord:
    return allowed(41, HASH, leaf_of(record), StreamView(ORIGIN, "soc", pseudonyms))


def line(form: StreamFormat, record: Record, pseudonyms: PseudonymForm = PseudonymForm.HASHED) -> bytes:
    return line_of(form, record_of(record, pseudonyms), "0.1.0")


KINDS = (
    a_record(),
    a_record(kind=RecordKind.DENY, result={}),
    an_intent(),
    an_end(3, HASH),
    an_end(3, HASH, RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN),
    Record(kind=RecordKind.ADMIN, time=a_record().time, facts={"word": "kill_engaged", "by": "ann", "reason": "Mr Smith is wild"}),
    Record(
        kind=RecordKind.AUDIT_QUERY,
        time=a_record().time,
        agent="eve",
        facts={"purpose": "about Smith", "case": "C-1", "by_customer": SUBJECT},
    ),
    Record(kind=RecordKind.CENSUS, time=a_record().time, facts={"received": 7, "denied": 1}),
    Record(kind=RecordKind.LOG_START, time=a_record().time),
)


@pytest.mark.parametrize("record", KINDS, ids=lambda record: record.kind.value)
def test_ocsf_keeps_the_schema_of_its_class(record: Record) -> None:
    found = json.loads(line(StreamFormat.OCSF, record))
    jsonschema_rs.Draft202012Validator(OCSF).validate(found)
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
    assert (found["metadata"]["version"], found["metadata"]["uid"]) == (OCSF_VERSION, f"{ORIGIN}#41")
    assert datetime.fromtimestamp(found["time"] / 1000, UTC) == record.time
    assert found["raw_data_hash"]["value"] == HASH.hex()


def test_the_schema_that_ocsf_is_held_against_is_one(tmp_path: Path) -> None:
    found = json.loads(line(StreamFormat.OCSF, a_record()))
    for change in ({"severity_id": "one"}, {"stranger": 1}, {"class_uid": 6004}):
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.Draft202012Validator(OCSF).validate({**found, **change})
    del found["src_endpoint"]
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.Draft202012Validator(OCSF).validate(found)


def test_ecs_by_a_golden_line() -> None:
    found = json.loads(line(StreamFormat.ECS, a_record(kind=RecordKind.DENY, result={})))
    customer = hashlib.sha256(f"{ORIGIN}\nsoc\n{SUBJECT}".encode()).hexdigest()
    conversation = hashlib.sha256(f"{ORIGIN}\nsoc\nconv_1".encode()).hexdigest()
    assert found == {
        "@timestamp": "2026-11-24T10:00:00.000000Z",
        "ecs": {"version": ECS_VERSION},
        "message": "get_account_balance: refused",
        "event": {
            "kind": "event",
            "category": ["api"],
            "type": ["denied"],
            "action": "get_account_balance",
            "code": "deny",
            "outcome": "failure",
            "severity": 2,
            "id": "bank.example/log#41",
            "sequence": 41,
            "hash": HASH.hex(),
            "module": "tellergate",
            "dataset": "tellergate.audit",
            "provider": ORIGIN,
            "reason": "owner",
        },
        "observer": {"vendor": "Tellergate", "product": "Tellergate", "type": "gateway", "version": "0.1.0"},
        "tellergate": {
            "call": "call_1",
            "retention": "P7Y",
            "trace": {"id": "0af7651916cd43dd8448eb211c80319c", "span": "b7ad6b7169203331"},
            "actor": {"agent": "bank-app", "model": "a-model"},
            "function": {"name": "get_account_balance", "version": 1},
            "policy": {
                "bundle": a_record().policy.bundle_hash,  # type: ignore[union-attr]
                "version": "7",
                "decision": "permit",
                "policies": ["owner-reads"],
                "reason": "owner",
                "obligations": [],
            },
            "customer": customer,
            "conversation": conversation,
            "outcome": "refused",
        },
        "client": {"address": "bank-app"},
        "user": {"hash": customer},
        "trace": {"id": "0af7651916cd43dd8448eb211c80319c"},
    }


def parsed_cef(text: str) -> tuple[list[str], dict[str, str]]:
    """By the standard's words, with nothing of ours: seven pipes that no backslash escapes, then `key=value` pairs."""
    assert "\n" not in text
    assert "\r" not in text
    parts, at = [""], 0
    while len(parts) < 8 and at < len(text):
        if text[at] == "\\" and text[at + 1] in "\\|":
            parts[-1] += text[at + 1]
            at += 2
        elif text[at] == "|":
            parts.append("")
            at += 1
        else:
            parts[-1] += text[at]
            at += 1
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "__", text[at:])))
    pairs = {}
    for found, following in zip(keys, [*keys[1:], None], strict=True):
        raw = text[at + found.end() : len(text) if following is None else at + following.start()]
        pairs[found[1]] = re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], raw)
    return parts[:7], pairs


HOSTILE = st.text(st.sampled_from("ab |=\\\n\r\u2028\x85\té"), min_size=1, max_size=30)


@given(agent=HOSTILE, reason=HOSTILE)
def test_cef_is_read_back_by_another_parser_whatever_is_in_it(agent: str, reason: str) -> None:
    policy = a_record().policy
    assert policy is not None
    record = a_record(agent=agent, policy=type(policy)(**{**{n: getattr(policy, n) for n in policy.__slots__}, "reason": reason}))
    head, pairs = parsed_cef(line(StreamFormat.CEF, record).decode())
    assert head == ["CEF:0", "Tellergate", "Tellergate", "0.1.0", "read", "get_account_balance: answered", "1"]
    assert pairs["sourceServiceName"] == "\n".join(agent.splitlines())
    assert pairs["reason"] == "\n".join(reason.splitlines())
    assert (pairs["externalId"], pairs["cs1"], pairs["cs1Label"]) == ("41", HASH.hex(), "leafHash")
    assert pairs["rt"] == str(int(record.time.timestamp() * 1000))


def test_cef_escapes_pipes_in_its_header() -> None:
    record = record_of(Record(kind=RecordKind.ADMIN, time=a_record().time, facts={"word": "a"}))
    made = line_of(StreamFormat.CEF, record, "0|1\\2").decode()
    assert made.startswith("CEF:0|Tellergate|Tellergate|0\\|1\\\\2|admin|a: admin|1|")
    assert parsed_cef(made)[0][3] == "0|1\\2"


RFC5424 = re.compile(
    rb"<(?P<pri>0|[1-9][0-9]{0,2})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48})"
    rb' (?P<proc>[!-~]{1,128}) (?P<id>[!-~]{1,32}) (?P<sd>\[[!#-<>-\\^-~]{1,32}(?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])'
    rb"(?: (?P<msg>.*))?",
    re.DOTALL,
)
"""The grammar of RFC 5424 section 6, of a message with one element of structured data."""


@pytest.mark.parametrize("record", KINDS, ids=lambda record: record.kind.value)
def test_a_message_keeps_the_grammar_of_syslog(record: Record) -> None:
    made = record_of(record)
    content = message(made, line_of(StreamFormat.JSON, made, "0.1.0"))
    found = RFC5424.fullmatch(content)
    assert found is not None
    assert int(found["pri"]) // 8 == 13
    assert (found["host"], found["app"], found["id"]) == (b"bank.example", b"tellergate", record.kind.value.encode())
    assert found["sd"] == b'[meta sequenceId="42"]'
    assert json.loads(found["msg"])["index"] == 41
    assert list(unframed(framed(content) * 3)) == [content] * 3


SECRETS = st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=20).map(lambda text: f"S3CR3T{text}")


@given(secrets=st.lists(SECRETS, min_size=6, max_size=6), form=st.sampled_from(StreamFormat), kept=st.sampled_from(PseudonymForm))
def test_no_argument_result_text_or_sealed_value_leaves_in_any_form(
    secrets: list[str], form: StreamFormat, kept: PseudonymForm
) -> None:
    one, two, three, four, five, six = secrets
    record = a_record(
        customer=one,
        arguments={"a": Committed(two), "b": Public(three), "c": Masked(four)},
        result={"d": Committed(two), "e": Public(three), "f": Masked(four)},
        sealed={"decision_request": {"name": five}},
        grounding={"object": six},
        facts={
            "purpose": six,
            "case": six,
            "subject": six,
            "about": six,
            "shown": (six,),
            "reason": f"{six} of {five}",
            "code": f"{six} x",
        },
        on_behalf_of=six,
        instruction=five.encode(),
        core_key=five,
    )
    made = line(form, record, kept)
    assert b"S3CR3T" not in made
    assert (SUBJECT.encode() in made) == (kept is PseudonymForm.PLAIN)


def test_hashed_pseudonyms_count_within_a_stream_and_join_no_two() -> None:
    leaf = leaf_of(a_record())
    one, same, other = (
        allowed(n, HASH, leaf, StreamView(ORIGIN, name)).text("customer") for n, name in enumerate(("soc", "soc", "fraud"))
    )
    assert one == same != other
    assert "customer" not in allowed(1, HASH, leaf, StreamView(ORIGIN, "soc", PseudonymForm.NONE)).shown


@pytest.mark.parametrize(
    ("question", "taken"),
    [
        ("", True),
        ("kind:read,deny", True),
        ("kind:deny", False),
        ("function:get_account_balance decision:permit policy:owner-reads agent:bank-app", True),
        ("function:get_account_balance decision:deny", False),
        ("reason:owner", True),
    ],
)
def test_a_stream_takes_what_its_question_asks(question: str, taken: bool) -> None:
    assert selection(question)(leaf_of(a_record())) is taken


@pytest.mark.parametrize(
    "question",
    ["customer:C-1", "amount:>5EUR", "payee:x", "new_payee:yes", "outcome:refused", "since:2026-03-01", "case:C-1", "shown:x"],
)
def test_a_stream_asks_nothing_that_a_record_does_not_say_itself(question: str) -> None:
    with pytest.raises(SelectionInvalid):
        selection(question)


def test_a_question_that_cannot_be_read_is_none() -> None:
    with pytest.raises(QuestionInvalid):
        selection("colour:red")
