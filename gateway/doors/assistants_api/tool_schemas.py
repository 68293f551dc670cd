"""Wire models of tools and of what they may use: the types and limits are those of the `openai` package."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gateway.doors.assistants_api.common_schemas import ChunkingStrategy, Id, Metadata, Number, Text
from gateway.store.resources import CODE, CODE_FILES_MOST, SEARCH

RESULTS_MOST = 50
"""Of one search."""

STORE_FILES_MOST = 500
"""Of a vector store, with which it is made."""

FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


def _not_a_tools(name: str) -> str:
    if name in (CODE, SEARCH):
        raise PydanticCustomError("reserved", "code_interpreter and file_search are tools: give the function another name")
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FunctionDefinition(_Strict):
    name: Annotated[FunctionName, AfterValidator(_not_a_tools)]
    description: Annotated[Text, StringConstraints(max_length=4096)] | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class FunctionTool(_Strict):
    """`name` that of a banking function: the gateway executes it, and offers it as it declares it; any other is the app's to execute."""

    type: Literal["function"]
    function: FunctionDefinition


class SearchRanking(_Strict):
    """Every ranker is BM25. What scores less than `score_threshold` is left out."""

    ranker: Literal["auto", "default_2024_08_21"] | None = None
    score_threshold: Annotated[Number, Field(ge=0, le=1)]


class SearchToolOptions(_Strict):
    max_num_results: Annotated[int, Field(ge=1, le=RESULTS_MOST)] | None = None
    ranking_options: SearchRanking | None = None


class SearchTool(_Strict):
    """Searches the vector stores of the assistant and the thread."""

    type: Literal["file_search"]
    file_search: SearchToolOptions | None = None


class CodeTool(_Strict):
    """Runs code over the files of the assistant and the thread."""

    type: Literal["code_interpreter"]


Tool = Annotated[FunctionTool | SearchTool | CodeTool, Field(discriminator="type")]
Tools = Annotated[list[Tool], Field(max_length=128)]


class NamedFunction(_Strict):
    name: FunctionName


class FunctionChoice(_Strict):
    type: Literal["function"]
    function: NamedFunction


class BuiltInChoice(_Strict):
    type: Literal["code_interpreter", "file_search"]


ToolChoice = Annotated[FunctionChoice | BuiltInChoice, Field(discriminator="type")]


class CodeResources(_Strict):
    file_ids: Annotated[list[Id], Field(max_length=CODE_FILES_MOST)] | None = None


class SearchResources(_Strict):
    vector_store_ids: Annotated[list[Id], Field(max_length=1)] | None = None


class StoreWithFiles(_Strict):
    """A vector store that is made with this request."""

    file_ids: Annotated[list[Id], Field(max_length=STORE_FILES_MOST)] = []
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Metadata | None = None


class NewSearchResources(SearchResources):
    """Either a vector store that is there, or one that is made."""

    vector_stores: Annotated[list[StoreWithFiles], Field(max_length=1)] | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "NewSearchResources":
        if self.vector_store_ids and self.vector_stores:
            raise PydanticCustomError("either", "either vector_store_ids or vector_stores, and one vector store at most")
        return self


class NamedResources(_Strict):
    """Files for code, and a vector store to search."""

    code_interpreter: CodeResources | None = None
    file_search: SearchResources | None = None


class NewResources(_Strict):
    """The same; `file_search.vector_stores` makes a vector store."""

    code_interpreter: CodeResources | None = None
    file_search: NewSearchResources | None = None


class AttachmentTool(_Strict):
    type: Literal["code_interpreter", "file_search"]


class Attachment(_Strict):
    """A file for tools of the thread: for `file_search` it is put into the thread's vector store."""

    file_id: Id
    tools: Annotated[list[AttachmentTool], Field(min_length=1, max_length=2)]
