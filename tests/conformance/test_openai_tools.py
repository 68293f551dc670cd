"""The assistants' own tools with the unmodified `openai` package and its strict check of every answer."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import select

from gateway.code.jailed import PACKAGES as CODE_PACKAGES
from gateway.code.port import CodeEnding, CodeOutcome, CodeWanted
from gateway.runs.code_tool import session_of
from gateway.runs.pool import RunPool
from gateway.store.tables import CONVERSATIONS
from tests.support.assisted import Assisted, assisted, wait_until
from tests.support.jails import jail
from tests.support.models import Reply, asks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

POLL_MS = 50
WITH_CONTENT: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
FEES = "🏦 Gebühren: eine Überweisung ins Ausland kostet 3 €.\n"
CARDS = "A lost card is replaced within five days, for ten euros.\n"


def citing(body: dict[str, Any]) -> Reply:
    """A model that looks the question up, and cites what it found behind a letter that takes two units of UTF-16."""
    if body["messages"][-1]["role"] == "user":
        return Reply(calls=(asks("file_search", query=body["messages"][-1]["content"]),))
    found = json.loads(body["messages"][-1]["content"])
    cite = found["result"]["results"][0]["cite"] if found["ok"] and found["result"]["results"] else "【0:0†source】"
    return Reply(text=f"🏦 Drei Euro {cite}, and not 【9:9†source】.", fragments=40)


async def stored(client: Any, **texts: str) -> str:
    files = [(f"{name}.txt", text.encode()) for name, text in texts.items()]
    store: str = (await client.vector_stores.create(name="Terms")).id
    batch = await client.vector_stores.file_batches.upload_and_poll(store, files=files, poll_interval_ms=POLL_MS)
    assert batch.file_counts.completed == len(texts)
    return store


async def searching(all_of: Assisted, store: str, **options: Any) -> Any:
    return await all_of.service.assistants.create(
        model="a-model",
        tools=[{"type": "file_search", **options}],
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )


async def looking_up(all_of: Assisted, client: Any) -> tuple[Any, Any, str]:
    """An assistant that searches files, a thread of the customer's that asks about one, and its vector store."""
    store = await stored(client, fees=FEES)
    assistant = await all_of.service.assistants.create(model="a-model", tools=[{"type": "file_search"}])
    thread = await client.beta.threads.create(
        messages=[{"role": "user", "content": "Überweisung?"}], tool_resources={"file_search": {"vector_store_ids": [store]}}
    )
    return assistant, thread, store


async def test_an_answer_is_looked_up_and_cited(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", citing) as all_of:
        service: Any = all_of.client(all_of.token("dev-app", scope="assistants"))
        store = await stored(service, fees=FEES, cards=CARDS)
        assistant = await searching(all_of, store, file_search={"max_num_results": 5})
        client: Any = all_of.client(all_of.token())
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Was kostet eine Überweisung?"}])
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=POLL_MS
        )
        assert (run.status, run.last_error) == ("completed", None)
        (file,) = [item.id async for item in service.files.list() if item.filename == "fees.txt"]
        message = (await client.beta.threads.messages.list(thread.id)).data[0]
        (part,) = message.content
        assert part.type == "text"
        (cited,) = part.text.annotations
        assert cited.type == "file_citation"
        assert cited.file_citation.file_id == file
        assert part.text.value[cited.start_index : cited.end_index] == cited.text
        assert re.fullmatch(r"【\d+:\d+†source】", cited.text)
        steps = (await client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")).data
        search = steps[0].step_details.tool_calls[0]
        assert (search.type, search.file_search.ranking_options.ranker) == ("file_search", "auto")
        assert [(item.file_id, item.file_name, item.content) for item in search.file_search.results] == [(file, "fees.txt", None)]
        assert 0 < search.file_search.results[0].score <= 1
        whole = await client.beta.threads.runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id, include=WITH_CONTENT)
        assert whole.step_details.tool_calls[0].file_search.results[0].content[0].text == FEES.rstrip()
        told = json.loads(all_of.model.seen[-1].body["messages"][-1]["content"])
        assert told["result"]["results"][0]["text"] == {"untrusted_text": FEES.rstrip()}, "fenced for the model"


async def test_a_streamed_answer_is_what_is_kept(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", citing) as all_of:
        client: Any = all_of.client(all_of.token())
        assistant, thread, _ = await looking_up(all_of, client)
        async with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, include=WITH_CONTENT) as stream:
            await stream.until_done()
            (heard,) = await stream.get_final_messages()
            steps = await stream.get_final_run_steps()
        assert heard.content[0].to_dict() == (await client.beta.threads.messages.list(thread.id)).data[0].content[0].to_dict()
        assert heard.content[0].text.annotations
        assert steps[0].step_details.tool_calls[0].file_search.results[0].content[0].text == FEES.rstrip()


async def test_a_tool_may_be_chosen_once_and_only_where_it_is_there(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", citing) as all_of:
        client: Any = all_of.client(all_of.token())
        assistant, thread, _ = await looking_up(all_of, client)
        asked = {"assistant_id": assistant.id, "tool_choice": {"type": "file_search"}, "poll_interval_ms": POLL_MS}
        run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, **asked)
        assert (run.status, run.tool_choice.type) == ("completed", "file_search")
        first, second = (seen.body["tool_choice"] for seen in all_of.model.seen[-2:])
        assert (first, second) == ({"type": "function", "function": {"name": "file_search"}}, "auto")
        with pytest.raises(openai.BadRequestError):
            await client.beta.threads.runs.create(
                thread_id=thread.id, assistant_id=assistant.id, tool_choice={"type": "code_interpreter"}
            )


async def test_what_a_customer_may_not_see_is_not_found(tmp_path: Path) -> None:
    """Ids are looked up anew at each use: a store that is gone by then finds nothing, and the run goes on."""
    async with assisted(tmp_path / "data", citing) as all_of:
        client: Any = all_of.client(all_of.token())
        assistant, thread, store = await looking_up(all_of, client)
        await client.vector_stores.delete(store)
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=POLL_MS
        )
        assert run.status == "completed"
        steps = (await client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")).data
        assert steps[0].step_details.tool_calls[0].file_search.results == []
        assert (await client.beta.threads.messages.list(thread.id)).data[0].content[0].text.annotations == []


async def test_others_text_taints_and_is_on_record(tmp_path: Path) -> None:
    """The conversation counts from then on as one that has seen others' text, and the call stands in the log."""
    async with assisted(tmp_path / "data", citing) as all_of:
        client: Any = all_of.client(all_of.token())
        store = await stored(client, fees=FEES)
        assistant = await all_of.service.assistants.create(model="a-model", tools=[{"type": "file_search"}])
        run = await client.beta.threads.create_and_run_poll(
            assistant_id=assistant.id,
            thread={"messages": [{"role": "user", "content": "Überweisung?"}]},
            tool_resources={"file_search": {"vector_store_ids": [store]}},
            poll_interval_ms=POLL_MS,
        )
        assert run.status == "completed"
        steps = (await client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")).data
        ours = steps[0].step_details.tool_calls[0].to_dict()["tellergate"]
        assert (ours["status"], ours["proof"]["index"] > 0) == ("done", True)
        tainted = await all_of.gateway.book.read(
            lambda connection: connection.execute(select(CONVERSATIONS.c.tainted_us)).scalars().all()
        )
        assert tainted
        assert all(tainted)


FIBONACCI = """\
a, b, numbers = 0, 1, []
for _ in range(20):
    numbers.append(a)
    a, b = b, a + b
print(numbers)
"""
NUMBERS = "[0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181]"
CHART = """\
import matplotlib.pyplot as plt
import pandas as pd
frame = pd.read_csv('/mnt/data/spent.csv')
print(int(frame['spent'].sum()), numbers[-1])
frame.plot(x='month', y='spent')
plt.show()
frame.to_csv('/mnt/data/sum of it.csv')
"""
SPENT = b"month,spent\n1,120\n2,80\n3,95\n"
CODES = (FIBONACCI, CHART)


def coding(body: dict[str, Any]) -> Reply:
    """A model that runs one program after the other, and tells of the last."""
    outputs = [json.loads(message["content"]) for message in body["messages"] if message["role"] == "tool"]
    if len(outputs) < len(CODES):
        return Reply(calls=(asks("code_interpreter", code=CODES[len(outputs)]),), fragments=30)
    (table,) = [file["path"] for file in outputs[-1]["result"]["files"] if not file["image"]]
    return Reply(text=f"Here it is: [the table]({table}).", fragments=20)


async def test_code_runs_and_its_files_come_back(tmp_path: Path) -> None:
    jail(CODE_PACKAGES)
    async with assisted(tmp_path / "data", coding, code_interpreter="python") as all_of:
        client: Any = all_of.client(all_of.token())
        file = await client.files.create(file=("spent.csv", SPENT), purpose="assistants")
        assistant = await all_of.service.assistants.create(model="a-model", tools=[{"type": "code_interpreter"}])
        attached = [{"file_id": file.id, "tools": [{"type": "code_interpreter"}]}]
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Draw it.", "attachments": attached}])
        async with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            await stream.until_done()
            (heard,) = await stream.get_final_messages()
            steps = await stream.get_final_run_steps()
        kept = (await client.beta.threads.runs.steps.list(steps[0].run_id, thread_id=thread.id, order="asc")).data
        first, second = (step.step_details.tool_calls[0].code_interpreter for step in kept[:2])
        assert (first.input, [output.logs.strip() for output in first.outputs]) == (FIBONACCI, [NUMBERS])
        logs, image = second.outputs
        assert (second.input, logs.logs.split()) == (CHART, ["295", "4181"]), "variables of earlier calls stay"
        streamed = [step.step_details.tool_calls[0].code_interpreter.input for step in steps[:2]]
        assert streamed == [FIBONACCI, CHART]
        (message,) = (await client.beta.threads.messages.list(thread.id)).data[:1]
        assert [part.to_dict() for part in heard.content] == [part.to_dict() for part in message.content]
        picture, text = message.content
        assert picture.image_file.file_id == image.image.file_id
        assert (await client.files.content(image.image.file_id)).content.startswith(b"\x89PNG")
        (path,) = text.text.annotations
        assert (path.type, path.text) == ("file_path", "sandbox:/mnt/data/sum%20of%20it.csv")
        assert text.text.value[path.start_index : path.end_index] == path.text
        made = await client.files.retrieve(path.file_path.file_id)
        assert (made.filename, made.purpose) == ("sum of it.csv", "assistants_output")
        assert b"spent" in (await client.files.content(made.id)).content


READING = """\
import json
answer = json.load(open('/mnt/data/list_accounts-1.json'))
print(len(answer['result']['accounts']))
"""


def reading(body: dict[str, Any]) -> Reply:
    """A model that has code work on what the bank answered."""
    outputs = [json.loads(message["content"]) for message in body["messages"] if message["role"] == "tool"]
    asked = (asks("list_accounts"), asks("code_interpreter", code=READING))
    return Reply(calls=(asked[len(outputs)],)) if len(outputs) < 2 else Reply(text=json.dumps(outputs[-1]["result"]["logs"]))


async def test_code_works_on_what_functions_answered(tmp_path: Path) -> None:
    jail(CODE_PACKAGES)
    async with assisted(tmp_path / "data", reading, code_interpreter="python") as all_of:
        tools = [{"type": "code_interpreter"}, {"type": "function", "function": {"name": "list_accounts"}}]
        assistant = await all_of.service.assistants.create(model="a-model", tools=tools)
        thread, run = await all_of.begun(assistant, "How many accounts do I have?")
        assert (await all_of.until(run)).status == "completed"
        told = json.loads(all_of.model.seen[-1].body["messages"][-3]["content"])
        assert json.loads((await all_of.said(thread.id))[-1]) == {"untrusted_text": str(len(told["result"]["accounts"]))}


def counting(body: dict[str, Any]) -> Reply:
    """A model that runs a small program, and tells what it was told."""
    last = body["messages"][-1]
    return (
        Reply(text=last["content"])
        if last["role"] == "tool"
        else Reply(calls=(asks("code_interpreter", code="x = 6 * 7\nprint(x)"),))
    )


async def counted(all_of: Assisted) -> tuple[Any, Any]:
    assistant = await all_of.service.assistants.create(model="a-model", tools=[{"type": "code_interpreter"}])
    return await all_of.begun(assistant, "Count.")


async def test_a_session_ends_with_its_thread(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", counting, code_interpreter="compute") as all_of:
        thread, run = await counted(all_of)
        assert (await all_of.until(run)).status == "completed"
        assert json.loads((await all_of.said(thread.id))[-1])["result"]["logs"] == {"untrusted_text": "42"}
        tools = all_of.gateway.running.tools
        code: Any = tools.by_name["code_interpreter"]
        session = session_of("alice", thread.id)
        assert tools.end_forgotten is not None
        await tools.end_forgotten()
        assert (await code.runner.run(CodeWanted(session, "a", "print(x)"))).logs.strip() == "42"
        await all_of.of(scope="threads customer_words").delete(thread.id)
        await tools.end_forgotten()
        assert (await code.runner.run(CodeWanted(session, "b", "print(1)"))).anew
        assert list(code.sessions.known()) == []


async def test_what_was_begun_is_not_run_again_by_who_takes_over(tmp_path: Path) -> None:
    """The gateway that had the run stops while its code runs: whoever goes on asks the worker as one who may have asked before."""
    async with assisted(tmp_path / "data", counting, code_interpreter="compute") as all_of:
        code: Any = all_of.gateway.running.tools.by_name["code_interpreter"]
        runner = Stalled()
        object.__setattr__(code, "runner", runner)
        thread, run = await counted(all_of)
        await runner.asked.wait()
        pool = all_of.gateway.running.api.pool
        assert pool is not None
        await pool.close()
        again = RunPool(pool.parts, pool.most)
        await wait_until(lambda: taken(again))
        assert (await all_of.until(run)).status == "completed"
        assert [(wanted.begun, wanted.key) for wanted in runner.seen] == [(False, runner.seen[0].key), (True, runner.seen[0].key)]
        assert "not run again" in (await all_of.said(thread.id))[-1]
        await again.close()


async def taken(pool: RunPool) -> int | None:
    return await pool.take_due() or None


class Stalled:
    """A worker that never answers, and after it was asked once knows nothing of it any more."""

    def __init__(self) -> None:
        self.asked, self.seen = asyncio.Event(), list[CodeWanted]()

    async def run(self, wanted: CodeWanted) -> CodeOutcome:
        self.seen.append(wanted)
        self.asked.set()
        if not wanted.begun:
            await asyncio.Event().wait()
        return CodeOutcome(CodeEnding.LOST)

    async def forget(self, session: str) -> None: ...
