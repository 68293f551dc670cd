"""Keys in files: one per purpose, 0600 in a folder that nobody else writes to, plain or sealed under a passphrase (`audit.key_format`)."""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from audit.key_format import (
    IN_TOKEN,
    PLAIN,
    SEALED,
    KeptKey,
    KeyExposed,
    KeyMissing,
    KeyUnsealed,
    Passphrase,
    decoded,
    key_of,
    keys_json,
    older_secret,
    opened,
    sealed,
)
from audit.keyring import KeyPurpose, KeyRefused, RingKey

_FILE_MOST = 262_144


class FileKeys:
    """`KeyStorage` in the data folder. With a passphrase, what it writes is sealed."""

    def __init__(
        self,
        data: Path,
        *,
        passphrase: Passphrase | None = None,
        may_be_plain: bool = True,
        random: Callable[[int], bytes] = os.urandom,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`may_be_plain` False: KeyUnsealed for a plain file, and nothing plain is written."""
        self._data = data
        self._passphrase = passphrase
        self._may_be_plain = may_be_plain
        self._random = random
        self._now_s = now_s

    async def answers(self) -> None:
        """Files were read at the start: nothing is waited for."""

    def check(self) -> None:
        """KeyRefused where no key can be made or read here, whatever it is of."""

    def close(self) -> None:
        """Nothing is kept open."""

    def path(self, purpose: KeyPurpose) -> Path:
        return self._data / purpose.file

    def load(self, purpose: KeyPurpose) -> Sequence[RingKey]:
        return [kept.key for kept in self._entries(purpose)]

    def version(self, purpose: KeyPurpose) -> object:
        try:
            found = self.path(purpose).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode

    def is_there(self, purpose: KeyPurpose) -> bool:
        return self.path(purpose).exists()

    def is_inside(self, purpose: KeyPurpose) -> bool:
        """Whether the keys of this purpose are where this storage makes them, and not where another one did. KeyMissing, KeyExposed."""
        return not read_private(self.path(purpose)).startswith(IN_TOKEN)

    def is_sealed(self, purpose: KeyPurpose) -> bool:
        """KeyMissing, KeyExposed."""
        return read_private(self.path(purpose)).startswith(SEALED)

    def make(self, purpose: KeyPurpose) -> bool:
        path = self.path(purpose)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            return False
        made = self._new(purpose, 0)
        if write_new(path, self._encoded(purpose, [made])):
            return True
        self._destroy(purpose, made)  # another process was first
        return False

    def rotate(self, purpose: KeyPurpose, begins_s: int, endorse: Callable[[RingKey, RingKey], str]) -> RingKey:
        """KeyRefused also for a time before the last key begins."""
        with self._locked(purpose):
            entries = self._entries(purpose)
            last = entries[-1].key
            if begins_s <= last.begins_s:
                raise KeyRefused(f"{purpose.name}: the key before it begins later, or has not begun: rotate again after it has")
            made = self._new(purpose, begins_s)
            with ExitStack() as undo:
                undo.callback(self._destroy, purpose, made)
                made = made._replace(key=replace(made.key, statement=endorse(last, made.key)))
                content = self._encoded(purpose, [*entries, made])
                undo.pop_all()  # from here on the file may name the key, whatever fails
            replace_file(self.path(purpose), content)
        return made.key

    def check_retirable(self, purpose: KeyPurpose, key_id: bytes) -> int:
        """At which place of its purpose the key is. KeyRefused as `retire`."""
        keys = self.load(purpose)
        place = next((place for place, key in enumerate(keys) if key.id == key_id), None)
        if place is None:
            raise KeyRefused(f"{purpose.name}: there is no such key")
        if place + 1 == len(keys) or keys[place + 1].begins_s > self._now_s():
            raise KeyRefused(f"{purpose.name}: the key is in use; rotate first, and retire it once the next one has begun")
        return place

    def retire(self, purpose: KeyPurpose, key_id: bytes, *, distrust: bool = False) -> None:
        if distrust and purpose.evidence:
            raise KeyRefused(f"{purpose.name}: what these keys signed is evidence, and verifies for ever")
        with self._locked(purpose):
            place, entries = self.check_retirable(purpose, key_id), self._entries(purpose)
            # Before the file says so: who stops in between asks again, and no key lives on that is said to be gone
            self._destroy(purpose, entries[place])
            if purpose.kind.signs and not distrust:
                entries[place] = KeptKey(replace(entries[place].key, signer=None))
            else:
                del entries[place]
            self._replace(purpose, entries)

    def strays(self, purpose: KeyPurpose) -> list[bytes]:
        """What a device holds of this purpose and its file does not name: left by a rotation that stopped before the file was written, or
        the file is an older copy. Files have none. KeyRefused.
        """
        return []

    def destroy_stray(self, purpose: KeyPurpose, object_id: bytes) -> None:
        """KeyRefused for what is none."""
        raise KeyRefused(f"{purpose.name}: there is no such key")

    def _new(self, purpose: KeyPurpose, begins_s: int) -> KeptKey:
        secret = self._random(purpose.kind.secret_bytes)
        return KeptKey(key_of(purpose, secret, made_s=int(self._now_s()), begins_s=begins_s), secret)

    def _destroy(self, purpose: KeyPurpose, kept: KeptKey) -> None:
        """What there is of a key beside its file."""

    def seal(self, purpose: KeyPurpose, passphrase: Passphrase) -> None:
        """Write the file again, sealed under this passphrase; the one of this object opens it, where it is sealed."""
        with self._locked(purpose):
            entries = self._entries(purpose)
            replace_file(self.path(purpose), sealed(purpose, keys_json(purpose, entries), passphrase))

    def _entries(self, purpose: KeyPurpose) -> list[KeptKey]:
        path = self.path(purpose)
        content = read_private(path)
        if content.startswith(SEALED):
            return decoded(purpose, path.name, opened(purpose, path.name, content, self._passphrase))
        if content.startswith(IN_TOKEN):
            raise KeyRefused(f"{purpose.file} goes with a token: set key_storage to pkcs11, and name the token")
        if not self._may_be_plain:
            raise KeyUnsealed(f"{purpose.file} is not sealed: only development mode takes plain keys; run `tellergate keys seal`")
        if content.startswith(PLAIN):
            return decoded(purpose, path.name, content[len(PLAIN) :])
        secret = older_secret(purpose, path.name, content)
        return [KeptKey(key_of(purpose, secret, made_s=int(path.stat().st_mtime), begins_s=0), secret)]

    def _encoded(self, purpose: KeyPurpose, entries: Sequence[KeptKey]) -> bytes:
        plain = keys_json(purpose, entries)
        if self._passphrase is not None:
            return sealed(purpose, plain, self._passphrase)
        if not self._may_be_plain:
            raise KeyUnsealed(f"{purpose.file} would not be sealed: give a passphrase (`key_passphrase_file`)")
        return PLAIN + plain

    def _replace(self, purpose: KeyPurpose, entries: Sequence[KeptKey]) -> None:
        replace_file(self.path(purpose), self._encoded(purpose, entries))

    @contextmanager
    def _locked(self, purpose: KeyPurpose) -> Iterator[None]:
        """Of processes that change keys of this folder one at a time."""
        folder = self.path(purpose).parent
        try:
            descriptor = os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise KeyMissing(f"{purpose.file} is not there") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def read_passphrase(path: Path) -> Passphrase:
    """The first line of a file that its owner alone may read. KeyExposed, KeyMissing, PassphraseRefused."""
    return _known(read_private(path).split(b"\n")[0].rstrip(b"\r"))


@lru_cache(maxsize=4)
def _known(words: bytes) -> Passphrase:
    """One for the same words: a start looks at the keys, then opens them, and pays for scrypt once."""
    return Passphrase(words)


def read_private(path: Path) -> bytes:
    """A file that nobody but its owner may read or write, in a folder that nobody else may write to. KeyMissing, KeyExposed."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise KeyExposed(f"{path.name}: others may read or write it (chmod 600)")
            if found.st_uid not in (os.geteuid(), 0):
                raise KeyExposed(f"{path.name}: it belongs to another user than the one of this process (chown)")
            if stat.S_IMODE(path.parent.stat().st_mode) & 0o022:
                raise KeyExposed(f"{path.name}: others may write to the folder that it is in (chmod 700)")
            return file.read(_FILE_MOST)
    except FileNotFoundError:
        raise KeyMissing(f"{path.name} is not there: restore it from where the keys are kept safe") from None
    except OSError as error:
        raise KeyExposed(f"{path.name}: cannot be read ({error.strerror})") from error


def write_new(path: Path, content: bytes) -> bool:
    """Whole or not at all, by whoever is first; False for the others. Its owner alone may read it."""
    whole = _written(path, content)
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    finally:
        whole.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """The file has its old content or this one, whenever the machine stops."""
    whole = _written(path, content)
    try:
        whole.replace(path)
    except OSError:
        whole.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _written(path: Path, content: bytes) -> Path:
    whole = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        whole.unlink(missing_ok=True)
        raise
    return whole


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
