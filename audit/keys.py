"""Keys of the log: what signs, and what seals.

Four signing keys with separate duties (tree head in Ed25519 and in ML-DSA-44, permits, exports), each a `KeyRing`. The customers' data
keys live in a database of their own, outside the log's backups, wrapped by a key-encryption key, together with the mapping from
customers to pseudonyms and the list of destructions.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from audit.checkpoint import Note, NoteInvalid, SigningKey, VerifiedCheckpoint, VerifierKey, verify_checkpoint
from audit.database import Database, DatabaseUnavailable
from audit.encoding import b64url
from audit.group import CommitUnknown, GroupWriter, WriterClosed, WriterFull
from audit.keyring import NONCE_BYTES, KeyKind, KeyPurpose, KeyRefused, KeyRing, KeyStorage, Signer
from audit.leaf import rfc3339
from audit.store.tables import data_keys, destructions, log_position, schedules, subjects

KEYS_AT_ONCE = 64
"""New keys of one transaction, which holds the event loop for as long as its statements take."""

_TRIES = 3
"""How often a key is looked for and made: whoever was overtaken finds what the other one made."""

KEYS_CACHED = 16_384
"""Unwrapped data keys kept in memory, least recently used first out."""

NO_CUSTOMER = "-"
"""Subject of records without a customer."""

HEAD = KeyPurpose(
    "log-ed25519", KeyKind.ED25519, "audit/secrets/head.ed25519", "the log cannot be written: begin a new one", evidence=True
)
HEAD_PQ = KeyPurpose(
    "log-mldsa44", KeyKind.MLDSA44, "audit/secrets/head.mldsa44", "no checkpoint can be published: begin a new log"
)
PERMITS = KeyPurpose("permits", KeyKind.ED25519, "audit/secrets/permits.ed25519", "the core takes no instruction")
EXPORTS = KeyPurpose(
    "exports", KeyKind.ED25519, "audit/secrets/exports.ed25519", "no evidence bundle and no certificate can be signed"
)
CUSTOMERS = KeyPurpose(
    "customers", KeyKind.SEAL, "audit/secrets/customers.kek", "everything sealed is unreadable, for ever", wraps=True
)
LOG_PURPOSES = (HEAD, HEAD_PQ, PERMITS, EXPORTS, CUSTOMERS)
"""Every purpose of keys that the log has. The last one also vouches for heads (HMAC, by a key derived from it)."""


class KeyDestroyed(Exception):
    """The subject's data key was destroyed: what it sealed cannot be read by anybody."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The log's signing keys, by duty."""

    head: KeyRing
    head_pq: KeyRing
    permits: KeyRing
    exports: KeyRing

    def log_keys(self, origin: str, at_s: float | None = None) -> list[SigningKey]:
        """Both keys of the log: they sign published checkpoints under the log's own name, now or at that time."""
        return [named(origin, self.head.signer(at_s)), named(origin, self.head_pq.signer(at_s))]

    def verify(self, note: Note, origin: str) -> VerifiedCheckpoint:
        """A published checkpoint of this log, signed by the keys of the time that it states. NoteInvalid."""
        signers = {signature.key_id for signature in note.signatures}
        known = [VerifierKey(origin, self.head_pq.type, key.public) for key in self.head_pq.keys]
        stating = next((key for key in known if key.id in signers), None)
        if stating is None:
            raise NoteInvalid("a required signature is absent or doubled")
        stated_s = verify_checkpoint(note, origin, [stating]).time_s or 0
        keys = [VerifierKey(origin, ring.type, ring.active(stated_s).public) for ring in (self.head, self.head_pq)]
        return verify_checkpoint(note, origin, keys)

    def all(self) -> tuple[KeyRing, ...]:
        return (self.head, self.head_pq, self.permits, self.exports)


def named(name: str, signer: Signer) -> SigningKey:
    """A signer as a key of signed notes."""
    return SigningKey(VerifierKey(name, signer.type, signer.public), signer.sign)


def make_keys(storage: KeyStorage) -> None:
    """The keys of a new log. KeyRefused if one is there already: keys are never written over."""
    for purpose in LOG_PURPOSES:
        if not storage.make(purpose):
            raise KeyRefused(
                f"{purpose.file}: is there already, without a log that it signed; restore its database, or begin in an empty folder"
            )


def open_keys(storage: KeyStorage, clock: Callable[[], datetime]) -> tuple[SigningKeys, KeyRing]:
    """The signing keys, and those that wrap the customers' keys. KeyRefused as `KeyStorage.load`."""
    *signing, customers = (KeyRing(purpose, storage, lambda: clock().timestamp()) for purpose in LOG_PURPOSES)
    return SigningKeys(*signing), customers


@dataclass(frozen=True, slots=True)
class DataKey:
    """A subject's key for one retention class, unwrapped."""

    subject: str
    cipher: AESGCM


@dataclass(frozen=True, slots=True)
class _NewKey:
    """A key to be kept, wrapped already: what wraps may be a device, and a transaction waits for none."""

    customer: str | None
    retention: str
    key: DataKey
    wrapped: bytes


class KeyStore:
    """Customers' pseudonyms and data keys, made when first needed.

    Durability: a key is durable before it is returned. Concurrency: one event loop per process, several processes. Errors:
    KeyDestroyed; SQLAlchemy's and DatabaseUnavailable when the database is out of reach, SignerUnavailable when what wraps is.
    """

    def __init__(
        self, database: Database, wrapping: KeyRing, clock: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        """`wrapping`: of `CUSTOMERS`."""
        self._database = database
        self.wrapping = wrapping
        self._clock = clock
        self._random = random
        self._cached: OrderedDict[tuple[str | None, str], DataKey] = OrderedDict()
        self._destroyed = 0
        # The keys of customers who come at once are made in one transaction: one each would cost a wait for the disk each
        self._maker: GroupWriter[_NewKey, DataKey | None] = GroupWriter(database.lane(), self._make, most=KEYS_AT_ONCE)

    def known(self, customer: str | None, retention: str) -> DataKey | None:
        """The key, if this process has used it lately."""
        cached = self._cached.get((customer, retention))
        if cached is not None:
            self._cached.move_to_end((customer, retention))
        return cached

    def vouch(self, head: bytes) -> bytes:
        """A code over a head of the log that only this installation can make, and that proves nothing to anybody else."""
        return self.wrapping.mac(head)

    def vouched(self, head: bytes, code: bytes) -> bool:
        """Whether `vouch` made this code, by whichever of its keys."""
        return self.wrapping.is_mac(head, code)

    async def key_for(self, customer: str | None, retention: str) -> DataKey:
        """The key that seals this customer's records of this retention class; made, with a pseudonym, when there is none."""
        key = None
        for _ in range(_TRIES):
            key = key or await self._found_or_made(customer, retention)
        if key is None:
            raise DatabaseUnavailable
        self._cached[customer, retention] = key
        if len(self._cached) > KEYS_CACHED:
            self._cached.popitem(last=False)
        return key

    async def key_of(self, subject: str, retention: str) -> AESGCM:
        """The key of a subject, to open what it sealed. KeyDestroyed if there is none (any more)."""
        wrapped = await self._database.read(lambda connection: _wrapped(connection, subject, retention))
        if wrapped is None:
            raise KeyDestroyed
        return await self._unwrap(wrapped, subject, retention)

    async def rewrap(self) -> int:
        """Wrap by the active key what an older one wrapped, in small transactions; how many. The wrapped bytes of before are overwritten as
        those of `destroy` are.
        """
        active, count = self.wrapping.active().id, 0
        after: tuple[str, str] = ("", "")
        while page := await self._database.read(partial(_page_after, after=after)):
            after = page[-1][0], page[-1][1]
            older = [row for row in page if self.wrapping.sealed_by(row[2]) != active]
            await self._database.write(partial(_replace_wrapped, rows=[(*row, await self._wrapped_again(*row)) for row in older]))
            count += len(older)
        if count:
            await self._database.overwrite_deleted()
        return count

    async def subject_of(self, customer: str) -> str | None:
        """The pseudonym of a customer, None if they have no record or were erased."""
        return await self._database.read(lambda connection: _subject_of(connection, customer))

    async def customer_of(self, subject: str) -> str | None:
        """The customer of a pseudonym, None if there is none such or they were erased."""
        wanted = select(subjects.c.customer).where(subjects.c.subject == subject)
        return await self._database.read(lambda connection: connection.execute(wanted).scalar())

    async def note_position(self, size: int, root: bytes) -> None:
        """Before a checkpoint of this size is published: a log that has fewer records than were noted was restored or cut, and a key store
        that noted fewer than were published was restored. Only ever grows."""

        def work(connection: Connection) -> None:
            change = update(log_position).values(size=size, root=root)
            grew = connection.execute(change.where(log_position.c.size < size)).rowcount
            if not grew and connection.execute(select(log_position.c.size)).first() is None:
                connection.execute(insert(log_position).values(id=1, size=size, root=root))

        with suppress(IntegrityError):  # another process was first, at its first checkpoint
            await self._database.write(work)

    async def forget_position(self) -> None:
        """The log goes on from less than was noted, which is on record: the next checkpoint is noted anew."""
        await self._database.write(lambda connection: connection.execute(delete(log_position)))

    async def position(self) -> tuple[int, bytes] | None:
        """Size and root that were noted last; None: none yet."""
        wanted = select(log_position.c.size, log_position.c.root)
        row = await self._database.read(lambda connection: connection.execute(wanted).first())
        return None if row is None else (row.size, row.root)

    async def classes_of(self, subject: str) -> list[str]:
        """Retention classes that the subject has a key for."""
        wanted = select(data_keys.c.retention).where(data_keys.c.subject == subject).order_by(data_keys.c.retention)
        return await self._database.read(lambda connection: list(connection.execute(wanted).scalars()))

    async def destroy(self, subject: str, classes: Sequence[str], *, below: int, locked: Mapping[str, datetime]) -> None:
        """Destroy the subject's keys of these classes, list that, and note when those that are `locked` may go; without any, destroy the
        mapping to the customer too.

        `below` is the index of the record that says so. On SQLite deleted rows are overwritten (`secure_delete`) and the write-ahead
        log is emptied; on PostgreSQL dead rows wait for vacuum, wrapped as they were. Another process forgets its copies when it next
        calls `refresh`.
        """
        now = rfc3339(self._clock())

        def work(connection: Connection) -> None:
            for table in (data_keys, destructions):
                connection.execute(delete(table).where(table.c.subject == subject, table.c.retention.in_(classes)))
            if rows := [{"subject": subject, "retention": data_class, "below": below, "time": now} for data_class in classes]:
                connection.execute(insert(destructions), rows)
            connection.execute(delete(schedules).where(schedules.c.subject == subject))
            if rows := [{"subject": subject, "retention": name, "due": rfc3339(due)} for name, due in locked.items()]:
                connection.execute(insert(schedules), rows)
            else:
                connection.execute(delete(subjects).where(subjects.c.subject == subject))

        await self._database.write(work)
        await self._database.overwrite_deleted()
        self._cached.clear()

    async def destroyed(self) -> dict[str, dict[str, int]]:
        """The list of destructions: subject to retention class to the index below which its records cannot be read any more."""

        def ask(connection: Connection) -> dict[str, dict[str, int]]:
            found: dict[str, dict[str, int]] = {}
            for row in connection.execute(select(destructions)):
                found.setdefault(row.subject, {})[row.retention] = row.below
            return found

        return await self._database.read(ask)

    async def destroyed_of(self, of_these: Sequence[str]) -> dict[tuple[str, str], int]:
        """The same of some subjects, by subject and retention class."""
        wanted = select(destructions).where(destructions.c.subject.in_(of_these))

        def ask(connection: Connection) -> dict[tuple[str, str], int]:
            return {(row.subject, row.retention): row.below for row in connection.execute(wanted)}

        return await self._database.read(ask)

    async def due(self, at: datetime) -> list[str]:
        """Subjects of whom a class that was locked when they were erased may go now."""
        wanted = select(schedules.c.subject).where(schedules.c.due <= rfc3339(at)).distinct().order_by(schedules.c.subject)
        return await self._database.read(lambda connection: list(connection.execute(wanted).scalars()))

    async def refresh(self) -> None:
        """Forget the unwrapped keys if keys were destroyed since the last call, maybe by another process."""
        wanted = select(func.count()).select_from(destructions)
        count = await self._database.read(lambda connection: connection.execute(wanted).scalar_one())
        if count != self._destroyed:
            self._destroyed = count
            self._cached.clear()

    async def close(self) -> None:
        """Forget the unwrapped keys and let go of the database."""
        self._cached.clear()
        await self._maker.close()
        await self._database.close()

    async def _found_or_made(self, customer: str | None, retention: str) -> DataKey | None:
        """None where others made the key, or the pseudonym, meanwhile: ask again."""
        subject, wrapped = await self._database.read(lambda connection: _stored(connection, customer, retention))
        if subject is not None and wrapped is not None:
            return DataKey(subject, await self._unwrap(wrapped, subject, retention))
        subject = subject or b64url(self._random(16))
        nonce, key = self._random(NONCE_BYTES), self._random(32)
        wrapped = await self.wrapping.seal_beside(nonce, key, _bound(subject, retention))
        new = _NewKey(customer, retention, DataKey(subject, AESGCM(key)), wrapped)
        try:
            return await self._maker.submit(new)  # made although the caller is cancelled: the next one finds it
        except IntegrityError:  # another process was first
            return None
        except (WriterFull, WriterClosed, CommitUnknown) as error:
            raise DatabaseUnavailable from error

    def _make(self, connection: Connection, wanted: "Sequence[_NewKey]") -> list[DataKey | None]:
        return [self._new(connection, new) for new in wanted]

    def _new(self, connection: Connection, new: "_NewKey") -> DataKey | None:
        subject, wrapped = _stored(connection, new.customer, new.retention)
        if wrapped is not None or subject not in (None, new.key.subject):
            return None
        if subject is None:
            connection.execute(insert(subjects).values(customer=new.customer, subject=new.key.subject))
        row = {"subject": new.key.subject, "retention": new.retention, "wrapped": new.wrapped, "created": rfc3339(self._clock())}
        connection.execute(insert(data_keys).values(row))
        return new.key

    async def _wrapped_again(self, subject: str, retention: str, wrapped: bytes) -> bytes:
        bound = _bound(subject, retention)
        return await self.wrapping.seal_beside(self._random(NONCE_BYTES), await self.wrapping.unseal_beside(wrapped, bound), bound)

    async def _unwrap(self, wrapped: bytes, subject: str, retention: str) -> AESGCM:
        try:
            return AESGCM(await self.wrapping.unseal_beside(wrapped, _bound(subject, retention)))
        except InvalidTag as error:
            raise KeyRefused("a data key does not unwrap: another key-encryption key, or changed bytes") from error


def _stored(connection: Connection, customer: str | None, retention: str) -> tuple[str | None, bytes | None]:
    """The pseudonym and the wrapped key, as far as they are there."""
    subject = NO_CUSTOMER if customer is None else _subject_of(connection, customer)
    return subject, None if subject is None else _wrapped(connection, subject, retention)


def _wrapped(connection: Connection, subject: str, retention: str) -> bytes | None:
    wanted = select(data_keys.c.wrapped).where(data_keys.c.subject == subject, data_keys.c.retention == retention)
    return connection.execute(wanted).scalar()


def _replace_wrapped(connection: Connection, rows: Sequence[tuple[str, str, bytes, bytes]]) -> None:
    for subject, retention, wrapped, again in rows:
        same = (data_keys.c.subject == subject, data_keys.c.retention == retention, data_keys.c.wrapped == wrapped)
        connection.execute(update(data_keys).where(*same).values(wrapped=again))


def _subject_of(connection: Connection, customer: str) -> str | None:
    return connection.execute(select(subjects.c.subject).where(subjects.c.customer == customer)).scalar()


def _page_after(connection: Connection, after: tuple[str, str]) -> list[tuple[str, str, bytes]]:
    wanted = select(data_keys.c.subject, data_keys.c.retention, data_keys.c.wrapped)
    wanted = wanted.where(tuple_(data_keys.c.subject, data_keys.c.retention) > after)
    rows = connection.execute(wanted.order_by(data_keys.c.subject, data_keys.c.retention).limit(KEYS_AT_ONCE))
    return [(row.subject, row.retention, row.wrapped) for row in rows]


def _bound(subject: str, retention: str) -> bytes:
    return "\n".join(("tellergate/data-key/v1", subject, retention)).encode()
