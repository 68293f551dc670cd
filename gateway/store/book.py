"""The `Book` port on SQL: questions to the gateway's database, and one grouped writer.

Several processes may keep the same book on PostgreSQL: a group first locks the customers and conversations that it is about, in one
order, and reads what it decides on after that.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from audit.database import Database, DatabaseUnavailable, SqliteDatabase
from audit.group import CommitUnknown, GroupWriter, WriterClosed, WriterFull
from audit.store.prepared import Asked, Prepared
from audit.transactions import Apply, Transactions, Write
from gateway.domain import mandate as mandates
from gateway.domain.alarms import Alarm
from gateway.domain.errors import Refusal, Unavailable
from gateway.domain.facts import ConversationFacts, CustomerFacts, DocumentText, EffectFacts, HeardMessage, Snapshot
from gateway.domain.kill_switch import EngagedSwitches, Subjects
from gateway.domain.limits import Totals
from gateway.domain.mandate import Mandate, StandingMandate
from gateway.domain.obstacle import Obstacle
from gateway.domain.ports import Claim, Claimed, Movement
from gateway.domain.states import SettledAs
from gateway.store import (
    assistants,
    calls,
    conversations,
    customers,
    effect_facts,
    files,
    kill_switches,
    proofs,
    runs,
    spending,
    standing_mandates,
    webhooks,
)
from gateway.store.at_once import ClaimsAtOnce
from gateway.store.conversations import WORDS_AGE_S
from gateway.store.items import Item, Locks

_CACHED_MANDATES = 50_000

FRESH_S = 1.0
"""How old the answer may be on which a call goes on, or an effect happens: a kill switch counts within it, everywhere (G-11)."""

_LOG = logging.getLogger("tellergate.store")

T = TypeVar("T")


class ItemWriter(Protocol):
    """As `GroupWriter`."""

    async def submit(self, item: Item[Any]) -> Any: ...

    async def close(self) -> None: ...


class SharedWriter:
    """The book's part in the transactions of a log, which closes them itself."""

    def __init__(self, transactions: Transactions, apply: Apply, at_once: ClaimsAtOnce) -> None:
        self._transactions = transactions
        transactions.share(apply, at_once)

    async def submit(self, item: Item[Any]) -> Any:
        return (await self._transactions.submit(Write(change=item))).answer

    async def close(self) -> None: ...


class SqlBook:
    """The Book on one database."""

    def __init__(
        self,
        database: Database,
        *,
        mandate_key: mandates.MandateVerifier,
        duplicate_window_s: int,
        words_age_s: int = WORDS_AGE_S,
        tells: bool = False,
        shared: Transactions | None = None,
    ) -> None:
        """The tables of `database` are there. `mandate_key` verifies what customers granted. `tells`: somebody waits for `call.settled`.
        `shared`: the transactions of the log that stands in the same database; a book without one has its own."""
        self._database = database
        self._mandate_key = mandate_key
        self._duplicate_window_s = duplicate_window_s
        self._words_age = timedelta(seconds=words_age_s)
        self._tells = tells
        self._switches = EngagedSwitches(-1, frozenset())
        self._mandates: OrderedDict[tuple[str, int], Mandate] = OrderedDict()
        self._asks_ahead = shared is not None and not isinstance(database, SqliteDatabase)
        """A round trip that the one writer would make for each claim of a group, one after the other, each caller makes itself."""
        self._writer: ItemWriter = (
            GroupWriter(database.lane(), self._apply) if shared is None else SharedWriter(shared, self._apply, ClaimsAtOnce(tells))
        )

    async def close(self) -> None:
        await self._writer.close()
        await self._database.close()

    async def facts(self, customer: str, agent: str, conversation: str, at: datetime) -> Snapshot | None:
        row = await self._fresh(self.ask(conversations.with_customer(conversation, agent, at)))
        if row is None or row.customer != customer:
            return None
        mandate = None if row.mandate_version is None else await self._mandate(customer, row.mandate_version)
        if self._switches.epoch != row.kill_epoch:
            self._switches = await self._fresh(self.read(kill_switches.engaged))
        return Snapshot(CustomerFacts(mandate, row.is_frozen), ConversationFacts(conversation, row.is_tainted), self._switches)

    async def _mandate(self, customer: str, version: int) -> Mandate | None:
        """By version, which every call reads afresh: a changed mandate counts at once, in every process."""
        cached = self._mandates.get((customer, version))
        return cached or await self.read(lambda connection: self._read_mandate(connection, customer, version))

    def _read_mandate(self, connection: Connection, customer: str, version: int) -> Mandate | None:
        cached = self._mandates.get((customer, version))
        if cached is None:
            stored = customers.mandate(connection, customer)
            if stored is None:
                return None
            try:
                cached = mandates.load(stored.mandate, stored.mandate_signature, self._mandate_key)
            except ValueError:
                _LOG.log(*Alarm.MANDATE_NOT_AS_SIGNED.line())
                return None
            if cached.customer != customer or cached.version != version:
                return None  # moved since the first read, or not this customer's: no rights from it
            self._mandates[customer, version] = cached
            if len(self._mandates) > _CACHED_MANDATES:
                self._mandates.popitem(last=False)
        return cached

    async def mandate(self, customer: str) -> Mandate | None:
        version = await self.read(lambda connection: customers.mandate_version(connection, customer))
        return None if version is None else await self._mandate(customer, version)

    async def granted(self, customer: str) -> frozenset[str]:
        mandate = await self.mandate(customer)
        return frozenset() if mandate is None else frozenset(mandate.functions)

    def granting(self, mandate: Mandate, signature: bytes) -> Item[None]:
        return customers.GrantMandates(((mandate, signature),))

    async def has_granted(self, customer: str) -> bool:
        """Whether there is a row of this customer, good or not."""
        return await self.read(lambda connection: customers.mandate_version(connection, customer)) is not None

    async def is_frozen(self, customer: str) -> bool:
        """True also for a customer without a row."""
        return await self.read(lambda connection: customers.is_frozen(connection, customer))

    async def stopped(self, subjects: Subjects) -> Obstacle | None:
        return await self._fresh(self.ask(kill_switches.stopped(subjects)))

    async def totals(self, customer: str, currency: str, now: datetime) -> Totals:
        return await self.read(lambda connection: spending.totals(connection, customer, currency, now))

    async def automatic(self, customer: str, currency: str, now: datetime) -> Mapping[str, Totals]:
        return await self.read(lambda connection: spending.automatic(connection, customer, currency, now))

    async def movements(self, customer: str, of_calls: Collection[str]) -> Mapping[str, Movement]:
        return await self.read(lambda connection: calls.movements(connection, customer, of_calls)) if of_calls else {}

    async def assistant_names(self, ids: Collection[str]) -> Mapping[str, str]:
        return await self.read(lambda connection: assistants.names(connection, ids)) if ids else {}

    async def file_names(self, customer: str, ids: Collection[str], at: datetime) -> Mapping[str, str]:
        return await self.read(lambda connection: files.file_names(connection, customer, ids, at)) if ids else {}

    async def effect_facts(self, customer: str, conversation: str, currency: str, at: datetime) -> EffectFacts:
        window = (at - self._words_age, at)
        heard, standing, spent = await self.ask(effect_facts.effect_facts(customer, conversation, currency, window))
        return EffectFacts(heard, self._standing(customer, standing), spent)

    async def standing(self, customer: str) -> tuple[StandingMandate, ...]:
        return self._standing(customer, await self.read(lambda connection: standing_mandates.of(connection, customer)))

    def _standing(self, customer: str, rows: Sequence[tuple[bytes, bytes]]) -> tuple[StandingMandate, ...]:
        held = [self._load_standing(terms, signature) for terms, signature in rows]
        return tuple(held_call for held_call in held if held_call is not None and held_call.customer == customer)

    def _load_standing(self, terms: bytes, signature: bytes) -> StandingMandate | None:
        try:
            return mandates.load_standing(terms, signature, self._mandate_key)
        except ValueError:
            _LOG.log(*Alarm.MANDATE_NOT_AS_SIGNED.line())
            return None

    async def revoke_standing(self, customer: str, mandate: str, at: datetime) -> bool:
        return await self.write(standing_mandates.RevokeStandingMandate(customer, mandate, at))

    async def earlier(self, conversation: str, turn: str, native_id: str, arguments_hash: bytes) -> Claimed | None:
        ids = (conversation, turn, native_id)
        claimed = await self.read(lambda connection: calls.earlier(connection, *ids, arguments_hash))
        if isinstance(claimed, Refusal):
            raise claimed
        return claimed

    async def find(self, call_id: str) -> Claimed | None:
        return await self.read(lambda connection: calls.find(connection, call_id))

    async def unsettled(self, before: datetime) -> Sequence[Claimed]:
        return await self.read(lambda connection: calls.unsettled(connection, before))

    async def claiming(self, claim: Claim) -> Item[Claimed]:
        item = calls.ClaimCall(claim, self._limits, self._duplicate_window_s)
        if not self._asks_ahead:
            return item
        grounds = await self.ask(item.grounds())
        return replace(item, ahead=grounds)

    def _limits(self, connection: Connection, customer: str, version: int, currency: str) -> mandates.Limits:
        mandate = self._read_mandate(connection, customer, version)
        return mandates.NO_LIMITS if mandate is None else mandate.limits_in(currency)

    def settling(self, call_id: str, state: SettledAs, at: datetime) -> Item[None]:
        return calls.SettleCall(call_id, state, at)

    async def expect_outcome(self, call_id: str, at: datetime) -> None:
        if self._tells:
            await self.write(webhooks.ExpectOutcome(call_id, at))

    async def taint(self, customer: str, agent: str, conversation: str, at: datetime) -> None:
        await self.write(conversations.TaintConversation(customer, agent, conversation, at))

    async def store_document_text(self, call_id: str, conversation: str, reading: DocumentText, at: datetime) -> None:
        await self.write(conversations.StoreDocumentText(call_id, conversation, reading, at))

    async def open_conversation(self, customer: str, at: datetime) -> str:
        conversation = f"conv_{secrets.token_hex(12)}"
        await self.write(conversations.OpenConversation(conversation, customer, at))
        return conversation

    async def store_messages(self, customer: str, conversation: str, messages: Sequence[HeardMessage], at: datetime) -> int | None:
        return await self.write(conversations.StoreMessages(customer, conversation, tuple(messages), at))

    async def grant(self, mandate: Mandate, signature: bytes) -> None:
        """Put a signed mandate in the place of the customer's earlier one."""
        await self.write(customers.GrantMandate(mandate, signature))

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool:
        """SeenProofs: whether this proof was not taken before, by any worker on this database."""
        return await self.write(proofs.StoreProof(jti_hash, key, expires_s))

    async def forget_proofs(self, now: datetime) -> None:
        """Delete the proofs that are too old to be taken anyway."""
        await self.write(proofs.ForgetProofs(int(now.timestamp())))

    async def overwrite_deleted(self) -> None:
        """Leave nothing of what was deleted, where the database can."""
        await self._database.overwrite_deleted()

    async def read(self, question: Callable[[Connection], T]) -> T:
        """A question to the gateway's database. Unavailable when it does not answer."""
        try:
            return await self._database.read(question)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    async def read_long(self, question: Callable[[Connection], T]) -> T:
        """The same beside the calls, without holding them up, over one snapshot."""
        try:
            return await self._database.read_long(question)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    async def ask(self, question: Asked[T]) -> T:
        """The same for a question of one statement."""
        try:
            return await self._database.ask(question)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    async def _fresh(self, answering: Coroutine[Any, Any, T]) -> T:
        """Within `FRESH_S`, or Unavailable: what comes later may be older than a switch that was engaged meanwhile."""
        if isinstance(self._database, SqliteDatabase):
            return await answering  # a file answers at once, on the loop
        # A slow answer is as old as its question: between the two a switch may have been engaged that this call must not pass.
        clock = asyncio.get_running_loop().time
        began_at, reading = clock(), asyncio.ensure_future(answering)
        reading.add_done_callback(lambda late: late.cancelled() or late.exception())  # whether or not anybody still listens
        await asyncio.wait({reading}, timeout=FRESH_S)
        if not reading.done() or clock() - began_at > FRESH_S:  # the second: this process stood still meanwhile
            raise Unavailable("store_unavailable")
        return reading.result()

    async def write(self, item: Item[T]) -> T:
        """A change, by the one writer; durable when it returns. Unavailable when it may not be; Refusal where the rules refuse it."""
        try:
            answer: T = await self._writer.submit(item)
        except (WriterFull, WriterClosed, DatabaseUnavailable, CommitUnknown, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error
        return answer

    def _apply(self, connection: Connection, items: Sequence[Item[Any]]) -> Sequence[Any]:
        settled = [item.settlement for item in items if item.settlement is not None]
        if connection.dialect.name != "sqlite":
            given_back = Locks(customers=calls.owners_of(connection, settled))
            _lock(connection, [given_back, *(item.locks for item in items)])
        # Settled before the others are applied: what is given back here, a claim of the same group may take.
        calls.settle(connection, settled)
        return [self._one(connection, item) for item in items]

    def _one(self, connection: Connection, item: Item[T]) -> T | Exception:
        answer = item.apply(connection)
        if isinstance(answer, Exception):
            return answer
        what = item.consequences(connection, answer)
        if what is not None:
            runs.follow(connection, what)
            if self._tells:
                webhooks.follow(connection, what)
        return answer


_LOCK = Prepared(
    text(
        "WITH held AS ("
        " SELECT customer FROM customers WHERE customer = ANY(CAST(:customers AS text[])) ORDER BY customer FOR NO KEY UPDATE"
        "), moved AS ("
        " UPDATE customers SET moves = moves + 1 WHERE customer = ANY(ARRAY(SELECT customer FROM held)) RETURNING customer"
        "), held_too AS ("
        " SELECT id FROM conversations WHERE id = ANY(CAST(:conversations AS text[])) AND (SELECT count(*) FROM moved) >= 0"
        " ORDER BY id FOR NO KEY UPDATE"
        ") SELECT count(*) FROM held_too"
    )
)
"""Until the transaction ends. All customers first, since no conversation passes the condition before they are counted. Whoever read
something of these customers before, without a lock, finds by `moves` that it may be different now."""


def _lock(connection: Connection, wanted: Sequence[Locks]) -> None:
    """What a group decides on does not move until it is committed. Always in this order: two processes cannot wait for each other."""
    if any(locks.kill_switches for locks in wanted):
        kill_switches.lock(connection)
    theirs = sorted(frozenset[str]().union(*(locks.customers for locks in wanted)))
    among = sorted(frozenset[str]().union(*(locks.conversations for locks in wanted)))
    if theirs or among:
        _LOCK.rows(connection, {"customers": theirs, "conversations": among})
