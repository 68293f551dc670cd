"""The back end of the demo: it asks the model, hands the model's function calls to the gateway, and gives the outputs back.

Everything goes over the gateway's HTTP API, with its own client and the unmodified `openai` package. What is told of a call comes out of
the signed trail.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openai import OpenAI

from audit.query import Why, reveal
from gateway.app.development.local_issuer import LocalIssuer
from gateway.client import TellergateClient
from gateway.commands.confirmations import CustomerDevice
from gateway.commands.demo.servers import ModelEndpoint, RunningGateway
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_THREADS, SCOPE_WORDS

CUSTOMER = "alice"
WHY = Why(auditor="tellergate-demo", purpose="show what the core saw", case_id="demo")
AGENTS = "demo-"
"""How the names of the demo's agents begin."""

ATTACK = "What did I spend on lately?"
"""Honest words; the attack waits in a transaction's memo, and the scripted model obeys whatever it reads."""

_ROUNDS_MOST = 8
RUN_MOST_S = 60


@dataclass(frozen=True, slots=True)
class DemoCall:
    """One call of the story, as the trail has it. `decision` is permit, challenge or deny; `policies` those that decided."""

    function: str
    status: str
    decision: str
    policies: Sequence[str]
    core_saw: object
    model_saw: object
    record: int
    code: str | None = None
    reason: str | None = None
    confirmation: str | None = None

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Scene:
    """What the customer wrote, what was called, what the assistant answered, and what was to be confirmed."""

    title: str
    words: str
    answer: str
    calls: Sequence[DemoCall]
    intent: Mapping[str, Any] | None = None
    confirmed: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True)
class DemoConversation:
    """The conversation so far, and the clients that take part in it."""

    running: RunningGateway
    folder: Path
    where: ModelEndpoint
    agent: str = field(default_factory=lambda: f"{AGENTS}{secrets.token_hex(4)}")
    """A new one each time: after an assistant has read other people's text, every payment of its is asked for a day."""
    items: list[Any] = field(default_factory=list)
    conversation: str = ""
    tools: Any = None

    def __post_init__(self) -> None:
        with self._assistant() as assistant:
            self.conversation = assistant.create_conversation().id
            self.tools = list(assistant.list_functions("responses").data)

    def scenes(self) -> Iterator[Scene]:
        """The story, scene by scene. Amounts are new each time: the same payment again would be a suspected duplicate."""
        self._device().decline_all_of(AGENTS)  # what a demo left that was interrupted: an older payment comes first
        yield self._asked("A read", "What is the balance of my Everyday account?")
        move = f'Please move {_amount(25)} GBP from "Everyday" to "Rainy day".'
        yield self._asked("A transfer between the customer's own accounts", move)
        yield self._held(f'Please pay {_amount(12)} GBP to "Margaret Hale".')

    def attack(self) -> Scene:
        return self._asked("An attack: a memo in the customer's transactions tells the model to pay", ATTACK)

    def _held(self, words: str) -> Scene:
        """A payment to a person: it waits for the customer, who sees it whole and signs exactly that with a passkey."""
        scene = self._asked("A payment to a person: held for the customer's confirmation", words)
        waiting = next((call.confirmation for call in scene.calls if call.confirmation), None)
        if waiting is None:
            return scene
        intent, outcome = self._device().confirm(waiting)
        return Scene(scene.title, words, scene.answer, scene.calls, intent, [asdict(result) for result in outcome.results])

    def _asked(self, title: str, words: str) -> Scene:
        """Let the customer write this, to the gateway and to the model; go on until the model calls nothing more."""
        with self._window() as window:
            window.add_customer_messages(self.conversation, words)
        self.items.append({"role": "user", "content": words})
        calls: list[DemoCall] = []
        turn = f"turn_{secrets.token_hex(6)}"
        model = OpenAI(base_url=self.where.url, api_key=self.where.key, max_retries=0)
        for _ in range(_ROUNDS_MOST):
            response = model.responses.create(model=self.where.name, input=self.items, tools=self.tools)
            wanted = [item for item in response.output if item.type == "function_call"]
            self.items += [item.model_dump(exclude_none=True) for item in response.output]
            if not wanted:
                return Scene(title, words, response.output_text, calls)
            asked = [call.model_dump(exclude_none=True) for call in wanted]
            with self._assistant() as assistant:
                answer = assistant.execute_function_calls(self.conversation, asked, turn_id=turn, model=self.where.name)
            self.items += answer.outputs
            for call, output, result in zip(wanted, answer.outputs, answer.results, strict=True):
                calls.append(self.on_record(call.name, output["output"], asdict(result)))
        return Scene(title, words, "(the model did not come to an end)", calls)

    def on_record(self, function: str, output: object, result: Mapping[str, Any]) -> DemoCall:
        """A call as the trail has it. `output`: what the model was given, as JSON if it is a text."""
        entries = self.running.on_loop(self.running.gateway.log.entries_of(result["call_id"]))
        leaves = [json.loads(entry.leaf) for entry in entries]
        policy: dict[str, Any] = next((leaf["policy"] for leaf in leaves if "policy" in leaf), {})
        return DemoCall(
            function=function,
            status=result["status"],
            decision=policy.get("decision", "deny"),
            policies=policy.get("policies", []),
            core_saw=self._core_saw(entries[0].idx) if result["status"] == "done" else None,
            model_saw=json.loads(output) if isinstance(output, str) else output,
            record=result["proof"]["index"],
            code=result["code"],
            reason=result.get("reason"),
            confirmation=result["confirmation_id"],
        )

    def _core_saw(self, index: int) -> object:
        """The sealed arguments of a record, opened as an auditor would: the opening is a record too."""
        opened = self.running.on_loop(reveal(self.running.gateway.log, index, WHY)).values
        if "instruction" in opened:
            return json.loads(str(opened["instruction"]))["order"]
        return {path.removeprefix("arguments."): value for path, value in opened.items() if path.startswith("arguments.")}

    def by_threads(self) -> tuple[list[DemoCall], list[str]]:
        """The same through assistants, threads and runs: polled, then streamed. The calls, and in which states the runs ended."""
        names = ("list_accounts", "get_account_balance", "initiate_transfer")
        tools: Any = [{"type": "function", "function": {"name": name}} for name in names]
        assistant = self.back_end().beta.assistants.create(model=self.where.name, instructions="Be brief.", tools=tools)
        threads = self.own(SCOPE_THREADS, SCOPE_WORDS, SCOPE_CALLS).beta.threads
        thread = threads.create(messages=[{"role": "user", "content": "What is the balance of my Everyday account?"}])
        polled: Any = threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)
        deadline = time.monotonic() + RUN_MOST_S
        while polled.status in ("queued", "in_progress") and time.monotonic() < deadline:
            time.sleep(0.1)
            polled = threads.runs.retrieve(polled.id, thread_id=thread.id)
        words = f'Please move {_amount(5)} GBP from "Everyday" to "Rainy day".'
        threads.messages.create(thread.id, role="user", content=words)
        with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, timeout=RUN_MOST_S) as stream:
            streamed = stream.get_final_run()
        calls = [
            (call.function, call.to_dict()["tellergate"])
            for run in (polled, streamed)
            for step in threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")
            if step.step_details.type == "tool_calls"
            for call in step.step_details.tool_calls
            if call.type == "function"
        ]
        told = [self.on_record(called.name, str(called.output), result) for called, result in calls if isinstance(result, dict)]
        return told, [polled.status, streamed.status]

    def funds(self) -> list[str]:
        """What the customer's accounts hold, asked of the core itself."""
        bank = self.running.gateway.core

        async def balances() -> list[str]:
            found = [await bank.balance(account.id, "ITBD") for account in await bank.accounts(CUSTOMER)]
            return [f"{balance.amount.value} {balance.amount.currency}" for balance in found if balance is not None]

        return self.running.on_loop(balances())

    def _device(self) -> CustomerDevice:
        return CustomerDevice(self.folder, CUSTOMER, self.running.url)

    def _assistant(self) -> TellergateClient:
        """The app's back end, for the assistant that acts for the customer."""
        return TellergateClient(self.running.url, token=self._issuer().token(CUSTOMER, agent=self.agent, strong=True))

    def _window(self) -> TellergateClient:
        """Where the customer types, with their own token."""
        return TellergateClient(self.running.url, token=self._issuer().token(CUSTOMER, agent=None, words=True))

    def back_end(self) -> OpenAI:
        """The bank's own client, whose assistants and documents are for all of its customers."""
        return self._client(self._issuer().token("dev-app", agent=None, scope=SCOPE_ASSISTANTS))

    def own(self, *scopes: str) -> OpenAI:
        """The customer's own client."""
        return self._client(self._issuer().token(CUSTOMER, agent=None, strong=True, scope=" ".join(scopes)))

    def _issuer(self) -> LocalIssuer:
        return LocalIssuer(self.folder)

    def _client(self, token: str) -> OpenAI:
        return OpenAI(base_url=f"{self.running.url}/v1", api_key=token, max_retries=0)


def _amount(pounds: int) -> str:
    """At least so many, and another one each second of an hour: by chance alone two demos would soon pay the same."""
    pence = 100 * pounds + int(time.time()) % 3600
    return f"{pence // 100}.{pence % 100:02d}"
