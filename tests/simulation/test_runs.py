"""Runs as users live them: what is said and meant in a thread, waiting for the customer, cancelling, expiring, and dying in the middle."""

import asyncio
import json
import multiprocessing
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.app.clock import utc_now
from gateway.domain.steps import Steps
from gateway.runs.loop import RunDriver
from gateway.runs.pool import RunPool
from gateway.store.book import SqlBook
from gateway.store.run_leases import LeaseRuns
from gateway.store.runs import StartRun
from tests.support import databases
from tests.support.assisted import Assisted, assisted, error_of, required, used, wait_until, why_incomplete
from tests.support.hostile_models import call, end, text
from tests.support.models import Raw, Reply, asks, outputs, turns
from tests.support.teller import confirmed, executed_keys, leaves_of, what_does_not_hold
from tests.support.waiting import WAITS_S

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def results(body: dict[str, Any]) -> list[Any]:
    return [json.loads(output) if output.startswith("{") else output for output in outputs(body)]


def accounts_of(told: list[Any]) -> list[str]:
    return [
        answer["account"] for answer in told[0]["result"]["accounts"] if answer["currency"] == "GBP" and answer["status"] == "open"
    ]


def mover(body: dict[str, Any]) -> Reply:
    """Moves a pound between the customer's own accounts, shows it on the app's screen, and says so."""
    told = results(body)
    if turns(body) == 0:
        return Reply(calls=(asks("list_accounts"),))
    if turns(body) == 1:
        debit, credit = accounts_of(told)[:2]
        money = {"value": "1.00", "currency": "GBP"}
        wanted: dict[str, Any] = {"from": debit, "to": credit, "amount": money}
        return Reply(calls=(asks("initiate_transfer", **wanted),))
    if turns(body) == 2:
        return Reply(calls=(asks("show_screen"),))
    return Reply(text="Moved." if told[1]["ok"] else "Not moved.")


FUNCTIONS = ("list_accounts", "initiate_transfer", "show_screen")
PAYING = ("list_accounts", "list_beneficiaries", "initiate_transfer")
WORDS = "Please pay £20.00 to Harbour Lettings"


def transfers(all_of: Assisted) -> list[str]:
    """Keys of the calls' effects; what the sandbox bank was seeded with has none of them."""
    return [key for key in executed_keys(all_of.gateway) if key.startswith("tg")]


async def to_its_end(all_of: Assisted, run: Any) -> Any:
    """Play the app until the run has ended."""
    while True:
        found = await all_of.until(run)
        if found.status != "requires_action":
            return found
        calls = required(found)
        given = [{"tool_call_id": call.id, "output": "shown"} for call in calls]
        await all_of.of().runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=given)


def payer(body: dict[str, Any]) -> Reply:
    """Pays somebody whom the customer named: what is held until they confirm."""
    told = results(body)
    if turns(body) == 0:
        return Reply(calls=(asks("list_accounts"),))
    debit = accounts_of(told)[0]
    if turns(body) == 1:
        return Reply(calls=(asks("list_beneficiaries", account=debit),))
    if turns(body) == 2:
        payee = next(answer["beneficiary"] for answer in told[1]["result"]["beneficiaries"] if "Harbour" in answer["name"])
        money = {"value": "20.00", "currency": "GBP"}
        return Reply(calls=(asks("initiate_transfer", **{"from": debit, "to": payee, "amount": money}),))
    return Reply(text="Paid." if told[-1]["ok"] else told[-1]["error"]["message"])


async def held(all_of: Assisted, **rest: Any) -> tuple[Any, str]:
    """A run that waits for its customer, and the confirmation that it waits for."""
    assistant = await all_of.assistant(*PAYING)
    _, run = await all_of.begun(assistant, WORDS, **rest)

    async def waits() -> Any:
        found = await all_of.of().runs.retrieve(run.id, thread_id=run.thread_id)
        assert found.status in ("queued", "in_progress"), await all_of.steps(run)
        return found if found.model_extra["tellergate"]["confirmations"] else None

    found = await wait_until(waits)
    (confirmation,) = found.model_extra["tellergate"]["confirmations"]
    return found, confirmation["id"]


async def confirm(all_of: Assisted, confirmation: str) -> None:
    await confirmed(all_of.gateway, confirmation)


async def test_a_run_waits_for_the_customer_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", payer) as all_of:
        run, confirmation = await held(all_of)
        assert run.required_action is None
        await confirm(all_of, confirmation)
        assert (await all_of.until(run)).status == "completed"
        assert (await all_of.said(run.thread_id))[-1] == "Paid."
        steps = await all_of.steps(run)
        assert steps[2].step_details.tool_calls[0].model_extra["tellergate"]["status"] == "done"


async def test_a_run_goes_on_by_itself_when_the_customer_declines(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", payer) as all_of:
        run, confirmation = await held(all_of)
        await all_of.gateway.confirmations.decline("alice", confirmation, utc_now())
        assert (await all_of.until(run)).status == "completed"
        assert (await all_of.said(run.thread_id))[-1] == "The customer declined this."


async def test_a_run_that_waits_can_be_cancelled(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", payer) as all_of:
        run, _ = await held(all_of)
        cancelled = await all_of.of().runs.cancel(run.id, thread_id=run.thread_id)
        assert cancelled.status == "cancelling"
        ended = await all_of.until(run)
        assert (ended.status, ended.cancelled_at is not None) == ("cancelled", True)
        assert (await all_of.steps(run))[-1].status == "cancelled"
        await all_of.of().messages.create(run.thread_id, role="user", content="The thread is free again.")


@pytest.mark.parametrize("who", ["the agent writes it", "it was pasted as the assistant's"])
async def test_only_what_the_customer_wrote_themselves_is_their_word(tmp_path: Path, who: str) -> None:
    async with assisted(tmp_path / "data", payer) as all_of:
        assistant = await all_of.assistant(*PAYING)
        agents = all_of.of(agent="runtime")
        threads, role = (agents, "user") if who == "the agent writes it" else (all_of.of(), "assistant")
        thread = await threads.create(messages=[{"role": role, "content": WORDS}])
        begun = await threads.runs.create(thread.id, assistant_id=assistant.id)
        assert (await all_of.until(begun)).status == "completed"
        answered = (await all_of.steps(begun))[2].step_details.tool_calls[0]
        assert (answered.model_extra["tellergate"]["code"], json.loads(answered.function.output)["ok"]) == ("denied", False)
        assert answered.model_extra["tellergate"]["reason"] == "no_words"
        assert "no_words" not in answered.function.output


async def test_a_function_that_the_assistant_does_not_name_is_unknown_to_its_model(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", mover) as all_of:
        assistant = await all_of.assistant("list_accounts", "show_screen")
        before = executed_keys(all_of.gateway)
        _, begun = await all_of.begun(assistant, "Move a pound")
        assert (await to_its_end(all_of, begun)).status == "completed"
        asked = (await all_of.steps(begun))[1].step_details.tool_calls[0]
        assert asked.model_extra["tellergate"]["code"] == "denied"
        assert asked.model_extra["tellergate"]["reason"] == "unknown_function"
        assert executed_keys(all_of.gateway) == before


async def test_a_run_expires_and_its_thread_is_free(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", mover, run_lifetime_s=1) as all_of:
        assistant = await all_of.assistant("show_screen")
        all_of.model.script = lambda _body: Reply(calls=(asks("show_screen"),))
        _, begun = await all_of.begun(assistant, "Show it")
        ended = await all_of.until(begun, "expired")
        assert ended.required_action is None
        assert (await all_of.steps(begun))[-1].status == "expired"
        await all_of.of().messages.create(begun.thread_id, role="user", content="The thread is free again.")


def as_kept(shown: Any) -> dict[str, Any]:
    """All of it but the second at which it was made: a listener hears when it began, the thread has it by its order."""
    return {name: value for name, value in shown.to_dict().items() if name != "created_at"}


@pytest.mark.parametrize("ending", ["cancelled", "expired", "failed", "cancelled while it failed"])
async def test_a_run_that_ends_in_the_middle_of_an_answer_keeps_what_its_stream_told(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said is an incomplete message, and each step ends with the run: as the listener heard it, so the thread has it."""
    go_on, state = asyncio.Event(), ending.split(maxsplit=1)[0]
    api = "chat"
    said = (text(api, "One line.\n"), text(api, "And an"), call(api, 0, "n", "list_accounts", '{"a"'), go_on, b"data: no JSON\n\n")
    async with assisted(tmp_path / "data", Raw(said), run_lifetime_s=2 if ending == "expired" else 300) as all_of:
        if ending == "cancelled while it failed":
            monkeypatch.setattr(RunPool, "cancelled", lambda *_: None)  # as by another process: it is found out by the next write
        assistant = await all_of.assistant("list_accounts")
        thread = await all_of.of().create(messages=[{"role": "user", "content": "Speak"}])
        heard: list[Any] = []
        async with all_of.of().runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            async for event in stream:
                heard.append(event)
                is_told = event.event == "thread.run.step.delta" and event.data.delta.step_details.tool_calls[0].function.arguments
                if is_told and state == "cancelled":
                    (run,) = (await all_of.of().runs.list(thread.id)).data
                    await all_of.of().runs.cancel(run.id, thread_id=thread.id)
                if is_told and ending not in {"cancelled", "expired"}:
                    go_on.set()
        (run,) = (await all_of.of().runs.list(thread.id)).data
        assert run.status == state
        message, _ = (await all_of.of().messages.list(thread.id)).data
        assert (message.status, message.incomplete_details.reason) == ("incomplete", f"run_{state}")
        told = {event.event: event.data for event in heard if event.event.startswith(("thread.message", "thread.run.step"))}
        assert as_kept(message) == as_kept(told["thread.message.incomplete"])
        assert message.content[0].text.value.startswith("One line.")
        steps = await all_of.steps(run)
        assert [(step.type, step.status) for step in steps] == [("message_creation", state), ("tool_calls", state)]
        assert steps[1].step_details.tool_calls[0].function.arguments == '{"a"'
        over = [event.data for event in heard if event.event == f"thread.run.step.{state}"]
        assert [as_kept(step) for step in over] == [as_kept(step) for step in steps]
        await all_of.of().messages.create(thread.id, role="user", content="The thread is free again.")


async def test_calls_that_the_length_cut_off_are_not_done_and_stay_in_the_thread(tmp_path: Path) -> None:
    cut = Raw((text("chat", "One moment.\n"), call("chat", 0, "n", "list_accounts", "{}"), end("chat", "length")))
    async with assisted(tmp_path / "data", cut) as all_of:
        assistant = await all_of.assistant("list_accounts")
        thread = await all_of.of().create(messages=[{"role": "user", "content": "Speak"}])
        async with all_of.of().runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            heard = [event async for event in stream]
        (run,) = (await all_of.of().runs.list(thread.id)).data
        assert (run.status, why_incomplete(run)) == ("incomplete", "max_completion_tokens")
        steps = await all_of.steps(run)
        assert [(step.type, step.status) for step in steps] == [("message_creation", "completed"), ("tool_calls", "failed")]
        (asked,) = steps[1].step_details.tool_calls
        assert (asked.function.arguments, asked.function.output) == ("{}", None)
        assert [as_kept(event.data) for event in heard if event.event == "thread.run.step.failed"] == [as_kept(steps[1])]


async def test_an_empty_output_of_the_app_is_an_output(tmp_path: Path) -> None:
    """What the app did and had nothing to say about is not told to the model as unanswered, or it would ask for it again."""
    told: list[list[str]] = []

    def shower(body: dict[str, Any]) -> Reply:
        told.append(outputs(body))
        return Reply(text="Shown.") if turns(body) else Reply(calls=(asks("show_screen"),))

    async with assisted(tmp_path / "data", shower) as all_of:
        assistant = await all_of.assistant("show_screen")
        thread, begun = await all_of.begun(assistant, "Show it")
        waits = await all_of.until(begun)
        (call,) = required(waits)
        given = [{"tool_call_id": call.id, "output": ""}]
        await all_of.of().runs.submit_tool_outputs(waits.id, thread_id=thread.id, tool_outputs=given)
        assert (await all_of.until(waits)).status == "completed"
        assert told == [[], [""]]
        (step, _) = await all_of.steps(waits)
        assert step.step_details.tool_calls[0].function.output == ""
        assert (await all_of.of().messages.list(thread.id, run_id="")).data == []  # no run has this id


@pytest.mark.parametrize("began", [None, "helper"], ids=["own", "agent"])
async def test_who_acts_in_a_run_is_fixed_when_it_begins(tmp_path: Path, began: str | None) -> None:
    """Kill switches, mandates and the trail name one actor: outputs under another client's or agent's token are refused."""

    def asker(body: dict[str, Any]) -> Reply:
        return (
            Reply(calls=(asks("show_screen" if turns(body) == 0 else "list_accounts"),)) if turns(body) < 2 else Reply(text="Done.")
        )

    async with assisted(tmp_path / "data", asker) as all_of:
        assistant = await all_of.assistant("show_screen", "list_accounts")
        mine = all_of.of(agent=began)
        thread = await mine.create(messages=[{"role": "user", "content": "Show it"}])
        waits = await all_of.until(await mine.runs.create(thread_id=thread.id, assistant_id=assistant.id), "requires_action")
        (call,) = required(waits)
        given = [{"tool_call_id": call.id, "output": "shown"}]
        for claims in ({"agent": "another"}, {"agent": began, "client": "another-app"}):
            with pytest.raises(openai.PermissionDeniedError, match="with which it began"):
                await all_of.of(**claims).runs.submit_tool_outputs(waits.id, thread_id=thread.id, tool_outputs=given)
        assert (await all_of.until(waits)).status == "requires_action"
        await all_of.of(agent=None).runs.submit_tool_outputs(waits.id, thread_id=thread.id, tool_outputs=given)
        assert (await all_of.until(waits, "completed")).status == "completed"
        recorded = [json.loads(leaf.leaf) for leaf in await leaves_of(all_of.gateway)]
        asked = {leaf["actor"]["agent"] for leaf in recorded if leaf["kind"] == "read"}
        assert asked == {began or assistant.id}


@pytest.mark.parametrize(("bound", "usage"), [("max_completion_tokens", (1, 300)), ("max_prompt_tokens", (300, 1))])
async def test_token_bounds_hold_over_the_whole_run(tmp_path: Path, bound: str, usage: tuple[int, int]) -> None:
    async with assisted(tmp_path / "data", Reply(calls=(asks("list_accounts"),), usage=usage)) as all_of:
        assistant = await all_of.assistant("list_accounts")
        most: dict[str, Any] = {bound: 256}
        _, begun = await all_of.begun(assistant, "Look", **most)
        ended = await all_of.until(begun)
        assert (ended.status, why_incomplete(ended)) == ("incomplete", bound)
        assert used(ended) == usage


async def test_a_model_that_never_comes_to_an_end_is_stopped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with assisted(tmp_path / "data", Reply(calls=(asks("nothing_like_it"),))) as all_of:
        assistant = await all_of.assistant()
        _, begun = await all_of.begun(assistant, "Go")
        ended = await all_of.until(begun)
        assert (ended.status, error_of(ended)) == ("failed", "server_error")
        assert len(all_of.model.seen) == 32
        why = "The model did not come to an end within 32 questions."
        alarm = {"alarm": "model_failed", "code": "server_error", "why": why}
        alarms = [json.loads(record.getMessage()) for record in caplog.records if '"model_failed"' in record.getMessage()]
        assert alarms == [{**alarm, "run": begun.id, "runbook": "RUNBOOK.md#model_failed"}]


def _die_at(point: str) -> None:
    """Have this process die at a point of a run: before or after its n-th write, or at the end of a step of the way of its transfer."""
    kind, number = point.split(" ")
    if kind == "step":
        ended = Steps.end

        def end(self: Steps, step: str) -> None:
            ended(self, step)
            if step == number and any(item == "intend" for item, _ in self.ended):
                os.kill(os.getpid(), signal.SIGKILL)

        Steps.end = end  # type: ignore[method-assign]
        return
    write, left = RunDriver._advance, [int(number)]

    async def advance(self: RunDriver, *arguments: Any, **named: Any) -> None:
        left[0] -= 1
        if left[0] == 0 and kind == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await write(self, *arguments, **named)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    RunDriver._advance = advance  # type: ignore[method-assign]


def _run_until_killed(folder: Path, point: str, told: "multiprocessing.Queue[tuple[str, str]]") -> None:
    _die_at(point)

    async def play() -> None:
        async with assisted(folder, mover) as all_of:
            assistant = await all_of.assistant(*FUNCTIONS)
            _, begun = await all_of.begun(assistant, "Move a pound", metadata={"k": "v"})
            await to_its_end(all_of, begun)

    opened = SqlBook.write

    async def write(self: SqlBook, item: Any) -> Any:
        answer = await opened(self, item)
        if isinstance(item, StartRun):
            told.put((item.run.thread, item.run.id))
            await asyncio.sleep(0.2)  # the queue's own thread writes it
        return answer

    SqlBook.write = write  # type: ignore[method-assign]
    asyncio.run(play())


POINTS = (
    *(f"before {number}" for number in (1, 2, 4, 8)),
    *(f"after {number}" for number in range(1, 8)),
    *(f"step {name}" for name in ("intend", "execute", "record")),
)
"""Its states are in progress (asking, calling, and between), requires action, and in progress again: eight writes after the first."""

ON_POSTGRESQL = ("after 3",)
"""Between the calls; a lease of the dead lasts twenty seconds there."""


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_run_goes_on_and_no_call_is_executed_twice(tmp_path: Path, point: str) -> None:
    if databases.url(tmp_path / "data") and point not in ON_POSTGRESQL:
        pytest.skip("gateways that share a database end what another left only after a grace: held on SQLite, where it is at once")
    forked = multiprocessing.get_context("fork")
    told: multiprocessing.Queue[tuple[str, str]] = forked.Queue()
    child = forked.Process(target=_run_until_killed, args=(tmp_path / "data", point, told), daemon=True)
    child.start()
    await asyncio.to_thread(child.join, WAITS_S)
    assert child.exitcode == -signal.SIGKILL, "the run never came to this point"
    thread, id_ = told.get(timeout=WAITS_S)
    async with assisted(tmp_path / "data", mover) as all_of:
        begun = await all_of.of().runs.retrieve(id_, thread_id=thread)
        ended = await to_its_end(all_of, begun)
        assert ended.status == "completed", ended.last_error
        assert (await all_of.said(thread))[-1] == "Moved."
        assert len(transfers(all_of)) == 1
        steps = await all_of.steps(ended)
        assert [step.status for step in steps] == ["completed"] * 4
        assert await what_does_not_hold(all_of.gateway) == []


async def test_a_run_that_was_lost_is_not_written_by_who_lost_it(tmp_path: Path) -> None:
    """A worker that was paused for longer than its lease: another one has the run."""
    begin = asyncio.Event()
    async with assisted(tmp_path / "data", Reply(text="Late.", begin=begin)) as all_of:
        assistant = await all_of.assistant()
        _, begun = await all_of.begun(assistant, "Go")

        async def is_asked() -> bool | None:
            return True if all_of.model.at_once else None

        await wait_until(is_asked)
        pool = all_of.gateway.running.api.pool
        assert pool is not None
        later = utc_now() + timedelta(seconds=60)
        taken = await all_of.gateway.book.write(LeaseRuns("theirs", later, later + timedelta(seconds=60), 10))
        assert [pair.id for pair in taken] == [begun.id]
        begin.set()

        async def is_over() -> bool | None:
            return True if pool.has_room and not all_of.model.at_once else None

        await wait_until(is_over)
        assert await all_of.said(begun.thread_id) == ["Go"], "what the loser found out is dropped"
