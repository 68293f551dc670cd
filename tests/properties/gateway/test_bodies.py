"""Whatever is sent as a body: a fault names a field that is there, or is missing, in words of ours and without a value of the client's."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.domain.errors import Fault, RequestFault
from gateway.doors import schemas, shapes
from gateway.doors.assistants_api import schemas as assistants
from gateway.doors.assistants_api import tool_schemas as tools
from gateway.doors.assistants_api import vector_schemas as vectors
from gateway.doors.chat_api import schemas as chat
from gateway.doors.responses_api import schemas as responses
from gateway.doors.validation import validated

MODELS: tuple[type[BaseModel], ...] = (
    schemas.FunctionCallsHead,
    schemas.NewConversation,
    schemas.CustomerMessages,
    schemas.ByAssertion,
    schemas.ByDecline,
    schemas.ByToken,
    schemas.NewPasskey,
    schemas.NewMandate,
    schemas.NewKillSwitch,
    schemas.LiftKillSwitch,
    shapes.ToolCallItem,
    shapes.ResponsesCallItem,
    shapes.AgentsCallItem,
    *assistants.BODIES,
    *vectors.BODIES,
    *chat.BODIES,
    *responses.BODIES,
)
INTERNAL = re.compile(
    r"function-|0x|functools|<class|pydantic|constrained|Error|\(\)|union|discriminator|Input should", re.IGNORECASE
)
SECRET = "s3cr3t"

PARTS: tuple[type[BaseModel], ...] = (
    tools.FunctionTool,
    tools.SearchTool,
    tools.CodeTool,
    tools.FunctionChoice,
    tools.BuiltInChoice,
    tools.NewResources,
    tools.NamedResources,
    tools.NewSearchResources,
    tools.StoreWithFiles,
    tools.Attachment,
    assistants.Truncation,
    assistants.TextContent,
    assistants.ImageContent,
    assistants.ImageFileContent,
)
NAMES = sorted({name for model in (*MODELS, *PARTS) for name in model.model_fields})
WORDS = [
    "text",
    "image_url",
    "image_file",
    "function",
    "user",
    "json_schema",
    "last_messages",
    "auto",
    "code_interpreter",
    "file_search",
    "global",
]

scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.just(1.5), st.sampled_from([SECRET, "", *WORDS]))
bodies = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*NAMES, "surplus", "x" * 300]), inner, max_size=5)
    ),
    max_leaves=12,
)


def valid(model: type[BaseModel]) -> dict[str, Any]:
    """Something near a body of this model, so that what is generated reaches its inner fields."""
    near: dict[str, Any] = {
        "shape": "chat",
        "conversation_id": "conv_" + "0" * 24,
        "turn_id": "t",
        "calls": [{"id": "c"}],
        "messages": [{"role": "user", "text": "hello", "content": [{"type": "text", "text": "hello"}]}],
        "content": [{"type": "image_url", "image_url": {"url": "https://x.example/"}}],
        "role": "user",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
        "model": "m",
        "assistant_id": "asst_1",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "truncation_strategy": {"type": "auto"},
        "thread": {"messages": [{"role": "user", "content": "hello"}]},
        "scope": "global",
        "reason": "r",
        "tool_outputs": [{"tool_call_id": "c", "output": "x"}],
    }
    return {name: near[name] for name in model.model_fields if name in near}


@st.composite
def mutated(draw: st.DrawFn, model: type[BaseModel]) -> Any:
    """A body of this model with one of its members, at any depth, replaced or added."""
    return _changed(draw, valid(model))


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: _changed(draw, value[name])}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [*value[:-1], _changed(draw, value[-1])]
    if isinstance(value, dict) and draw(st.booleans()):
        return {**value, draw(st.sampled_from([*NAMES, "surplus", "x" * 300])): draw(bodies)}
    return draw(bodies)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
@given(generated=st.data())
def test_a_fault_names_the_field_in_words_of_ours(model: type[BaseModel], generated: st.DataObject) -> None:
    body = generated.draw(st.one_of(bodies, mutated(model)))
    try:
        validated(model, body)
    except RequestFault as fault:
        assert fault.fault in (Fault.INVALID_REQUEST, Fault.UNSUPPORTED)
        assert not INTERNAL.search(fault.message), fault.message
        assert SECRET not in fault.message
        assert len(fault.message) < 1_000
        assert fault.message.startswith(f"{fault.param or 'the body'}: ")
        assert leads_somewhere(fault, body), (fault.message, body)


def leads_somewhere(fault: RequestFault, body: Any) -> bool:
    """Whether the path leads to what was sent; its last part may be what is missing there."""
    parts = re.findall(r"[^.\[\]]+", (fault.param or "").replace("...", "\N{HORIZONTAL ELLIPSIS}"))
    value = body
    for number, part in enumerate(parts):
        if isinstance(value, list):
            value = value[int(part)]
        elif isinstance(value, dict):
            names = [
                name for name in value if name == part or (part[-1] == "\N{HORIZONTAL ELLIPSIS}" and name.startswith(part[:-1]))
            ]
            if not names:
                return number == len(parts) - 1
            value = value[names[0]]
        else:
            return False
    return True


def test_the_texts_of_the_validators_own() -> None:
    with pytest.raises(RequestFault) as raised:
        validated(assistants.NewFile, {"purpose": "batch"})
    assert raised.value.fault is Fault.UNSUPPORTED
    assert raised.value.param == "purpose"
    assert raised.value.message == "purpose: files are for assistants, vision and user_data: nothing else is supported"
    reserved = {"type": "function", "function": {"name": "file_search"}}
    with pytest.raises(RequestFault) as raised:
        validated(assistants.NewAssistant, {"model": "m", "tools": [reserved]})
    assert raised.value.fault is Fault.INVALID_REQUEST
    assert raised.value.param == "tools[0].function.name"
    assert raised.value.message.endswith("code_interpreter and file_search are tools: give the function another name")
    two = {"file_search": {"vector_store_ids": ["vs_1"], "vector_stores": [{}]}}
    with pytest.raises(RequestFault) as raised:
        validated(assistants.NewThread, {"tool_resources": two})
    assert raised.value.param == "tool_resources.file_search"
    for tag in (None, "video"):
        with pytest.raises(RequestFault) as raised:
            validated(assistants.NewMessage, {"role": "user", "content": [{"type": tag} if tag else {}]})
        assert raised.value.param == ("content[0].type" if tag else "content[0]")


ASKED = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
CHOICES: tuple[tuple[dict[str, object], str], ...] = (
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: is required"),
    ({"response_format": {"type": "json_schema", "json_schema": 5}}, "response_format.json_schema: must be an object"),
    ({"response_format": {"type": "xml"}}, "response_format.type: must be one of 'text', 'json_object', 'json_schema'"),
    ({"response_format": 5}, "response_format: must be 'auto' or an object"),
    ({"tool_choice": []}, "tool_choice: must be 'none', 'auto' or 'required' or an object"),
    ({"tool_choice": "x"}, "tool_choice: must be 'none', 'auto' or 'required'"),
    ({"tools": [{"type": "custom"}]}, "tools[0]: here its type may be function alone"),
    ({"n": 2}, "n: is not supported here: leave it out, or 1"),
    ({"audio": {}}, "audio: is not supported here: leave it out"),
)


@pytest.mark.parametrize(("wrong", "said"), CHOICES)
def test_of_a_choice_all_that_may_be_said_is_named(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(RequestFault) as raised:
        validated(chat.ChatCompletionRequest, {**ASKED, **wrong})
    assert raised.value.message == said
