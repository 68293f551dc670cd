"""Claims and settlements in the one statement that records them, on PostgreSQL: whatever moves between the question and the statement is
seen, and nothing is written by halves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.util import await_only

from audit.committer import IntentEnded
from audit.inspection import verify_store
from audit.leaf import Record
from audit.log import Log
from audit.migration import prepare
from audit.store.bulk_insert import SharedChange
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName, open_log
from gateway.domain.errors import Code, Refusal
from gateway.domain.facts import Use
from gateway.domain.limits import Totals
from gateway.domain.ports import Claim, Claimed, FactsMoved
from gateway.domain.states import RELEASED, CallState, SettledAs
from gateway.store.book import SqlBook
from gateway.store.conversations import taint_alone
from gateway.store.standing_mandates import StoreStandingMandate
from gateway.store.tables import CALLS, CUSTOMERS, PROPOSED_CALLS, USES, WEBHOOKS
from tests.contracts.test_book import KEY, MANDATE, NOW, STANDING, Shared, a_claim, claim
from tests.support.databases import postgresql
from tests.trail import Clock, Random, a_record, an_end, an_intent


@dataclass
class Process:
    """A gateway's log and book on a database that others use too."""

    log: Log
    book: SqlBook
    at_once: list[bool] = field(default_factory=list)
    """Of each group with claims or settlements: whether it was offered to the one statement."""

    async def claim(self, wanted: Claim) -> Claimed:
        claimed, _ = await self.recorded(await self.book.claiming(wanted), an_intent(call_id=wanted.call_id, policy=None))
        answer: Claimed = claimed
        return answer

    async def settle(self, call: str, state: SettledAs) -> None:
        await self.recorded(self.book.settling(call, state, NOW), a_record(policy=None))

    async def recorded(self, change: Any, record: Record) -> tuple[Any, Any]:
        return await self.log.append_with(change, record, wants=lambda answer: answer is None or answer.fresh)

    def between(self, happens: Callable[[], Awaitable[object]]) -> None:
        """Once, after a group's questions were answered and before its statement."""
        asked = self.log.transactions._at_once
        assert asked is not None

        def questions(connection: Connection, items: Any) -> SharedChange | None:
            self.log.transactions._at_once = asked
            found = asked(connection, items)
            assert found is not None
            await_only(happens())
            return found

        self.log.transactions._at_once = questions


@dataclass
class Bank:
    processes: list[Process]
    known: int = 0

    async def customer(self) -> Shared:
        """A new one, with a mandate, a standing mandate and a conversation."""
        book, name = self.processes[0].book, f"customer-{self.known}"
        self.known += 1
        mandate = replace(MANDATE, customer=name)
        await book.grant(mandate, mandate.sign(KEY))
        await book.write(StoreStandingMandate(replace(STANDING, customer=name, id=f"std-{name}"), b"", NOW))
        return Shared([process.book for process in self.processes], await book.open_conversation(name, NOW))

    def claim(self, theirs: Shared, number: int, minor: int | None, **changes: object) -> Claim:
        name = f"customer-{self.known - 1}"
        ids = {"customer": name, "call_id": f"{name}-{number}", "core_key": f"{name}-{number}"}
        return a_claim(theirs, number, minor, **{**ids, **changes})


async def process(places: DatabaseLocations, name: str) -> Process:
    log = await open_log(places, writer_id=name, clock=Clock(), random=Random())
    database = places.open(DatabaseName.GATEWAY, name=name)
    await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    book = SqlBook(database, mandate_key=KEY.public_key(), duplicate_window_s=900, tells=True, shared=log.transactions)
    opened, asked = Process(log, book), log.transactions._at_once
    assert asked is not None

    def noted(connection: Connection, items: Any) -> SharedChange | None:
        found = asked(connection, items)
        opened.at_once.append(found is not None)
        return found

    log.transactions._at_once = noted
    return opened


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    places = DatabaseLocations(tmp_path, postgresql(tmp_path))
    opened = Bank([await process(places, name) for name in ("one", "other")])
    yield opened
    for item in opened.processes:
        await item.book.close()
        await item.log.close()


def rows(table: Any, column: str, value: str) -> Callable[[Connection], list[Any]]:
    return lambda connection: list(connection.execute(select(table).where(table.c[column] == value)).mappings())


def put(connection: Connection, *, table: Any, row: dict[str, object]) -> None:
    connection.execute(insert(table), [row])


async def warm(process: Process) -> None:
    """The next record goes on the head that this process wrote last."""
    await process.log.append(a_record(policy=None))


async def test_a_claim_and_its_end_are_whole_in_either_way(bank: Bank) -> None:
    """The same rows, whether by the one statement or by a transaction that locks."""
    (one, other), made = bank.processes, []
    for number in range(2):
        theirs = await bank.customer()
        wanted = bank.claim(theirs, number, 10, uses=(Use("amount", "10", 1), Use("payee", "p", 1)), set_at=NOW)
        proposed = {"call_id": wanted.call_id, "confirmation": f"cnf_{number}", "position": 0, "native_id": "n", "turn": "t"}
        proposed |= {"function": "f", "arguments": b"", "arguments_hash": bytes(32), "sources": b"", "claimed": False}
        waits = {"id": f"msg_{number}", "call_id": wanted.call_id, "body": b"", "created_us": 1, "tries": 3, "next_us": 10**18}
        for table, row in ((PROPOSED_CALLS, proposed), (WEBHOOKS, waits)):
            await one.book._database.write(partial(put, table=table, row=row))
        await warm(one)
        if number == 1:
            await warm(other)  # whose head `one` does not know
        assert (await one.claim(replace(wanted, confirmation=f"cnf_{number}"))).fresh
        if number == 1:
            await warm(other)
        await one.settle(wanted.call_id, CallState.POSTED)
        found = {}
        for table, column in ((CALLS, "call_id"), (USES, "call_id"), (PROPOSED_CALLS, "call_id"), (WEBHOOKS, "call_id")):
            found[table.name] = await one.book.read(rows(table, column, wanted.call_id))
        assert [row["claimed"] for row in found["proposed_calls"]] == [True]
        assert [(row["state"], row["settled_us"] is not None) for row in found["calls"]] == [("posted", True)]
        assert [row["tries"] for row in found["webhooks"]] == [0]
        assert found["webhooks"][0]["next_us"] < 10**18
        assert len(found["uses"]) == 2
        assert await one.book.totals(wanted.customer, "GBP", NOW) == Totals(10, 10, 10, 1)
        made.append(
            {
                name: [{key: str(value).replace(str(number), "#") for key, value in row.items()} for row in found[name]]
                for name in found
            }
        )
    assert one.at_once == [True, True, True, True], "offered each time; the second time nothing was written by it"
    assert [
        row["moves"] for row in await one.book.read(lambda connection: list(connection.execute(select(CUSTOMERS)).mappings()))
    ] == [1, 1]
    assert {name: [sorted(row) for row in made[0][name]] for name in made[0]} == {
        name: [sorted(row) for row in made[1][name]] for name in made[1]
    }
    assert await verify_store(one.log) == []


async def test_what_moves_before_the_statement_is_seen(bank: Bank) -> None:
    one, other = bank.processes

    async def refused(wanted: Claim, why: type[Exception] | Code, happens: Callable[[], Awaitable[object]]) -> None:
        await warm(one)
        one.between(happens)
        if isinstance(why, Code):
            with pytest.raises(Refusal) as error:
                await one.claim(wanted)
            assert error.value.code is why
        else:
            with pytest.raises(why):
                await one.claim(wanted)
        assert await one.book.find(wanted.call_id) is None
        one.at_once.clear()

    theirs = await bank.customer()
    wanted = bank.claim(theirs, 1, 10)
    await refused(wanted, FactsMoved, lambda: other.book.taint(wanted.customer, "agent", wanted.conversation, NOW))

    theirs = await bank.customer()
    wanted = bank.claim(theirs, 1, 10)
    alone = partial(taint_alone, id_=wanted.conversation, at=NOW)
    await refused(wanted, FactsMoved, lambda: other.book._database.write(alone))

    theirs = await bank.customer()
    wanted = bank.claim(theirs, 1, 10)
    later = replace(MANDATE, customer=wanted.customer, version=2)
    await refused(wanted, FactsMoved, lambda: other.book.grant(later, later.sign(KEY)))

    theirs = await bank.customer()
    standing = replace(STANDING, customer=f"customer-{bank.known - 1}", id=f"std-customer-{bank.known - 1}")
    wanted = bank.claim(theirs, 1, 10, covered=standing)
    await refused(wanted, FactsMoved, lambda: other.book.revoke_standing(wanted.customer, standing.id, NOW))

    theirs = await bank.customer()
    wanted, first = bank.claim(theirs, 1, 600), bank.claim(theirs, 2, 600)
    await refused(wanted, Code.LIMIT_EXCEEDED, lambda: other.claim(first))

    theirs = await bank.customer()
    wanted, first = bank.claim(theirs, 1, 10, payee="acc:p"), bank.claim(theirs, 2, 10, payee="acc:p")
    await refused(wanted, Code.DUPLICATE_SUSPECTED, lambda: claim(other.book, first))

    theirs = await bank.customer()
    wanted = bank.claim(theirs, 1, 10)
    same = replace(wanted, call_id="other-call", core_key="other-key", arguments_hash=b"\x01" * 32)
    await refused(wanted, Code.INVALID_ARGUMENT, lambda: other.claim(same))

    assert await verify_store(one.log) == []


async def test_a_confirmation_that_is_used_before_the_statement_is_not_used_twice(bank: Bank) -> None:
    one, other = bank.processes
    theirs = await bank.customer()
    wanted = bank.claim(theirs, 1, 10, confirmation="cnf_1")
    row = {"call_id": wanted.call_id, "confirmation": "cnf_1", "position": 0, "native_id": "n", "turn": "t", "function": "f"}
    row |= {"arguments": b"", "arguments_hash": bytes(32), "sources": b"", "claimed": False}
    await one.book._database.write(partial(put, table=PROPOSED_CALLS, row=row))
    used = PROPOSED_CALLS.update().values(claimed=True)
    await warm(one)
    one.between(lambda: other.book._database.write(lambda connection: connection.execute(used) and None))
    with pytest.raises(Refusal) as error:
        await one.claim(wanted)
    assert error.value.reason == "confirmation_used"
    assert await one.book.find(wanted.call_id) is None
    assert await one.book.totals(wanted.customer, "GBP", NOW) == Totals()


async def test_a_call_that_was_settled_before_the_statement_keeps_its_end(bank: Bank) -> None:
    """And a record that may not be takes its settlement with it to the transaction, which makes it."""
    one, other = bank.processes
    theirs = await bank.customer()
    wanted = bank.claim(theirs, 1, 10)
    _, entry = await one.recorded(await one.book.claiming(wanted), an_intent(call_id=wanted.call_id, policy=None))
    await warm(one)
    one.between(lambda: other.book.write(other.book.settling(wanted.call_id, CallState.VOIDED, NOW)))
    end = an_end(entry.index, entry.leaf_hash, call_id=wanted.call_id, policy=None)
    await one.recorded(one.book.settling(wanted.call_id, CallState.POSTED, NOW), end)
    found = await one.book.find(wanted.call_id)
    assert found is not None
    assert found.state is CallState.VOIDED
    with pytest.raises(IntentEnded):
        await one.recorded(one.book.settling(wanted.call_id, CallState.POSTED, NOW), end)
    assert await verify_store(one.log) == []


async def test_many_at_once_over_two_processes_are_exact(bank: Bank) -> None:
    """Several customers beside each other, two claims of one at once, ends and give-backs among them: sums, limits and the trail hold."""
    theirs = [(await bank.customer(), bank.known - 1) for _ in range(6)]

    async def pay(process: Process, whose: int, number: int) -> int:
        room, name = theirs[whose][0], f"customer-{theirs[whose][1]}"
        call = f"{name}-{number}"
        wanted = a_claim(room, number, 90, customer=name, call_id=call, core_key=call)
        with suppress(Refusal):
            await process.claim(wanted)
            state: SettledAs = (CallState.POSTED, CallState.UNKNOWN, CallState.VOIDED, RELEASED)[number % 4]
            await process.settle(call, state)
            return 90 if number % 4 < 2 else 0
        return 0

    for process in bank.processes:
        await warm(process)
    paid: dict[int, list[int]] = {}
    for whose in range(6):
        paid[whose] = []
    for number in range(16):
        done = await asyncio.gather(*(pay(bank.processes[(number + whose) % 2], whose, number) for whose in range(6)))
        for whose, minor in enumerate(done):
            paid[whose].append(minor)
    both = await asyncio.gather(
        *(pay(process, whose, 100 + 4 * number) for number, process in enumerate(bank.processes) for whose in range(6))
    )
    for place, minor in enumerate(both):
        paid[place % 6].append(minor)
    for whose in range(6):
        totals = await bank.processes[0].book.totals(f"customer-{theirs[whose][1]}", "GBP", NOW)
        assert totals.day_minor == sum(paid[whose])
        assert 0 < totals.day_minor <= 1000
    assert all(sum(process.at_once) > 20 for process in bank.processes), "most went by the one statement"
    assert await verify_store(bank.processes[0].log) == []
