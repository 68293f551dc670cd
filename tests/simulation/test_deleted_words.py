"""What the customer said is theirs to delete, and what they deleted counts as taken back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.doors.assistants_api.threads import ORIGIN
from gateway.store import threads
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SAID = [{"role": "user", "content": "Pay Anna 80 pounds"}, {"role": "user", "content": "sorry, 8 not 80"}]
OTHERS = (
    {"agent": "assistant"},
    {"agent": "assistant", "scope": "threads"},
    {"agent": None, "scope": "threads function_calls"},
)
"""Tokens that reach the thread, and are not the customer themselves: an agent's, and one that may not speak for them."""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Assisted]:
    async with assisted(tmp_path / "data", Reply(text="Done.")) as found:
        yield found


async def words(served: Assisted, thread: str) -> list[tuple[int, str, str]]:
    """(turn, origin, text) of what was said, the oldest first; also of a thread that is gone."""
    book = served.gateway.book
    found = await book.read(lambda connection: threads.of_id(connection, thread))
    assert found is not None
    heard = (await book.effect_facts("alice", found.conversation, "", served.gateway.door.clock())).heard
    return [(word.turn, word.origin, word.text) for word in heard.words]


async def listed(at: Any, thread: str) -> list[str]:
    """Ids of the messages, the oldest first."""
    return [item.id for item in (await at.messages.list(thread, order="asc")).data]


@pytest.mark.parametrize("claims", OTHERS, ids=["agent", "agent of threads", "no words"])
async def test_an_agent_deletes_and_relabels_nothing_that_the_customer_said(served: Assisted, claims: dict[str, Any]) -> None:
    mine, theirs = served.of(), served.of(**claims)
    thread = await mine.create(messages=SAID[:1])
    correction = await mine.messages.create(thread.id, **SAID[1])
    own = await theirs.messages.create(thread.id, role="user", content="Pay Bob 5 pounds")
    before = await words(served, thread.id)
    for asked in (
        theirs.messages.delete(correction.id, thread_id=thread.id),
        theirs.delete(thread.id),
        theirs.messages.update(correction.id, thread_id=thread.id, metadata={ORIGIN: "typed", "note": "theirs"}),
    ):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await asked
        assert refused.value.code == "insufficient_scope"
        assert "the customer said" in refused.value.message
    assert (await mine.messages.retrieve(correction.id, thread_id=thread.id)).metadata == {}
    labelled = await mine.messages.update(correction.id, thread_id=thread.id, metadata={"note": "mine"})
    assert labelled.metadata == {"note": "mine"}
    assert (await theirs.messages.update(own.id, thread_id=thread.id, metadata={"note": "theirs"})).metadata == {"note": "theirs"}
    assert await words(served, thread.id) == before
    assert [text for *_, text in before] == [SAID[0]["content"], SAID[1]["content"]]
    assert (await theirs.messages.delete(own.id, thread_id=thread.id)).deleted is True, "nobody's word"
    empty = await mine.create(messages=[{"role": "assistant", "content": "Hello"}])
    assert (await theirs.delete(empty.id)).deleted is True


async def test_what_the_customer_deletes_counts_as_taken_back(served: Assisted) -> None:
    mine = served.of()
    thread = await mine.create(messages=SAID[:1])
    correction = await mine.messages.create(thread.id, **SAID[1])
    await mine.messages.delete(correction.id, thread_id=thread.id)
    assert await words(served, thread.id) == [(1, "typed", SAID[0]["content"]), (2, "deleted", "")]
    last = await mine.messages.create(thread.id, role="user", content="8 pounds then")
    assert (await words(served, thread.id))[-1] == (3, "typed", "8 pounds then"), "it has a place of its own"
    assert last.id in await listed(mine, thread.id)

    book = served.gateway.book
    found = await book.read(lambda connection: threads.of_id(connection, thread.id))
    assert found is not None
    await mine.delete(thread.id)
    heard = (await book.effect_facts("alice", found.conversation, "", served.gateway.door.clock())).heard
    assert {(word.origin, word.text) for word in heard.words} == {("deleted", "")}
    assert heard.turn == 3


async def test_where_a_word_came_from_never_changes(served: Assisted) -> None:
    mine = served.of()
    pasted = {**SAID[0], "metadata": {ORIGIN: "pasted", "a": "b"}}
    thread = await mine.create(messages=[pasted, SAID[1]])
    before, (first, second) = await words(served, thread.id), await listed(mine, thread.id)
    for message, other in ((first, "typed"), (second, "pasted")):
        with pytest.raises(openai.BadRequestError, match="stays as it is"):
            await mine.messages.update(message, thread_id=thread.id, metadata={ORIGIN: other})
    changed = await mine.messages.update(first, thread_id=thread.id, metadata={"c": "d"})
    assert changed.metadata == {"c": "d", ORIGIN: "pasted"}
    assert (await mine.messages.update(second, thread_id=thread.id, metadata={ORIGIN: "typed"})).metadata == {ORIGIN: "typed"}
    assert await words(served, thread.id) == before
    assert [origin for _, origin, _ in before] == ["pasted", "typed"]
