"""Runs over a hostile model's server, and over somebody else's: each ends in the right state, and its thread is usable."""

from pathlib import Path

import pytest

from tests.support import aimock
from tests.support.assisted import Assisted, assisted, error_of, over, required, used, why_incomplete
from tests.support.hostile_models import SECRET, broken
from tests.support.models import Reply, ScriptedModel

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_run_that_gets_no_answer_fails_and_its_thread_is_usable(tmp_path: Path, api: str) -> None:
    bounds = {"model_api": api, "model_retries": 0, "model_timeout_ms": 20_000, "model_idle_ms": 20_000}
    async with assisted(tmp_path / "data", Reply(text="Hello."), **bounds) as all_of:
        assistant, threads = await all_of.assistant("list_accounts"), all_of.of()
        thread = await threads.create(messages=[{"role": "user", "content": "Hello?"}])
        for wrong, answer in broken(api).items():
            all_of.model.script = lambda _body, answer=answer: answer
            begun = await threads.runs.create(thread.id, assistant_id=assistant.id)
            ended = await all_of.until(begun)
            assert (ended.status, error_of(ended)) == ("failed", "server_error"), wrong
            assert SECRET not in ended.to_json(), wrong
            assert all(step.status == "failed" for step in await all_of.steps(ended)), wrong
        all_of.model.script = lambda _body: Reply(text="Hello.")
        done = await all_of.until(await threads.runs.create(thread.id, assistant_id=assistant.id))
        assert done.status == "completed"


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_runs_over_somebody_elses_model(tmp_path: Path, api: str) -> None:
    with aimock.served() as url:
        model = ScriptedModel({}, url=url)
        async with over(tmp_path / "data", model, model_api=api, model_retries=0) as all_of:
            await _over_aimock(all_of)


async def _over_aimock(all_of: Assisted) -> None:
    assistant, threads = await all_of.assistant("pay", "balance"), all_of.of()
    thread, begun = await all_of.begun(assistant, "words")
    done = await all_of.until(begun)
    assert (done.status, used(done)) == ("completed", (21, 9))
    assert (await all_of.said(thread.id))[-1] == "Grüße, Zoë 😀."
    await threads.messages.create(thread.id, role="user", content="a call")
    waits = await all_of.until(await threads.runs.create(thread.id, assistant_id=assistant.id))
    (call,) = required(waits)
    assert (call.function.name, call.function.arguments) == ("pay", '{"to":"Zoë","amount":"12.50"}')
    await threads.runs.submit_tool_outputs(waits.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": call.id, "output": "{}"}])
    assert (await all_of.until(waits)).status == "completed"
    assert (await all_of.said(thread.id))[-1] == "Paid."
    refusals = {"too often": "rate_limit_exceeded", "wrong": "invalid_prompt", "broken": "server_error"}
    for words, code in refusals.items():
        await threads.messages.create(thread.id, role="user", content=words)
        ended = await all_of.until(await threads.runs.create(thread.id, assistant_id=assistant.id))
        assert (ended.status, error_of(ended)) == ("failed", code)
    await threads.messages.create(thread.id, role="user", content="too long")
    cut = await all_of.until(await threads.runs.create(thread.id, assistant_id=assistant.id))
    assert (cut.status, why_incomplete(cut)) == ("incomplete", "max_completion_tokens")
    await threads.messages.create(thread.id, role="user", content="words")
    async with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        streamed = [text async for text in stream.text_deltas]
    assert "".join(streamed) == "Grüße, Zoë 😀."
