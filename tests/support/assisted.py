"""A whole gateway with a scripted model behind it, served on loopback in the test's own process, and the unmodified `openai` client."""

import asyncio
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types.beta import Assistant, Thread
from openai.types.beta.threads import RequiredActionFunctionToolCall, Run
from sqlalchemy import select

from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.gateway import Gateway
from gateway.app.serving import build_app, in_front
from gateway.app.tls import SignalFreeServer
from gateway.store.tables import RUNS
from tests.support.models import Answers, Raw, Reply, Script, ScriptedModel, model_server
from tests.support.teller import Teller, teller
from tests.support.waiting import WAITS_S

OWN = "threads customer_words function_calls"
ASK_ANYWAY = 10
"""A run is asked for by the client when its row has changed, and at each tenth look."""
OVER = ("completed", "failed", "incomplete", "cancelled", "expired")


_TLS = ssl.create_default_context()
"""One for all clients, as each makes it for itself, which takes longer than most questions."""


def function(name: str, description: str = "") -> Any:
    """An assistant's tool. The gateway knows the parameters of its own."""
    return {"type": "function", "function": {"name": name, "description": description, "parameters": {"type": "object"}}}


@dataclass
class Assisted:
    """`answers`, put in order, are what the model says next; without any it says "Done."."""

    asked: Teller
    model: ScriptedModel
    url: str
    clients: dict[str, AsyncOpenAI] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        return self.asked.gateway

    def token(self, customer: str = "alice", **claims: Any) -> str:
        claims = {"agent": None, "strong": True, "scope": OWN, **claims}
        return LocalIssuer(self.gateway.settings.data).token(customer, **claims)

    def client(self, token: str) -> AsyncOpenAI:
        """The unmodified client, which checks each answer against its types."""
        if token not in self.clients:
            self.clients[token] = AsyncOpenAI(
                base_url=f"{self.url}/v1",
                api_key=token,
                max_retries=0,
                timeout=WAITS_S,
                http_client=DefaultAsyncHttpxClient(verify=_TLS),
                _strict_response_validation=True,
            )
        return self.clients[token]

    @property
    def service(self) -> Any:
        """`client.beta` of the bank's back end."""
        return self.client(self.token("dev-app", scope="assistants")).beta

    def of(self, customer: str = "alice", **claims: Any) -> Any:
        """`client.beta.threads` of a customer."""
        key = f"{customer} {sorted(claims.items())}"
        if key not in self.clients:
            self.clients[key] = self.client(self.token(customer, **claims))
        return self.clients[key].beta.threads

    async def assistant(self, *functions: str, **rest: Any) -> Assistant:
        asked = {"model": "a-model", "instructions": "Be brief.", **rest}
        made: Assistant = await self.service.assistants.create(tools=[function(name) for name in functions], **asked)
        return made

    async def begun(self, assistant: Assistant, *said: str, customer: str = "alice", **rest: Any) -> tuple[Thread, Run]:
        """A thread in which the customer said this, and a run of it."""
        threads = self.of(customer)
        thread = await threads.create(messages=[{"role": "user", "content": message} for message in said])
        return thread, await threads.runs.create(thread_id=thread.id, assistant_id=assistant.id, **rest)

    async def until(self, run: Run, *states: str, customer: str = "alice", ends_s: float = WAITS_S) -> Run:
        """The run, once it is in one of these states; in any that it stays in, without."""
        wanted = states or (*OVER, "requires_action")
        row = select(RUNS).where(RUNS.c.id == run.id)
        seen: object = None
        looks = itertools.count()

        async def is_there() -> Run | None:
            nonlocal seen
            before, seen = seen, await self.gateway.book.read(lambda connection: connection.execute(row).first())
            if seen == before and next(looks) % ASK_ANYWAY:
                return None  # a question to the table costs a hundredth of one by the client
            found: Run = await self.of(customer).runs.retrieve(run.id, thread_id=run.thread_id)
            return found if found.status in wanted else None

        return await wait_until(is_there, ends_s)

    async def said(self, thread: str, customer: str = "alice") -> list[str]:
        """The texts of a thread, the oldest first."""
        found = await self.of(customer).messages.list(thread, order="asc", limit=100)
        return [part.text.value for item in found.data for part in item.content if part.type == "text"]

    async def steps(self, run: Run, customer: str = "alice") -> list[Any]:
        found = await self.of(customer).runs.steps.list(run.id, thread_id=run.thread_id, order="asc", limit=100)
        return list(found.data)


def error_of(run: Run) -> str:
    """The code of what a run failed of."""
    assert run.last_error is not None, run
    return run.last_error.code


def why_incomplete(run: Run) -> str | None:
    """Why a run came to no end."""
    assert run.incomplete_details is not None, run
    return run.incomplete_details.reason


def used(run: Run) -> tuple[int, int]:
    """Tokens of prompts and of answers."""
    assert run.usage is not None, run
    return run.usage.prompt_tokens, run.usage.completion_tokens


def required(run: Run) -> list[RequiredActionFunctionToolCall]:
    """The calls that the app is asked for."""
    assert run.required_action is not None, run
    return run.required_action.submit_tool_outputs.tool_calls


async def wait_until(found: Callable[[], Awaitable[Any]], ends_s: float = WAITS_S) -> Any:
    """What `found` finds, looked for again and again while that is None or False; an error after `ends_s`."""
    async with asyncio.timeout(ends_s):
        while (what := await found()) is None or what is False:
            await asyncio.sleep(0.02)
    return what


@asynccontextmanager
async def assisted(folder: Path, script: Script | Answers, **changes: Any) -> AsyncIterator[Assisted]:
    """Such a gateway in this folder. A single answer is always the same."""
    always: Script = script if not isinstance(script, Reply | Raw) else (lambda _body: script)
    async with model_server(always) as model, over(folder, model, **changes) as found:
        yield found


@asynccontextmanager
async def over(folder: Path, model: ScriptedModel, **changes: Any) -> AsyncIterator[Assisted]:
    """The same over a model that is served already."""
    async with teller(folder, model_url=model.url, **changes) as asked, served(asked.gateway) as url:
        found = Assisted(asked, model, url)
        try:
            yield found
        finally:
            for client in set(found.clients.values()):
                await client.close()


@asynccontextmanager
async def served(gateway: Gateway, *, kept_s: int = 5) -> AsyncIterator[str]:
    """The base URL at which the gateway answers. `kept_s`: how long it keeps a connection on which nothing is asked; a client that keeps
    one for longer may have a request meet its end, on a busy machine."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    app = in_front(build_app(gateway), gateway)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_keep_alive=kept_s, timeout_graceful_shutdown=int(WAITS_S)
    )
    server = SignalFreeServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))

    async def is_up() -> bool | None:
        return True if server.started or serving.done() else None

    await wait_until(is_up)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
