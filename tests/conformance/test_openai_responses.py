"""The unmodified `openai` package over the Responses API, with its strict check of every answer and event."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.simulation.test_runs import FUNCTIONS, mover, transfers
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply
from tests.support.response_events import in_order


def responses(all_of: Assisted, **claims: Any) -> Any:
    return all_of.client(all_of.token(**claims)).responses


def tools(*names: str) -> list[Any]:
    return [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in names]


async def streamed(api: Any, **asked: Any) -> Sequence[Any]:
    events = [event async for event in await api.create(stream=True, **asked)]
    in_order([event.model_dump() for event in events])
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
