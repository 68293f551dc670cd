"""The doors by which a case comes in: the same words and calls as requests of each API, at a gateway that is served on loopback.

Who speaks is the customer, with their own token; who calls is the model: by itself where the back end brings its calls, or as the
scripted model of a run. What comes of it is looked up at the bank alone.
"""

import itertools
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import httpx
import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from sqlalchemy import Connection

from gateway.app.clock import utc_now
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.gateway import Gateway
from gateway.domain.facts import HeardMessage
from gateway.domain.request import CallRequest, NativeCall
from gateway.domain.tools import ToolFunction
from gateway.store.conversations import take_back
from gateway.store.items import Item
from tests.attacks.meant.steps import Calls, Said
from tests.support.assisted import OWN, served, wait_until
from tests.support.models import Asked, Reply
from tests.support.teller import TRACE, principal
from tests.support.waiting import WAITS_S

Asking = Callable[[str], Awaitable[None]]
"""Puts a confirmation before the customer's eyes, by its id."""

OVER = ("completed", "incomplete", "failed", "cancelled", "expired")


class Door(StrEnum):
    PIPELINE = "the pipeline itself"
    FUNCTION_CALLS = "function calls"
    RUN = "a run"
    CHAT = "Chat Completions"
    RESPONSES = "Responses"
    MCP = "MCP"


class Talk(Protocol):
    """One customer, in one conversation."""

    async def said(self, said: Said) -> None:
        """The customer's words, in this or in an earlier conversation."""

    async def removed(self, message: int) -> None:
        """The customer takes one of their messages back, by its number."""

    async def called(self, calls: Calls, asking: Asking) -> None:
        """The model asks for these calls in one answer."""


@dataclass(frozen=True, slots=True)
class TakeBack(Item[None]):
    conversation: str
    message: int

    def apply(self, connection: Connection) -> None:
        take_back(connection, self.conversation, self.message)


@dataclass
class Scripts:
    """What the model says, by the name under which a request asks for it; then "Done."."""

    left: dict[str, deque[Reply]] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def answer(self, body: Mapping[str, Any]) -> Reply:
        answers = self.left[str(body["model"])]
        return answers.popleft() if answers else Reply("Done.")

    def model(self, *answers: Reply) -> str:
        name = f"m{next(self.numbers)}"
        self.left[name] = deque(answers)
        return name


@dataclass
class Served:
    """The gateway at `url`, and the model behind its runs."""

    gateway: Gateway
    url: str
    http: httpx.AsyncClient
    scripts: Scripts
    issuer: LocalIssuer
    functions: tuple[str, ...]
    assistants: dict[str, str] = field(default_factory=dict)

    async def ask(self, token: str, method: str, path: str, body: object = None) -> Any:
        answered = await self.http.request(method, f"/v1{path}", json=body, headers={"authorization": f"Bearer {token}"})
        if answered.is_error:
            raise AssertionError(f"{method} {path}: {answered.status_code} {answered.text}")
        return answered.json()

    def own(self, customer: str, client: str = "dev-app") -> str:
        return self.issuer.token(customer, agent=None, strong=True, scope=OWN, client=client)

    def tools(self, *, is_flat: bool) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = [{"name": name, "parameters": {"type": "object"}} for name in self.functions]
        return [{"type": "function", **item} if is_flat else {"type": "function", "function": item} for item in made]

    async def assistant(self, agent: str) -> str:
        """One that acts in runs under this name, for all customers."""
        if agent not in self.assistants:
            service = self.issuer.token("dev-app", agent=None, strong=True, scope="assistants")
            body = {"model": "any", "name": agent, "tools": self.tools(is_flat=False)}
            self.assistants[agent] = (await self.ask(service, "POST", "/assistants", body))["id"]
        return self.assistants[agent]


@dataclass
class InConversation:
    """Words by their own channel, as a bank's app sends them. `before`: the customer's earlier conversation."""

    at: Served
    customer: str
    token: str
    here: str
    before: str

    async def said(self, said: Said) -> None:
        await self.words(self.before if said.earlier else self.here, said)

    async def words(self, conversation: str, said: Said) -> None:
        body = {"messages": [{"text": said.text, "origin": said.origin}]}
        await self.at.ask(self.token, "POST", f"/conversations/{conversation}/messages", body)

    async def removed(self, message: int) -> None:
        await self.at.gateway.book.write(TakeBack(self.here, message))

    def agent(self, name: str) -> str:
        return self.at.issuer.token(self.customer, agent=name, strong=True)


@dataclass
class InPipeline:
    """No door at all: what the suite measures first, and what every door is held against."""

    gateway: Gateway
    customer: str
    here: str
    before: str
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def said(self, said: Said) -> None:
        where, heard = self.before if said.earlier else self.here, [HeardMessage(said.text, said.origin)]
        assert await self.gateway.book.store_messages(self.customer, where, heard, utc_now()) is not None

    async def removed(self, message: int) -> None:
        await self.gateway.book.write(TakeBack(self.here, message))

    async def called(self, calls: Calls, asking: Asking) -> None:
        native = tuple(NativeCall(f"n{next(self.numbers)}", function, json.dumps(given)) for function, given in calls.calls)
        request = CallRequest("responses", self.here, f"t{next(self.numbers)}", "hijacked", native, TRACE)
        answered = await self.gateway.pipeline.take(principal(self.customer, agent=calls.agent), request)
        await _asked((item.confirmation for item in answered), asking)


class ByFunctionCalls(InConversation):
    async def called(self, calls: Calls, asking: Asking) -> None:
        items = [
            {"type": "function_call", "call_id": f"n{number}", "name": name, "arguments": json.dumps(given)}
            for number, (name, given) in enumerate(calls.calls)
        ]
        turn = f"t{next(self.at.scripts.numbers)}"
        body = {"shape": "responses", "conversation_id": self.here, "turn_id": turn, "calls": items}
        answered = await self.at.ask(self.agent(calls.agent), "POST", "/function-calls", body)
        await _asked((result.get("confirmation_id") for result in answered["results"]), asking)


class ByMcp(InConversation):
    """Calls of one answer follow one another: the protocol has one call in each request."""

    async def called(self, calls: Calls, asking: Asking) -> None:
        headers = {"authorization": f"Bearer {self.agent(calls.agent)}"}
        url = f"{self.at.url}/mcp"
        meta: Any = {"tellergate/conversation": self.here}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=WAITS_S) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            answers = [await client.call_tool(name, given, meta=meta) for name, given in calls.calls]
        told: list[Any] = [(answer.meta or {}).get("tellergate/call", {}) for answer in answers]
        await _asked((item.get("confirmation_id") for item in told), asking)


@dataclass
class ByRun(InConversation):
    """Words are messages of a thread."""

    thread: str = ""
    messages: list[str] = field(default_factory=list)

    async def said(self, said: Said) -> None:
        if said.earlier:
            await self.words(self.before, said)
            return
        if not self.thread:
            self.thread = (await self.at.ask(self.token, "POST", "/threads", {}))["id"]
        body = {"role": "user", "content": said.text, "metadata": {"tellergate.origin": said.origin}}
        self.messages.append((await self.at.ask(self.token, "POST", f"/threads/{self.thread}/messages", body))["id"])

    async def removed(self, message: int) -> None:
        await self.at.ask(self.token, "DELETE", f"/threads/{self.thread}/messages/{self.messages[message]}")

    async def called(self, calls: Calls, asking: Asking) -> None:
        assistant = await self.at.assistant(calls.agent)
        body = {"assistant_id": assistant, "model": self.at.scripts.model(_reply(calls))}
        run = await self.at.ask(self.token, "POST", f"/threads/{self.thread}/runs", body)
        await _until_over(self, f"/threads/{self.thread}/runs/{run['id']}", asking)


@dataclass
class _Newest(InConversation, ABC):
    """Words are the newest user message of a request: those that no call follows at once have a request of their own."""

    waiting: Said | None = None

    async def said(self, said: Said) -> None:
        if said.earlier:
            await self.words(self.before, said)
            return
        await self.flushed()
        self.waiting = said

    async def removed(self, message: int) -> None:
        await self.flushed()
        await super().removed(message)

    async def flushed(self) -> None:
        if self.waiting is not None:
            await self.called(Calls(()), _nobody)

    @abstractmethod
    async def called(self, calls: Calls, asking: Asking) -> None: ...

    def taken(self) -> Said | None:
        said, self.waiting = self.waiting, None
        return said

    def extension(self, said: Said | None, **rest: str) -> dict[str, str]:
        return {**rest, **({} if said is None else {"origin": said.origin})}


class ByChat(_Newest):
    """A held call ends the answer, so that the customer is asked after it."""

    async def called(self, calls: Calls, asking: Asking) -> None:
        said = self.taken()
        message = {"role": "developer", "content": "Go on."} if said is None else {"role": "user", "content": said.text}
        body = {
            "model": self.at.scripts.model(_reply(calls)),
            "messages": [message],
            "tools": self.at.tools(is_flat=False),
            "tellergate": self.extension(said, conversation=self.here),
        }
        answered = await self.at.ask(self.at.own(self.customer, calls.agent), "POST", "/chat/completions", body)
        await _asked((item["id"] for item in answered["tellergate"]["confirmations"]), asking)


class ByResponses(_Newest):
    async def called(self, calls: Calls, asking: Asking) -> None:
        said = self.taken()
        body: dict[str, Any] = {
            "model": self.at.scripts.model(_reply(calls)),
            "input": "" if said is None else said.text,
            "tools": self.at.tools(is_flat=True),
            "conversation": self.here,
            "background": True,
            "tellergate": self.extension(said),
        }
        token = self.at.own(self.customer, calls.agent)
        answered = await self.at.ask(token, "POST", "/responses", body)
        await _until_over(self, f"/responses/{answered['id']}", asking)


TALKS: dict[Door, Callable[..., Talk]] = {
    Door.FUNCTION_CALLS: ByFunctionCalls,
    Door.RUN: ByRun,
    Door.CHAT: ByChat,
    Door.RESPONSES: ByResponses,
    Door.MCP: ByMcp,
}


async def talk(gateway: Gateway, at: Served | None, door: Door, customer: str) -> Talk:
    """A customer who begins to talk, and has talked before."""
    here, before = [await gateway.book.open_conversation(customer, utc_now()) for _ in range(2)]
    if at is None:
        return InPipeline(gateway, customer, here, before)
    return TALKS[door](at, customer, at.own(customer), here, before)


@asynccontextmanager
async def at_door(gateway: Gateway, scripts: Scripts) -> AsyncIterator[Served]:
    """The gateway's API on loopback, with the models of runs under these scripts."""
    async with served(gateway, kept_s=120) as url, httpx.AsyncClient(base_url=url, timeout=WAITS_S) as http:
        functions = tuple(item.name for item in gateway.door.functions if not isinstance(item, ToolFunction))
        yield Served(gateway, url, http, scripts, LocalIssuer(gateway.settings.data), functions)


def _reply(calls: Calls) -> Reply:
    return Reply("" if calls.calls else "Done.", tuple(Asked(name, json.dumps(given)) for name, given in calls.calls))


async def _nobody(confirmation: str) -> None:
    raise AssertionError(f"nothing was called, and {confirmation} asks")


async def _asked(confirmations: Iterable[str | None], asking: Asking) -> None:
    for confirmation in dict.fromkeys(item for item in confirmations if item is not None):
        await asking(confirmation)


async def _until_over(talk: InConversation, path: str, asking: Asking) -> None:
    """Until what goes on by itself has ended; whatever it waits for is put before the customer, once."""
    seen: set[str] = set()

    async def is_over() -> bool | None:
        run = await talk.at.ask(talk.token, "GET", path)
        for item in run["tellergate"]["confirmations"]:
            if item["id"] not in seen:
                seen.add(item["id"])
                await asking(item["id"])
        return True if run["status"] in OVER else None

    await wait_until(is_over)
