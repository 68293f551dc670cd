"""Wire models of vector stores: what their bodies may hold. The types and limits are those of the `openai` package."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gateway.doors.assistants_api.common_schemas import ChunkingStrategy, Id, Metadata, Number, Text
from gateway.store.vector_filters import Compared, Filter, FiltersTogether, OneOf, Value

FILES_AT_ONCE = 2000
"""Of a batch."""

QUESTION_MOST = 16_384
"""Characters of a question."""

FILTER_DEPTH = 8
FILTER_PARTS = 100


Key = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
Attribute = Annotated[Text, StringConstraints(max_length=512)] | bool | Number
GivenAttributes = Annotated[dict[Key, Attribute], Field(max_length=16)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoreLasts(_Strict):
    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


StoreName = Annotated[Text, StringConstraints(max_length=256)]


class NewVectorStore(_Strict):
    name: StoreName | None = None
    description: Annotated[Text, StringConstraints(max_length=512)] | None = None
    file_ids: Annotated[list[Id], Field(max_length=500)] = []
    chunking_strategy: ChunkingStrategy | None = None
    expires_after: StoreLasts | None = None
    metadata: Metadata | None = None


class ChangedVectorStore(_Strict):
    """What is left out stays as it is; with `expires_after` null it lasts for good."""

    name: StoreName | None = None
    expires_after: StoreLasts | None = None
    metadata: Metadata | None = None


class NewVectorStoreFile(_Strict):
    file_id: Id
    attributes: GivenAttributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class ChangedVectorStoreFile(_Strict):
    attributes: GivenAttributes | None


class NewFileBatch(_Strict):
    """Either `file_ids`, with attributes and a strategy for all of them, or `files`, each with its own."""

    file_ids: Annotated[list[Id], Field(min_length=1, max_length=FILES_AT_ONCE)] | None = None
    files: Annotated[list[NewVectorStoreFile], Field(min_length=1, max_length=FILES_AT_ONCE)] | None = None
    attributes: GivenAttributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "NewFileBatch":
        if (self.file_ids is None) == (self.files is None):
            raise PydanticCustomError("either", "either file_ids or files is required")
        return self


class EqualityFilter(_Strict):
    """A file without the attribute fits `ne` alone."""

    type: Literal["eq", "ne"]
    key: Key
    value: Attribute

    def filter(self) -> Filter:
        return OneOf(self.key, (self.value,), self.type == "ne")


class OrderFilter(_Strict):
    """Numbers are compared with numbers, texts with texts."""

    type: Literal["gt", "gte", "lt", "lte"]
    key: Key
    value: Annotated[Text, StringConstraints(max_length=512)] | Number

    def filter(self) -> Filter:
        return Compared(self.key, self.type, self.value)


class MemberFilter(_Strict):
    """A file without the attribute fits `nin` alone."""

    type: Literal["in", "nin"]
    key: Key
    value: Annotated[list[Attribute], Field(max_length=100)]

    def filter(self) -> Filter:
        values: tuple[Value, ...] = tuple(self.value)
        return OneOf(self.key, values, self.type == "nin")


class CompoundFilter(_Strict):
    """All of these, or any of them; nested eight deep at most, of a hundred in all."""

    type: Literal["and", "or"]
    filters: Annotated[list["AnyFilter"], Field(min_length=1, max_length=FILTER_PARTS)]

    def filter(self) -> Filter:
        return FiltersTogether(tuple(item.filter() for item in self.filters), self.type == "or")


AnyFilter = Annotated[EqualityFilter | OrderFilter | MemberFilter | CompoundFilter, Field(discriminator="type")]


def _bounded(value: Any) -> Any:
    """Before it is read, so that nothing is built of what is too deep."""
    level, count = [value], 0
    for _ in range(FILTER_DEPTH):
        count += len(level)
        level = [item for outer in level if isinstance(outer, dict) for item in _inner(outer)]
        if count + len(level) > FILTER_PARTS:
            break
    if level:
        raise PydanticCustomError("filters", "must be nested at most 8 deep, and be at most 100 filters in all")
    return value


def _inner(outer: dict[str, Any]) -> list[Any]:
    filters = outer.get("filters")
    return filters if isinstance(filters, list) else []


class RankingOptions(_Strict):
    """Every ranker is the same: BM25, fused with the ranking by vectors where they are made."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: Annotated[Number, Field(ge=0, le=1)] = 0.0


Question = Annotated[Text, StringConstraints(min_length=1, max_length=QUESTION_MOST)]


class VectorStoreSearch(_Strict):
    """`rewrite_query` is taken, and nothing is rewritten."""

    query: Question | Annotated[list[Question], Field(min_length=1, max_length=10)]
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    filters: Annotated[AnyFilter, BeforeValidator(_bounded)] | None = None
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False

    @property
    def questions(self) -> list[str]:
        return [self.query] if isinstance(self.query, str) else self.query


class ContentPiece(BaseModel):
    type: Literal["text"]
    text: str


class TextFound(BaseModel):
    """A chunk that fits. `score`: from 0 to 1, how much of the best that it could be, by words or by both rankings."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | bool | float]
    content: list[ContentPiece]


class SearchAnswer(BaseModel):
    """What was found, the best first."""

    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[TextFound]
    has_more: bool
    next_page: str | None


class ContentAnswer(BaseModel):
    """The text of a file, in pieces that follow each other."""

    object: Literal["vector_store.file_content.page"]
    data: list[ContentPiece]
    has_more: bool
    next_page: str | None


BODIES: tuple[type[BaseModel], ...] = (
    NewVectorStore,
    ChangedVectorStore,
    NewVectorStoreFile,
    ChangedVectorStoreFile,
    NewFileBatch,
    VectorStoreSearch,
)
"""What OpenAPI publishes of bodies that are read raw."""
