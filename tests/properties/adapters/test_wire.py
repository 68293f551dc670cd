"""The wire of a core behind HTTP: every value of the port comes back as it went, in one spelling, and nothing else is taken."""

import dataclasses
import json
import types
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import core
from adapters.core import MAX_MINOR, Done, Identified, Instruction, Money, ReferenceKind, RequestHuman
from adapters.cores.remote import wire
from adapters.cores.remote.codec import MAX_INTEGER, WireError, codec, dumps, loads
from adapters.cores.remote.wire import CoreFault
from adapters.questions import ASKED_TOGETHER, Question

texts = st.text(st.characters(codec="utf-8"), max_size=12)
currencies = st.sampled_from(["JPY", "GBP", "BHD"])
money = st.builds(Money, st.integers(-MAX_MINOR, MAX_MINOR), currencies)
moments = st.datetimes(timezones=st.just(UTC))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    texts,
    money,
    st.builds(Identified, st.sampled_from(ReferenceKind), texts),
    st.dates(),
    moments,
)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: st.integers(-MAX_INTEGER, MAX_INTEGER),
    types.NoneType: st.none(),
    bytes: st.binary(max_size=12),
    date: st.dates(),
    datetime: moments,
    Money: money,
    object: scalars,
}


def values(of: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation of the port, by the annotation alone: a new type of the port is tested without a line here."""
    if of in SIMPLE:
        return SIMPLE[of]
    if isinstance(of, type) and issubclass(of, StrEnum):
        return st.sampled_from(list(of))
    if isinstance(of, type) and dataclasses.is_dataclass(of):
        hints = get_type_hints(of)
        return st.builds(of, **{field.name: values(hints[field.name]) for field in dataclasses.fields(of)})
    origin, arguments = get_origin(of), get_args(of)
    if origin in (Union, types.UnionType):
        return st.one_of(*(values(argument) for argument in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Sequence, tuple):
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is frozenset:
        return st.frozensets(values(arguments[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(texts, values(arguments[1]), max_size=4)
    raise TypeError(of)


VALUES = [var for var in vars(core).values() if dataclasses.is_dataclass(var) and isinstance(var, type)]


@pytest.mark.parametrize("of", VALUES, ids=lambda of: of.__name__)
@given(drawn=st.data())
def test_every_value_of_the_port_comes_back_as_it_went(of: type, drawn: st.DataObject) -> None:
    value = drawn.draw(values(of))
    sent = dumps(codec(of).encode(value))
    came = codec(of).decode(loads(sent))
    assert came == value
    assert type(came) is type(value)
    assert dumps(codec(of).encode(came)) == sent, "one spelling"


@pytest.mark.parametrize("operation", [*wire.QUESTIONS.values(), wire.STATUS_OF_KEY], ids=lambda item: item.name)
@given(drawn=st.data())
def test_every_question_and_its_answer_come_back_as_they_went(operation: wire.Operation, drawn: st.DataObject) -> None:
    hints = get_type_hints(getattr(core.CoreBank, operation.name))
    given_ = {name: drawn.draw(values(hints[name])) for name in operation.parameters}
    assert operation.arguments(operation.request((), given_)) == given_
    assert operation.request(tuple(given_.values()), {}) == operation.request((), given_)
    answer = drawn.draw(values(hints["return"]))
    frame = wire.answered("0" * 32, None, operation.answer.encode(answer))
    assert operation.answer.decode(wire.read_frame(frame, "0" * 32, None)) == answer


@st.composite
def asked_and_answered(draw: st.DrawFn) -> tuple[Question[Any], Any]:
    """A question that is asked together with others, and its answer or a fault."""
    name = draw(st.sampled_from(sorted(ASKED_TOGETHER)))
    hints = get_type_hints(getattr(core.CoreBank, name))
    arguments = tuple(draw(values(hints[parameter])) for parameter in wire.QUESTIONS[name].parameters)
    return Question(name, arguments), draw(values(hints["return"]) | st.sampled_from(CoreFault))


@given(st.lists(asked_and_answered(), min_size=1, max_size=4))
def test_several_questions_and_their_answers_come_back_as_they_went(several: list[tuple[Question[Any], Any]]) -> None:
    questions = [question for question, _ in several]
    assert wire.questions_of(wire.together(questions)) == questions
    sent = [wire.answer_of(question, answer) for question, answer in several]
    came = wire.answers_of(questions, loads(dumps(sent)))
    assert [(it.question, it.answer) for it in came] == [pair for pair in several if not isinstance(pair[1], CoreFault)]


@given(st.dictionaries(texts, scalars, max_size=6))
def test_an_effect_s_output_comes_back_with_its_very_types(output: dict[str, object]) -> None:
    came = codec(Done).decode(loads(dumps(codec(Done).encode(Done(output)))))
    assert came == Done(output)
    assert {name: type(item) for name, item in came.output.items()} == {name: type(item) for name, item in output.items()}


keys = st.from_regex(wire.KEY_FORM, fullmatch=True)
instructions = st.builds(Instruction, keys, texts, texts, values(core.Order))


@given(instructions)
def test_the_canonical_bytes_of_an_instruction_are_its_wire_form(told: Instruction) -> None:
    assert wire.instruction_of(told.canonical()) == told


@given(instructions, st.data())
def test_no_other_bytes_are_an_instruction(told: Instruction, drawn: st.DataObject) -> None:
    body = told.canonical()
    at = drawn.draw(st.integers(0, len(body) - 1))
    changed = drawn.draw(
        st.sampled_from([body[:at] + body[at + 1 :], body[:at] + b" " + body[at:], body[:at] + body[at : at + 1] + body[at:]])
    )
    if changed == body:
        return
    try:
        read = wire.instruction_of(changed)
    except WireError:
        return
    assert read.canonical() == changed != body, "another instruction, in its own one form"


@pytest.mark.parametrize("key", ["", "a" * 41, "a b", "a\r\nb", "a\u2028", "é", "a:b"])
def test_a_key_that_no_header_holds_is_refused(key: str) -> None:
    with pytest.raises(WireError):
        wire.instruction_of(Instruction(key, "alice", "agent", RequestHuman("")).canonical())


@pytest.mark.parametrize(
    ("of", "body"),
    [
        (str, b"1"),
        (str, b'"\\ud800"'),
        (str, b'"a" "b"'),
        (str, b""),
        (bool, b"0"),
        (int, b"true"),
        (int, b"1.0"),
        (int, b"1e3"),
        (int, b"9007199254740992"),
        (int, b"NaN"),
        (int, b'"1"'),
        (date, b'"2026-3-17"'),
        (date, b'"2026-02-30"'),
        (date, b'"2026-03-17T00:00:00.000000Z"'),
        (datetime, b'"2026-03-17T12:00:00Z"'),
        (datetime, b'"2026-03-17T12:00:00.000000+01:00"'),
        (datetime, b'"2026-03-17T25:00:00.000000Z"'),
        (bytes, b'"YQ"'),
        (bytes, b'"YR=="'),
        (Money, b'{"value": 1250, "currency": "GBP"}'),
        (Money, b'{"value": "12.5", "currency": "GBP"}'),
        (Money, b'{"value": "-0.00", "currency": "GBP"}'),
        (Money, b'{"value": "012.50", "currency": "GBP"}'),
        (Money, b'{"value": "1", "currency": "XAU"}'),
        (Money, b'{"value": "99999999999999.00", "currency": "GBP"}'),
        (Money, b'{"value": "1.00", "currency": "GBP", "minor": 1}'),
        (Identified, b'{"kind": "acc"}'),
        (Identified, b'{"kind": "acc", "id": "1", "more": null}'),
        (Identified, b'{"kind": "acc", "id": "1", "id": "2"}'),
        (Identified, b'{"kind": "abc", "id": "1"}'),
        (core.CoreAnswer, b'{"code": "AM04"}'),
        (core.CoreAnswer, b'{"is": "NotSeen"}'),
        (core.CoreAnswer, b'{"is": "Declined", "code": "AM04", "x": 1}'),
        (core.CoreAnswer, b'{"is": ["Done"], "output": {}}'),
        (Done, b'{"output": {"a": 1.5}}'),
        (Done, b'{"output": {"a": [1]}}'),
        (Done, b'{"output": {"a": {"day": "2026-03-17", "money": null}}}'),
        (Done, b'{"output": {"a": {"float": "1"}}}'),
        (frozenset[str], b'["a", "a"]'),
        (Sequence[str], b'{"0": "a"}'),
        (str | None, b"1"),
    ],
    ids=str,
)
def test_what_is_not_exactly_the_form_is_refused(of: Any, body: bytes) -> None:
    with pytest.raises(WireError):
        codec(of).decode(loads(body))


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (str, "\ud800"),
        (int, True),
        (int, 2**53),
        (date, datetime(2026, 1, 1, tzinfo=UTC)),
        (datetime, datetime(2026, 1, 1)),  # noqa: DTZ001 - without its zone
        (Money, None),
        (object, 1.5),
        (object, [1]),
        (object, b""),
        (core.CoreAnswer, core.NotSeen()),
        (Identified, Money(1, "GBP")),
        (frozenset[str], ["a"]),
        (Sequence[str], "ab"),
        (Mapping[str, str], [("a", "b")]),
    ],
    ids=repr,
)
def test_what_has_no_form_is_not_sent(of: Any, value: object) -> None:
    with pytest.raises(WireError):
        dumps(codec(of).encode(value))


@pytest.mark.parametrize("of", [float, list[str], dict[str, str], str | int, Money | Done, complex], ids=str)
def test_an_annotation_without_a_form_is_found_when_the_wire_is_made(of: Any) -> None:
    with pytest.raises(TypeError):
        codec(of)


@given(texts, st.none() | keys, st.sampled_from([*wire.CoreFault]))
def test_a_frame_is_the_answer_to_one_request_about_one_key(other: str, key: str | None, fault: wire.CoreFault) -> None:
    number = "0123456789abcdef" * 2
    for frame, wanted in ((wire.answered(number, key, {"a": 1}), {"a": 1}), (wire.refused(number, key, fault), fault)):
        assert wire.read_frame(frame, number, key) == wanted
        for wrong in ((other, key), (number, other), (number, None if key else "k")):
            if wrong != (number, key):
                with pytest.raises(WireError):
                    wire.read_frame(frame, *wrong)
        for at in range(len(frame)):
            with pytest.raises(WireError):
                wire.read_frame(frame[:at], number, key)


@given(st.binary(max_size=64) | st.text(max_size=64).map(lambda text: json.dumps({"request": "", "key": text}).encode()))
def test_whatever_comes_a_frame_is_read_or_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        wire.read_frame(body, "0" * 32, None)


def test_messages_hold_no_values() -> None:
    with pytest.raises(WireError) as caught:
        codec(Instruction).decode(loads(b'{"key": "k", "customer": "s3cret", "agent": 1, "order": {"is": "s3cret"}}'))
    assert "s3cret" not in str(caught.value)
    with pytest.raises(WireError) as caught:
        loads(b'{"s3cret": 1, "s3cret": 2}')
    assert "s3cret" not in str(caught.value)
