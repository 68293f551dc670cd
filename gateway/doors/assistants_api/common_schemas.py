"""What the wire models of the Assistants API are made of: texts, ids, numbers, and how a file is cut into pieces."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("nul", "must hold no NUL character")
    return text


def _number(value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        raise PydanticCustomError("finite_number", "must be a finite number") from None


def only(*allowed: object) -> BeforeValidator:
    """What is taken because it asks for nothing; all else is not built."""

    said = "leave it out" if not allowed else f"leave it out, or {json.dumps(allowed[0])}"

    def check(value: object) -> object:
        if value is not None and not any(type(value) is type(item) and value == item for item in allowed):
            raise PydanticCustomError("unsupported", "is not supported here: {instead}", {"instead": said})
        return value

    return BeforeValidator(check)


def of_types(*allowed: str) -> BeforeValidator:
    """Says that a part of another kind is not built, and not that it is none."""

    def check(value: object) -> object:
        if isinstance(value, Mapping) and isinstance(kind := value.get("type"), str) and kind not in allowed:
            raise PydanticCustomError("unsupported", "here its type may be {kinds} alone", {"kinds": " or ".join(allowed)})
        return value

    return BeforeValidator(check)


Text = Annotated[str, AfterValidator(_without_nul)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Echoed(BaseModel):
    """What a client got from a server and sends back, with whatever else that server told it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class IgnoredOptions(_Strict):
    """What requests for an answer may say, and what changes nothing here: who asks, and how their model's server keeps what it read."""

    user: Text | None = None
    safety_identifier: Text | None = None
    prompt_cache_key: Text | None = None
    prompt_cache_retention: Text | None = None
    prompt_cache_options: dict[str, object] | None = None
    service_tier: Text | None = None


class AutoChunking(_Strict):
    """800 tokens, of which 400 are repeated."""

    type: Literal["auto"]


class StaticSizes(_Strict):
    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _overlaps_by_half_at_most(self) -> "StaticSizes":
        if 2 * self.chunk_overlap_tokens > self.max_chunk_size_tokens:
            raise PydanticCustomError("overlap", "chunk_overlap_tokens must be at most half of max_chunk_size_tokens")
        return self


class StaticChunking(_Strict):
    type: Literal["static"]
    static: StaticSizes


ChunkingStrategy = Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]
