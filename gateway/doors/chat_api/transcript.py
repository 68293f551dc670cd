"""What a client resends of a conversation, as a thread has it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.errors import Fault, RequestFault
from gateway.doors.assistants_api.schemas import ImageContent, ImageFileContent, NewMessage, TextContent
from gateway.doors.chat_api.schemas import (
    AssistantMessage,
    ChatRefusal,
    ChatText,
    InstructionMessage,
    Message,
    ToolMessage,
    UserMessage,
)
from gateway.doors.resent import AnsweredCall, Entry


@dataclass(frozen=True, slots=True)
class Transcript:
    """`entries`: in their order, without what is empty. `newest_word`: which of them is the newest user message; None: there is none."""

    instructions: str
    entries: tuple[Entry, ...]
    newest_word: int | None

    @property
    def outputs(self) -> Mapping[str, str]:
        """Of the calls with which it ends, by their ids: what a run may wait for."""
        last = self.entries[-1] if self.entries else ()
        return {} if isinstance(last, NewMessage) else {call.id: call.output for call in last}


def transcript_of(messages: Sequence[Message]) -> Transcript:
    """RequestFault for calls without their outputs, and outputs without their calls."""
    instructions: list[str] = []
    entries: list[Entry] = []
    newest, at = None, 0
    while at < len(messages):
        message = messages[at]
        at += 1
        match message:
            case InstructionMessage():
                instructions += [text for text in _texts(message.content) if text]
            case UserMessage():
                if content := _content(message.content):
                    newest = len(entries)
                    entries.append(NewMessage(role="user", content=content))
            case AssistantMessage():
                if content := _content(message.content or ""):
                    entries.append(NewMessage(role="assistant", content=content))
                if message.tool_calls:
                    outputs = _outputs(messages, at)
                    entries.append(_answered(message, outputs, at - 1))
                    at += len(outputs)
            case ToolMessage():
                raise _wrong(f"messages[{at - 1}]", "must follow an assistant's message with this call in its tool_calls")
    return Transcript("\n\n".join(instructions), tuple(entries), newest)


def _outputs(messages: Sequence[Message], start: int) -> Sequence[ToolMessage]:
    found = []
    for message in messages[start:]:
        if not isinstance(message, ToolMessage):
            break
        found.append(message)
    return found


def _answered(message: AssistantMessage, outputs: Sequence[ToolMessage], at: int) -> tuple[AnsweredCall, ...]:
    said = {output.tool_call_id: "\n".join(_texts(output.content)) for output in outputs}
    calls = message.tool_calls or []
    if len({call.id for call in calls}) < len(calls):
        raise _wrong(f"messages[{at}].tool_calls", "must have different ids")
    if said.keys() != {call.id for call in calls} or len(said) < len(outputs):
        raise _wrong(f"messages[{at}].tool_calls", "each needs exactly one tool message with its id right after it")
    return tuple(AnsweredCall(call.id, call.function.name, call.function.arguments, said[call.id]) for call in calls)


def _texts(content: str | Sequence[ChatText | ChatRefusal | ImageContent]) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part.refusal if isinstance(part, ChatRefusal) else part.text for part in content if not isinstance(part, ImageContent)]


def _content(
    content: str | Sequence[ChatText | ChatRefusal | ImageContent],
) -> str | list[TextContent | ImageContent | ImageFileContent]:
    """Without what is empty."""
    if isinstance(content, str):
        return content
    made: list[TextContent | ImageContent | ImageFileContent] = []
    for part in content:
        if isinstance(part, ImageContent):
            made.append(part)
        elif text := _texts([part])[0]:
            made.append(TextContent(type="text", text=text))
    return made


def _wrong(field: str, why: str) -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, f"{field}: {why}", param=field)
