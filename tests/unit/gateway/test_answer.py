"""An answer of the model as it grows: what a listener is told is what it comes to, and everything is bounded."""

import re
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.request import CallFault
from gateway.runs.answer import (
    MAX_ARGUMENTS_CHARS,
    MAX_CALLS,
    MAX_TEXT_CHARS,
    AnswerAssembly,
    CallBegun,
    ModelAnswer,
    NewArguments,
    News,
    NewText,
)
from gateway.runs.model import CallPiece, Finish, Finished, ModelFailed, Piece, TextPiece, ToolCall, Usage
from gateway.runs.replayed import replayable, replayable_name

STOP, CALLS = Finished(Finish.STOP, None), Finished(Finish.CALLS, Usage(3, 4))


def assembled(*pieces: Piece) -> tuple[ModelAnswer, list[News]]:
    numbers = count(1)
    assembly = AnswerAssembly(lambda: f"call_{next(numbers):024x}")
    news = [item for piece in pieces for item in assembly.feed(piece)]
    return assembly.answer(), news


def heard(news: list[News]) -> tuple[str, list[tuple[str, str, str]]]:
    """What a listener has, who only puts together what it was told."""
    text, calls = "", list[list[str]]()
    for new in news:
        match new:
            case NewText(more):
                text += more
            case CallBegun(index, ours, name):
                assert index == len(calls)
                calls.append([ours, name, ""])
            case NewArguments(index, fragment):
                calls[index][2] += fragment
    return text, [(ours, name, arguments) for ours, name, arguments in calls]


def refused(*pieces: Piece) -> str:
    with pytest.raises(ModelFailed) as failed:
        assembled(*pieces)
    assert failed.value.code == "server_error"
    return failed.value.message


def test_calls_get_ids_of_ours_in_the_order_in_which_they_begin() -> None:
    answer, news = assembled(
        TextPiece("One "),
        CallPiece(7, "native", "pay", '{"a"'),
        CallPiece(2, None, "freeze", ""),
        TextPiece("moment."),
        CallPiece(7, "native", "pay", ":1}"),
        CALLS,
    )
    first, second = (f"call_{number:024x}" for number in (1, 2))
    assert answer == ModelAnswer(
        "One moment.", (ToolCall(first, "pay", '{"a":1}'), ToolCall(second, "freeze", "{}")), Finish.CALLS, Usage(3, 4)
    )
    assert heard(news) == ("One moment.", [(first, "pay", '{"a":1}'), (second, "freeze", "{}")])


def test_a_call_is_told_once_it_has_its_name_with_what_came_before() -> None:
    answer, news = assembled(CallPiece(0, "n", None, '{"a":'), CallPiece(0, None, "pay", "1"), CallPiece(0, None, None, "}"), STOP)
    assert heard(news) == ("", [(answer.calls[0].id, "pay", '{"a":1}')])
    assert answer.finish is Finish.CALLS  # whatever the server called it


def test_an_exact_repeat_is_one_call_and_told_to_nobody() -> None:
    answer, news = assembled(
        CallPiece(0, "n", "pay", '{"a":1}'), CallPiece(1, "n", "pay", '{"a"'), CallPiece(1, None, None, ":1}"), CALLS
    )
    assert [call.arguments for call in answer.calls] == ['{"a":1}']
    assert len(heard(news)[1]) == 1


def test_the_same_call_without_an_id_is_another_one() -> None:
    answer, _ = assembled(CallPiece(0, None, "pay", "{}"), CallPiece(1, None, "pay", "{}"), CALLS)
    assert len({call.id for call in answer.calls}) == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (STOP,),
        (CALLS,),
        (TextPiece(""), STOP),
        (TextPiece("a"),),
        (TextPiece("a"), STOP, TextPiece("b")),
        (TextPiece("a"), STOP, STOP),
    ],
)
def test_what_is_no_answer_is_refused(pieces: tuple[Piece, ...]) -> None:
    refused(*pieces)


@pytest.mark.parametrize(
    ("pieces", "faults"),
    [
        ((CallPiece(0, "n", "pay", '{"a":1}'), CallPiece(1, "n", "pay", '{"a":2}')), [CallFault.TWO_CALLS_OF_ONE_ID] * 2),
        ((CallPiece(0, "n", "pay", "{}"), CallPiece(1, "n", "freeze", "{}")), [CallFault.TWO_CALLS_OF_ONE_ID] * 2),
        (
            (CallPiece(0, "n", "pay", "{}"), CallPiece(1, None, "pay", '{"a":1}'), CallPiece(1, "n", None, "")),
            [CallFault.TWO_CALLS_OF_ONE_ID] * 2,
        ),
        ((CallPiece(0, "n", "pay", ""), CallPiece(0, None, "freeze", "")), [CallFault.TWO_NAMES]),
        ((CallPiece(0, "n", "pay", '{"a":'), CallPiece(0, None, "freeze", "1}")), [CallFault.TWO_NAMES]),
        ((CallPiece(0, "n", None, "{}"),), [CallFault.NO_NAME]),
        ((CallPiece(0, "n", "pay", "{}"), CallPiece(5, None, None, "{}")), [None, CallFault.NO_NAME]),
        ((CallPiece(0, "n", "pay", "", CallFault.UNKNOWN_KIND),), [CallFault.UNKNOWN_KIND]),
        ((CallPiece(0, "n", "pay", '{"a":"\0"}'),), [CallFault.NOT_TEXT]),
        ((CallPiece(0, "n", "pay", '"\udc00"'),), [CallFault.NOT_TEXT]),
        ((CallPiece(0, "n", "pay", '"\ud83d'), CallPiece(0, None, None, '"')), [CallFault.NOT_TEXT]),
        ((CallPiece(0, "n", "pay", '"\ud83d'),), [CallFault.NOT_TEXT]),
    ],
)
def test_a_call_that_nobody_can_read_has_its_fault_and_is_told_to_the_listener(
    pieces: tuple[Piece, ...], faults: list[CallFault | None]
) -> None:
    answer, news = assembled(*pieces, CALLS)
    assert [call.fault for call in answer.calls] == faults
    assert heard(news)[1] == [(call.id, call.name, call.arguments) for call in answer.calls]


def test_another_name_under_one_index_after_whole_arguments_is_another_call() -> None:
    """Of a server that has neither ids nor indices: a call has one name, and nothing follows its arguments."""
    pieces = CallPiece(0, None, "pay", '{"a":1}'), CallPiece(0, None, "freeze", "{}"), CallPiece(0, None, "pay", '{"a":1}')
    calls = assembled(*pieces, CALLS)[0].calls
    assert [(call.name, call.arguments, call.fault) for call in calls] == [
        ("pay", '{"a":1}', None), ("freeze", "{}", None), ("pay", '{"a":1}', None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a b", "pay\0", "é", "x" * 500, "\ud83d", " pay "])
def test_any_name_is_taken_as_it_is_but_for_blanks_around_it_and_what_is_no_character(name: str) -> None:
    """Whether it is one of a function is the pipeline's to say."""
    (call,) = assembled(CallPiece(0, "n", name, ""), CALLS)[0].calls
    assert (call.name, call.fault) == (name.strip().replace("\0", "\ufffd").replace("\ud83d", "\ufffd")[:128], None)
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", replayable_name(call.name))


@given(
    st.lists(st.sampled_from([("pay", '{"a":1}'), ("pay", '{"a":2}'), ("freeze", "{}"), ("look", "")]), min_size=1, max_size=4),
    st.data(),
)
def test_what_one_index_for_all_leaves_is_the_same_calls(asked: list[tuple[str, str]], drawn: st.DataObject) -> None:
    """Whatever the pieces: with indices, with one for all, or with none, calls with ids of their own are those that were asked for."""
    index = drawn.draw(st.sampled_from([None, 0, "each"]))
    pieces: list[Piece] = []
    for number, (name, arguments) in enumerate(asked):
        at = number if index == "each" else None if index is None else 0
        cut = drawn.draw(st.integers(0, len(arguments)))
        pieces += [CallPiece(at, f"id{number}", name, arguments[:cut]), CallPiece(at, None, None, arguments[cut:])]
    answer, news = assembled(*pieces, CALLS)
    assert [(call.name, call.arguments, call.fault) for call in answer.calls] == [
        (name, given or "{}", None) for name, given in asked
    ]
    assert heard(news)[1] == [(call.id, call.name, call.arguments) for call in answer.calls]


def test_text_calls_and_arguments_are_bounded_whatever_their_pieces() -> None:
    half = "x" * (MAX_TEXT_CHARS // 2)
    assert len(assembled(TextPiece(half), TextPiece(half), STOP)[0].text) == MAX_TEXT_CHARS
    refused(TextPiece(half), TextPiece(half), TextPiece("x"), STOP)
    part = "x" * (MAX_ARGUMENTS_CHARS // 2)
    assembled(CallPiece(0, "n", "pay", part), CallPiece(0, None, None, part), CALLS)
    refused(CallPiece(0, "n", "pay", part), CallPiece(0, None, None, part), CallPiece(0, None, None, "x"), CALLS)
    many = [CallPiece(index, f"n{index}", "pay", "{}") for index in range(MAX_CALLS + 1)]
    assert len(assembled(*many[:-1], CALLS)[0].calls) == MAX_CALLS
    refused(*many, CALLS)


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.FILTERED])
def test_what_was_cut_off_asks_for_nothing(finish: Finish) -> None:
    answer, _ = assembled(TextPiece("Once"), CallPiece(0, "n", "pay", '{"amount":"1'), Finished(finish, Usage(1, 2)))
    assert answer == ModelAnswer("Once", (), finish, Usage(1, 2))
    assert assembled(Finished(finish, None))[0].text == ""


def test_what_no_database_keeps_is_shown_as_what_it_is() -> None:
    answer, news = assembled(TextPiece("a\0b\ud83d"), TextPiece("c\ude00"), TextPiece("d\ud83d"), STOP)
    assert answer.text == heard(news)[0] == "a\ufffdb\ufffdc\ufffdd\ufffd"


@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=40), st.data())
def test_a_text_cut_between_any_two_code_units_is_the_same_text(text: str, drawn: st.DataObject) -> None:
    """As a server cuts that counts in UTF-16: text and arguments."""
    units = text.encode("utf-16-le")
    cuts = sorted(drawn.draw(st.sets(st.integers(0, len(units) // 2))) | {0, len(units) // 2})
    parts = [units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(cuts)]
    answer, news = assembled(
        *(TextPiece(part) for part in parts),
        CallPiece(0, "n", "pay", '{"text": '),
        *(CallPiece(0, None, None, part) for part in parts),
        CALLS,
    )
    assert answer.text == text
    assert answer.calls[0].arguments == '{"text": ' + text
    assert heard(news) == (text, [(answer.calls[0].id, "pay", '{"text": ' + text)])


@pytest.mark.parametrize(
    ("arguments", "replayed"),
    [('{"a": [1]}', '{"a": [1]}'), ("{}", "{}"), ('{"a":', "{}"), ("[]", "{}"), ("7", "{}"), ("", "{}"), ('{"a": NaN}', "{}")],
)
def test_only_an_object_is_replayed_as_arguments(arguments: str, replayed: str) -> None:
    """Servers refuse a whole thread for what its model once wrote."""
    assert replayable(arguments) == replayed
