"""Model servers as they are: each habit of the table, through a whole gateway over a real server, is read, refused or ended as decided."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.samples.model_habits import HABITS, CallSeen, Habit, Outcome
from tests.support.assisted import Assisted, assisted, required
from tests.support.model_habits import PLACE, table
from tests.support.models import Answers, Raw, Reply, Script, outputs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

AT_ONCE = 8
TYPES = {"streamed": "text/event-stream", "whole": "application/json"}


def words(habit: Habit, form: str) -> str:
    return f"{habit.name} ({form})"


async def seen(all_of: Assisted, assistant: Any, said: str) -> Outcome:
    """What comes of one answer: how its run went on."""
    thread, begun = await all_of.begun(assistant, said)
    run = await all_of.until(begun)
    waits = run.status == "requires_action"
    app = {call.id for call in required(run)} if waits else set()
    if waits:
        await all_of.of().runs.cancel(run.id, thread_id=thread.id)
        run = await all_of.until(run, "cancelled")
    assert run.status in ("completed", "incomplete", "failed", "cancelled"), said
    calls = [call for step in await all_of.steps(run) if step.type == "tool_calls" for call in step.step_details.tool_calls]
    if run.status in ("failed", "incomplete"):
        return Outcome(ended=True)
    texts = [text for text in (await all_of.said(thread.id))[1:] if text != "Done."]
    return Outcome(
        "".join(texts), tuple(CallSeen(call.function.name, call.function.arguments, became(call, app)) for call in calls)
    )


def became(call: Any, app: set[str]) -> str:
    if call.id in app:
        return "app"
    result = call.model_extra["tellergate"]
    assert result["proof"] is not None, "it is on record"
    assert json.loads(call.function.output)["ok"] is (result["status"] == "done")
    return str(result["reason"] or result["status"])


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_what_comes_of_each_habit_is_what_is_decided(tmp_path: Path, api: str) -> None:
    """One gateway and one server for all of them. What is refused is on record, and the model reads why."""
    cases = [(habit, form, body) for habit in HABITS for form, body in habit.forms(api).items()]
    answers: dict[str, Any] = {
        words(habit, form): (Raw((body,), headers={"Content-Type": TYPES[form]}), Reply("Done.")) for habit, form, body in cases
    }
    told: dict[str, list[str]] = {}

    def answer(body: dict[str, Any]) -> Answers:
        asked = next(name for name in answers if name in json.dumps(body, ensure_ascii=False))
        told[asked] = outputs(body)
        return answers[asked][1 if told[asked] else 0]

    script: Script = answer
    bounds = {"model_api": api, "model_retries": 0, "thread_writes_per_minute": 100_000, "calls_per_minute": 100_000}
    async with assisted(tmp_path / "data", script, **bounds) as all_of:
        assistant, gate = await all_of.assistant("show", "list_accounts"), asyncio.Semaphore(AT_ONCE)

        async def played(habit: Habit, form: str) -> tuple[str, Outcome]:
            async with gate:
                return words(habit, form), await seen(all_of, assistant, words(habit, form))

        found = dict(await asyncio.gather(*(played(habit, form) for habit, form, _ in cases)))
    expected = {words(habit, form): habit.expected(api) for habit, form, _ in cases}
    assert {name: outcome for name, outcome in found.items() if outcome != expected[name]} == {}
    for name, outcome in expected.items():
        if outcome.word == "refused":
            assert '"ok":false' in told[name][0], name


def test_the_table_has_sixty_habits_and_the_guide_says_what_is_decided_for_each() -> None:
    assert len({habit.name for habit in HABITS}) == len(HABITS) >= 60
    assert table() in PLACE.read_text()
