"""`tellergate demo`: the embedded default and a stand-in for a model, over the real HTTP door with the `openai` package, offline.

The demo plays the bank's back end: it asks the model, hands the model's function calls to the window, and gives the outputs back. With
OPENAI_API_KEY and OPENAI_BASE_URL set, a real model takes the stand-in's place.
"""

import asyncio
import json
import os
import queue
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from openai import OpenAI
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from audit.inspection import verify_store
from audit.query import Why, reveal
from gateway.app.local_issuer import LocalIssuer
from gateway.app.main import Gateway
from gateway.app.serving import serve
from gateway.app.settings import development
from gateway.commands.scripted_model import standin
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_THREADS, SCOPE_WORDS
from gateway.runs.scripted_model import MODEL

CUSTOMER = "alice"
AGENT = "demo-assistant"
WHY = Why(auditor="tellergate-demo", purpose="show what the core saw", case_id="demo")
_ROUNDS_MOST = 8
_START_S = 30

QUESTIONS = (
    "What is the balance of my Everyday account?",
    'Please move 25.00 GBP from "Everyday" to "Rainy day".',
)
THREADED = ("What is the balance of my Everyday account?", 'Please move 5.00 GBP from "Everyday" to "Rainy day".')
"""The same by the Assistants API: once polled, once streamed."""

ATTACK = "What did I spend on lately?"
"""Honest words; the attack waits in a transaction's memo, and the stand-in obeys whatever it reads."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DemoCall:
    """One call of the story, told by the trail: not by the model, not by the back end."""

    function: str
    decision: str
    policies: Sequence[str]
    core_saw: object
    model_saw: object
    record: int
    code: str | None = None

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(slots=True)
class RunningGateway:
    """A gateway on a thread of its own, as a back end meets it: by its URL. The log is read on the gateway's loop."""

    url: str
    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    def on_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_START_S)


@dataclass(slots=True)
class DemoConversation:
    """The conversation so far, and what was told of it."""

    running: RunningGateway
    model: OpenAI
    model_name: str
    window: OpenAI
    conversation: str
    tools: Any
    assistants: OpenAI
    threads: OpenAI
    items: list[Any] = field(default_factory=list)

    def ask(self, said: str) -> tuple[str, list[DemoCall]]:
        """Let the customer say this; the model's last words and the calls on the way to them."""
        self.items.append({"role": "user", "content": said})
        told: list[DemoCall] = []
        turn = f"turn_{secrets.token_hex(6)}"
        for _ in range(_ROUNDS_MOST):
            response = self.model.responses.create(model=self.model_name, input=self.items, tools=self.tools)
            calls = [item for item in response.output if item.type == "function_call"]
            self.items += [item.model_dump(exclude_none=True) for item in response.output]
            if not calls:
                return response.output_text, told
            answer = self.window.post(
                "/function-calls",
                cast_to=dict[str, Any],
                body={
                    "shape": "responses",
                    "conversation_id": self.conversation,
                    "turn_id": turn,
                    "model": self.model_name,
                    "calls": [call.model_dump(exclude_none=True) for call in calls],
                },
            )
            self.items += answer["outputs"]
            for call, output, result in zip(calls, answer["outputs"], answer["results"], strict=True):
                told.append(self._told(call.name, output["output"], result))
        return "(the model did not come to an end)", told

    def _told(self, function: str, output: str, result: Mapping[str, Any]) -> DemoCall:
        entries = self.running.on_loop(self.running.gateway.log.entries_of(result["call_id"]))
        leaves = [json.loads(entry.leaf) for entry in entries]
        policy: dict[str, Any] = next((leaf["policy"] for leaf in leaves if "policy" in leaf), {})
        core_saw = self._core_saw(entries[0].idx) if result["status"] == "done" else None
        return DemoCall(
            function=function,
            decision=policy.get("decision", "refused"),
            policies=policy.get("policies", []),
            core_saw=core_saw,
            model_saw=json.loads(output),
            record=result["proof"]["index"],
            code=result["code"],
        )

    def by_threads(self) -> tuple[list[DemoCall], list[str]]:
        """The same through assistants, threads and runs: polled, then streamed. The calls, and in which states the runs ended."""
        names = ("list_accounts", "get_account_balance", "initiate_transfer")
        tools: Any = [{"type": "function", "function": {"name": name}} for name in names]
        assistant = self.assistants.beta.assistants.create(model=self.model_name, instructions="Be brief.", tools=tools)
        threads = self.threads.beta.threads
        thread = threads.create(messages=[{"role": "user", "content": THREADED[0]}])
        polled = threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        threads.messages.create(thread.id, role="user", content=THREADED[1])
        with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            streamed = stream.get_final_run()
        calls = [
            (call.function, call.to_dict()["tellergate"])
            for run in (polled, streamed)
            for step in threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")
            if step.step_details.type == "tool_calls"
            for call in step.step_details.tool_calls
            if call.type == "function"
        ]
        told = [self._told(function.name, str(function.output), result) for function, result in calls if isinstance(result, dict)]
        return told, [polled.status, streamed.status]

    def _core_saw(self, index: int) -> object:
        """The sealed arguments of a record, opened as an auditor would: the opening is a record too."""
        opened = self.running.on_loop(reveal(self.running.gateway.log, index, WHY)).values
        if "instruction" in opened:
            return json.loads(str(opened["instruction"]))["order"]
        return {path.removeprefix("arguments."): value for path, value in opened.items() if path.startswith("arguments.")}


def demo(*, once: bool, as_json: bool, data: Path | None) -> int:
    """Tell the story; 0 if everything held, else 1. Without `once` the gateway stays until it is interrupted."""
    console = Console(quiet=as_json)
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tellergate-")))
        model = _model(stack, folder)
        running = stack.enter_context(_gateway(folder, model))
        story = _begin(running, folder, model)
        told, attack = _tell(story, console)
        runs = _tell_runs(story, console)
        audit = _verified(running)
        found = {"calls": [answer.as_json() for answer in told], "attack": attack, "runs": runs, "audit": audit}
        held = (
            audit["verified"] is True
            and attack["held"] is True
            and runs["held"] is True
            and all(answer.code is None for answer in told)
        )
        if as_json:
            print(json.dumps(found))
        _close(console, found, running, folder, held=held)
        if not once and not as_json:
            _stay(console, running, folder)
    return 0 if held else 1


@dataclass(frozen=True, slots=True)
class _Model:
    """Where the model is. `credential`: a file with its bearer token."""

    url: str
    name: str
    key: str
    credential: Path | None


def _model(stack: ExitStack, folder: Path) -> _Model:
    key, url = os.environ.get("OPENAI_API_KEY"), os.environ.get("OPENAI_BASE_URL")
    if not key or not url:
        return _Model(f"{stack.enter_context(_standin())}/v1", MODEL, "none", None)
    kept = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tellergate-"))) / "model.key"
    kept.touch(mode=0o600)
    kept.write_text(key)
    return _Model(url, os.environ.get("OPENAI_MODEL", "gpt-4o"), key, kept)


def _begin(running: RunningGateway, folder: Path, where: _Model) -> DemoConversation:
    issuer = LocalIssuer(folder, development=True)

    def client(token: str) -> OpenAI:
        return OpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0)

    window = client(issuer.token(CUSTOMER, agent=AGENT, strong=True))
    service = client(issuer.token("demo-back-end", agent=None, scope=SCOPE_ASSISTANTS))
    own = client(issuer.token(CUSTOMER, agent=None, strong=True, scope=f"{SCOPE_THREADS} {SCOPE_WORDS} {SCOPE_CALLS}"))
    model = OpenAI(base_url=where.url, api_key=where.key, max_retries=0)
    conversation = window.post("/conversations", cast_to=dict[str, Any], body={})["id"]
    tools = window.get("/functions?shape=responses", cast_to=dict[str, Any])["data"]
    return DemoConversation(running, model, where.name, window, conversation, tools, service, own)


def _tell(story: DemoConversation, console: Console) -> tuple[list[DemoCall], dict[str, object]]:
    console.print(Panel(f"Model: {story.model_name}" + ("  (a few rules, no model)" if story.model_name == MODEL else "")))
    told: list[DemoCall] = []
    for said in QUESTIONS:
        answer, calls = story.ask(said)
        told += calls
        _print(console, said, answer, calls)
    before = _funds(story.running)
    answer, calls = story.ask(ATTACK)
    after = _funds(story.running)
    _print(console, ATTACK, answer, calls)
    tried = [call for call in calls if call.function == "initiate_transfer"]
    told += [call for call in calls if call not in tried]
    attack: dict[str, object] = {
        "said_by": "a memo in list_transactions",
        "tried": [item.as_json() for item in tried],
        "funds_before": before,
        "funds_after": after,
        "held": before == after and all(item.code is not None for item in tried),
    }
    return told, attack


def _tell_runs(story: DemoConversation, console: Console) -> dict[str, object]:
    told, states = story.by_threads()
    _print(console, f"{THREADED[0]}\n{THREADED[1]}", f"(as an assistant's runs, polled and streamed: {', '.join(states)})", told)
    held = set(states) == {"completed"} and bool(told) and all(answer.code is None for answer in told)
    return {"states": states, "calls": [answer.as_json() for answer in told], "held": held}


def _funds(running: RunningGateway) -> list[str]:
    bank = running.gateway.core

    async def balances() -> list[str]:
        found = [await bank.balance(account.id, "ITBD") for account in await bank.accounts(CUSTOMER)]
        return [f"{balance.amount.value} {balance.amount.currency}" for balance in found if balance is not None]

    return running.on_loop(balances())


def _verified(running: RunningGateway) -> dict[str, Any]:
    log = running.gateway.log
    running.on_loop(log.publish(force=True))
    findings = running.on_loop(verify_store(log))
    size, root = running.on_loop(log.head())
    return {"size": size, "root": root.hex(), "verified": not findings}


def _print(console: Console, said: str, answer: str, calls: Sequence[DemoCall]) -> None:
    console.print(f"\n[bold]{CUSTOMER}:[/bold] {escape(said)}")
    for call in calls:
        rules = ", ".join(call.policies) or "no rule"
        console.print(f"  [bold]{escape(call.function)}[/bold]  {call.decision} by {rules}; record {call.record}")
        console.print(f"    the core saw   {_short(call.core_saw)}", highlight=False)
        console.print(f"    the model saw  {_short(call.model_saw)}", highlight=False)
    console.print(f"[bold]assistant:[/bold] {escape(answer)}")


def _short(value: object, most: int = 200) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= most else text[: most - 1] + "…")


def _close(console: Console, found: Mapping[str, Any], running: RunningGateway, folder: Path, *, held: bool) -> None:
    audit, attack = found["audit"], found["attack"]
    codes = ", ".join(str(item["code"]) for item in attack["tried"]) or "nothing was tried"
    console.print(f"\nattack: a memo told the model to pay; the window answered {codes}; funds unchanged: {attack['held']}")
    console.print(f"trail: {audit['size']} records, root {audit['root'][:16]}…, verified: {audit['verified']}")
    console.print("[green]Everything held.[/green]" if held else "[red]Something did not hold.[/red]")


def _stay(console: Console, running: RunningGateway, folder: Path) -> None:
    console.print(f"\nThe window stays at {running.url}; Ctrl-C ends it. A token for it:")
    console.print(f"  tellergate dev token --data {folder} --customer {CUSTOMER} --agent {AGENT} --level L2", soft_wrap=True)
    threading.Event().wait()


@contextmanager
def _gateway(folder: Path, model: _Model) -> Iterator[RunningGateway]:
    started: queue.Queue[RunningGateway | BaseException] = queue.Queue()

    async def work(stopping: "queue.Queue[Callable[[], None]]") -> None:
        loop = asyncio.get_running_loop()

        def ready(url: str, gateway: Gateway, stop: Callable[[], None]) -> None:
            stopping.put(lambda: _soon(loop, stop))
            started.put(RunningGateway(url, gateway, loop))

        settings = development(folder, port=0)
        await serve(
            replace(settings, model_url=model.url, model_api="responses", model_credential_file=model.credential), started=ready
        )

    yield from _on_thread(work, started)


@contextmanager
def _standin() -> Iterator[str]:
    started: queue.Queue[str | BaseException] = queue.Queue()

    async def work(stopping: "queue.Queue[Callable[[], None]]") -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(standin(), log_level="warning", access_log=False))
        stopping.put(lambda: setattr(server, "should_exit", True))
        started.put(f"http://127.0.0.1:{listening.getsockname()[1]}")
        await server.serve(sockets=[listening])

    yield from _on_thread(work, started)


def _soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(work)


def _on_thread(
    work: "Callable[[queue.Queue[Callable[[], None]]], Coroutine[Any, Any, None]]", started: "queue.Queue[_T | BaseException]"
) -> Iterator[_T]:
    """Run a server on a thread with a loop of its own; give what it says when it has started, and stop it afterwards."""
    stopping: queue.Queue[Callable[[], None]] = queue.Queue()

    def body() -> None:
        try:
            asyncio.run(work(stopping))
        except BaseException as error:  # noqa: BLE001  # told to the starting thread, which raises it
            started.put(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    first = started.get(timeout=_START_S)
    if isinstance(first, BaseException):
        raise first
    try:
        yield first
    finally:
        stopping.get(timeout=_START_S)()
        thread.join(_START_S)
