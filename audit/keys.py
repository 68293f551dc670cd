"""Keys: what signs, and what seals.

Four signing keys with separate duties (tree head in Ed25519 and in ML-DSA-44, permits, exports), behind the `Signer` protocol, so
that an HSM can hold them. The customers' data keys live in a database of their own, outside the log's backups, wrapped by a
key-encryption key, together with the mapping from customers to pseudonyms and the list of destructions.
"""

import hmac
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from audit.checkpoint import KeyType, SigningKey, VerifierKey
from audit.database import Database, DatabaseUnavailable
from audit.disclosure import b64url
from audit.group import CommitUnknown, GroupWriter, WriterClosed, WriterFull
from audit.leaf import rfc3339
from audit.store.tables import data_keys, destructions, schedules, subjects

KEYS_AT_ONCE = 64
"""New keys of one transaction: each is wrapped on the event loop, for a fifth of a millisecond on a slow machine."""

KEYS_CACHED = 16_384
"""Unwrapped data keys kept in memory, least recently used first out."""

NO_CUSTOMER = "-"
"""Subject of records without a customer."""

SEED_BYTES = 32


class KeyRefused(Exception):
    """A key file is absent, malformed or readable by others. The text names the file and holds no key."""


class SignerUnavailable(Exception):
    """What signs did not: nothing was signed."""


class KeyDestroyed(Exception):
    """The subject's data key was destroyed: what it sealed cannot be read by anybody."""


class Signer(Protocol):
    """Something that signs with one private key, which it need not give away.

    Durability: none. Concurrency: any thread. Retry: safe. Errors: SignerUnavailable.
    """

    @property
    def type(self) -> KeyType: ...

    @property
    def public(self) -> bytes:
        """The raw public key: 32 bytes for Ed25519, 1312 for ML-DSA-44."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature: RFC 8032, or FIPS 204 with the empty context."""


class FileSigner:
    """A `Signer` over a private key that was read from a file."""

    def __init__(self, key: Ed25519PrivateKey | MLDSA44PrivateKey) -> None:
        self._key = key
        self.type = KeyType.ED25519 if isinstance(key, Ed25519PrivateKey) else KeyType.MLDSA44
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def read(cls, path: Path, wanted: KeyType) -> "FileSigner":
        """From PEM (PKCS 8) or 32 raw bytes of seed. KeyRefused when others may read it or it is not a key of this type."""
        content = read_private(path)
        try:
            if content.startswith(b"-----BEGIN"):
                key = load_pem_private_key(content, None)
                if not isinstance(key, Ed25519PrivateKey | MLDSA44PrivateKey):
                    raise KeyRefused(f"{path.name}: neither Ed25519 nor ML-DSA-44")
                signer = cls(key)
            elif wanted is KeyType.ED25519:
                signer = cls(Ed25519PrivateKey.from_private_bytes(content))
            else:
                signer = cls(MLDSA44PrivateKey.from_seed_bytes(content))
        except (ValueError, TypeError) as error:
            raise KeyRefused(f"{path.name}: not a private key") from error
        if signer.type is not wanted:
            raise KeyRefused(f"{path.name}: a key of another type")
        return signer

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The log's signing keys, by duty."""

    head: Signer
    head_pq: Signer
    permits: Signer
    exports: Signer

    def log_keys(self, origin: str) -> list[SigningKey]:
        """Both keys of the log: they sign published checkpoints under the log's own name."""
        return [named(origin, self.head), named(origin, self.head_pq)]


def named(name: str, signer: Signer) -> SigningKey:
    """A signer as a key of signed notes."""
    return SigningKey(VerifierKey(name, signer.type, signer.public), signer.sign)


_FILES = {
    "head.ed25519": KeyType.ED25519,
    "head.mldsa44": KeyType.MLDSA44,
    "permits.ed25519": KeyType.ED25519,
    "exports.ed25519": KeyType.ED25519,
}
_KEK = "customers.kek"


def make_files(folder: Path, random: Callable[[int], bytes]) -> None:
    """Create the key files of a new log, each 0600. KeyRefused if one is there already: keys are never written over."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (*_FILES, _KEK):
        try:
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise KeyRefused(
                f"{name}: is there already, without a log that it signed; restore its database, or begin in an empty folder"
            ) from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(random(SEED_BYTES))
            file.flush()
            os.fsync(file.fileno())


def read_files(folder: Path) -> tuple[SigningKeys, bytes]:
    """The signing keys and the key-encryption key. KeyRefused as `FileSigner.read`."""
    signers = [FileSigner.read(folder / name, wanted) for name, wanted in _FILES.items()]
    return SigningKeys(*signers), read_private(folder / _KEK)


def read_private(path: Path) -> bytes:
    """A file that nobody but its owner may read or write; KeyRefused otherwise."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeyRefused(f"{path.name}: others may read or write it")
            return file.read(65_536)
    except OSError as error:
        raise KeyRefused(f"{path.name}: cannot be read") from error


@dataclass(frozen=True, slots=True)
class DataKey:
    """A subject's key for one retention class, unwrapped."""

    subject: str
    cipher: AESGCM


@dataclass(frozen=True, slots=True)
class _NewKey:
    """Whose key is wanted, for which retention class."""

    customer: str | None
    retention: str


class KeyStore:
    """Customers' pseudonyms and data keys, made when first needed.

    Durability: a key is durable before it is returned. Concurrency: one event loop per process, several processes. Errors:
    KeyDestroyed; SQLAlchemy's and DatabaseUnavailable when the database is out of reach.
    """

    def __init__(self, database: Database, kek: bytes, clock: Callable[[], datetime], random: Callable[[int], bytes]) -> None:
        if len(kek) != 32:
            raise KeyRefused("the key-encryption key has 32 bytes")
        self._database = database
        self._kek = AESGCM(kek)
        self._head_key = hmac.digest(kek, b"tellergate/head/v1", "sha256")
        self._clock = clock
        self._random = random
        self._cached: OrderedDict[tuple[str | None, str], DataKey] = OrderedDict()
        self._destroyed = 0
        # The keys of customers who come at once are made in one transaction: one each would cost a wait for the disk each
        self._maker: GroupWriter[_NewKey, DataKey] = GroupWriter(database.lane(), self._make, most=KEYS_AT_ONCE)

    def known(self, customer: str | None, retention: str) -> DataKey | None:
        """The key, if this process has used it lately."""
        cached = self._cached.get((customer, retention))
        if cached is not None:
            self._cached.move_to_end((customer, retention))
        return cached

    def vouch(self, head: bytes) -> bytes:
        """A code over a head of the log that only this installation can make, and that proves nothing to anybody else."""
        return hmac.digest(self._head_key, head, "sha256")

    async def key_for(self, customer: str | None, retention: str) -> DataKey:
        """The key that seals this customer's records of this retention class; made, with a pseudonym, when there is none."""
        key = await self._database.read(lambda connection: self._stored(connection, customer, retention))
        if key is None:
            key = await self._made(_NewKey(customer, retention))
        self._cached[customer, retention] = key
        if len(self._cached) > KEYS_CACHED:
            self._cached.popitem(last=False)
        return key

    async def key_of(self, subject: str, retention: str) -> AESGCM:
        """The key of a subject, to open what it sealed. KeyDestroyed if there is none (any more)."""
        wrapped = await self._database.read(lambda connection: self._wrapped(connection, subject, retention))
        if wrapped is None:
            raise KeyDestroyed
        return self._unwrap(wrapped, subject, retention)

    async def subject_of(self, customer: str) -> str | None:
        """The pseudonym of a customer, None if they have no record or were erased."""
        return await self._database.read(lambda connection: _subject_of(connection, customer))

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

    def _stored(self, connection: Connection, customer: str | None, retention: str) -> DataKey | None:
        subject = NO_CUSTOMER if customer is None else _subject_of(connection, customer)
        wrapped = None if subject is None else self._wrapped(connection, subject, retention)
        if subject is None or wrapped is None:
            return None
        return DataKey(subject, self._unwrap(wrapped, subject, retention))

    async def _made(self, wanted: "_NewKey") -> DataKey:
        """Made although the caller is cancelled: the next one finds it."""
        try:
            return await self._maker.submit(wanted)
        except IntegrityError:  # another process was first
            key = await self._database.read(lambda connection: self._stored(connection, wanted.customer, wanted.retention))
            if key is None:
                raise KeyDestroyed from None
            return key
        except (WriterFull, WriterClosed, CommitUnknown) as error:
            raise DatabaseUnavailable from error

    def _make(self, connection: Connection, wanted: "Sequence[_NewKey]") -> list[DataKey]:
        return [self._stored(connection, new.customer, new.retention) or self._new(connection, new) for new in wanted]

    def _new(self, connection: Connection, new: "_NewKey") -> DataKey:
        subject = NO_CUSTOMER if new.customer is None else _subject_of(connection, new.customer)
        if subject is None:
            subject = b64url(self._random(16))
            connection.execute(insert(subjects).values(customer=new.customer, subject=subject))
        nonce, key = self._random(12), self._random(32)
        wrapped = nonce + self._kek.encrypt(nonce, key, _bound(subject, new.retention))
        row = {"subject": subject, "retention": new.retention, "wrapped": wrapped, "created": rfc3339(self._clock())}
        connection.execute(insert(data_keys).values(row))
        return DataKey(subject, AESGCM(key))

    def _wrapped(self, connection: Connection, subject: str, retention: str) -> bytes | None:
        wanted = select(data_keys.c.wrapped).where(data_keys.c.subject == subject, data_keys.c.retention == retention)
        return connection.execute(wanted).scalar()

    def _unwrap(self, wrapped: bytes, subject: str, retention: str) -> AESGCM:
        try:
            return AESGCM(self._kek.decrypt(wrapped[:12], wrapped[12:], _bound(subject, retention)))
        except InvalidTag as error:
            raise KeyRefused("a data key does not unwrap: another key-encryption key, or changed bytes") from error


def _subject_of(connection: Connection, customer: str) -> str | None:
    return connection.execute(select(subjects.c.subject).where(subjects.c.customer == customer)).scalar()


def _bound(subject: str, retention: str) -> bytes:
    return "\n".join(("tellergate/data-key/v1", subject, retention)).encode()
