"""What a run costs the database, and what its client hears before it: durable writes are counted where they are committed."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.committer import Publication
from gateway.app.serving import build_app, in_front
from gateway.store.run_leases import FreeLeases, LeaseRuns, RenewLeases
from gateway.store.sweeping import Sweep
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply, asks, turns

CHORES = (LeaseRuns, RenewLeases, FreeLeases, Sweep)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def counted(all_of: Assisted, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The durable writes from now on, of the run and of the records of its calls. A checkpoint, each second, is none of them, nor are
    chores: leases, and what is swept."""
    writer = all_of.gateway.log.transactions._writer
    written: list[object] = []

    async def write(items: Any, writes: Any = writer._write) -> Any:
        answers = await writes(items)
        if any(not isinstance(item.item, Publication) and not isinstance(item.change, CHORES) for item in items):
            written.append([type(item.change or item.item).__name__ for item in items])
        return answers

    monkeypatch.setattr(writer, "_write", write)
    return written


def lister(go_on: asyncio.Event | None = None) -> Any:
    """Asks for the accounts, and answers in pieces."""
    answer = Reply(text="You have three accounts.\n" * 3, go_on=go_on)
    return lambda body: answer if turns(body) else Reply(calls=(asks("list_accounts"),))


async def test_a_run_with_one_call_takes_five_durable_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with assisted(tmp_path / "data", lister()) as all_of:
        assistant = await all_of.assistant("list_accounts")
        thread = await all_of.of().create(messages=[{"role": "user", "content": "List them"}])
        written = counted(all_of, monkeypatch)
        async with all_of.of().runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            await stream.until_done()
        (run,) = (await all_of.of().runs.list(thread.id)).data
        assert (run.status, [step.status for step in await all_of.steps(run)]) == ("completed", ["completed", "completed"])
        assert len(written) == 5, written


@pytest.mark.parametrize(("asks_first", "before"), [(True, 4), (False, 1)])
async def test_the_first_text_goes_out_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asks_first: bool, before: int
) -> None:
    """What the text rests on is durable by then: the run, the call's intent, its record, its output. The text is written at its end."""
    go_on = asyncio.Event()
    script = lister(go_on) if asks_first else Reply(text="You have three accounts.\n" * 3, go_on=go_on)
    async with assisted(tmp_path / "data", script) as all_of:
        assistant = await all_of.assistant("list_accounts")
        thread = await all_of.of().create(messages=[{"role": "user", "content": "List them"}])
        written = counted(all_of, monkeypatch)
        async with all_of.of().runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            async for event in stream:
                if event.event == "thread.message.delta" and not go_on.is_set():
                    assert len(written) == before, written
                    assert len(await all_of.said(thread.id)) == 1
                    (run,) = (await all_of.of().runs.list(thread.id)).data
                    outputs = [call.function.output for step in await all_of.steps(run) for call in step.step_details.tool_calls]
                    assert (run.status, len(outputs), None in outputs) == ("in_progress", int(asks_first), False)
                    go_on.set()
        assert go_on.is_set()
        assert (len(await all_of.said(thread.id)), len(written)) == (2, before + 1)


async def test_a_run_that_is_polled_is_answered_as_by_its_route(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", lister()) as all_of:
        _, begun = await all_of.begun(await all_of.assistant("list_accounts"), "List them", metadata={"k": "v"})
        await all_of.until(begun)
        app = build_app(all_of.gateway)
        path = f"/v1/threads/{begun.thread_id}/runs/{begun.id}"
        other = f"/v1/threads/thread_{'0' * 24}/runs/{begun.id}"
        tokens = [all_of.token(), all_of.token("bob"), all_of.token(scope="assistants"), "none"]
        asked = [("GET", path, token) for token in tokens] + [
            ("GET", other, tokens[0]),
            ("POST", path, tokens[0]),
            ("HEAD", path, tokens[0]),
        ]
        statuses = []
        for method, url, token in asked:
            answers = []
            for served in (app, in_front(app, all_of.gateway)):
                async with httpx.AsyncClient(transport=httpx.ASGITransport(app=served), base_url="http://127.0.0.1") as http:
                    answers.append(await http.request(method, url, headers={"authorization": f"Bearer {token}"}))
            routed, polled = answers
            assert routed.headers.keys() == polled.headers.keys()
            for answer in answers:
                answer.headers.pop("ratelimit", None)  # each of them took one
            assert (routed.status_code, routed.content, routed.headers) == (polled.status_code, polled.content, polled.headers)
            statuses.append(polled.status_code)
        assert statuses == [200, 404, 403, 401, 404, 200, 405]
