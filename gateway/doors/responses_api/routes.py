"""`/v1/responses`, with a token of the scope `threads`."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from gateway.domain.principal import SCOPE_THREADS
from gateway.doors.assistants_api.api import Api, Deleted, responses_of
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.responses_api import creating, reading
from gateway.doors.responses_api.schemas import ResponseRequest
from gateway.doors.rest import Door
from gateway.doors.schemas import ConversationAnswer, ConversationId, body_of
from gateway.store.pages import PageRequest


class ResponseAnswer(BaseModel):
    """A response, as the types of the `openai` package describe it, with ours under `tellergate`."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"]
    status: str


class ItemPage(BaseModel):
    """A page of items."""

    model_config = ConfigDict(extra="allow")

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str
    last_id: str
    has_more: bool


Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=64)]
Order = Literal["asc", "desc"]
Include = Annotated[list[Literal["file_search_call.results", "code_interpreter_call.outputs"]] | None, Query(alias="include[]")]


def mount(app: FastAPI, door: Door, api: Api) -> None:
    """Put these routes into the application."""
    _mount_responses(app, door, api)
    _mount_conversations(app, door, api)


def _mount_responses(app: FastAPI, door: Door, api: Api) -> None:
    @app.post(
        "/v1/responses",
        responses=responses_of(ResponseAnswer, runs=True, is_waited_for=True),
        openapi_extra=body_of(ResponseRequest),
    )
    async def create_response(request: Request) -> Response:
        """Create a response.

        Functions that the gateway knows are executed, and shown as `mcp_call`; others are asked for as `function_call`. With `stream`, the
        answer is events (server-sent events). What waits for the customer's confirmation stands under `tellergate`.
        """
        return await door.answer(request, partial(creating.create, api), SCOPE_THREADS)

    @app.get("/v1/responses/{response_id}", responses=responses_of(ResponseAnswer))
    async def get_response(request: Request, response_id: Id, stream: bool = False, include: Include = None) -> Response:
        """Read a response as it stands.

        One in the background goes on by itself, and so does one that ended because the customer was to confirm something. `include[]`: what
        items tell beside what its request asked to be told.
        """
        return await door.answer(
            request, partial(reading.retrieve, api, response_id, stream, frozenset(include or ())), SCOPE_THREADS
        )

    @app.delete("/v1/responses/{response_id}", responses=responses_of(Deleted))
    async def delete_response(request: Request, response_id: Id) -> Response:
        """Delete a response.

        What is under way is given up first. Its messages are deleted with the thread that they are in, after `threads_kept_days`.
        """
        return await door.answer(request, partial(reading.delete, api, response_id), SCOPE_THREADS)

    @app.post("/v1/responses/{response_id}/cancel", responses=responses_of(ResponseAnswer))
    async def cancel_response(request: Request, response_id: Id) -> Response:
        """Cancel a response in the background.

        A call that is under way is carried to its end first.
        """
        return await door.answer(request, partial(reading.cancel, api, response_id), SCOPE_THREADS)

    @app.get("/v1/responses/{response_id}/input_items", responses=responses_of(ItemPage))
    async def list_input_items(
        request: Request, response_id: Id, limit: Limit = 20, order: Order = "desc", after: Cursor = None
    ) -> Response:
        """List what a response was asked, with what came before it."""
        page = PageRequest(limit, order == "asc", after or None)
        return await door.answer(request, partial(reading.input_items, api, response_id, page), SCOPE_THREADS)


def _mount_conversations(app: FastAPI, door: Door, api: Api) -> None:
    @app.get("/v1/conversations/{conversation_id}", responses=responses_of(ConversationAnswer))
    async def get_conversation(request: Request, conversation_id: ConversationId) -> Response:
        """Read a conversation."""
        return await door.answer(request, partial(reading.conversation, api, conversation_id), SCOPE_THREADS)

    @app.get("/v1/conversations/{conversation_id}/items", responses=responses_of(ItemPage))
    async def list_conversation_items(
        request: Request, conversation_id: ConversationId, limit: Limit = 20, order: Order = "desc", after: Cursor = None
    ) -> Response:
        """List the items of a conversation.

        Those of the thread in which it went on last, with responses.
        """
        page = PageRequest(limit, order == "asc", after or None)
        return await door.answer(request, partial(reading.conversation_items, api, conversation_id, page), SCOPE_THREADS)
