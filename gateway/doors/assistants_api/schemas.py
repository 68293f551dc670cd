"""Wire models of the Assistants API: what its bodies may hold. The types and limits are those of the `openai` package."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gateway.doors.assistants_api.common_schemas import Id, Metadata, Number, Text
from gateway.doors.assistants_api.tool_schemas import (
    Attachment,
    FunctionName,
    NamedResources,
    NewResources,
    ToolChoice,
    Tools,
)

TEXT_MOST = 256_000
"""Characters of a message, and of instructions."""

OUTPUT_MOST = 64 * 1024
"""Characters of an output that an app submits."""

PARTS_MOST = 32
MESSAGES_MOST = 32
ATTACHMENTS_MOST = 100
"""Of one message."""


ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[ -~]+$")]
Temperature = Annotated[Number, Field(ge=0, le=2)]
TopP = Annotated[Number, Field(ge=0, le=1)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Instructions = Annotated[Text, StringConstraints(max_length=TEXT_MOST)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TextFormat(_Strict):
    type: Literal["text", "json_object"]


class JsonSchema(_Strict):
    """`schema` is the JSON Schema that the answer follows."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: FunctionName
    description: Text | None = None
    strict: bool | None = None


class JsonSchemaFormat(_Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Literal["auto"] | Annotated[TextFormat | JsonSchemaFormat, Field(discriminator="type")]


class _Configured(_Strict):
    """What assistants and runs have in common."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None


class NewAssistant(_Configured):
    """`tool_resources`: what its tools may use, of what its maker may read."""

    model: ModelName
    name: Annotated[Text, StringConstraints(max_length=256)] | None = None
    description: Annotated[Text, StringConstraints(max_length=512)] | None = None
    instructions: Instructions | None = None
    tools: Tools = []
    tool_resources: NewResources | None = None
    metadata: Metadata | None = None


class ChangedAssistant(_Configured):
    """What is left out stays as it is, of `tool_resources` each tool's by itself; with null nothing of them is left."""

    model: ModelName | None = None
    name: Annotated[Text, StringConstraints(max_length=256)] | None = None
    description: Annotated[Text, StringConstraints(max_length=512)] | None = None
    instructions: Instructions | None = None
    tools: Tools | None = None
    tool_resources: NamedResources | None = None
    metadata: Metadata | None = None


class TextContent(_Strict):
    type: Literal["text"]
    text: Annotated[Text, StringConstraints(min_length=1, max_length=TEXT_MOST)]


class ImageUrl(_Strict):
    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000_000, pattern=r"^(https://|data:image/)[!-~]+$")]
    detail: Literal["auto", "low", "high"] = "auto"


class ImageContent(_Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


class ImageFile(_Strict):
    file_id: Id
    detail: Literal["auto", "low", "high"] = "auto"


class ImageFileContent(_Strict):
    """An image among the files of the customer, or of their client."""

    type: Literal["image_file"]
    image_file: ImageFile


Part = Annotated[TextContent | ImageContent | ImageFileContent, Field(discriminator="type")]
Content = (
    Annotated[Text, StringConstraints(min_length=1, max_length=TEXT_MOST)]
    | Annotated[list[Part], Field(min_length=1, max_length=PARTS_MOST)]
)


class NewMessage(_Strict):
    """`attachments`: files for the tools of the thread. `metadata["tellergate.origin"]`: `pasted` or `document`, where the customer did not
    type it themselves."""

    role: Literal["user", "assistant"]
    content: Content
    attachments: Annotated[list[Attachment], Field(max_length=ATTACHMENTS_MOST)] | None = None
    metadata: Metadata | None = None


class NewThread(_Strict):
    messages: Annotated[list[NewMessage], Field(max_length=MESSAGES_MOST)] = []
    metadata: Metadata | None = None
    tool_resources: NewResources | None = None


class ChangedThread(_Strict):
    """What is left out stays as it is, of `tool_resources` each tool's by itself; with null nothing of them is left."""

    metadata: Metadata | None = None
    tool_resources: NamedResources | None = None


class Labels(_Strict):
    """New metadata of a message or a run."""

    metadata: Metadata | None = None


class Truncation(_Strict):
    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _says_how_many(self) -> "Truncation":
        if self.type == "last_messages" and self.last_messages is None:
            raise PydanticCustomError("needs_last_messages", "last_messages says how many: it is required with this type")
        return self


TokenBudget = Annotated[int, Field(ge=256, le=100_000_000)]


class _RunOptions(_Configured):
    assistant_id: Id
    model: ModelName | None = None
    instructions: Instructions | None = None
    tools: Annotated[Tools, Field(max_length=20)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool = True
    truncation_strategy: Truncation | None = None
    max_prompt_tokens: TokenBudget | None = None
    max_completion_tokens: TokenBudget | None = None
    metadata: Metadata | None = None
    stream: bool | None = None


class NewRun(_RunOptions):
    additional_instructions: Instructions | None = None
    additional_messages: Annotated[list[NewMessage], Field(max_length=MESSAGES_MOST)] | None = None


class NewThreadAndRun(_RunOptions):
    """`tool_resources`: for this run in the place of the assistant's; the thread has its own."""

    thread: NewThread | None = None
    tool_resources: NamedResources | None = None


def _purpose(value: object) -> object:
    if value in ("batch", "fine-tune", "evals"):
        raise PydanticCustomError("unsupported", "files are for assistants, vision and user_data: nothing else is supported")
    return value


Purpose = Annotated[Literal["assistants", "vision", "user_data"], BeforeValidator(_purpose)]


class ExpiresAfter(_Strict):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class NewFile(_Strict):
    """The fields beside the file."""

    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class NewUpload(_Strict):
    """`bytes`: what its parts have together."""

    bytes: Annotated[int, Field(ge=1)]
    filename: Annotated[Text, StringConstraints(min_length=1, max_length=255)]
    mime_type: Annotated[str, StringConstraints(max_length=255)]
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class NewPart(_Strict):
    """No field stands beside the part's bytes."""


class CompletedUpload(_Strict):
    """The parts in their order. `md5`: of the whole, in hexadecimal digits."""

    part_ids: Annotated[list[Id], Field(min_length=1, max_length=10_000)]
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")] | None = None


class ToolOutput(_Strict):
    tool_call_id: Id
    output: Annotated[Text, StringConstraints(max_length=OUTPUT_MOST)]


class ToolOutputs(_Strict):
    """All outputs of the calls that wait, in one request."""

    tool_outputs: Annotated[list[ToolOutput], Field(max_length=128)]
    stream: bool | None = None


BODIES: tuple[type[BaseModel], ...] = (
    NewAssistant,
    ChangedAssistant,
    NewThread,
    ChangedThread,
    NewMessage,
    Labels,
    NewRun,
    NewThreadAndRun,
    ToolOutputs,
    NewUpload,
    CompletedUpload,
)
"""What OpenAPI publishes of bodies that are read raw."""
