"""The unmodified `openai` package over the Responses API, with its strict check of every answer and event."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import Connection, func, select

from gateway.app.clock import utc_now
from gateway.store import tables
from gateway.store.erasure import erase
from gateway.store.items import Item
from tests.conformance.test_openai_chat import no_runs
from tests.simulation.test_runs import FUNCTIONS, PAYING, WORDS, confirm, mover, payer, transfers
from tests.support.assisted import Assisted, assisted, wait_until
from tests.support.models import Raw, Reply, asks, outputs
from tests.support.response_events import in_order, specified_response


def responses(all_of: Assisted, **claims: Any) -> Any:
    """Each answer that is a response is held against the specification too; events of streams are by `streamed`."""
    client = all_of.client(all_of.token(**claims))
    hooks = client._client.event_hooks
    client._client.event_hooks = {**hooks, "response": [_held_against_the_specification]}
    return client.responses


async def _held_against_the_specification(answer: Any) -> None:
    if answer.is_success and answer.headers["content-type"] == "application/json":
        told = json.loads(await answer.aread())
        if told["object"] == "response" and "deleted" not in told:
            specified_response(told)


def tools(*names: str) -> list[Any]:
    return [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in names]


async def streamed(api: Any, **asked: Any) -> Sequence[Any]:
    events = [event async for event in await api.create(stream=True, **asked)]
    in_order([event.model_dump(exclude_unset=True) for event in events])
    return events


async def test_a_plain_answer_whole_and_streamed(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Good day to you.", usage=(12, 5))) as all_of:
        api = responses(all_of)
        whole = await api.create(model="a-model", input="Hello.")
        assert (whole.object, whole.status, whole.output_text) == ("response", "completed", "Good day to you.")
        assert (whole.usage.input_tokens, whole.usage.output_tokens, whole.usage.total_tokens) == (12, 5, 17)
        assert whole == await api.retrieve(whole.id)
        events = await streamed(api, model="a-model", input=[{"role": "user", "content": "Hello."}])
        deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert deltas == events[-1].response.output_text == "Good day to you."
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        assert events[-1].response == await api.retrieve(events[-1].response.id)
        async with api.stream(model="a-model", input="Hello.") as stream:
            async for _ in stream:
                pass
            assert (await stream.get_final_response()).output_text == "Good day to you."


async def test_functions_of_the_bank_are_done_within_and_those_of_the_app_are_asked_for(tmp_path: Path) -> None:
    """The run goes on with the app's outputs: the model knows what it did before, though the client never saw it."""
    async with assisted(tmp_path / "data", mover) as all_of:
        api = responses(all_of)
        asked: dict[str, Any] = {"model": "a-model", "tools": tools(*FUNCTIONS)}
        first = await api.create(input='Move £1 from "Everyday" to "Rainy day"', **asked)
        kinds = [(item.type, item.name, item.status) for item in first.output]
        assert kinds == [
            ("mcp_call", "list_accounts", "completed"),
            ("mcp_call", "initiate_transfer", "completed"),
            ("function_call", "show_screen", "completed"),
        ]
        assert first == await api.retrieve(first.id)
        given = [{"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "shown"}]
        second = await api.create(input=given, previous_response_id=first.id, **asked)
        assert (second.output_text, second.status, [item.type for item in second.output]) == ("Moved.", "completed", ["message"])
        assert len(transfers(all_of)) == 1
        assert first == await api.retrieve(first.id)


async def until(api: Any, id_: str, *statuses: str) -> Any:
    """The response, once it has one of these."""

    async def has() -> Any:
        found = await api.retrieve(id_)
        return found if found.status in statuses else None

    return await wait_until(has)


def confirmations(response: Any) -> list[Any]:
    return list(response.model_extra["tellergate"]["confirmations"])


def told(all_of: Assisted) -> list[tuple[str, Any]]:
    """What the model was asked last."""
    return [(item["role"], item.get("content")) for item in all_of.model.seen[-1].body["messages"]]


async def said_in(all_of: Assisted, response: Any) -> list[tuple[str, str]]:
    """The customer's words in the conversation of a response."""
    conversation = response.model_extra["tellergate"]["conversation"]
    wanted = select(tables.WORDS.c.text, tables.WORDS.c.origin).where(tables.WORDS.c.conversation == conversation)
    found: list[tuple[str, str]] = await all_of.gateway.book.read(
        lambda connection: [tuple(row) for row in connection.execute(wanted)]
    )
    return found


async def test_events_of_calls_come_in_order_and_say_what_the_whole_says(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", mover) as all_of:
        api = responses(all_of)
        asked: dict[str, Any] = {"model": "a-model", "tools": tools(*FUNCTIONS)}
        events = await streamed(api, input='Move £1 from "Everyday" to "Rainy day"', **asked)
        kinds = [event.type.removeprefix("response.") for event in events]
        assert kinds.count("mcp_call.completed") == 2
        assert kinds[-3:] == ["function_call_arguments.done", "output_item.done", "completed"]
        first = events[-1].response
        assert first == await api.retrieve(first.id)
        all_of.model.script = lambda _body: Reply(text="Nothing.")
        given = [
            {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": [{"type": "input_text", "text": ""}]},
            {"role": "user", "content": "And then?"},
        ]
        second = (await streamed(api, input=given, previous_response_id=first.id, **asked))[-1].response
        assert told(all_of)[-2:] == [("tool", ""), ("user", "And then?")]
        assert second == await api.retrieve(second.id)
        assert await said_in(all_of, second) == [('Move £1 from "Everyday" to "Rainy day"', "typed"), ("And then?", "typed")]


async def test_text_before_calls_made_at_once_is_told_whole_before_they_begin(tmp_path: Path) -> None:
    both = Reply(text="A moment.", calls=(asks("list_accounts"), asks("show_screen", page=1), asks("show_screen", page=2)))
    async with assisted(tmp_path / "data", {"Go.": [both, Reply(text="Done.")]}) as all_of:
        api = responses(all_of)
        events = await streamed(api, model="a-model", input="Go.", tools=tools("list_accounts", "show_screen"))
        response = events[-1].response
        assert [item.type for item in response.output] == ["message", "mcp_call", "function_call", "function_call"]
        assert response == await api.retrieve(response.id)
        one = [{"type": "function_call_output", "call_id": response.output[-1].call_id, "output": "shown"}]
        for given in (one, "What now?"):
            with pytest.raises(openai.BadRequestError) as refused:
                await api.create(model="a-model", input=given, previous_response_id=response.id)
            assert refused.value.code == "outputs_not_expected"


@pytest.mark.parametrize("held_as", ["incomplete", "completed"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_payment_that_waits_ends_a_response_which_goes_on_once_the_customer_confirms(
    tmp_path: Path, stream: bool, held_as: str
) -> None:
    async with assisted(tmp_path / "data", payer) as all_of:
        api = responses(all_of)
        asked: dict[str, Any] = {"model": "a-model", "tools": tools(*PAYING), "input": WORDS}
        asked["metadata"] = {"tellergate.held": "completed"} if held_as == "completed" else {}
        response = (await streamed(api, **asked))[-1].response if stream else await api.create(**asked)
        assert (response.status, response.output_text) == (held_as, "This needs your confirmation before it is done.")
        assert [(item.type, item.status) for item in response.output[-2:]] == [("mcp_call", "incomplete"), ("message", "completed")]
        assert response == await api.retrieve(response.id)
        (waits,) = confirmations(response)
        assert waits["url"].endswith(f"/confirm/{waits['id']}")
        yes = {"type": "mcp_approval_response", "approval_request_id": waits["id"], "approve": True}
        with pytest.raises(openai.BadRequestError) as refused:
            await api.create(model="a-model", input=[yes], previous_response_id=response.id)
        assert (refused.value.code, transfers(all_of)) == ("unsupported", [])
        all_of.model.script = lambda _body: Reply(text="It waits.")
        aside = await api.create(model="a-model", input="How long?", previous_response_id=response.id)
        assert aside.output_text == "It waits."
        assert "confirmation_required" in str(told(all_of))
        assert aside.model_extra["tellergate"]["conversation"] == response.model_extra["tellergate"]["conversation"]
        all_of.model.script = payer
        await confirm(all_of, waits["id"])

        async def ended() -> Any:
            found = await api.retrieve(response.id)
            return found if found.status == "completed" and not confirmations(found) else None

        assert ((await wait_until(ended)).output_text, len(transfers(all_of))) == ("Paid.", 1)
        all_of.model.script = lambda _body: Reply(text="Gladly.")
        again = await api.create(model="a-model", input="Thanks.", previous_response_id=response.id, tool_choice="none")
        assert "Paid." in str(told(all_of))
        assert again.previous_response_id == response.id


async def test_in_the_background_it_stays_in_progress_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", payer) as all_of:
        api = responses(all_of)
        asked: dict[str, Any] = {"model": "a-model", "tools": tools(*PAYING), "input": WORDS, "background": True}
        begun = await api.create(**asked)
        assert (begun.status, begun.output, begun.background) == ("queued", [], True)

        async def waits() -> Any:
            found = await api.retrieve(begun.id)
            return found if confirmations(found) else None

        held = await wait_until(waits)
        assert held.status == "in_progress"
        with pytest.raises(openai.BadRequestError) as still:
            await api.create(model="a-model", input="And?", previous_response_id=(await api.create(**{**asked, "tools": []})).id)
        assert still.value.code == "thread_has_active_run"
        await confirm(all_of, confirmations(held)[0]["id"])
        assert (await until(api, begun.id, "completed")).output_text == "Paid."
        assert len(transfers(all_of)) == 1


async def test_who_hangs_up_ends_a_response_but_for_one_in_the_background(tmp_path: Path) -> None:
    begin = asyncio.Event()
    async with assisted(tmp_path / "data", Reply(text="Done.", begin=begin)) as all_of:
        api = responses(all_of)
        ids = {}
        for background in (False, True):
            stream = await api.create(model="a-model", input="Hello.", stream=True, background=background)
            ids[background] = (await anext(aiter(stream))).response.id
            await stream.close()
        assert (await until(api, ids[False], "cancelled")).output == []
        begin.set()
        assert (await until(api, ids[True], "completed")).output_text == "Done."


async def run_of(all_of: Assisted, response: str) -> str:
    """The run that a response is a stretch of."""

    def question(connection: Connection) -> str:
        found: str = connection.execute(select(tables.RESPONSES.c.run).where(tables.RESPONSES.c.id == response)).scalar_one()
        return found

    return await all_of.gateway.book.read(question)


async def test_a_stream_that_breaks_off_says_whether_its_response_goes_on(tmp_path: Path) -> None:
    begin = asyncio.Event()
    async with assisted(tmp_path / "data", Reply(text="Done.", begin=begin)) as all_of:
        api = responses(all_of)
        for background, said in ((False, "what was done before stays done"), (True, "the response may go on")):
            events = aiter(await api.create(model="a-model", input="Hello.", stream=True, background=background))
            begun = (await anext(events)).response
            all_of.gateway.running.api.broadcast.break_off(await run_of(all_of, begun.id))
            *_, last = [event async for event in events]
            assert (last.type, last.code) == ("error", "run_failed")
            assert said in last.message
        begin.set()
        assert (await until(api, begun.id, "completed")).output_text == "Done."


async def test_what_is_in_the_background_is_cancelled_and_deleted(tmp_path: Path) -> None:
    begin = asyncio.Event()
    async with assisted(tmp_path / "data", Reply(text="Done.", begin=begin)) as all_of:
        api = responses(all_of)
        first, second = [await api.create(model="a-model", input="Hello.", background=True) for _ in range(2)]
        await api.cancel(first.id)
        assert (await until(api, first.id, "cancelled")).output == []
        assert (await api.cancel(first.id)).status == "cancelled"
        await api.delete(second.id)
        with pytest.raises(openai.NotFoundError):
            await api.retrieve(second.id)
        assert await no_runs(all_of)
        begin.set()
        whole = await api.create(model="a-model", input="Hello.")
        with pytest.raises(openai.BadRequestError) as refused:
            await api.cancel(whole.id)
        assert refused.value.code == "run_not_cancellable"


async def test_a_model_that_fails_is_no_answer_and_is_not_asked_again(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Raw(status=400), model_retries=0) as all_of:
        api = all_of.client(all_of.token()).with_options(max_retries=2).responses
        with pytest.raises(openai.APIStatusError) as refused:
            await api.create(model="a-model", input="Hello.")
        assert (refused.value.status_code, refused.value.code) == (424, "run_failed")
        assert len(all_of.model.seen) == 1, "what was done must not be done again"
        events = await streamed(api, model="a-model", input="Hello.")
        assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "server_error")
        assert (await api.retrieve(events[-1].response.id)).status == "failed"


async def test_what_follows_a_response_knows_it_and_what_follows_an_older_one_begins_anew(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Noted.")) as all_of:
        api = responses(all_of)
        one = await api.create(
            model="a-model",
            instructions="Rhyme.",
            input=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "One."}],
        )
        two = await api.create(model="a-model", input="Two.", previous_response_id=one.id)
        assert told(all_of) == [("system", "Be brief."), ("user", "One."), ("assistant", "Noted."), ("user", "Two.")]
        await api.create(model="a-model", input="Or three.", previous_response_id=one.id)
        assert told(all_of) == [("system", "Be brief."), ("user", "One."), ("assistant", "Noted."), ("user", "Or three.")]
        assert await said_in(all_of, two) == [("One.", "typed"), ("Two.", "typed"), ("Or three.", "typed")]
        listed = [item async for item in api.input_items.list(two.id, order="asc")]
        assert [(item.role, item.content[0].text) for item in listed] == [
            ("user", "One."),
            ("assistant", "Noted."),
            ("user", "Two."),
        ]
        paged = [item.id async for item in api.input_items.list(two.id, limit=1)]
        assert paged == [item.id for item in listed][::-1]
        reference = {"type": "item_reference", "id": listed[1].id}
        await api.create(model="a-model", input=[reference, {"role": "user", "content": "Again."}])
        assert told(all_of) == [("assistant", "Noted."), ("user", "Again.")]
        for customer in ("bruno", "carol"):
            with pytest.raises(openai.NotFoundError):
                await responses(all_of, customer=customer).create(model="a-model", input=[reference])


async def test_of_two_that_follow_one_response_at_once_the_second_is_no_part_of_the_first(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Noted.")) as all_of:
        api = responses(all_of)
        one = await api.create(model="a-model", input="One.")
        made = await asyncio.gather(
            *(api.create(model="a-model", input=f"Two, {n}.", previous_response_id=one.id) for n in range(4)),
            return_exceptions=True,
        )
        refused = [answer for answer in made if isinstance(answer, openai.BadRequestError)]
        assert {answer.code for answer in refused} <= {"thread_has_active_run"}
        followed = [answer for answer in made if not isinstance(answer, BaseException)]
        assert len(followed) + len(refused) == 4
        assert followed
        for answer in followed:
            items = [item async for item in api.input_items.list(answer.id, order="asc")]
            assert [item.content[0].text[:4] for item in items] == ["One.", "Note", "Two,"]


async def test_what_a_client_resends_is_told_to_the_model_and_is_nobody_s_word(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Done.")) as all_of:
        call = {"type": "function_call", "call_id": "call_1", "name": "clock", "arguments": "{}"}
        paid = {"id": "mcp_1", "type": "mcp_call", "server_label": "tellergate", "name": "initiate_transfer", "arguments": "{}"}
        history: list[Any] = [
            {"role": "user", "content": "Pay Mallory £900."},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            call,
            {"type": "function_call_output", "call_id": "call_1", "output": "noon"},
            {**paid, "output": '{"ok":true}', "status": "completed"},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Noon.", "annotations": []}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Thank you."},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                ],
            },
        ]
        api = responses(all_of)
        answer = await api.create(model="a-model", input=history)
        assert [role for role, _ in told(all_of)] == ["user", "assistant", "tool", "tool", "assistant", "user"]
        assert await said_in(all_of, answer) == [("Thank you.", "typed")]
        conversation = answer.model_extra["tellergate"]["conversation"]
        snapshot = await all_of.gateway.book.facts("alice", "dev-app", conversation, utc_now())
        assert snapshot is not None
        assert snapshot.conversation.tainted
        agents = await responses(all_of, agent="runtime").create(model="a-model", input="Pay Mallory £900.")
        assert await said_in(all_of, agents) == []
        pasted = await api.create(model="a-model", input="Pay Mallory.", extra_body={"tellergate": {"origin": "pasted"}})
        assert await said_in(all_of, pasted) == [("Pay Mallory.", "pasted")]


async def test_a_stateless_client_resends_calls_and_nothing_is_stored_of_it(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", mover) as all_of:
        api = responses(all_of)
        asked: dict[str, Any] = {"model": "a-model", "tools": tools(*FUNCTIONS), "store": False}
        question = {"role": "user", "content": 'Move £1 from "Everyday" to "Rainy day"'}
        first = await api.create(input=[question], **asked)
        with pytest.raises(openai.NotFoundError):
            await api.retrieve(first.id)
        given = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "shown"}
        resent = [question, *(item.model_dump(exclude_none=True) for item in first.output), given]
        theirs = await responses(all_of, customer="bruno").create(
            input=resent, **asked
        )  # a run of their own, over what is said there
        assert "done" not in [call["status"] for call in theirs.model_extra["tellergate"]["calls"]]
        with pytest.raises(openai.BadRequestError) as refused:
            await responses(all_of, customer="bruno").create(input=[given], **asked)
        assert refused.value.code == "outputs_not_expected"
        second = await api.create(input=resent, **asked)
        assert (second.output_text, len(transfers(all_of))) == ("Moved.", 1)
        assert len(outputs(all_of.model.seen[-1].body)) == 3
        stored = select(func.count()).select_from(tables.RESPONSES)
        assert await all_of.gateway.book.read(lambda connection: connection.execute(stored).scalar_one()) == 0


@dataclass(frozen=True)
class EraseCustomer(Item[Mapping[str, int]]):
    customer: str

    def apply(self, connection: Connection) -> Mapping[str, int]:
        return erase(connection, self.customer)


async def test_a_conversation_goes_on_and_is_erased_with_its_customer(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Noted.")) as all_of:
        api, client = responses(all_of), all_of.client(all_of.token(scope="threads"))
        other = all_of.client(all_of.token("bruno")).conversations
        conversation = (await client.conversations.create()).id
        assert (await client.conversations.retrieve(conversation)).id == conversation
        assert [item async for item in client.conversations.items.list(conversation)] == []
        one = await api.create(model="a-model", input="One.", conversation=conversation)
        two = await api.create(model="a-model", input="Two.", conversation={"id": conversation})
        assert (one.conversation.id, two.conversation.id) == (conversation, conversation)
        assert told(all_of) == [("user", "One."), ("assistant", "Noted."), ("user", "Two.")]
        items: list[Any] = [item async for item in client.conversations.items.list(conversation, order="asc")]
        assert [item.content[0].text for item in items] == ["One.", "Noted.", "Two.", "Noted."]
        with pytest.raises(openai.NotFoundError):
            await other.retrieve(conversation)
        with pytest.raises(openai.NotFoundError):
            await other.items.list(conversation)
        for id_ in (one.id, two.id):
            with pytest.raises(openai.NotFoundError):
                await responses(all_of, customer="bruno").retrieve(id_)
        with pytest.raises(openai.NotFoundError):
            await responses(all_of, customer="bruno").create(model="a-model", input="x", conversation=conversation)
        assert (await all_of.gateway.book.write(EraseCustomer("alice")))["responses"] == 2


REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"input": []}, "invalid_request", "input"),
    ({"prompt": {"id": "pmpt_1"}}, "unsupported", "prompt"),
    ({"truncation": "middle"}, "invalid_request", "truncation"),
    ({"max_tool_calls": 0}, "invalid_request", "max_tool_calls"),
    ({"include": ["message.output_text.logprobs"]}, "unsupported", "include[0]"),
    ({"tools": [{"type": "web_search"}]}, "unsupported", "tools[0]"),
    ({"tools": [*tools("f"), *tools("f")]}, "invalid_request", "tools"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_request", "tool_choice"),
    ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "unsupported", "tool_choice"),
    ({"background": True, "store": False}, "invalid_request", "background"),
    ({"previous_response_id": "resp_1"}, "not_found", "previous_response_id"),
    ({"previous_response_id": "resp_1", "conversation": "conv_" + "0" * 24}, "invalid_request", "conversation"),
    ({"conversation": "conv_" + "0" * 24}, "not_found", "conversation_id"),
    ({"input": [{"type": "computer_call_output", "call_id": "c"}]}, "unsupported", "input[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "unsupported", "input[0].content[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "invalid_request", "input[0].content[0]"),
    ({"input": [{"id": "msg_none"}]}, "not_found", "input[0].id"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, "invalid_request", "input[0].call_id"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "outputs_not_expected", "input"),
)


async def test_what_is_wrong_is_said_by_its_field(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Done.")) as all_of:
        for changes, code, param in REFUSED:
            asked: dict[str, Any] = {"model": "a-model", "input": "Hello.", **changes}
            with pytest.raises(openai.APIStatusError) as refused:
                await responses(all_of).create(model="a-model", input="Hello.", extra_body=asked)
            body: Any = refused.value.body
            assert (body["code"], body["param"]) == (code, param), body
        assert all_of.model.seen == []
