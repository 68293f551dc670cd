"""What a client says that a conversation was, as a thread keeps it: none of it but the newest user message can be the customer's word."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.domain.principal import SCOPE_WORDS, Principal
from gateway.domain.strict_json import Json
from gateway.doors.assistants_api.api import Api
from gateway.doors.assistants_api.schemas import NewMessage
from gateway.doors.assistants_api.threads import ORIGIN, adding_of
from gateway.doors.rest import Door
from gateway.runs.objects import STEP_FIELDS, new_id, seconds
from gateway.store.runs import Run
from gateway.store.steps import Step
from gateway.store.threads import AddMessage


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A function call of the past, with what the client says that it came to."""

    id: str
    name: str
    arguments: str
    output: str


Entry = NewMessage | tuple[AnsweredCall, ...]


@dataclass(frozen=True, slots=True)
class Resent:
    """`entries`: in their order, without what is empty. `newest_word`: which of them is the newest user message; None: there is none.
    `origin`: where that one comes from."""

    entries: Sequence[Entry]
    newest_word: int | None
    origin: str

    async def kept(self, api: Api, door: Door, principal: Principal, run: Run) -> tuple[AddMessage | Step, ...]:
        """What goes into the thread. All but the newest user message is kept as what a client says, whoever's token it is. RequestFault."""
        wordless, made = replace(principal, scopes=principal.scopes - {SCOPE_WORDS}), list[AddMessage | Step]()
        for number, entry in enumerate(self.entries):
            if isinstance(entry, NewMessage):
                is_newest = number == self.newest_word
                said = entry.model_copy(update={"metadata": {ORIGIN: self.origin}}) if is_newest else entry
                made += await adding_of(api, door, principal if is_newest else wordless, [said])
            else:
                made.append(_step(run, entry))
        return tuple(made)


def _step(run: Run, calls: tuple[AnsweredCall, ...]) -> Step:
    """Calls of the past, under ids of ours: those of clients repeat."""
    told: list[Json] = [
        {
            "id": new_id("call"),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments, "output": call.output},
        }
        for call in calls
    ]
    body = {**STEP_FIELDS, "assistant_id": run.assistant, "type": "tool_calls", "status": "completed"}
    details: Json = {"type": "tool_calls", "tool_calls": told}
    at = {"completed_at": seconds(run.created), "step_details": details}
    return Step(new_id("step"), run.thread, run.id, run.created, {**body, **at}, {})
