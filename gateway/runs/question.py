"""What the model is asked: the whole thread, within the run's bounds, and the functions that the assistant names. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.function import BankingFunction, Level
from gateway.calls.catalogue import json_schema
from gateway.calls.tools import SUMMARIES
from gateway.domain.ports import Book
from gateway.domain.principal import Principal
from gateway.domain.strict_json import Json
from gateway.runs.answer import ModelAnswer
from gateway.runs.budget import TokensLeft, TokensUsed, calls_left, left
from gateway.runs.images import FileImages, with_images
from gateway.runs.model import Item, OfferedFunction, Prompt
from gateway.runs.objects import AS_FUNCTIONS, own_of
from gateway.runs.outgoing import OutgoingFilter, identifiers
from gateway.runs.told import told
from gateway.runs.tool_calls import CODE_INTERPRETER, TOOL_NAMES, chosen, citations, images, is_code, paths_of
from gateway.runs.transcript import items_of
from gateway.runs.truncation import DroppedHistory, TokenEstimate, truncated
from gateway.store import steps as run_steps
from gateway.store import threads
from gateway.store.items import ItemStore
from gateway.store.runs import Run
from gateway.store.steps import Step, calls_of
from gateway.store.threads import Message, Thread

MESSAGES_MOST = 500
"""Of a thread, that are looked at: its first, and the newest."""

_STEPS_MOST = 500
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ModelQuestion:
    """One question. `app`: names of the functions that the app executes; every other call is the gateway's."""

    prompt: Prompt
    app: frozenset[str]
    outgoing: OutgoingFilter
    dropped: Json
    counter: TokenEstimate
    estimate: int
    sources: Mapping[str, Json]
    """What the answer may cite, by how it writes that."""
    images: tuple[str, ...]
    """Images that the run made and no message of it shows yet."""
    calls_left: int | None = None
    """How many calls of ours are taken of the answer; None: no bound."""

    def learned(self, answer: ModelAnswer, spent: TokensUsed) -> dict[str, Json]:
        """What the run keeps of its answer for itself: what is spent by then, and what the next question's estimate rests on."""
        usage = answer.usage
        counter = self.counter if usage is None else self.counter.corrected(self.estimate, usage.prompt)
        ours = sum(call.name not in self.app for call in answer.calls)
        return {"spent": spent.and_of(usage, ours).as_json(), "dropped": self.dropped, "tokens": counter.ratio}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionBuilder:
    """`hosts`: where links and images of answers may lead. `most_tokens`: of one question, as the model can read them."""

    book: Book
    store: ItemStore
    functions: Mapping[str, BankingFunction]
    hosts: frozenset[str]
    most_tokens: int
    images: FileImages
    tools: frozenset[str] = frozenset()
    """Those of ours that are served."""
    tier: str = ""
    """Of the code interpreter."""

    async def of(self, run: Run, thread: Thread, principal: Principal, spent: TokensUsed) -> ModelQuestion | str:
        """The next question of this run, or why its bounds allow none, as `incomplete_details` names it."""
        bounds = left(run.body, spent)
        if bounds.exceeded is not None:
            return bounds.exceeded
        messages, steps = await self.store.read(lambda connection: _read(connection, thread.id))
        counter = TokenEstimate(own_of(run).get("tokens") or 1.0)
        calls = calls_left(own_of(run), spent)
        functions = await self._offered(run, principal.customer, calls != 0) if run.body["tool_choice"] != "none" else ()
        frame = counter.of_text(_frame(run, functions))
        fitting = truncated(
            [item for _, item in items_of(messages, steps)],
            last_messages=_last_messages(run),
            budget=min(self.most_tokens, bounds.prompt or self.most_tokens) - frame,
            counter=counter,
        )
        is_cut = fitting is None or fitting.dropped != DroppedHistory() or len(messages) > MESSAGES_MOST
        if fitting is None or (is_cut and own_of(run).get("is_whole")):
            return "max_prompt_tokens"
        made = (call for step in steps if step.run == run.id for call in calls_of(step))
        sources = citations(made, with_names=bool(own_of(run).get(AS_FUNCTIONS)))
        items = await with_images(fitting.items, self.images, principal.client, principal.customer)
        return ModelQuestion(
            prompt=_prompt(run, functions, items, bounds, spent),
            app=self._app_of(run),
            outgoing=_outgoing(self.hosts, messages, steps, paths_of(sources)),
            dropped=_dropped(fitting.dropped),
            counter=counter,
            estimate=frame + fitting.tokens,
            sources=sources,
            images=_unseen(run, messages, steps),
            calls_left=calls,
        )

    def ours_of(self, run: Run) -> frozenset[str]:
        """The banking functions, and tools of ours, that the model was offered: the assistant names them."""
        return (frozenset(_named(run)) - TOOL_NAMES) & frozenset(self.functions) | self._tools_of(run)

    def _tools_of(self, run: Run) -> frozenset[str]:
        """The tools of ours that the run names; none where it chose none."""
        tools: Any = run.body["tools"] if run.body["tool_choice"] != "none" else ()
        return chosen(tools) & self.tools

    def _app_of(self, run: Run) -> frozenset[str]:
        return frozenset(_named(run)) - (frozenset(self.functions) - TOOL_NAMES)

    async def _offered(self, run: Run, customer: str, with_ours: bool) -> tuple[OfferedFunction, ...]:
        """Banking functions as the gateway declares them, as far as the customer has granted them; the app's as the assistant does.
        `with_ours`: not the app's alone."""
        granted: frozenset[str] = await self.book.granted(customer)
        offered: list[OfferedFunction] = []
        for name, definition in _named(run).items():
            function = None if name in TOOL_NAMES else self.functions.get(name)
            if function is None:
                offered.append(
                    OfferedFunction(name, definition.get("description"), definition.get("parameters"), definition.get("strict"))
                )
            elif with_ours and (name in granted or function.emergency or function.level is Level.L0):
                offered.append(_ours(function))
        tools = sorted(self._tools_of(run) & granted) if with_ours else ()
        return (*offered, *(_ours(self.functions[name], SUMMARIES.get(self.tier)) for name in tools))


def _ours(function: BankingFunction, of_tier: str | None = None) -> OfferedFunction:
    """`of_tier`: what the code interpreter does, as it is served."""
    schema: Any = json_schema(function)
    summary = of_tier if of_tier is not None and function.name == CODE_INTERPRETER else function.summary
    return OfferedFunction(function.name, summary, schema, strict=False)


def _content(message: Message) -> list[dict[str, Any]]:
    content: Any = message.body["content"]
    return list(content)


def _unseen(run: Run, messages: list[Message], steps: list[Step]) -> tuple[str, ...]:
    shown = {
        part["image_file"]["file_id"]
        for message in messages
        if message.run == run.id
        for part in _content(message)
        if part["type"] == "image_file"
    }
    made = images(call for step in steps if step.run == run.id for call in calls_of(step))
    return tuple(image for image in made if image not in shown)


def _read(connection: Any, thread: str) -> tuple[list[Message], list[Step]]:
    messages = list(threads.newest(connection, thread, MESSAGES_MOST))
    since = messages[1].created if len(messages) > MESSAGES_MOST else _BEGINNING
    return messages, list(run_steps.since(connection, thread, since, _STEPS_MOST))


def _named(run: Run) -> dict[str, dict[str, Any]]:
    """The definitions of the run's functions, by name; none where it chose none."""
    tools: Any = run.body["tools"] if run.body["tool_choice"] != "none" else ()
    return {tool["function"]["name"]: tool["function"] for tool in tools if tool["type"] == "function"}


def _frame(run: Run, functions: tuple[OfferedFunction, ...]) -> str:
    return str(run.body["instructions"]) + "".join(
        f"{function.name}{function.description}{function.parameters}" for function in functions
    )


def _last_messages(run: Run) -> int | None:
    strategy: Any = run.body["truncation_strategy"]
    return strategy["last_messages"] if strategy["type"] == "last_messages" else None


def _prompt(
    run: Run, functions: tuple[OfferedFunction, ...], items: tuple[Item, ...], bounds: TokensLeft, spent: TokensUsed
) -> Prompt:
    body: Mapping[str, Any] = run.body
    return Prompt(
        model=body["model"],
        instructions=body["instructions"],
        items=items,
        functions=functions,
        tool_choice=_choice(body["tool_choice"], functions, spent),
        parallel=body["parallel_tool_calls"],
        response_format=None if body["response_format"] in ("auto", None) else body["response_format"],
        temperature=body["temperature"],
        top_p=body["top_p"],
        reasoning_effort=body["reasoning_effort"],
        max_completion_tokens=bounds.completion,
    )


def _choice(wanted: Any, functions: tuple[OfferedFunction, ...], spent: TokensUsed) -> str:
    """What is forced is forced once: a run whose every answer must be a call never ends."""
    if wanted == "none" or not functions:
        return "none"
    if spent.rounds:
        return "auto"
    if isinstance(wanted, dict):
        name = wanted["function"]["name"] if wanted["type"] == "function" else wanted["type"]
        return f"function:{name}" if name in {function.name for function in functions} else "auto"
    return str(wanted)


def _outgoing(hosts: frozenset[str], messages: list[Message], steps: list[Step], paths: frozenset[str]) -> OutgoingFilter:
    """Lets pass what the customer wrote, and what the bank answered: identifiers of both, figures of the bank's own fields. What code
    printed is the model's own word: it makes no identifier known."""
    words = [part["text"]["value"] for message in messages if message.is_word for part in message.texts]
    outputs = [
        item["function"]["output"]
        for step in steps
        for item in calls_of(step)
        if item.get("tellergate") is not None and item["function"]["output"] is not None and not is_code(item)
    ]
    shown = frozenset().union(*(identifiers(text) for text in [*words, *outputs] if text))
    return OutgoingFilter(hosts, shown, frozenset().union(*map(told, outputs)), paths)


def _dropped(dropped: DroppedHistory) -> Json:
    return {"messages": dropped.messages, "turns": dropped.turns} if dropped.messages or dropped.turns else None
