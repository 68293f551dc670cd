"""Wire models of Chat Completions: what a body may hold. The types and limits are those of the `openai` package.

Clients send much that asks for nothing: it is taken, and changes nothing. What asks for what is not built is `unsupported`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.doors.assistants_api.common_schemas import Echoed, Id, IgnoredOptions, Metadata, Text, of_types, only
from gateway.doors.assistants_api.schemas import (
    OUTPUT_MOST,
    PARTS_MOST,
    TEXT_MOST,
    Effort,
    ImageContent,
    ModelName,
    ResponseFormat,
    Temperature,
    TopP,
)
from gateway.doors.assistants_api.tool_schemas import FunctionChoice, FunctionTool
from gateway.doors.schemas import ConversationId

MESSAGES_MOST = 500
CALLS_MOST = 128


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


ToolText = Annotated[Text, StringConstraints(max_length=OUTPUT_MOST)]
MessageText = Annotated[Text, StringConstraints(max_length=TEXT_MOST)]


class ChatText(Echoed):
    type: Literal["text"]
    text: MessageText


class ChatRefusal(Echoed):
    type: Literal["refusal"]
    refusal: MessageText


Texts = MessageText | Annotated[list[Annotated[ChatText, of_types("text")]], Field(max_length=PARTS_MOST)]
UserPart = Annotated[Annotated[ChatText | ImageContent, Field(discriminator="type")], of_types("text", "image_url")]
SaidPart = Annotated[Annotated[ChatText | ChatRefusal, Field(discriminator="type")], of_types("text", "refusal")]


class InstructionMessage(_Strict):
    """Wherever it stands, it counts as the instructions of the whole."""

    role: Literal["system", "developer"]
    content: Texts
    name: Text | None = None


class UserMessage(_Strict):
    """The newest of them, under the customer's own token with `customer_words`, is the customer's word; no other is."""

    role: Literal["user"]
    content: MessageText | Annotated[list[UserPart], Field(max_length=PARTS_MOST)]
    name: Text | None = None


class CalledFunction(Echoed):
    name: Annotated[Text, StringConstraints(min_length=1, max_length=128)]
    arguments: ToolText


class EchoedCall(Echoed):
    id: Id
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(Echoed):
    role: Literal["assistant"]
    content: MessageText | Annotated[list[SaidPart], Field(max_length=PARTS_MOST)] | None = None
    tool_calls: Annotated[list[Annotated[EchoedCall, of_types("function")]], Field(max_length=CALLS_MOST)] | None = None
    function_call: Annotated[None, only()] = None
    audio: Annotated[None, only()] = None


class ToolMessage(Echoed):
    role: Literal["tool"]
    tool_call_id: Id
    content: ToolText | Annotated[list[Annotated[ChatText, of_types("text")]], Field(max_length=PARTS_MOST)]


Message = Annotated[InstructionMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class StreamOptions(Echoed):
    include_usage: bool | None = None


class ChatExtension(_Strict):
    """`conversation`: one of this customer's, whose words count; None: one of its own for this request. `origin`: where the newest user
    message comes from."""

    conversation: ConversationId | None = None
    origin: Literal["typed", "pasted", "document"] = "typed"


def _no_legacy(value: Any) -> Any:
    if value is not None:
        raise PydanticCustomError("unsupported", "is not supported here: use tools and tool_choice")
    return value


class ChatCompletionRequest(IgnoredOptions):
    """`tellergate`: ours, beside what the API has."""

    model: ModelName
    messages: Annotated[list[Message], Field(min_length=1, max_length=MESSAGES_MOST)]
    tools: Annotated[list[Annotated[FunctionTool, of_types("function")]], Field(max_length=128)] | None = None
    tool_choice: Annotated[Literal["none", "auto", "required"] | FunctionChoice | None, of_types("function")] = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None
    max_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    metadata: Metadata | None = None
    tellergate: ChatExtension = ChatExtension()

    n: Annotated[object, only(1)] = None
    stop: Annotated[object, only([], "")] = None
    logprobs: Annotated[object, only(False)] = None
    top_logprobs: Annotated[object, only(0)] = None
    frequency_penalty: Annotated[object, only(0, 0.0)] = None
    presence_penalty: Annotated[object, only(0, 0.0)] = None
    logit_bias: Annotated[object, only({})] = None
    modalities: Annotated[object, only(["text"])] = None
    store: Annotated[object, only(False)] = None
    audio: Annotated[object, only()] = None
    prediction: Annotated[object, only()] = None
    web_search_options: Annotated[object, only()] = None
    moderation: Annotated[object, only()] = None
    functions: Annotated[object, BeforeValidator(_no_legacy)] = None
    function_call: Annotated[object, BeforeValidator(_no_legacy)] = None

    seed: int | None = None
    verbosity: Text | None = None


BODIES: tuple[type[BaseModel], ...] = (ChatCompletionRequest,)
