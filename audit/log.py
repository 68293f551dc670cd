"""The log: records in, durable and proven entries out.

Owns the committer, the tree and the checkpoints. Order of things: a read is one record, durable before its output leaves; anything
with an effect is an intent, durable before a byte goes to the core, and an outcome, durable before the answer.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.checkpoint import Checkpoint, Note, NoteInvalid, VerifierKey, sign_checkpoint
from audit.committer import Committer, LogEntry, Pending, Publication, Removal
from audit.database import Database, DatabaseUnavailable
from audit.disclosure import SALT_BYTES
from audit.group import CommitUnknown, WriterClosed, WriterFull
from audit.heads import LogHeads
from audit.keyring import KeyRefused, SignerUnavailable
from audit.keys import DataKey, KeyStore, SigningKeys
from audit.leaf import Frame, LeafInvalid, Record, RecordKind, disclose, rfc3339, secrets_of
from audit.lineage import Lineage, read_lineage
from audit.merkle import inclusion_proof, range_root
from audit.permits import Covered, LogPermitVerifier, Permit, instruction_digest, issue_beside
from audit.rotation_records import RotationRecords
from audit.seal import NONCE_BYTES, SealBinding, digest, seal
from audit.store.find import Filter, find
from audit.store.reads import LogCorrupt, Nodes, OpenIntent, Reads, StoredLeaf
from audit.store.writes import Head, read_head
from audit.template import Templates
from audit.transactions import CommittedWrite, Transactions, Write, always

APPEND_TIMEOUT_MS = 5_000
"""For who has no deadline of their own, such as the record of a start. A call waits as long as its settings say."""

PERMIT_LIFETIME = timedelta(seconds=30)
"""First send before this; afterwards only the status is asked."""

PERMIT_OVERLAP = timedelta(minutes=2)
"""So long after a rotation a permit by the key before it is taken: more than it lives, and clocks differ."""

PERMITS_WAITING_MOST = 16_384
"""Intents whose permit was not asked for yet."""

LEAVES_MOST = 2**62
"""A size beyond every log: for reads that want all there is."""

SILENCE_MOST = timedelta(seconds=60)
"""A log that does not grow publishes a checkpoint at least this often, so that silence is an alarm."""

MADE_UP = "tellergate.invalid"
"""The domain of logs that nobody gave a name; eight random bytes follow, so that no two installations sign under one."""

T = TypeVar("T")


class LogUnavailable(Exception):
    """The record is not known to be durable. It may have been committed after all: the records of the call tell."""


class PermitDenied(Exception):
    """No permit: not an intent that this process appended, already given, or over other bytes than the intent's."""


@dataclass(frozen=True, slots=True)
class LogProof:
    """What a caller gets: an inclusion proof of a leaf under a tree size (RFC 6962 section 2.1.1). `root` is that tree's."""

    index: int
    size: int
    leaf_hash: bytes
    hashes: tuple[bytes, ...]
    root: bytes


@dataclass(frozen=True, slots=True)
class _Intent:
    leaf_hash: bytes
    salt: bytes
    digest: bytes


class Log:
    """One append-only, signed log.

    Durability: `append` returns after the commit (fsync). Concurrency: one event loop per process, any number of processes on the
    same database. Retry: a record that raised LogUnavailable may have been written. Errors: LeafInvalid (the
    record breaks the schema), LogUnavailable, IntentEnded (a second end state), LogCorrupt (stop and look).
    """

    def __init__(
        self,
        database: Database,
        signers: SigningKeys,
        keys: KeyStore,
        *,
        origin: str,
        writer_id: str,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self.origin = origin
        self.lineage = Lineage(origin)
        self.writer_id = writer_id
        self.keys = keys
        self.signers = signers
        self._database = database
        self._clock = clock
        self._random = random
        self._heads = LogHeads(origin, signers, keys)
        self._committer = Committer(self._heads)
        self.transactions = Transactions(database.lane(), self._committer)
        """Of this log's database, for who has tables beside it there."""
        self._templates = Templates()
        self._rotations = RotationRecords()
        self._permits: OrderedDict[int, _Intent] = OrderedDict()
        self._publishing = asyncio.Lock()
        self.checkpoint_s: int | None = None  # when the last one was published, as this process last saw; seconds since 1970
        self.erasing = asyncio.Lock()
        """Held from the look at the holds to the destruction, and while a hold is placed, so that none slips in between. Of this
        process alone: several that erase at once need an order of their own."""

    @classmethod
    async def open(
        cls,
        database: Database,
        signers: SigningKeys,
        keys: KeyStore,
        *,
        origin: str | None,
        writer_id: str,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> "Log":
        """Open the log in `database`, whose tables are there, or begin one. KeyRefused, LogCorrupt: the head and the tree's frontier
        are checked. `origin` is the name of a new log, and None where the log that is there may have any. A head that nobody signed,
        since a process died after its commit, is signed. LogUnavailable.
        """

        def under(name: str) -> "Log":
            return cls(database, signers, keys, origin=name, writer_id=writer_id, clock=clock, random=random)

        with _answering():
            stored = await database.read(read_head)
            if stored is None:
                made = under(origin or f"{MADE_UP}/{random(8).hex()}")
                with suppress(IntegrityError):  # another process was first
                    await database.write(made._committer.begin)
                stored = await database.read(read_head)
            if stored is None or stored.origin is None or origin not in (None, stored.origin):
                raise LogCorrupt("the stored log is of another origin")
            log = under(stored.origin)
            await log.read_long(log._load)
            await database.write(log._committer.sign_stored)
        return log

    def _load(self, reads: Reads) -> None:
        self._committer.load(reads)
        self.lineage = read_lineage(reads, self._committer.size, self.origin)

    def under(self, origin: str) -> "Log":
        """The same tree as this process knows it, to be gone on with under another origin: for `audit.succession` alone, which moves the
        head in the same transaction. Both have one database: close either."""
        given = {"origin": origin, "writer_id": self.writer_id, "clock": self._clock, "random": self._random}
        made = Log(self._database, self.signers, self.keys, **given)  # type: ignore[arg-type]  # as they were given here
        made._committer.take_over(self._committer)
        return made

    async def read(self, question: Callable[[Reads], T]) -> T:
        """Ask the stored log, as part of a call. LogUnavailable when it does not answer."""
        with _answering():
            return await self._database.read(lambda connection: question(Reads(connection)))

    async def read_long(self, question: Callable[[Reads], T]) -> T:
        """Ask the stored log, one snapshot of it, beside the calls. LogUnavailable when it does not answer."""
        with _answering():
            return await self._database.read_long(lambda connection: question(Reads(connection)))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """One small transaction beside the committer's, for what stands beside the leaves. LogUnavailable; IntegrityError as it is."""
        with _answering():
            return await self._database.write(work)

    async def subject_of(self, customer: str) -> str | None:
        """The pseudonym of a customer, None if they have no record or were erased. LogUnavailable."""
        with _answering():
            return await self.keys.subject_of(customer)

    async def meet(self, customer: str | None, retention: str) -> None:
        """Make the key of a customer before their first record of this retention class, so that it need not be made within the time of
        an append. LogUnavailable when that takes longer than `APPEND_TIMEOUT_MS`."""
        try:
            async with asyncio.timeout(APPEND_TIMEOUT_MS / 1000):
                with _answering():
                    if self.keys.known(customer, retention) is None:
                        await self.keys.key_for(customer, retention)
        except TimeoutError as error:
            raise LogUnavailable("no key was made in time; nothing was written") from error

    async def append(self, record: Record, *, timeout_ms: int = APPEND_TIMEOUT_MS) -> LogEntry:
        """Make `record` durable. LeafInvalid before anything was written; LogUnavailable when it is not durable within
        `timeout_ms`, in which case it may have been committed after all; IntentEnded for a second end state of an intent.
        """
        _, entry = await self.append_with(None, record, timeout_ms=timeout_ms)
        if entry is None:
            raise TypeError("the committer answers a record with an entry")
        return entry

    async def append_with(
        self, change: Any, record: Record, *, wants: Callable[[Any], bool] = always, timeout_ms: int = APPEND_TIMEOUT_MS
    ) -> tuple[Any, LogEntry | None]:
        """Make a change of who shares the transactions and `record` durable together: both or neither. The change's answer, and the
        entry; None where `wants` says of the answer that the record does not belong to it. As `append`, and what the change itself
        refuses is raised; IntentEnded leaves the change made.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):  # the key of a new customer is made within it
                with _answering():
                    key = self.keys.known(record.customer, record.retention)
                    key = key or await self.keys.key_for(record.customer, record.retention)
                pending, intent = self._prepare(record, key)
                written = await self._submit(Write(pending, change, wants))
        except TimeoutError as error:
            raise LogUnavailable("not durable in time; it may be later") from error
        if intent is not None and written.entry is not None:
            self._permits[written.entry.index] = _Intent(written.entry.leaf_hash, *intent)
            if len(self._permits) > PERMITS_WAITING_MOST:
                self._permits.popitem(last=False)
        return written.answer, written.entry

    async def permit(self, entry: LogEntry, over: bytes) -> Permit:
        """The execution permit of an intent that this process has just appended, once. PermitDenied otherwise; LogUnavailable.

        `over` must be the `instruction` of that record: the leaf commits to the very digest that the permit carries.
        """
        intent = self._permits.pop(entry.index, None)
        if intent is None or intent.leaf_hash != entry.leaf_hash:
            raise PermitDenied("not an intent that waits for its permit")
        if instruction_digest(intent.salt, over) != intent.digest:
            raise PermitDenied("the intent is over another instruction")
        covered = Covered(self.origin, entry.index, intent.leaf_hash, intent.salt, intent.digest)
        with _answering():
            return await issue_beside(covered, self._clock(), PERMIT_LIFETIME, self.signers.permits.sign_beside)

    def permit_verifier(self) -> LogPermitVerifier:
        """What the core side checks permits with. It holds public keys only: those that may have signed one that is still good."""
        return LogPermitVerifier(self.permit_keys, self.origin)

    def permit_keys(self) -> Sequence[bytes]:
        """The public keys of permits: the active one, one that has yet to begin, and for a while the one before."""
        return self.signers.permits.publics(PERMIT_OVERLAP.total_seconds())

    def log_keys(self) -> list[VerifierKey]:
        """The public keys that sign published checkpoints: Ed25519 and ML-DSA-44, both under the log's origin."""
        return [log_key.key for log_key in self.signers.log_keys(self.origin)]

    def now(self) -> datetime:
        """The log's clock."""
        return self._clock()

    def size(self) -> int:
        """Leaves committed, as this process knows: at least those that it appended itself."""
        return self._committer.size

    def stored_head(self, reads: Reads) -> Head:
        """The stored head, whose signature was checked: what is committed, by whichever process. LogCorrupt."""
        head = reads.head()
        if head is None:
            raise LogCorrupt("the stored head is gone")
        self._heads.check(head)
        return head

    async def head(self) -> tuple[int, bytes]:
        """Size and root of what is committed."""
        head = await self.read(self.stored_head)
        return head.size, head.root

    async def proof(self, index: int, size: int | None = None) -> LogProof:
        """Inclusion of the leaf at `index` in the tree of `size` leaves (None: all). ValueError when there is none such."""

        def ask(reads: Reads) -> LogProof:
            all_of = self.stored_head(reads).size
            chosen = all_of if size is None else size
            if not 0 <= index < chosen <= all_of:
                raise ValueError("no such leaf or tree")
            nodes = Nodes(reads, chosen)
            hashes = tuple(inclusion_proof(index, chosen, nodes))
            return LogProof(index, chosen, nodes(0, index), hashes, range_root(0, chosen, nodes))

        return await self.read(ask)

    async def checkpoint(self) -> str | None:
        """The latest published checkpoint, a signed note; None before the first."""
        published = await self.read(Reads.checkpoint)
        return None if published is None else published.note

    async def publish(self, *, force: bool = False) -> str | None:
        """Publish a checkpoint if the log grew, if the last one is 60 s old, or if forced; its note, or None if there was no need.

        Call it each second; where several processes do, the first of a second does the work. Before a checkpoint is signed, the leaf
        hashes since the last published one are computed again from the stored bytes. LogCorrupt when they differ: nothing is signed
        then. LogUnavailable when the database does not answer.
        """
        async with self._publishing:
            await self.take_over_rotations()
            now_s = int(self._clock().timestamp())
            with _answering():
                await self.keys.refresh()
            head, last = await self.read(lambda reads: (self.stored_head(reads), reads.checkpoint()))
            if head.size == 0 or (not force and last is not None and not self._is_due(head, last, now_s)):
                return None
            tree = await self.read_long(lambda reads: self._committer.recomputed(reads, last))
            with _answering():
                await self.keys.note_position(tree.size, tree.root)
            checkpoint = Checkpoint(self.origin, tree.size, tree.root)
            note = await asyncio.to_thread(sign_checkpoint, checkpoint, self.signers.log_keys(self.origin, now_s), now_s)
            await self._submit(Write(Publication(tree, note.encode(), now_s)))
            return note.encode()

    async def take_over_rotations(self) -> None:
        """Before a checkpoint is signed by a new key, it is on record. LogUnavailable: unread, a key might sign whose time is over."""
        try:
            await self._rotations.take_over(self, (*self.signers.all(), self.keys.wrapping))
        except KeyRefused as error:
            raise LogUnavailable("the keys cannot be read again; nothing was signed") from error

    async def remove_sealed(self, indexes: Sequence[int]) -> None:
        """Remove sealed blobs for good. Only `audit.erasure` calls this, after the record of it. LogUnavailable."""
        await self._submit(Write(Removal(tuple(indexes))))

    async def open_intents(self) -> list[OpenIntent]:
        """Intents without a final end state, oldest first: what a sweep must settle."""
        return await self.read(Reads.open_intents)

    async def entries_of(self, call_id: str) -> list[StoredLeaf]:
        """The records of one call, in order. For the gateway's own work: what auditors ask is recorded."""
        return await self.read(lambda reads: find(reads.connection, Filter(call=call_id), LEAVES_MOST, -1, 1000))

    async def close(self) -> None:
        """Write what waits and let go of the databases. Publishes nothing: call `publish` before."""
        await self.transactions.close()
        await self.keys.close()
        await self._database.close()

    async def _submit(self, write: Write) -> CommittedWrite:
        try:
            return await self.transactions.submit(write)
        except IntegrityError as error:
            raise LogCorrupt("something stands where the next record belongs: was the tail cut?") from error
        except (WriterFull, WriterClosed, DatabaseUnavailable, SignerUnavailable, SQLAlchemyError) as error:
            raise LogUnavailable("nothing was written") from error
        except CommitUnknown as error:
            raise LogUnavailable("the commit failed; it may have happened") from error

    def _prepare(self, record: Record, key: DataKey) -> tuple[Pending, tuple[bytes, bytes] | None]:
        if record.kind is RecordKind.INTENT and record.instruction is None:
            raise LeafInvalid("instruction: absent")
        secrets, time = secrets_of(record), rfc3339(record.time)
        entropy = self._random(SALT_BYTES * len(secrets) + NONCE_BYTES)
        disclosed = disclose(secrets, entropy[NONCE_BYTES:])
        blob = None
        if secrets:
            binding = SealBinding(self.origin, key.subject, record.retention, record.kind.value, time)
            blob = seal(key.cipher, entropy[:NONCE_BYTES], disclosed.payload(), binding)
        subject = None if record.customer is None else key.subject
        frame = Frame(self.origin, self.writer_id, subject, None if blob is None else digest(blob))
        pending = Pending(record, time, self._templates.render(record, disclosed, frame), subject, blob)
        if record.kind is not RecordKind.INTENT:
            return pending, None
        at = next(number for number, secret in enumerate(secrets) if secret[1] == "instruction" and not secret[0])
        salt = entropy[NONCE_BYTES + at * SALT_BYTES : NONCE_BYTES + (at + 1) * SALT_BYTES]
        return pending, (salt, hashlib.sha256(disclosed.disclosures["instruction"].encode()).digest())

    def _is_due(self, head: Head, last: Head, now_s: int) -> bool:
        """A log that grew is published at most once a second, one that did not each `SILENCE_MOST`."""
        try:
            known = self.lineage.verify(self.signers, Note.parse(last.note.encode()))
        except NoteInvalid as error:
            raise LogCorrupt("the last checkpoint is not signed by this log") from error
        self.checkpoint_s, age_s = known.time_s, None if known.time_s is None else now_s - known.time_s
        return age_s is None or age_s >= (SILENCE_MOST.total_seconds() if last.size == head.size else 1)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, DatabaseUnavailable, SignerUnavailable) as error:
        raise LogUnavailable("the database, or what holds the keys, does not answer; nothing was written") from error
