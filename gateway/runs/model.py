"""The port to the model behind the runs: what it is asked, and the pieces in which it answers. It is hostile: nothing of it is trusted.

Items are the whole conversation, replayed on each turn: no state is left with the model's server.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from gateway.domain.request import CallFault
from gateway.domain.strict_json import Json

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image by its URL, `https:` or `data:` (`file:` and an id until it is read), as the API spells it. `detail`: auto, low or high."""

    url: str
    detail: str


@dataclass(frozen=True, slots=True)
class MessageTurn:
    """A message of the thread."""

    role: Role
    parts: tuple[TextPart | ImagePart, ...]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call that the model asked for. `id` is ours, unique in the thread; `name` and `arguments` are the model's text, whatever
    it is. `fault`: why it is refused, whatever it asks for.
    """

    id: str
    name: str
    arguments: str
    fault: CallFault | None = None


@dataclass(frozen=True, slots=True)
class CallTurn:
    """The calls of one answer of the model, each with its output: (call, output). Never sent apart."""

    calls: tuple[tuple[ToolCall, str], ...]


Item = MessageTurn | CallTurn


@dataclass(frozen=True, slots=True)
class OfferedFunction:
    """A function that the model may ask for. `parameters` is a JSON Schema; None where it takes none."""

    name: str
    description: str | None
    parameters: Mapping[str, Json] | None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to the model. `tool_choice` is none, auto, required, or the name of a function after `function:`.

    `response_format` as the API spells it, None for auto. What is None is left to the model's server.
    """

    model: str
    instructions: str
    items: tuple[Item, ...]
    functions: tuple[OfferedFunction, ...] = ()
    tool_choice: str = "auto"
    parallel: bool = True
    response_format: Mapping[str, Json] | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, as the model's server counts them."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class TextPiece:
    text: str


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A fragment of a function call. Fragments with the same `index` belong together, as far as servers keep to it; `id` and `name` come
    with the first, if at all. What is None was not said.
    """

    index: int | None
    id: str | None
    name: str | None
    arguments: str
    fault: CallFault | None = None


class Finish(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    CALLS = "calls"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer. `usage` None: the server did not count."""

    finish: Finish
    usage: Usage | None


Piece = TextPiece | CallPiece | Finished


class ModelFailed(Exception):
    """No usable answer. `code` is that of a run's `last_error`: server_error, rate_limit_exceeded or invalid_prompt. The message holds
    nothing of what the model or its server said.
    """

    def __init__(self, code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"], message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Model(Protocol):
    """An endpoint that speaks one of the OpenAI APIs.

    Concurrent use is safe. Retry: before the first piece it is repeated by the implementation, within its time limit (408, 409, 429, 5xx
    and broken connections; `Retry-After` is honoured); after it never. Errors: ModelFailed alone. Closing the iterator ends the request.
    """

    def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer; the last is `Finished`. A stream that ends without it raises ModelFailed."""

    async def close(self) -> None: ...
