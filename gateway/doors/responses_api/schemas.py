"""Wire models of the Responses API: what a body may hold. The types and limits are those of the `openai` package.

Clients send much that asks for nothing: it is taken, and changes nothing. What asks for what is not built is `unsupported`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.doors.assistants_api.common_schemas import Echoed, Id, IgnoredOptions, Metadata, Number, Text, of_types, only
from gateway.doors.assistants_api.schemas import (
    OUTPUT_MOST,
    PARTS_MOST,
    TEXT_MOST,
    Effort,
    Instructions,
    ModelName,
    Temperature,
    TopP,
)
from gateway.doors.assistants_api.tool_schemas import RESULTS_MOST, FunctionDefinition, FunctionName
from gateway.doors.responses_api.items import CODE_OUTPUTS, SEARCH_RESULTS
from gateway.doors.schemas import ConversationId
from gateway.store.resources import CODE_FILES_MOST

ITEMS_MOST = 500
"""Of one request's input."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


ItemText = Annotated[Text, StringConstraints(max_length=TEXT_MOST)]
OutputText = Annotated[Text, StringConstraints(max_length=OUTPUT_MOST)]
CallName = Annotated[Text, StringConstraints(min_length=1, max_length=128)]


class InputText(Echoed):
    type: Literal["input_text", "output_text"]
    text: ItemText


class InputRefusal(Echoed):
    type: Literal["refusal"]
    refusal: ItemText


class InputImage(Echoed):
    """Either a URL (`https` on a host that the bank allows, or `data:`) or a file of the customer's, or of their client's."""

    type: Literal["input_image"]
    image_url: Annotated[str, StringConstraints(max_length=2_000_000, pattern=r"^(https://|data:image/)[!-~]+$")] | None = None
    file_id: Id | None = None
    detail: Literal["auto", "low", "high"] | None = None


_PARTS = ("input_text", "output_text", "refusal", "input_image")
Part = Annotated[Annotated[InputText | InputRefusal | InputImage, Field(discriminator="type")], of_types(*_PARTS)]


class InputMessage(Echoed):
    """`system` and `developer` count as instructions, also of what follows. The newest of `user`, under the customer's own token with
    `customer_words`, is the customer's word; no other is."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system", "developer"]
    content: ItemText | Annotated[list[Part], Field(max_length=PARTS_MOST)]


class InputFunctionCall(Echoed):
    type: Literal["function_call"]
    call_id: Id
    name: CallName
    arguments: OutputText


class InputFunctionOutput(Echoed):
    type: Literal["function_call_output"]
    call_id: Id
    output: OutputText | Annotated[list[Annotated[InputText, of_types("input_text")]], Field(max_length=PARTS_MOST)]


class InputServerCall(Echoed):
    """A call that the gateway did, as an earlier answer showed it: to be told to the model, and nothing else."""

    type: Literal["mcp_call"]
    id: Id
    name: CallName
    arguments: OutputText
    output: OutputText | None = None


class FoundPassage(Echoed):
    filename: Text | None = None
    text: OutputText | None = None


class InputSearchCall(Echoed):
    """A search of files, as an earlier answer showed it: to be told to the model, and nothing else."""

    type: Literal["file_search_call"]
    id: Id
    queries: Annotated[list[ItemText], Field(max_length=8)]
    results: Annotated[list[FoundPassage], Field(max_length=RESULTS_MOST)] | None = None


class PrintedLogs(Echoed):
    type: Literal["logs", "image"]
    logs: OutputText | None = None


class InputCodeCall(Echoed):
    """Code that was run, as an earlier answer showed it: to be told to the model, and nothing else."""

    type: Literal["code_interpreter_call"]
    id: Id
    code: OutputText | None = None
    outputs: Annotated[list[PrintedLogs], Field(max_length=64)] | None = None


class InputReasoning(Echoed):
    """Changes nothing."""

    type: Literal["reasoning"]


class ItemReference(_Strict):
    """An item that an earlier answer showed."""

    type: Literal["item_reference"]
    id: Id


_CALLS = ("function_call", "function_call_output", "mcp_call", "file_search_call", "code_interpreter_call")
_ITEMS = ("message", *_CALLS, "reasoning", "item_reference")


def _typed(value: object) -> object:
    """With the type that clients leave out."""
    if isinstance(value, Mapping) and value.get("type") is None:
        return {**value, "type": "message" if "role" in value else "item_reference"}
    return value


_Calls = InputFunctionCall | InputFunctionOutput | InputServerCall | InputSearchCall | InputCodeCall
_Item = InputMessage | _Calls | InputReasoning | ItemReference
InputItem = Annotated[Annotated[_Item, Field(discriminator="type")], of_types(*_ITEMS), BeforeValidator(_typed)]


class ResponseFunction(FunctionDefinition):
    """`name` that of a banking function: the gateway executes it, and offers it as it declares it; any other is the app's to execute."""

    type: Literal["function"]


STORES_MOST = 2
"""That one response searches."""


class ResponseRanking(_Strict):
    """Every ranker is BM25. What scores less than `score_threshold` is left out."""

    ranker: Literal["auto", "default-2024-11-15"] | None = None
    score_threshold: Annotated[Number, Field(ge=0, le=1)] | None = None
    hybrid_search: Annotated[object, only()] = None


class ResponseSearch(_Strict):
    """Searches these vector stores, in this response alone."""

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[Id], Field(min_length=1, max_length=STORES_MOST)]
    max_num_results: Annotated[int, Field(ge=1, le=RESULTS_MOST)] | None = None
    ranking_options: ResponseRanking | None = None
    filters: Annotated[object, only()] = None


class AutoContainer(_Strict):
    type: Literal["auto"]
    file_ids: Annotated[list[Id], Field(max_length=CODE_FILES_MOST)] | None = None
    memory_limit: Annotated[object, only()] = None
    network_policy: Annotated[object, only()] = None


def _made_here(value: object) -> object:
    if isinstance(value, str):
        raise PydanticCustomError("unsupported", "only a container of the type auto is supported here")
    return value


class ResponseCode(_Strict):
    """Runs code over these files, in this response alone."""

    type: Literal["code_interpreter"]
    container: Annotated[AutoContainer, BeforeValidator(_made_here)]


_TOOLS = ("function", "file_search", "code_interpreter")
_Tool = ResponseFunction | ResponseSearch | ResponseCode
ResponseTool = Annotated[Annotated[_Tool, Field(discriminator="type")], of_types(*_TOOLS)]


class ChosenTool(_Strict):
    type: Literal["file_search", "code_interpreter"]


class ChosenFunction(_Strict):
    type: Literal["function"]
    name: FunctionName


class PlainFormat(_Strict):
    type: Literal["text", "json_object"]


class SchemaFormat(_Strict):
    """`schema` is the JSON Schema that the answer follows."""

    type: Literal["json_schema"]
    name: FunctionName
    schema_: Annotated[dict[str, object], Field(alias="schema")]
    description: Text | None = None
    strict: bool | None = None


class TextOptions(_Strict):
    format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningOptions(Echoed):
    effort: Effort | None = None


class NamedConversation(_Strict):
    id: ConversationId


class ResponseExtension(_Strict):
    """`origin`: where the newest user message comes from."""

    origin: Literal["typed", "pasted", "document"] = "typed"


_INCLUDED = (SEARCH_RESULTS, CODE_OUTPUTS)
_IGNORED = ("reasoning.encrypted_content", "web_search_call.results")


def _ignorable(value: Any) -> Any:
    if isinstance(value, str) and value not in (*_INCLUDED, *_IGNORED):
        raise PydanticCustomError("unsupported", "is not supported here: leave it out")
    return value


HELD_AS = "tellergate.held"
"""The name in a request's metadata under which it says how a response ends that waits for the customer: not all clients can send fields of
ours, and some raise on one that is incomplete."""


def _held_as(metadata: Mapping[str, str] | None) -> Mapping[str, str] | None:
    if metadata and metadata.get(HELD_AS, "incomplete") not in ("incomplete", "completed"):
        raise PydanticCustomError("either", "tellergate.held: either incomplete or completed")
    return metadata


class ResponseRequest(IgnoredOptions):
    """`tellergate`: ours, beside what the API has. `metadata["tellergate.held"]`: `completed`, where a response that waits for the customer
    is to end as one that is complete. `max_tool_calls`: of calls that the gateway does, the bank's functions among them."""

    model: ModelName
    input: ItemText | Annotated[list[InputItem], Field(min_length=1, max_length=ITEMS_MOST)]
    instructions: Instructions | None = None
    previous_response_id: Id | None = None
    conversation: ConversationId | NamedConversation | None = None
    tools: Annotated[list[ResponseTool], Field(max_length=128)] | None = None
    tool_choice: Annotated[Literal["none", "auto", "required"] | ChosenFunction | ChosenTool | None, of_types(*_TOOLS)] = None
    parallel_tool_calls: bool | None = None
    background: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Annotated[Metadata | None, AfterValidator(_held_as)] = None
    tellergate: ResponseExtension = ResponseExtension()

    include: Annotated[list[Annotated[str, BeforeValidator(_ignorable)]], Field(max_length=8)] | None = None
    top_logprobs: Annotated[object, only(0)] = None
    prompt: Annotated[object, only()] = None
    context_management: Annotated[object, only([])] = None
    moderation: Annotated[object, only()] = None
    background_options: Annotated[object, only()] = None

    stream_options: dict[str, object] | None = None

    @property
    def included(self) -> frozenset[str]:
        """What items tell beside what they tell anyway."""
        return frozenset(self.include or ()) & frozenset(_INCLUDED)

    @property
    def conversation_id(self) -> str | None:
        return self.conversation.id if isinstance(self.conversation, NamedConversation) else self.conversation


BODIES: tuple[type[BaseModel], ...] = (ResponseRequest,)
