"""Tools and their resources against those who would name what is others', make what nobody has, or pass for a tool of the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import func, select, update

from gateway.app.clock import utc_now
from gateway.store.sweeping import Sweep, Swept
from gateway.store.tables import MESSAGES, RUNS, THREADS
from gateway.store.vector_tables import VECTOR_FILES, VECTOR_STORES
from tests.conformance.test_openai_files import silent
from tests.conformance.test_openai_vectors import put
from tests.support.assisted import Assisted, assisted
from tests.support.tools import BUILT_IN, serve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BOTH = "assistants threads customer_words function_calls"
SEARCH: Any = {"type": "file_search"}
CODE: Any = {"type": "code_interpreter"}
WRITTEN = (THREADS, MESSAGES, RUNS, VECTOR_STORES, VECTOR_FILES)


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, *BUILT_IN)


@dataclass
class Held:
    all_of: Assisted

    def client(self, customer: str = "alice", **claims: Any) -> Any:
        return self.all_of.client(self.all_of.token(customer, **{"scope": BOTH, **claims}))

    @property
    def service(self) -> Any:
        """The client itself."""
        return self.client("dev-app", scope="assistants")

    async def owned(self, client: Any) -> tuple[str, str]:
        """A file and a vector store."""
        return await put(client, b"Terms."), (await client.vector_stores.create()).id

    async def rows(self, *tables: Any) -> list[int]:
        def count(connection: Any) -> list[int]:
            return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

        return await self.all_of.gateway.book.read(count)


@asynccontextmanager
async def holding(folder: Path) -> AsyncIterator[Held]:
    async with assisted(
        folder / "data", silent, requests_per_minute=1_000_000, thread_writes_per_minute=1_000_000, runs_per_customer=100
    ) as all_of:
        yield Held(all_of)


def naming(client: Any, assistant: str, thread: str) -> list[Callable[[str, str], tuple[Awaitable[Any], str]]]:
    """Every request that names a file or a store, of which the one that is not theirs stands in the field behind."""
    create, update, threads = client.beta.assistants.create, client.beta.assistants.update, client.beta.threads

    def code(file: str) -> Any:
        return {"code_interpreter": {"file_ids": [file]}}

    def search(store: str) -> Any:
        return {"file_search": {"vector_store_ids": [store]}}

    def made(file: str) -> Any:
        return {"file_search": {"vector_stores": [{"file_ids": [file]}]}}

    def message(file: str, tool: Any = SEARCH) -> Any:
        return {"role": "user", "content": "x", "attachments": [{"file_id": file, "tools": [tool]}]}

    in_code, in_search = "code_interpreter.file_ids[0]", "file_search.vector_store_ids[0]"
    in_made = "file_search.vector_stores[0].file_ids[0]"
    resources, attached = "tool_resources", "attachments[0].file_id"
    return [
        lambda file, _: (create(model="m", tool_resources=code(file)), f"{resources}.{in_code}"),
        lambda _, store: (create(model="m", tool_resources=search(store)), f"{resources}.{in_search}"),
        lambda file, _: (create(model="m", tool_resources=made(file)), f"{resources}.{in_made}"),
        lambda file, _: (update(assistant, tool_resources=code(file)), f"{resources}.{in_code}"),
        lambda _, store: (update(assistant, tool_resources=search(store)), f"{resources}.{in_search}"),
        lambda file, _: (threads.create(tool_resources=code(file)), f"{resources}.{in_code}"),
        lambda _, store: (threads.create(tool_resources=search(store)), f"{resources}.{in_search}"),
        lambda file, _: (threads.create(tool_resources=made(file)), f"{resources}.{in_made}"),
        lambda file, _: (threads.create(messages=[message(file)]), f"messages[0].{attached}"),
        lambda file, _: (threads.update(thread, tool_resources=code(file)), f"{resources}.{in_code}"),
        lambda _, store: (threads.update(thread, tool_resources=search(store)), f"{resources}.{in_search}"),
        lambda file, _: (threads.messages.create(thread, **message(file)), attached),
        lambda file, _: (threads.messages.create(thread, **message(file, CODE)), attached),
        lambda file, _: (
            threads.runs.create(thread, assistant_id=assistant, additional_messages=[message(file)]),
            f"additional_messages[0].{attached}",
        ),
        lambda file, _: (
            threads.create_and_run(assistant_id=assistant, tool_resources=code(file)),
            f"{resources}.{in_code}",
        ),
        lambda _, store: (
            threads.create_and_run(assistant_id=assistant, tool_resources=search(store)),
            f"{resources}.{in_search}",
        ),
        lambda file, _: (
            threads.create_and_run(assistant_id=assistant, thread={"messages": [message(file)]}),
            f"thread.messages[0].{attached}",
        ),
        lambda file, _: (
            threads.create_and_run(assistant_id=assistant, thread={"tool_resources": made(file)}),
            f"thread.{resources}.{in_made}",
        ),
        lambda _, store: (
            threads.create_and_run(assistant_id=assistant, thread={"tool_resources": search(store)}),
            f"thread.{resources}.{in_search}",
        ),
    ]


async def test_what_is_not_theirs_is_nothing_to_them_wherever_it_is_named(tmp_path: Path) -> None:
    async with holding(tmp_path) as held:
        alice = held.client()
        mine = await held.owned(alice)
        gone = await held.owned(alice)
        await alice.files.delete(gone[0])
        await alice.vector_stores.delete(gone[1])
        others = [
            await held.owned(held.client("bruno")),
            await held.owned(held.client("alice", client="other-app")),
            await held.owned(held.client("other-app", client="other-app", scope="assistants")),
            gone,
            (mine[1], mine[0]),  # what is there, but the other kind
        ]
        made_up = ("file_" + "0" * 24, "vs_" + "0" * 24)
        assistant, thread = (await alice.beta.assistants.create(model="m")).id, (await alice.beta.threads.create()).id
        before = await held.rows(*WRITTEN)
        asked = naming(alice, assistant, thread)
        for number, ask in enumerate(asked):
            told = set()
            for other in (made_up, others[number % len(others)], others[(number + 2) % len(others)]):
                request, field = ask(*other)
                with pytest.raises(openai.NotFoundError) as refused:
                    await request
                assert refused.value.param == field
                told.add((refused.value.message, refused.value.code))
            assert len(told) == 1, "one answer, whether it is there or not"
        assert await held.rows(*WRITTEN) == before, "and nothing was written"
        terms = await held.owned(held.service)
        for number in range(len(asked)):
            thread = (await alice.beta.threads.create()).id
            assert (await naming(alice, assistant, thread)[number](*(terms if number % 2 else mine))[0]).id


async def test_a_clients_assistant_names_nothing_that_its_customers_could_not_read(tmp_path: Path) -> None:
    async with holding(tmp_path) as held:
        service, own = held.service.beta.assistants, await held.owned(held.service)
        file, store = await held.owned(held.client())
        made = await service.create(model="m", tool_resources={"code_interpreter": {"file_ids": [own[0]]}})
        for resources in ({"code_interpreter": {"file_ids": [file]}}, {"file_search": {"vector_store_ids": [store]}}):
            for request in (service.create(model="m", tool_resources=resources), service.update(made.id, tool_resources=resources)):
                with pytest.raises(openai.NotFoundError):
                    await request
        assert (await service.retrieve(made.id)).tool_resources.code_interpreter.file_ids == [own[0]]


async def test_a_customer_fills_no_store_of_the_client_through_a_thread(tmp_path: Path) -> None:
    async with holding(tmp_path) as held:
        alice, (terms, store) = held.client(), await held.owned(held.service)
        mine = await put(alice, b"Mine.")
        attached: Any = [{"file_id": mine, "tools": [SEARCH]}]
        thread = await alice.beta.threads.create(tool_resources={"file_search": {"vector_store_ids": [store]}})
        before = await held.rows(*WRITTEN)
        with pytest.raises(openai.BadRequestError) as refused:
            await alice.beta.threads.messages.create(thread.id, role="user", content="x", attachments=attached)
        assert refused.value.param == "attachments"
        assert await held.rows(*WRITTEN) == before
        other = held.client("alice", client="other-app")
        own = await alice.beta.threads.create(messages=[{"role": "user", "content": "x", "attachments": attached}])
        attached[0]["file_id"] = await put(other, b"Of another app.")
        with pytest.raises(openai.BadRequestError):  # the same customer, by a client that does not see the store
            await other.beta.threads.messages.create(own.id, role="user", content="x", attachments=attached)
        files = held.service.vector_stores.files
        assert [item.id async for item in files.list(store)] == []
        assert (await held.service.files.retrieve(terms)).id == terms


async def test_what_was_attached_goes_with_its_thread(tmp_path: Path) -> None:
    async with holding(tmp_path) as held:
        alice, book = held.client(), held.all_of.gateway.book
        file, kept = await held.owned(alice)
        message: Any = {"role": "user", "content": "x", "attachments": [{"file_id": file, "tools": [SEARCH]}]}
        deleted = await alice.beta.threads.create(messages=[message])
        await alice.beta.threads.update(deleted.id, tool_resources={"file_search": {"vector_store_ids": []}})
        await alice.beta.threads.messages.create(deleted.id, **message)  # a second store; the first is the thread's still
        old = await alice.beta.threads.create(messages=[message])
        named = await alice.beta.threads.create(tool_resources={"file_search": {"vector_store_ids": [kept]}})
        assert len([store async for store in alice.vector_stores.list()]) == 4
        await alice.beta.threads.delete(deleted.id)
        await alice.beta.threads.delete(named.id)
        left = {store.id async for store in alice.vector_stores.list()}
        assert left == {kept, old.tool_resources.file_search.vector_store_ids[0]}
        await book.write(Sweep(Swept.THREADS, utc_now() + timedelta(hours=1)))
        assert [store.id async for store in alice.vector_stores.list()] == [kept]
        assert (await alice.files.retrieve(file)).id == file


async def test_a_store_that_has_expired_is_followed_by_another(tmp_path: Path) -> None:
    async with holding(tmp_path) as held:
        alice, book = held.client(), held.all_of.gateway.book
        file = await put(alice, b"Terms.")
        message: Any = {"role": "user", "content": "x", "attachments": [{"file_id": file, "tools": [SEARCH]}]}
        thread = await alice.beta.threads.create(messages=[message])
        seen = []
        for ended in (lambda id_: expire(book, id_), alice.vector_stores.delete, None):
            (store,) = (await alice.beta.threads.retrieve(thread.id)).tool_resources.file_search.vector_store_ids
            assert (await alice.vector_stores.retrieve(store)).file_counts.total == 1
            seen.append(store)
            if ended is not None:
                await ended(store)
                await alice.beta.threads.messages.create(thread.id, **message)
        assert len(set(seen)) == 3


async def expire(book: Any, store: str) -> None:
    class Expire(Sweep):
        def apply(self, connection: Any) -> int:
            connection.execute(update(VECTOR_STORES).where(VECTOR_STORES.c.id == store).values(expires_us=1))
            return 1

    await book.write(Expire(Swept.VECTOR_STORES, utc_now()))


@pytest.mark.parametrize("name", ["file_search", "code_interpreter"])
async def test_no_function_of_an_app_passes_for_a_tool_of_the_gateway(tmp_path: Path, name: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": name}}]
    async with holding(tmp_path) as held:
        alice = held.client()
        assistant, thread = await alice.beta.assistants.create(model="m"), await alice.beta.threads.create()
        for request in (
            alice.beta.assistants.create(model="m", tools=tools),
            alice.beta.assistants.update(assistant.id, tools=tools),
            alice.beta.threads.runs.create(thread.id, assistant_id=assistant.id, tools=tools),
            alice.beta.threads.create_and_run(assistant_id=assistant.id, tools=tools),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                await request
            assert refused.value.param == "tools[0].function.name"


async def test_a_tool_that_is_not_served_is_refused_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    async with holding(tmp_path) as held:
        alice = held.client()
        file, store = await held.owned(alice)
        assistant, thread = (await alice.beta.assistants.create(model="m")).id, (await alice.beta.threads.create()).id
        before = await held.rows(*WRITTEN)
        create = alice.beta.assistants.create
        requests = [ask(file, store)[0] for ask in naming(alice, assistant, thread)]
        requests += [create(model="m", tools=[tool]) for tool in (SEARCH, CODE)]
        requests += [alice.beta.threads.runs.create(thread, assistant_id=assistant, tools=[tool]) for tool in (SEARCH, CODE)]
        for request in requests:
            with pytest.raises(openai.BadRequestError) as refused:
                await request
            assert refused.value.code == "unsupported"
        assert await held.rows(*WRITTEN) == before
