"""The Book that the way sees, on SQL: questions to the gateway's database, and one grouped writer.

Several processes may keep the same book on PostgreSQL: a group first locks the customers and conversations that it is about, in one
order, and reads what it decides on after that.
"""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit.database import Database, DatabaseUnavailable
from audit.group import CommitUnknown, GroupWriter, WriterClosed, WriterFull
from gateway import mandate as mandates
from gateway.errors import Unavailable
from gateway.limits import Totals
from gateway.mandate import Mandate
from gateway.ports import Claim, Claimed
from gateway.stages import ConversationFacts, CustomerFacts, Known
from gateway.store import calls, conversations, customers, proofs

_CACHED_MANDATES = 50_000

_LOG = logging.getLogger("tellergate.store")

Write = (
    calls.NewCall
    | calls.Settlement
    | conversations.Opening
    | conversations.Tainting
    | conversations.Hearing
    | customers.Grant
    | proofs.Seen
    | proofs.Sweep
)
Answer = Claimed | str | int | None

T = TypeVar("T")


class SqlBook:
    """The Book on one database."""

    def __init__(self, database: Database, *, mandate_key: Ed25519PublicKey, duplicate_window_s: int) -> None:
        """The tables of `database` are there. `mandate_key` verifies what customers granted."""
        self._database = database
        self._mandate_key = mandate_key
        self._duplicate_window_s = duplicate_window_s
        self._mandates: OrderedDict[tuple[str, int], Mandate] = OrderedDict()
        self._writer: GroupWriter[Write, Answer] = GroupWriter(database.lane(), self._apply)

    async def close(self) -> None:
        await self._writer.close()
        await self._database.close()

    async def facts(self, customer: str, conversation: str) -> Known | None:
        row = await self._read(lambda connection: conversations.with_customer(connection, conversation))
        if row is None or row.customer != customer:
            return None
        mandate = None if row.mandate_version is None else await self._mandate(customer, row.mandate_version)
        return CustomerFacts(mandate, row.is_frozen), ConversationFacts(conversation, row.is_tainted)

    async def _mandate(self, customer: str, version: int) -> Mandate | None:
        """By version, which every call reads afresh: a changed mandate counts at once, in every process."""
        known = self._mandates.get((customer, version))
        return known or await self._read(lambda connection: self._read_mandate(connection, customer, version))

    def _read_mandate(self, connection: Connection, customer: str, version: int) -> Mandate | None:
        cached = self._mandates.get((customer, version))
        if cached is None:
            stored = customers.mandate(connection, customer)
            if stored is None:
                return None
            try:
                cached = mandates.load(stored.mandate, stored.mandate_signature, self._mandate_key)
            except ValueError:
                _LOG.error('{"alarm": "mandate_not_as_signed"}')
                return None
            if cached.customer != customer or cached.version != version:
                return None  # moved since the first read, or not this customer's: no rights from it
            self._mandates[customer, version] = cached
            if len(self._mandates) > _CACHED_MANDATES:
                self._mandates.popitem(last=False)
        return cached

    async def granted(self, customer: str) -> frozenset[str]:
        version = await self._read(lambda connection: customers.mandate_version(connection, customer))
        mandate = None if version is None else await self._mandate(customer, version)
        return frozenset() if mandate is None else frozenset(mandate.functions)

    async def has_granted(self, customer: str) -> bool:
        """Whether there is a row of this customer, good or not."""
        return await self._read(lambda connection: customers.mandate_version(connection, customer)) is not None

    async def is_frozen(self, customer: str) -> bool:
        return await self._read(lambda connection: customers.is_frozen(connection, customer))

    async def totals(self, customer: str, currency: str, now: datetime) -> Totals:
        return await self._read(lambda connection: calls.totals(connection, customer, currency, now))

    async def find(self, call_id: str) -> Claimed | None:
        return await self._read(lambda connection: calls.find(connection, call_id))

    async def unsettled(self, before: datetime) -> Sequence[Claimed]:
        return await self._read(lambda connection: calls.unsettled(connection, before))

    async def claim(self, claim: Claim) -> Claimed:
        claimed = await self._write(calls.NewCall(claim, self._limits))
        if not isinstance(claimed, Claimed):
            raise TypeError("a claim is answered with its row")
        return claimed

    def _limits(self, connection: Connection, customer: str, version: int, currency: str) -> mandates.Limits:
        mandate = self._read_mandate(connection, customer, version)
        return mandates.NO_LIMITS if mandate is None else mandate.limits_in(currency)

    async def settle(self, call_id: str, state: str, at: datetime) -> None:
        await self._write(calls.Settlement(call_id, state, at))

    async def taint(self, conversation: str) -> None:
        await self._write(conversations.Tainting(conversation))

    async def open_conversation(self, customer: str, at: datetime) -> str:
        conversation = f"conv_{secrets.token_hex(12)}"
        await self._write(conversations.Opening(conversation, customer, at))
        return conversation

    async def hear(self, customer: str, conversation: str, messages: Sequence[tuple[str, str]], at: datetime) -> int | None:
        count = await self._write(conversations.Hearing(customer, conversation, tuple(messages), at))
        return count if isinstance(count, int) else None

    async def grant(self, mandate: Mandate, signature: bytes) -> None:
        """Put a signed mandate in the place of the customer's earlier one."""
        await self._write(customers.Grant(mandate, signature))

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool:
        """SeenProofs: whether this proof was not taken before, by any worker on this database."""
        return await self._write(proofs.Seen(jti_hash, key, expires_s)) is True

    async def forget_proofs(self, now: datetime) -> None:
        """Delete the proofs that are too old to be taken anyway."""
        await self._write(proofs.Sweep(int(now.timestamp())))

    async def _read(self, question: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(question)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    async def _write(self, item: Write) -> Answer:
        try:
            return await self._writer.submit(item)
        except (WriterFull, WriterClosed, DatabaseUnavailable, CommitUnknown, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    def _apply(self, connection: Connection, items: Sequence[Write]) -> Sequence[Answer | Exception]:
        self._lock(connection, items)
        calls.settle(connection, [item for item in items if isinstance(item, calls.Settlement)])
        return [self._one(connection, item) for item in items]

    def _lock(self, connection: Connection, items: Sequence[Write]) -> None:
        """What these items decide on does not move until they are committed. SQLite's one writer holds everything anyway."""
        if connection.dialect.name == "sqlite":
            return
        claims = [item.claim for item in items if isinstance(item, calls.NewCall)]
        spoken_in = {item.id for item in items if isinstance(item, conversations.Hearing | conversations.Tainting)}
        customers.lock(connection, {claim.customer for claim in claims})
        conversations.lock(connection, {claim.conversation for claim in claims} | spoken_in)

    def _one(self, connection: Connection, item: Write) -> Answer | Exception:
        match item:
            case calls.NewCall():
                return calls.claim(connection, item, self._duplicate_window_s)
            case calls.Settlement():
                return None  # with all others of its group
            case conversations.Tainting():
                conversations.taint(connection, item)
            case conversations.Opening():
                conversations.open_one(connection, item)
            case conversations.Hearing():
                return conversations.hear(connection, item)
            case customers.Grant():
                customers.grant(connection, item)
            case proofs.Seen():
                return proofs.first_use(connection, item)
            case proofs.Sweep():
                return proofs.sweep(connection, item)
        return None
