"""The story of an assistant's three tools: a calculation, a chart over one's own transactions, and an answer out of a document.

As an app has them: by the Assistants API with the unmodified `openai` package. The document is the bank's, for all of its customers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from gateway.app.development.scripted_model import MODEL
from gateway.commands.demo.means import PYTHON, ToolMeans
from gateway.commands.demo.story import RUN_MOST_S, DemoCall, DemoConversation
from gateway.commands.demo.terms import LOST_CARD, terms
from gateway.domain.principal import SCOPE_CALLS, SCOPE_THREADS, SCOPE_WORDS

FIBONACCI = "Calculate the first 20 Fibonacci numbers."
CHART = "Draw my spending of the last year."
TERMS = "What do the terms say about a lost card?"

_NUMBERS = "[0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181]"
_FUNCTIONS = ("list_accounts", "get_spending_summary")
_WITH_PASSAGES: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
_PNG = b"\x89PNG\r\n\x1a\n"
_POLL_MS = 200
_SHORT: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
"""Passages of some lines: what is cited is read at a glance."""

_MARK = re.compile(r"【\d+:(\d+)†source】")
_BY_CALL = 100
"""A mark counts the results of a call from a multiple of it."""


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file that code made. `type` is what its first bytes say."""

    name: str
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Citation:
    """What an answer cites: the mark that stands in it, the file's name, and the passage that the search found in it."""

    mark: str
    file: str
    passage: str


@dataclass(frozen=True, slots=True)
class ToolScene:
    """A run with a tool. `held`: it completed, each call was done, what it cites was found, and the scripted model did its task."""

    title: str
    words: str
    answer: str
    state: str
    calls: Sequence[DemoCall]
    files: Sequence[ShownFile]
    cited: Sequence[Citation]
    held: bool

    def as_json(self) -> dict[str, object]:
        return {
            "said": self.words,
            "answer": self.answer,
            "state": self.state,
            "calls": [call.as_json() for call in self.calls],
            "files": [{"name": file.name, "type": file.type, "size": file.size} for file in self.files],
            "cited": [{"mark": item.mark, "file": item.file, "passage": item.passage} for item in self.cited],
            "held": self.held,
        }


@dataclass(slots=True)
class ToolStory:
    """What of it this host can show."""

    conversation: DemoConversation
    means: ToolMeans

    def scenes(self) -> Iterator[ToolScene]:
        if self.means.code:
            code = self._assistant([{"type": "code_interpreter"}, *_functions()])
            yield self._ran("The code interpreter: the model writes a program, a worker runs it", FIBONACCI, code)
            drawn = "a chart" if self.means.tier == PYTHON else "a chart in letters"
            yield self._ran(f"A function's output into code: {drawn} over a year of the customer's transactions", CHART, code)
        if self.means.files:
            name, content = terms(as_pdf=self.means.documents)
            search = self._assistant([{"type": "file_search"}], store=self._stored(name, content))
            kind = "a PDF" if self.means.documents else "a text"
            yield self._ran(f"File search: an answer out of {kind} of the bank's, cited", TERMS, search)

    def _assistant(self, tools: Sequence[Mapping[str, object]], store: str = "") -> str:
        given: dict[str, Any] = {"tool_resources": {"file_search": {"vector_store_ids": [store]}}} if store else {}
        asked: dict[str, Any] = {"model": self.conversation.where.name, "instructions": "Be brief.", "tools": tools, **given}
        made: str = self.conversation.back_end().beta.assistants.create(**asked).id
        return made

    def _stored(self, name: str, content: bytes) -> str:
        """A vector store of the client's with this document in it."""
        back_end = self.conversation.back_end()
        store = back_end.vector_stores.create(name="Terms", expires_after={"anchor": "last_active_at", "days": 1})
        file = back_end.files.create(file=(name, content), purpose="assistants")
        back_end.vector_stores.files.create_and_poll(
            file.id, vector_store_id=store.id, chunking_strategy=_SHORT, poll_interval_ms=_POLL_MS, timeout=RUN_MOST_S
        )
        return store.id

    def _ran(self, title: str, words: str, assistant: str) -> ToolScene:
        client = self.conversation.own(SCOPE_THREADS, SCOPE_WORDS, SCOPE_CALLS)
        threads = client.beta.threads
        thread = threads.create(messages=[{"role": "user", "content": words}])
        with threads.runs.stream(thread_id=thread.id, assistant_id=assistant, timeout=RUN_MOST_S) as stream:
            run = stream.get_final_run()
        steps = threads.runs.steps.list(run.id, thread_id=thread.id, order="asc", include=_WITH_PASSAGES)
        details: list[Any] = [step.step_details for step in steps if step.step_details.type == "tool_calls"]
        called = [call.to_dict() for detail in details for call in detail.tool_calls]
        answers: Any = [item for item in threads.messages.list(thread.id) if item.role == "assistant"]
        parts: list[Any] = answers[0].content if answers else []
        texts = [part.text for part in parts if part.type == "text"]
        files = [_file(client, part.image_file.file_id) for part in parts if part.type == "image_file"]
        found = list(_found(called))
        cited, are_right = [], True
        for text in texts:
            for note in text.annotations:
                are_right &= text.value[note.start_index : note.end_index] == note.text
                if note.type == "file_path":
                    files.append(_file(client, note.file_path.file_id))
                else:
                    citation = _cited(note, found)
                    are_right &= bool(citation.passage)
                    cited.append(citation)
        calls = [self.conversation.on_record(*_told(call)) for call in called]
        answer = "\n".join(text.value for text in texts)
        held = run.status == "completed" and are_right and bool(calls) and all(call.status == "done" for call in calls)
        if self.conversation.where.name == MODEL:
            held &= self._is_right(words, answer, files, cited)
        return ToolScene(title, words, answer, run.status, calls, files, cited, held)

    def _is_right(self, words: str, answer: str, files: Sequence[ShownFile], cited: Sequence[Citation]) -> bool:
        """Whether the scripted model's run did what it is for. Another model may say it in its own way."""
        if words == FIBONACCI:
            return _NUMBERS in answer
        if words == CHART:
            return self.means.tier != PYTHON or any(file.type == "image/png" for file in files)
        return any(LOST_CARD in " ".join(item.passage.split()) for item in cited)


def _functions() -> list[Mapping[str, object]]:
    return [{"type": "function", "function": {"name": name}} for name in _FUNCTIONS]


def _told(call: Mapping[str, Any]) -> tuple[str, object, Mapping[str, Any]]:
    """Which function was called, what came of it, and its record."""
    kind = call["type"]
    if kind == "function":
        return call["function"]["name"], call["function"]["output"], call["tellergate"]
    return kind, call[kind].get("outputs", call[kind].get("results")), call["tellergate"]


def _found(called: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """What searches found, each with its place among the results of its search."""
    for call in called:
        yield from enumerate((call.get("file_search") or {}).get("results") or ())


def _cited(note: Any, found: Sequence[tuple[int, Mapping[str, Any]]]) -> Citation:
    """What an annotation cites; without a passage if nothing was found that it could mean."""
    mark = _MARK.fullmatch(note.text)
    for place, item in reversed(found):
        if mark is not None and place == int(mark[1]) % _BY_CALL and item["file_id"] == note.file_citation.file_id:
            return Citation(note.text, item["file_name"], "".join(part["text"] for part in item.get("content") or ()))
    return Citation(note.text, "", "")


def _file(client: OpenAI, id_: str) -> ShownFile:
    content = client.files.content(id_).content
    kind = "image/png" if content.startswith(_PNG) else "text/plain" if _is_text(content) else "application/octet-stream"
    return ShownFile(client.files.retrieve(id_).filename, kind, len(content))


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
