"""The gateway's own tools over the Responses API, by the unmodified `openai` package with its strict check of every answer and event."""

from pathlib import Path
from typing import Any

import openai

from gateway.app.clock import utc_now
from gateway.code.port import CodeEnding, CodeOutcome, CodeWanted, MadeFile
from tests.conformance.test_openai_responses import responses, streamed
from tests.conformance.test_openai_tools import CARDS, FEES, SPENT, citing, stored
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply, asks

RESULTS: Any = ["file_search_call.results"]
OUTPUTS: Any = ["code_interpreter_call.outputs"]


def searching(*stores: str, **options: Any) -> list[Any]:
    return [{"type": "file_search", "vector_store_ids": list(stores), **options}]


CODES = ("total = 295\nprint(total)\n", "draw(total)\n")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


def coding(body: dict[str, Any]) -> Reply:
    """A model that runs one program after the other, and tells where the second put its table."""
    made = [item["content"] for item in body["messages"] if item["role"] == "tool"]
    if len(made) < len(CODES):
        return Reply(calls=(asks("code_interpreter", code=CODES[len(made)]),), fragments=30)
    return Reply(text="Here: [it](sandbox:/mnt/data/sum%20of%20it.csv).", fragments=20)


class Drawing:
    """A worker that prints, and then makes an image and a table: the real ones over these runs are asked in `test_openai_tools`."""

    def __init__(self) -> None:
        self.seen: list[CodeWanted] = []

    async def run(self, wanted: CodeWanted) -> CodeOutcome:
        self.seen.append(wanted)
        if len(self.seen) == 1:
            return CodeOutcome(CodeEnding.DONE, "295")
        return CodeOutcome(CodeEnding.DONE, "296", (MadeFile("dot.png", PNG), MadeFile("sum of it.csv", b"sum")))

    async def forget(self, session: str) -> None: ...


def found_in(all_of: Assisted, question: int) -> list[str]:
    """What calls had come to, as the model was told it with one of its questions."""
    return [item["content"] for item in all_of.model.seen[question].body["messages"] if item["role"] == "tool"]


async def test_files_are_searched_and_cited_alike_whole_streamed_and_later(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", citing) as all_of:
        client: Any = all_of.client(all_of.token())
        api, store = responses(all_of), await stored(client, fees=FEES, cards=CARDS)
        asked: dict[str, Any] = {"model": "a-model", "input": "Überweisung?", "tools": searching(store, max_num_results=1)}
        whole = await api.create(**asked, include=RESULTS, tool_choice={"type": "file_search"})
        search, said = whole.output
        (found,) = search.results
        assert (search.type, search.status, search.queries) == ("file_search_call", "completed", ["Überweisung?"])
        assert (found.filename, found.text) == ("fees.txt", FEES.rstrip())
        (part,) = said.content
        (cited,) = part.annotations
        assert (cited.type, cited.file_id, cited.filename) == ("file_citation", found.file_id, "fees.txt")
        assert part.text[cited.index :].startswith("【1:0†source】"), "code points"
        assert whole == await api.retrieve(whole.id)
        events = await streamed(api, **asked)
        ended = events[-1].response
        assert ended == await api.retrieve(ended.id)
        assert [(item.type, getattr(item, "results", None)) for item in ended.output] == [
            ("file_search_call", None),
            ("message", None),
        ]
        assert ended.output[1].content[0].annotations == [cited]
        assert (await api.retrieve(ended.id, include=RESULTS)).output[0].results == [found]
        kinds = [event.type.removeprefix("response.file_search_call.") for event in events if ".file_search_call." in event.type]
        assert kinds == ["in_progress", "searching", "completed"]
        async with api.stream(**asked) as stream:
            async for _ in stream:
                pass
            assert (await stream.get_final_response()).output[1].content[0].annotations == [cited]


async def test_what_was_found_taints_and_is_input_of_what_follows_of_a_fork_and_of_who_resends_it(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", citing) as all_of:
        client: Any = all_of.client(all_of.token())
        api, store = responses(all_of), await stored(client, fees=FEES)
        tools = searching(store)
        first = await api.create(model="a-model", input="Überweisung?", tools=tools, include=RESULTS)
        ours: Any = first.model_extra
        (call,) = ours["tellergate"]["calls"]
        assert (call["function"], call["status"], call["proof"]["index"] > 0) == ("file_search", "done", True)
        snapshot = await all_of.gateway.book.facts("alice", "dev-app", ours["tellergate"]["conversation"], utc_now())
        assert snapshot is not None
        assert snapshot.conversation.tainted
        second = await api.create(model="a-model", input="Überweisung?", tools=tools, previous_response_id=first.id)
        items = [item async for item in api.input_items.list(second.id, order="asc")]
        assert [item.type for item in items] == ["message", "file_search_call", "message", "message"]
        assert items[1].id == first.output[0].id
        kept = found_in(all_of, 1)
        await api.create(model="a-model", input="A fork.", previous_response_id=first.id)
        assert found_in(all_of, -1)[: len(kept)] == kept
        reference = {"type": "item_reference", "id": first.output[0].id}
        await api.create(model="a-model", input=[reference, {"role": "user", "content": "Again."}])
        assert found_in(all_of, -1)[: len(kept)] == kept
        resent = [item.model_dump(exclude_none=True) for item in first.output]
        await api.create(model="a-model", input=[*resent, {"role": "user", "content": "Once more."}], store=False)
        assert "3 €" in found_in(all_of, -1)[0]


async def test_code_runs_over_the_files_that_a_response_names(tmp_path: Path) -> None:
    """What it prints, draws and writes is told alike streamed and later."""
    async with assisted(tmp_path / "data", coding, code_interpreter="compute") as all_of:
        worker, code = Drawing(), all_of.gateway.running.tools.by_name["code_interpreter"]
        object.__setattr__(code, "runner", worker)
        client: Any = all_of.client(all_of.token())
        api, file = responses(all_of), await client.files.create(file=("spent.csv", SPENT), purpose="assistants")
        running: Any = [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file.id]}}]
        asked: dict[str, Any] = {"model": "a-model", "input": "Draw it.", "tools": running, "include": OUTPUTS}
        events = await streamed(api, **asked)
        ended = events[-1].response
        assert ended == await api.retrieve(ended.id)
        first, second, said = ended.output
        assert [(item.type, item.status, item.code) for item in (first, second)] == [
            ("code_interpreter_call", "completed", code) for code in CODES
        ]
        assert first.container_id == second.container_id
        assert [output.logs.strip() for output in first.outputs] == ["295"]
        logs, image = second.outputs
        assert logs.logs.strip() == "296"
        assert [[given.id for given in wanted.files] for wanted in worker.seen] == [[file.id]] * 2
        drawn = await client.get(image.url.removeprefix("/v1"), cast_to=openai.HttpxBinaryResponseContent)
        assert drawn.content.startswith(b"\x89PNG")
        (path,) = said.content[0].annotations
        assert (path.type, (await client.files.retrieve(path.file_id)).filename) == ("file_path", "sum of it.csv")
        assert said.content[0].text[path.index :].startswith("sandbox:/mnt/data/")
        written = "".join(event.delta for event in events if event.type == "response.code_interpreter_call_code.delta")
        assert written == "".join(CODES)
        resent = [item.model_dump(exclude_none=True) for item in ended.output]
        all_of.model.script = lambda _body: Reply(text="Done.")
        await api.create(model="a-model", input=[*resent, {"role": "user", "content": "Once more."}])
        assert "296" in found_in(all_of, -1)[1]
