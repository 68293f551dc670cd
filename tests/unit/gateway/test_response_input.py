"""What is read out of the input of a response: whatever its items are, one message at most is the customer's word, and no call is alone."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import RequestFault
from gateway.doors.assistants_api.schemas import NewMessage
from gateway.doors.responses_api.given import GivenInput, given_input
from gateway.doors.responses_api.schemas import ResponseRequest

_TEXT = st.sampled_from(["", "Pay.", "Good day."])
_CALL = st.sampled_from(["call_1", "call_2", "call_3"])
_MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "developer"]), "content": _TEXT})
_ASKED = st.builds(lambda id_: {"type": "function_call", "call_id": id_, "name": "f", "arguments": "{}"}, _CALL)
_ANSWERED = st.builds(lambda id_, text: {"type": "function_call_output", "call_id": id_, "output": text}, _CALL, _TEXT)
_DONE = st.builds(
    lambda text: {"type": "mcp_call", "id": "mcp_1", "name": "pay", "arguments": "{}", "output": text}, st.none() | _TEXT
)
_ITEMS = st.lists(_MESSAGE | _ASKED | _ANSWERED | _DONE | st.just({"type": "reasoning"}), min_size=1, max_size=8)


def read(items: list[dict[str, Any]]) -> GivenInput | None:
    try:
        return given_input(ResponseRequest.model_validate({"model": "m", "input": items}), {})
    except RequestFault as fault:
        assert fault.param is not None
        assert fault.param.startswith("input[")
        return None


@given(_ITEMS)
def test_the_newest_user_message_alone_can_be_a_word(items: list[dict[str, Any]]) -> None:
    found = read(items)
    said = [item["content"] for item in items if item.get("role") == "user" and item["content"]]
    if found is None:
        return
    if found.newest_word is None:
        assert said == []
        return
    word = found.entries[found.newest_word]
    assert isinstance(word, NewMessage)
    assert (word.role, [part.text for part in word.content]) == ("user", said[-1:])  # type: ignore[union-attr]
    assert not any(isinstance(entry, NewMessage) and entry.role == "user" for entry in found.entries[found.newest_word + 1 :])


@given(_ITEMS)
def test_each_call_has_its_output_and_each_output_is_somewhere(items: list[dict[str, Any]]) -> None:
    found = read(items)
    if found is None:
        return
    calls = [call for entry in found.entries if not isinstance(entry, NewMessage) for call in entry]
    outputs = {item["call_id"]: item["output"] for item in items if item.get("type") == "function_call_output"}
    asked = {item["call_id"] for item in items if item.get("type") == "function_call"}
    assert {call.id: call.output for call in calls if call.id in asked} == {id_: outputs[id_] for id_ in asked}
    assert found.loose == {id_: output for id_, output in outputs.items() if id_ not in asked}
    assert sum(call.id == "mcp_1" for call in calls) == sum(item.get("type") == "mcp_call" for item in items)


def test_the_last_turn_of_calls_is_what_a_run_may_wait_for() -> None:
    def call(id_: str) -> list[dict[str, Any]]:
        asked = {"type": "function_call", "call_id": id_, "name": "f", "arguments": "{}"}
        return [asked, {"type": "function_call_output", "call_id": id_, "output": f"of {id_}"}]

    done = {"type": "mcp_call", "id": "mcp_1", "name": "pay", "arguments": "{}", "output": "x"}
    first, second = call("call_1"), call("call_2")
    for items, wanted in (
        ([*first, *second], {"call_2": "of call_2"}),
        ([first[0], second[0], second[1], first[1]], {"call_1": "of call_1", "call_2": "of call_2"}),
        ([*first, done, *second], {"call_2": "of call_2"}),
        ([second[0], done, second[1]], {"call_2": "of call_2"}),
        ([*first, {"role": "user", "content": "And?"}], {}),
        ([first[1], {"role": "user", "content": "And?"}], {"call_1": "of call_1"}),
    ):
        found = read(items)
        assert found is not None
        assert found.outputs == wanted
