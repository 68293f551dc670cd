"""The log: records in, durable and proven entries out.

Owns the committer, the tree and the checkpoints. Order of things: a read is one record, durable before its output leaves; anything
with an effect is an intent, durable before a byte goes to the core, and an outcome, durable before the answer.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.checkpoint import Checkpoint, Note, NoteInvalid, VerifierKey, sign_checkpoint, sign_note, verify_checkpoint, verify_note
from audit.committer import Committer, Entry, Item, Pending, Publication, Removal
from audit.disclosure import SALT_BYTES
from audit.group import CommitUnknown, GroupWriter, WriterBusy, WriterClosed, WriterFull, open_sqlite
from audit.keys import KeyStore, SigningKeys, make_files, read_files
from audit.leaf import Frame, Kind, LeafInvalid, Record, disclose, leaf_fields, render, rfc3339, secrets_of
from audit.merkle import TILE_HEIGHT, TILE_WIDTH, consistency_proof, inclusion_proof, range_root
from audit.permits import Covered, Permit, Verifier, instruction_digest, issue
from audit.schema import check_fields
from audit.seal import NONCE_BYTES, Binding, digest, seal
from audit.store.find import Filter, count_kinds, find
from audit.store.reads import LogCorrupt, Nodes, OpenIntent, Reads, StoredLeaf
from audit.store.tables import log_tables

APPEND_TIMEOUT_MS = 250

PERMIT_LIFETIME = timedelta(seconds=30)
"""First send before this; afterwards only the status is asked."""

PERMITS_WAITING_MOST = 16_384
"""Intents whose permit was not asked for yet."""

SILENCE_MOST = timedelta(seconds=60)
"""A log that does not grow publishes a checkpoint at least this often, so that silence is an alarm."""


class LogUnavailable(Exception):
    """The record is not known to be durable. It may have been committed after all: `life_of` the call tells."""


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


@dataclass(frozen=True, slots=True)
class Stores:
    """The two databases of a log: the log itself, and the key store, which is kept out of the log's backups."""

    log: Engine
    keys: Engine


class Log:
    """One append-only, signed log.

    Durability: `append` returns after the commit (fsync). Concurrency: one event loop per process; a second process on the same
    database (a command line) is safe. Retry: a record that raised LogUnavailable may have been written. Errors: LeafInvalid (the
    record breaks the schema), LogUnavailable, IntentEnded (a second end state), LogCorrupt (stop and look).
    """

    def __init__(
        self,
        stores: Stores,
        signers: SigningKeys,
        keys: KeyStore,
        *,
        origin: str,
        writer_id: str,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self.origin = origin
        self.writer_id = writer_id
        self.keys = keys
        self.signers = signers
        self.reads = Reads(stores.log)
        self.engine = stores.log
        self._stores = stores
        self._clock = clock
        self._random = random
        log_tables.create_all(stores.log)
        self._log_keys = signers.log_keys(origin)
        self._committer = Committer(self.reads, self._sign_head, self._check_head)
        self._writer: GroupWriter[Item, Entry | None] = GroupWriter(
            stores.log, self._committer.apply, committed=self._committer.committed, failed=self._committer.failed
        )
        self._permits: OrderedDict[int, _Intent] = OrderedDict()
        self._publishing = asyncio.Lock()
        self.erasing = asyncio.Lock()
        """Held from the look at the holds to the destruction, and while a hold is placed, so that none slips in between."""

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        origin: str,
        writer_id: str,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> "Log":
        """Open the log in `folder`, or begin one there: `log.sqlite`, `keys.sqlite`, and key files under `secrets/`, all private.

        Checks the stored head's signature and the tree's frontier against it. KeyRefused, LogCorrupt.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        secrets = folder / "secrets"
        if not (folder / "log.sqlite").exists():
            make_files(secrets, random)
        signers, kek = read_files(secrets)
        for name in ("log.sqlite", "keys.sqlite"):
            (folder / name).touch(mode=0o600)
        stores = Stores(open_sqlite(folder / "log.sqlite"), open_sqlite(folder / "keys.sqlite"))
        keys = KeyStore(stores.keys, kek, clock, random)
        log = cls(stores, signers, keys, origin=origin, writer_id=writer_id, clock=clock, random=random)
        try:
            log._committer.load()
        except LogCorrupt:
            stores.log.dispose()
            keys.close()
            raise
        return log

    async def append(self, record: Record, *, timeout_ms: int = APPEND_TIMEOUT_MS) -> Entry:
        """Make `record` durable. LeafInvalid before anything was written; LogUnavailable when it is not durable within
        `timeout_ms`, in which case it may have been committed after all; IntentEnded for a second end state of an intent.
        """
        try:
            pending, intent = self._prepare(record)
        except SQLAlchemyError as error:
            raise LogUnavailable("the key store does not answer; nothing was written") from error
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                entry = await self._submit(pending)
        except TimeoutError as error:
            raise LogUnavailable("not durable in time; it may be later") from error
        if entry is None:
            raise TypeError("the committer answers a record with an entry")
        if intent is not None:
            self._permits[entry.index] = _Intent(entry.leaf_hash, *intent)
            if len(self._permits) > PERMITS_WAITING_MOST:
                self._permits.popitem(last=False)
        return entry

    def permit(self, entry: Entry, over: bytes) -> Permit:
        """The execution permit of an intent that this process has just appended, once. PermitDenied otherwise.

        `over` must be the `instruction` of that record: the leaf commits to the very digest that the permit carries.
        """
        intent = self._permits.pop(entry.index, None)
        if intent is None or intent.leaf_hash != entry.leaf_hash:
            raise PermitDenied("not an intent that waits for its permit")
        if instruction_digest(intent.salt, over) != intent.digest:
            raise PermitDenied("the intent is over another instruction")
        covered = Covered(self.origin, entry.index, intent.leaf_hash, intent.salt, intent.digest)
        return issue(covered, self._clock(), PERMIT_LIFETIME, self.signers.permits.sign)

    def permit_verifier(self) -> Verifier:
        """What the core side checks permits with. It holds the public key only."""
        return Verifier(self.signers.permits.public, self.origin)

    def log_keys(self) -> list[VerifierKey]:
        """The public keys that sign published checkpoints: Ed25519 and ML-DSA-44, both under the log's origin."""
        return [each.key for each in self._log_keys]

    def now(self) -> datetime:
        """The log's clock."""
        return self._clock()

    def head(self) -> tuple[int, bytes]:
        """Size and root that were committed, as this process knows."""
        return self._committer.head()

    def size(self) -> int:
        """Leaves committed, as this process knows."""
        return self._committer.size

    def proof(self, index: int, size: int | None = None) -> LogProof:
        """Inclusion of the leaf at `index` in the tree of `size` leaves (None: all). ValueError when there is none such."""
        size = self.size() if size is None else size
        if not 0 <= index < size <= self.size():
            raise ValueError("no such leaf or tree")
        nodes = Nodes(self.reads, size)
        hashes = tuple(inclusion_proof(index, size, nodes))
        return LogProof(index, size, nodes(0, index), hashes, range_root(0, size, nodes))

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Proof that the tree of `old` leaves is a prefix of that of `new`. ValueError for sizes that are none."""
        if new > self.size():
            raise ValueError("no such tree")
        return consistency_proof(old, new, Nodes(self.reads, new))

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first `width` hashes of a tile (C2SP tlog-tiles); 256 for a full one. ValueError where the log has fewer."""
        if not 0 <= level < 8 or index < 0 or not 0 < width <= TILE_WIDTH:
            raise ValueError("no such tile")
        if index * TILE_WIDTH + width > self.size() >> (TILE_HEIGHT * level):
            raise ValueError("no such tile yet")
        return b"".join(Nodes(self.reads, self.size()).tile(level, index)[:width])

    def entry_bundle(self, index: int, width: int = TILE_WIDTH) -> bytes:
        """Leaves of the level-0 tile of this index, each behind its length in 16 bits (C2SP tlog-tiles). For auditors only."""
        start = index * TILE_WIDTH
        if index < 0 or not 0 < width <= TILE_WIDTH or start + width > self.size():
            raise ValueError("no such bundle yet")
        return b"".join(len(each.leaf).to_bytes(2) + each.leaf for each in self.reads.leaves(start, start + width))

    def checkpoint(self) -> str | None:
        """The latest published checkpoint, a signed note; None before the first."""
        published = self.reads.checkpoint()
        return None if published is None else published.note

    async def publish(self, *, force: bool = False) -> str | None:
        """Publish a checkpoint if the log grew, if the last one is 60 s old, or if forced; its note, or None if there was no need.

        Call it each second. Before it is signed, the leaf hashes since the last published one are computed again from the
        stored bytes. LogCorrupt when they differ: nothing is signed then. LogUnavailable when it could not be stored.
        """
        async with self._publishing:
            self._committer.catch_up(self.reads.head())
            last = self.reads.checkpoint()
            now_s = int(self._clock().timestamp())
            if self.size() == 0:
                return None
            if not force and last is not None and last.size == self.size() and self._is_fresh(last.note, now_s):
                return None
            tree = await asyncio.to_thread(self._committer.recomputed, last)
            checkpoint = Checkpoint(self.origin, tree.size, tree.root)
            note = sign_checkpoint(checkpoint, self._log_keys, now_s).encode()
            await self._submit(Publication(tree, note, now_s))
            self.keys.refresh()
            return note

    async def remove_sealed(self, indexes: Sequence[int]) -> None:
        """Remove sealed blobs for good. Only `audit.erasure` calls this, after the record of it. LogUnavailable."""
        await self._submit(Removal(tuple(indexes)))

    def open_intents(self) -> list[OpenIntent]:
        """Intents without a final end state, oldest first: what a sweep must settle."""
        return self.reads.open_intents()

    def entries_of(self, call_id: str) -> list[StoredLeaf]:
        """The records of one call, in order. For the gateway's own work; auditors ask `audit.query.life_of`, which is recorded."""
        return find(self.engine, Filter(call=call_id), self.size(), -1, 1000)

    def counts_since(self, time: datetime) -> dict[str, int]:
        """Records per kind with a time from `time` on: for the census."""
        return count_kinds(self.engine, rfc3339(time))

    async def close(self) -> None:
        """Write what waits and let go of the databases. Publishes nothing: call `publish` before."""
        await self._writer.close()
        self.keys.close()
        self._stores.log.dispose()

    async def _submit(self, item: Item) -> Entry | None:
        try:
            return await self._writer.submit(item)
        except IntegrityError as error:
            raise LogCorrupt("something stands where the next record belongs: was the tail cut?") from error
        except (WriterFull, WriterBusy, WriterClosed, SQLAlchemyError) as error:
            raise LogUnavailable("nothing was written") from error
        except CommitUnknown as error:
            raise LogUnavailable("the commit failed; it may have happened") from error

    def _prepare(self, record: Record) -> tuple[Pending, tuple[bytes, bytes] | None]:
        if record.kind is Kind.INTENT and record.instruction is None:
            raise LeafInvalid("instruction: absent")
        secrets = secrets_of(record)
        entropy = self._random(SALT_BYTES * len(secrets) + NONCE_BYTES)
        disclosed = disclose(secrets, entropy[NONCE_BYTES:])
        key = self.keys.key_for(record.customer, record.retention)
        blob = None
        if secrets:
            binding = Binding(self.origin, key.subject, record.retention, record.kind.value, rfc3339(record.time))
            blob = seal(key.cipher, entropy[:NONCE_BYTES], disclosed.payload(), binding)
        subject = None if record.customer is None else key.subject
        frame = Frame(self.origin, self.writer_id, subject, None if blob is None else digest(blob))
        fields = leaf_fields(record, disclosed, frame)
        # The bytes are the canonical form of these very fields, so this is `validate` without parsing what was just rendered.
        check_fields(fields)
        pending = Pending(record, render(fields), subject, blob)
        if record.kind is not Kind.INTENT:
            return pending, None
        at = next(number for number, secret in enumerate(secrets) if secret[1] == "instruction" and not secret[0])
        salt = entropy[NONCE_BYTES + at * SALT_BYTES : NONCE_BYTES + (at + 1) * SALT_BYTES]
        return pending, (salt, hashlib.sha256(disclosed.disclosures["instruction"].encode()).digest())

    def _is_fresh(self, note: str, now_s: int) -> bool:
        try:
            known = verify_checkpoint(Note.parse(note.encode()), self.origin, self.log_keys())
        except NoteInvalid as error:
            raise LogCorrupt("the last checkpoint is not signed by this log") from error
        return known.time_s is not None and now_s - known.time_s < SILENCE_MOST.total_seconds()

    def _sign_head(self, size: int, root: bytes) -> str:
        return sign_note(Checkpoint(self.origin, size, root).text(), self._log_keys[:1]).encode()

    def _check_head(self, note: str) -> Checkpoint:
        try:
            parsed = Note.parse(note.encode())
            verify_note(parsed, [self._log_keys[0].key])
            return Checkpoint.parse(parsed.text)
        except NoteInvalid as error:
            raise LogCorrupt("the stored head is not signed by this log") from error
