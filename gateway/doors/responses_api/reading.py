"""Responses that were stored: what they say by now, what they were asked, and their end."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import Request, Response
from sqlalchemy import Connection

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import Principal
from gateway.doors.assistants_api.api import Api, missing
from gateway.doors.bodies import json_answer
from gateway.doors.responses_api.items import all_items, call_items, call_of_item, message_item
from gateway.doors.responses_api.shown import as_it_stands, held_message, response_of_held
from gateway.doors.rest import Door, conversation_object
from gateway.doors.running import cancelled
from gateway.runs import objects
from gateway.runs.objects import Object
from gateway.store import conversations, responses, steps, threads
from gateway.store.pages import PageRequest
from gateway.store.responses import DeleteResponse, ResponseState


async def retrieve(api: Api, id_: str, stream: bool, included: frozenset[str], *rest: Any) -> Response:
    if stream:
        raise RequestFault(Fault.UNSUPPORTED, "stream: not supported here: ask again until it has ended", param="stream")
    return json_answer(as_it_stands(await _found(api, rest[-1], id_), included))


async def cancel(api: Api, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    state = await _found(api, principal, id_)
    if not state.response.body["background"]:
        message = "only a response in the background can be cancelled: hang up on any other"
        raise RequestFault(Fault.RUN_NOT_CANCELLABLE, message)
    if state.is_last and state.run.is_active:
        await cancelled(api, principal.customer, state.run.thread, state.run.id, door.clock())
        state = await _found(api, principal, id_)
    return json_answer(as_it_stands(state))


async def delete(api: Api, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    state = await _found(api, principal, id_)
    if state.is_last and state.run.is_active:
        await cancelled(api, principal.customer, state.run.thread, state.run.id, door.clock())
    if await api.book.write(DeleteResponse(principal.customer, id_)) is None:
        raise _missing()
    return json_answer(objects.deleted(id_, "response"))


async def input_items(api: Api, id_: str, page: PageRequest, *rest: Any) -> Response:
    response = (await _found(api, rest[-1], id_)).response
    before = await api.book.read(partial(responses.before, response=response))
    return json_answer(page_of_items(all_items(*before), page))


async def conversation(api: Api, id_: str, *rest: Any) -> Response:
    return json_answer(conversation_object(id_, await _opened(api, rest[-1], id_)))


async def conversation_items(api: Api, id_: str, page: PageRequest, *rest: Any) -> Response:
    """Of the thread in which the conversation went on last; none where no response was asked for in it."""
    customer = rest[-1].customer
    await _opened(api, rest[-1], id_)

    def question(connection: Connection) -> list[Object]:
        last = responses.newest_in(connection, customer, id_)
        return [] if last is None else all_items(*responses.items_of(connection, last.thread))

    return json_answer(page_of_items(await api.book.read(question), page))


async def _opened(api: Api, principal: Principal, id_: str) -> datetime:
    """RequestFault NOT_FOUND."""
    created = await api.book.read(lambda connection: conversations.opened(connection, id_, principal.customer))
    if created is None:
        raise missing("conversation")
    return created


def page_of_items(items: Sequence[Object], page: PageRequest) -> Object:
    """One page of items that stand in the order of a thread. RequestFault for a cursor that is none of them."""
    ordered = list(items if page.ascending else reversed(items))
    if page.after is not None:
        at = next((number for number, item in enumerate(ordered) if item["id"] == page.after), None)
        if at is None:
            raise RequestFault(Fault.INVALID_REQUEST, "after: must be the id of an object in this list", param="after")
        ordered = ordered[at + 1 :]
    found = objects.listed(ordered[: page.limit], more=len(ordered) > page.limit)
    return {**found, "first_id": found["first_id"] or "", "last_id": found["last_id"] or ""}  # texts, in this API


async def referenced_items(api: Api, principal: Principal, ids: frozenset[str], thread: str) -> Mapping[str, Object | None]:
    """The items of this customer's that these ids name; None: it stands in this thread already."""
    if not ids:
        return {}
    calls = {id_: call for id_ in ids if (call := call_of_item(id_)) is not None}

    def question(connection: Connection) -> Mapping[str, Object | None]:
        found: dict[str, Object | None] = {}
        for message in threads.messages_of(connection, principal.customer, sorted(ids - calls.keys())):
            found[message.id] = None if message.thread == thread else message_item(message)
        for step in steps.steps_of(connection, principal.customer, sorted({step for step, _ in calls.values()})):
            for item in call_items(step, as_functions=True):
                if item["id"] in ids:
                    found[item["id"]] = None if step.thread == thread else item
        held = {response_of_held(id_): id_ for id_ in ids - calls.keys() - found.keys()}
        for response in responses.of_ids(connection, principal.customer, sorted(held)):
            found[held[response.id]] = None if response.thread == thread else held_message(response.id)
        return found

    return await api.book.read(question)


async def _found(api: Api, principal: Principal, id_: str) -> ResponseState:
    """RequestFault NOT_FOUND."""

    def question(connection: Connection) -> ResponseState | None:
        response = responses.of_customer(connection, principal.customer, id_)
        return None if response is None else responses.state_of(connection, response)

    state = await api.book.read(question)
    if state is None:
        raise _missing()
    return state


def _missing() -> RequestFault:
    return RequestFault(Fault.NOT_FOUND, "no such response", param="response_id")
