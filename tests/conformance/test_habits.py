"""What clients of Chat Completions and of Responses do beside what the APIs say: what is decided of each habit is what happens."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.store.tables import WORDS
from tests.samples.client_habits import HABITS, WORD, Habit, Refused, Sent, Wire
from tests.simulation.test_runs import PAYING, confirm, payer, transfers
from tests.simulation.test_runs import WORDS as PAY
from tests.support import client_habits
from tests.support.assisted import Assisted, assisted, wait_until
from tests.support.models import Reply, asks, last_words, outputs, turns
from tests.support.waiting import WAITS_S

DOORS = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
PLAIN: dict[str, dict[str, Any]] = {
    "chat": {"model": "a-model", "messages": [{"role": "user", "content": WORD}]},
    "responses": {"model": "a-model", "input": WORD},
}


@dataclass(frozen=True)
class Came:
    """What came of a request, what the model read of it, and what counts as said since."""

    status: int
    body: str
    read: str | None
    said: list[str]

    @property
    def code(self) -> tuple[str, str | None]:
        error = json.loads(self.body)["error"]
        return error["code"], error["param"]


def cases() -> list[tuple[str, Habit, str, bool]]:
    """By name: each habit at each door that it exists at. How an answer comes has nothing to do with how a question is read: what is taken
    comes whole over Chat Completions and streamed over Responses, and both ways where the habit is of streams."""
    found = []
    for habit in HABITS:
        for door in DOORS:
            sent = getattr(habit, door)
            if sent is None and habit.wire is None:
                continue
            is_taken = sent is not None and sent.becomes is None
            forms = (False, True) if is_taken and "stream" in habit.name else (is_taken and door == "responses",)
            found += [(f"{habit.name}, {door}" + ", streamed" * form, habit, door, form) for form in forms]
    return found


CASES = cases()


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Came]:
    return asyncio.run(play(tmp_path_factory.mktemp("habits") / "data"))


async def play(folder: Path) -> dict[str, Came]:
    found = {}
    many = {"requests_per_minute": 60_000, "client_requests_per_minute": 60_000}
    async with assisted(folder, Reply(text="Noon."), **many) as all_of, asking(all_of) as http:
        for name, habit, door, is_streamed in CASES:
            found[name] = await answered(all_of, http, habit, door, is_streamed)
    return found


@asynccontextmanager
async def asking(all_of: Assisted) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {all_of.token()}", "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=all_of.url, headers=headers, timeout=60) as http:
        yield http


async def answered(all_of: Assisted, http: httpx.AsyncClient, habit: Habit, door: str, is_streamed: bool) -> Came:
    sent: Sent = getattr(habit, door) or Sent()
    wire = habit.wire or Wire()
    body = {**PLAIN[door], **sent.body, **({"stream": True} if is_streamed else {})}
    seen, said = len(all_of.model.seen), await words(all_of)
    answer = await http.post(DOORS[door] + wire.path, content=wire.encoded(json.dumps(body).encode()), headers=dict(wire.headers))
    read = json.dumps(all_of.model.seen[-1].body, ensure_ascii=False) if len(all_of.model.seen) > seen else None
    return Came(answer.status_code, answer.text, read, (await words(all_of))[len(said) :])


async def words(all_of: Assisted) -> list[str]:
    asked = select(WORDS.c.text).order_by(WORDS.c.at_us, WORDS.c.conversation, WORDS.c.position)
    return [row[0] for row in await all_of.gateway.book.read(lambda connection: connection.execute(asked).all())]


@pytest.mark.parametrize(("name", "habit", "door", "is_streamed"), CASES, ids=[case[0] for case in CASES])
def test_what_is_decided_of_a_habit(came: dict[str, Came], name: str, habit: Habit, door: str, is_streamed: bool) -> None:
    is_, sent = came[name], getattr(habit, door) or Sent()
    becomes: Refused | None = sent.becomes if habit.wire is None else habit.wire.becomes
    if becomes is not None:
        assert (is_.status, *is_.code) == (becomes.status, becomes.code, becomes.at), is_
        assert (is_.read, is_.said) == (None, []), "nothing of it happened"
        return
    assert (is_.status, "Noon." in is_.body) == (200, True), is_
    assert is_.read is not None
    for text in sent.told:
        assert json.dumps(text)[1:-1] in is_.read or text in is_.read
    assert is_.said == ([] if sent.unsaid else [WORD])
    assert ("data:" in is_.body) is is_streamed


def test_each_habit_stands_once_and_the_guide_says_what_is_decided_of_it() -> None:
    assert len({habit.name for habit in HABITS}) == len(HABITS) >= 90
    guide = client_habits.PLACE.read_text()
    assert client_habits.renewed(guide) == guide, "python -m tests.support.client_habits --write"


def shower(body: dict[str, Any]) -> Reply:
    """Has the app show two screens, one after the other."""
    if turns(body) < 2:
        return Reply(calls=(asks("show_screen", screen=f"screen-{turns(body)}"),))
    return Reply(" ".join(outputs(body)))


@asynccontextmanager
async def showing(folder: Path) -> AsyncIterator[tuple[Assisted, Callable[..., Awaitable[httpx.Response]]]]:
    """What asks over Responses, with a function of the app's."""
    async with assisted(folder, shower) as all_of, asking(all_of) as http:

        async def ask(**body: Any) -> httpx.Response:
            tool = {"type": "function", "name": "show_screen", "parameters": {"type": "object"}}
            return await http.post("/v1/responses", json={"model": "a-model", "tools": [tool], **body})

        yield all_of, ask


def given(answer: httpx.Response, output: str) -> dict[str, Any]:
    """The app's output to the call that waits."""
    (call,) = [item for item in answer.json()["output"] if item["type"] == "function_call"]
    return {"type": "function_call_output", "call_id": call["call_id"], "output": output}


async def test_a_question_resent_beside_outputs_is_not_said_again(tmp_path: Path) -> None:
    """As Semantic Kernel sends it: with `previous_response_id`, the question and the outputs of all rounds in each request."""
    asked, further = (
        {"type": "message", "role": "user", "content": WORD},
        {"type": "message", "role": "user", "content": "And now?"},
    )
    async with showing(tmp_path / "data") as (all_of, ask):
        first = await ask(input=[asked])
        one = given(first, "one")
        second = await ask(input=[asked, one], previous_response_id=first.json()["id"])
        two = given(second, "two")
        last = second.json()["id"]
        other = await ask(input=[asked, {**one, "output": "another"}, two], previous_response_id=last)
        assert (other.status_code, other.json()["error"]["code"]) == (400, "outputs_not_expected"), "what was taken is not changed"
        third = await ask(input=[asked, one, two], previous_response_id=last)
        assert third.json()["output"][-1]["content"][0]["text"] == "one two"
        assert await words(all_of) == [WORD]
        first = await ask(input=[asked])
        second = await ask(input=[asked, given(first, "one"), further], previous_response_id=first.json()["id"])
        assert second.status_code == 200
        assert sorted(await words(all_of)) == sorted([WORD, WORD, "And now?"]), "what is new was said"


async def test_outputs_under_other_ids_and_outputs_once_more_are_told_anew(tmp_path: Path) -> None:
    """Chat Completions has no state for a client: what does not go on with a run begins another one over what is resent."""
    tools = [{"type": "function", "function": {"name": "show_screen", "parameters": {"type": "object"}}}]
    async with assisted(tmp_path / "data", shower) as all_of, asking(all_of) as http:

        async def ask(*messages: Any) -> Any:
            answer = await http.post(DOORS["chat"], json={"model": "a-model", "tools": tools, "messages": messages})
            assert answer.status_code == 200, answer.text
            return answer.json()["choices"][0]["message"]

        question = {"role": "user", "content": WORD}
        first = await ask(question)
        known = first["tool_calls"][0]["id"]
        changed = {**first, "tool_calls": [{**first["tool_calls"][0], "id": "changed"}]}
        elsewhere = await ask(question, changed, {"role": "tool", "tool_call_id": "changed", "content": "one"})
        assert elsewhere["tool_calls"][0]["id"] != known
        told = first, {"role": "tool", "tool_call_id": known, "content": "one"}
        second = await ask(question, *told)
        again = await ask(question, *told)
        assert {second["tool_calls"][0]["function"]["arguments"], again["tool_calls"][0]["function"]["arguments"]} == {
            '{"screen": "screen-1"}'
        }
        assert outputs(all_of.model.seen[-1].body) == ["one"]


async def test_a_body_is_waited_for_where_its_client_asks_first(tmp_path: Path) -> None:
    """`Expect: 100-continue`, of curl and of clients for .NET and Java."""
    content = json.dumps(PLAIN["chat"]).encode()
    async with assisted(tmp_path / "data", Reply(text="Noon.")) as all_of:
        host, port = all_of.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST {DOORS['chat']} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {all_of.token()}\r\nExpect: 100-continue\r\n"
        )
        writer.write(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
        )
        async with asyncio.timeout(WAITS_S):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(content)
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Noon." in answer


async def test_of_a_whole_that_does_not_fit_nothing_is_dropped_where_the_client_says_so(tmp_path: Path) -> None:
    """`truncation: "disabled"`, as LlamaIndex sends it with each request; `auto` drops from the middle."""
    long = [{"role": role, "content": f"{number} " + "word " * 400} for number in range(6) for role in ("user", "assistant")]
    async with assisted(tmp_path / "data", Reply(text="Noon."), model_context_tokens=2_000) as all_of, asking(all_of) as http:
        for truncation, status, asked in (("auto", "completed", 1), ("disabled", "incomplete", 0)):
            all_of.model.seen.clear()
            body = {"model": "a-model", "truncation": truncation, "input": [*long, {"role": "user", "content": WORD}]}
            answer = (await http.post(DOORS["responses"], json=body)).json()
            assert (answer["status"], answer["truncation"], len(all_of.model.seen)) == (status, truncation, asked)
        short = await http.post(DOORS["responses"], json={"model": "a-model", "truncation": "disabled", "input": WORD})
        assert short.json()["status"] == "completed"


async def test_an_app_goes_on_at_once_when_its_customer_has_confirmed(tmp_path: Path) -> None:
    """While the model has not said yet that it is done: the app was told of an end, and needs not wait for another."""
    begin = asyncio.Event()

    def paying(body: dict[str, Any]) -> Reply:
        if last_words(body) == "Thanks.":
            return Reply(text="Gladly.")
        return replace(payer(body), begin=begin) if turns(body) == 3 else payer(body)

    async with assisted(tmp_path / "data", paying) as all_of, asking(all_of) as http:

        async def ask(**body: Any) -> Any:
            tools = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in PAYING]
            answer = await http.post(DOORS["responses"], json={"model": "a-model", "tools": tools, **body})
            assert answer.status_code == 200, answer.text
            return answer.json()

        held = await ask(input=PAY)
        (waits,) = held["tellergate"]["confirmations"]
        await confirm(all_of, waits["id"])

        async def is_asked() -> bool | None:
            return True if turns(all_of.model.seen[-1].body) == 3 else None

        await wait_until(is_asked)
        again = await ask(input="Thanks.", previous_response_id=held["id"])
        assert (again["output"][-1]["content"][0]["text"], len(transfers(all_of))) == ("Gladly.", 1)
        assert again["tellergate"]["conversation"] == held["tellergate"]["conversation"]
        begin.set()
