"""The gateway's database: one reader connection on the loop, one grouped writer, and the Book that the way sees.

On SQLite a read costs about 12 us on the loop, less than handing it to a thread; writes are grouped, and only the commit's fsync runs
in a thread.
"""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit.group import CommitUnknown, GroupWriter, WriterBusy, WriterClosed, WriterFull, open_sqlite
from gateway import mandate as mandates
from gateway.errors import Unavailable
from gateway.limits import Totals
from gateway.mandate import Mandate
from gateway.ports import Claim, Claimed
from gateway.stages import ConversationFacts, CustomerFacts
from gateway.store import calls, conversations, customers, proofs
from gateway.store.tables import METADATA

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


class Database:
    """The Book on SQLite."""

    def __init__(self, path: Path, *, mandate_key: Ed25519PublicKey, duplicate_window_s: int) -> None:
        self._engine = open_sqlite(path)
        METADATA.create_all(self._engine)
        self._reader = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._mandate_key = mandate_key
        self._duplicate_window_s = duplicate_window_s
        self._mandates: OrderedDict[tuple[str, int], Mandate] = OrderedDict()
        self._writer: GroupWriter[Write, Answer] = GroupWriter(self._engine, self._apply)

    async def close(self) -> None:
        await self._writer.close()
        self._reader.close()
        self._engine.dispose()

    def facts(self, customer: str, conversation: str) -> tuple[CustomerFacts, ConversationFacts] | None:
        row = conversations.with_customer(self._reader, conversation)
        if row is None or row.customer != customer:
            return None
        mandate = None if row.mandate_version is None else self._mandate(customer, row.mandate_version)
        return CustomerFacts(mandate, row.is_frozen), ConversationFacts(conversation, row.is_tainted)

    def _mandate(self, customer: str, version: int) -> Mandate | None:
        cached = self._mandates.get((customer, version))
        if cached is None:
            stored = customers.mandate(self._reader, customer)
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

    def granted(self, customer: str) -> frozenset[str]:
        version = customers.mandate_version(self._reader, customer)
        mandate = None if version is None else self._mandate(customer, version)
        return frozenset() if mandate is None else frozenset(mandate.functions)

    def has_granted(self, customer: str) -> bool:
        """Whether there is a row of this customer, good or not."""
        return customers.mandate_version(self._reader, customer) is not None

    def is_frozen(self, customer: str) -> bool:
        return customers.is_frozen(self._reader, customer)

    def totals(self, customer: str, currency: str, now: datetime) -> Totals:
        return calls.totals(self._reader, customer, currency, now)

    def find(self, call_id: str) -> Claimed | None:
        return calls.find(self._reader, call_id)

    def unsettled(self, before: datetime) -> Sequence[Claimed]:
        return calls.unsettled(self._reader, before)

    async def claim(self, claim: Claim) -> Claimed:
        claimed = await self._write(calls.NewCall(claim, self._limits_of))
        if not isinstance(claimed, Claimed):
            raise TypeError("a claim is answered with its row")
        return claimed

    def _limits_of(self, customer: str, version: int, currency: str) -> mandates.Limits:
        mandate = self._mandate(customer, version)
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

    async def _write(self, item: Write) -> Answer:
        try:
            return await self._writer.submit(item)
        except (WriterFull, WriterBusy, WriterClosed, CommitUnknown, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    def _apply(self, connection: Connection, items: Sequence[Write]) -> Sequence[Answer | Exception]:
        return [self._one(connection, item) for item in items]

    def _one(self, connection: Connection, item: Write) -> Answer | Exception:
        match item:
            case calls.NewCall():
                return calls.claim(connection, item, self._duplicate_window_s)
            case calls.Settlement():
                calls.settle(connection, item)
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
