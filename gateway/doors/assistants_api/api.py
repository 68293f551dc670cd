"""What the doors of the Assistants API share: their parts, bodies, pages and objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from gateway.calls.rates import Rates
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import Principal
from gateway.doors import bodies, schemas
from gateway.doors.bodies import json_answer
from gateway.doors.faults import too_often
from gateway.doors.rest import Door, answers
from gateway.runs import objects
from gateway.runs.broadcast import Broadcast
from gateway.runs.images import FileImages, NoFileImages
from gateway.runs.objects import Object
from gateway.runs.pool import RunPool
from gateway.runs.sealed_principal import PrincipalSeal
from gateway.store.assistants import Maker
from gateway.store.items import ItemStore
from gateway.store.pages import NoSuchCursor, PageRequest

if TYPE_CHECKING:
    from gateway.files.new_stores import NewStores  # needs the extra `files`

BODY_MOST = 4 * 1024 * 1024
DEPTH_MOST = 32
"""Of a body: messages and images are long, JSON Schemas of functions deep."""

_Model = TypeVar("_Model", bound=BaseModel)
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """`pool` None: no model is set up, and nothing can be run. `hosts`: where images of messages may lie. `lifetime`: of a run.
    `runs_most`: of one customer, under way at once.
    `stand_in`: the name of what answers in place of any model that an assistant names; empty: the named model answers.
    `models`: what `GET /v1/models` lists. `tools`: of `file_search` and `code_interpreter`, which are served. `stores`: None: no files
    are kept.
    """

    book: ItemStore
    pool: RunPool | None
    broadcast: Broadcast
    seal: PrincipalSeal
    rates: Rates
    hosts: frozenset[str]
    lifetime: timedelta
    runs_most: int
    stand_in: str = ""
    models: tuple[str, ...] = ()
    images: FileImages = field(default_factory=NoFileImages)
    tools: frozenset[str] = frozenset()
    stores: "NewStores | None" = None

    def bounded(self, door: Door, principal: Principal) -> None:
        """RequestFault RATE_LIMITED when this customer, or client, writes too often."""
        if not self.rates.take(principal.customer, door.clock()):
            raise too_often()

    def with_model(self) -> RunPool:
        """RequestFault NO_MODEL without a model."""
        if self.pool is None:
            raise RequestFault(Fault.NO_MODEL, "no model is configured here, so nothing can be run: set model_url")
        return self.pool


async def body_as(model: type[_Model], request: Request) -> _Model:
    """The body as this model, within the bounds of this API; empty where the model needs no field. RequestFault."""
    return await bodies.body_as(model, request, max_bytes=BODY_MOST, max_depth=DEPTH_MOST, fractions=True)


def plain(model: BaseModel) -> dict[str, Any]:
    """What the client said, by the API's names."""
    return model.model_dump(exclude_unset=True)


def metadata_of(given: Mapping[str, str] | None) -> Mapping[str, str]:
    return given or {}


def maker_of(principal: Principal) -> Maker:
    """Whose is what this one makes."""
    return Maker(principal.client, None if principal.is_client else principal.customer)


def missing(what: str) -> RequestFault:
    """Also for what is another's: nobody learns whether it is there."""
    return RequestFault(Fault.NOT_FOUND, f"no such {what}", param=f"{what.replace(' ', '_')}_id")


async def listed(
    api: Api, question: Callable[[Connection], tuple[Sequence[_Row], bool]], shown: Callable[[_Row], Object]
) -> Response:
    """The page that `question` finds, each of its rows as `shown`. RequestFault for a cursor that is no object of the list."""
    try:
        rows, more = await api.book.read(question)
    except NoSuchCursor as error:
        raise RequestFault(
            Fault.INVALID_REQUEST, f"{error.name}: must be the id of an object in this list", param=error.name
        ) from None
    return json_answer(objects.listed([shown(row) for row in rows], more=more))


def page_of(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: Annotated[str | None, Query(max_length=64)] = None,
    before: Annotated[str | None, Query(max_length=64)] = None,
) -> PageRequest:
    """The parameters of every list."""
    return PageRequest(limit, order == "asc", after or None, before or None)


Include = Annotated[
    list[Literal["step_details.tool_calls[*].file_search.results[*].content"]] | None,
    Query(alias="include[]", max_length=8),
]
"""What steps tell beside: the text that a search found."""


class JsonAnswer(BaseModel):
    """An object of the Assistants API, as the types of the `openai` package describe it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str


class ObjectPage(BaseModel):
    """A page of objects."""

    object: Literal["list"]
    data: list[JsonAnswer]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(BaseModel):
    id: str
    object: str
    deleted: Literal[True]


def responses_of(model: type[BaseModel], *, runs: bool = False, is_waited_for: bool = False) -> dict[int | str, dict[str, object]]:
    """What OpenAPI says of an operation's answers. `runs`: it needs a model. `is_waited_for`: a run ends before the answer."""
    not_taken: dict[str, object] = {"model": schemas.ErrorBody, "description": "The request was not taken"}
    not_answered: dict[str, object] = {"model": schemas.ErrorBody, "description": "The request was not answered"}
    return {**answers(model), **({501: not_taken} if runs else {}), **({424: not_answered} if is_waited_for else {})}
