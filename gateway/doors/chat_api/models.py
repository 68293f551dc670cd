"""`GET /v1/models`, for clients that let somebody choose: with a token of the scope `threads` or `assistants`."""

from functools import partial
from typing import Annotated, Literal

from fastapi import FastAPI, Path, Request, Response
from pydantic import BaseModel

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_THREADS, Principal
from gateway.doors.assistants_api.api import Api, responses_of
from gateway.doors.bodies import json_answer
from gateway.doors.rest import Door


class ListedModel(BaseModel):
    """A model by its name. `created` is 0: only the model's server knows."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "bank"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ListedModel]


def mount(app: FastAPI, door: Door, api: Api) -> None:
    """Put these routes into the application."""

    @app.get("/v1/models", responses=responses_of(ModelList))
    async def list_models(request: Request) -> Response:
        """List the models that may be named."""
        return await door.answer(request, partial(_list, api), SCOPE_THREADS, SCOPE_ASSISTANTS)

    @app.get("/v1/models/{model}", responses=responses_of(ListedModel))
    async def get_model(request: Request, model: Annotated[str, Path(max_length=128)]) -> Response:
        """Read a model."""
        return await door.answer(request, partial(_get, api, model), SCOPE_THREADS, SCOPE_ASSISTANTS)


async def _list(api: Api, _door: Door, _request: Request, _principal: Principal) -> Response:
    return json_answer(ModelList(data=[ListedModel(id=name) for name in api.models]).model_dump())


async def _get(api: Api, name: str, *_rest: object) -> Response:
    if name not in api.models:
        raise RequestFault(Fault.NOT_FOUND, "no such model", param="model")
    return json_answer(ListedModel(id=name).model_dump())
