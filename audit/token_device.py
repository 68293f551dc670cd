"""A PKCS#11 token (OASIS PKCS #11 3.0), and the one thread of this process that talks to its library.

One, because `python-pkcs11` initializes a library without locks (`C_Initialize(NULL)`), so that one thread at a time may call it; and a
session is not safe for two anyway. Several processes have a library each. Nothing here waits on an event loop: a call is handed to the
thread, and whoever waits is a coroutine, a greenlet of SQLAlchemy's or a thread of its own.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pkcs11
from pkcs11 import exceptions as refusals
from pkcs11._pkcs11 import lib as LoadedLibrary  # noqa: N812 - a class of Cython
from sqlalchemy.util.concurrency import await_only, in_greenlet

from audit.keyring import KeyRefused, SignerUnavailable

WAIT_S = 5.0
"""How long a call may take, with its turn, the opening of a session and one repeat. Beyond it nobody waits for the answer any more."""

WAITING_MOST = 512
"""Calls that wait for the thread at once; a further one is refused as it comes."""

REST_S = 1.0
"""After an opening that failed, the next one is tried after so long: who asks meanwhile is refused at once."""

_PIN_REFUSED = (refusals.PinIncorrect, refusals.PinLocked, refusals.PinExpired, refusals.PinInvalid, refusals.PinLenRange)

T = TypeVar("T")


class TokenRefused(KeyRefused):
    """The module, the token or the PIN is not what the settings say. Not tried again: a token locks itself after a few wrong PINs."""


@dataclass(slots=True)
class _Library:
    """A module as this process has loaded it. Used by the thread alone, but for the count of who uses it."""

    path: str
    thread: ThreadPoolExecutor
    users: int = 0
    loaded: LoadedLibrary | None = None
    opened: "list[KeyToken]" = field(default_factory=list)

    def initialized(self) -> LoadedLibrary:
        if self.loaded is None:
            self.loaded = pkcs11.lib(self.path)
        return self.loaded

    def begin_again(self) -> None:
        """Everything that was opened is gone, whatever the library believes: the device was away, say."""
        for token in self.opened:
            token.forget()
        self.opened.clear()
        if self.loaded is not None:
            _initialized_again(self.loaded)

    def end(self) -> None:
        for token in self.opened:
            token.forget()
        self.opened.clear()
        if self.loaded is not None and self.loaded.initialized:
            self.loaded.finalize()
        self.loaded = None


_LIBRARIES: dict[str, _Library] = {}
_GUARD = threading.Lock()


def _forked() -> None:
    """A child has no thread of ours, and must initialize a library itself (PKCS #11 section 5.4)."""
    global _GUARD  # noqa: PLW0603 - a lock that another thread held when we were forked is held for ever
    _GUARD = threading.Lock()
    for library in _LIBRARIES.values():
        library.thread = _thread()
        if library.loaded is not None:
            _initialized_again(library.loaded)
        for token in library.opened:
            token.forget()
        library.opened.clear()


os.register_at_fork(after_in_child=_forked)


def _initialized_again(loaded: LoadedLibrary) -> None:
    with suppress(refusals.PKCS11Error):  # it had not been, or not in this process
        loaded.finalize()
    with suppress(refusals.PKCS11Error):  # the next call says what is wrong
        loaded.initialize()


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="key-token")


class KeyToken:
    """One token, opened when it is first asked and again after it failed.

    Durability: of the device. Concurrency: any thread or loop. Retry: what is asked by `run` is repeated once, so it must be harmless
    twice. Errors: SignerUnavailable when it does not answer; TokenRefused.
    """

    def __init__(self, module: Path, label: str, pin: Callable[[], str], *, wait_s: float = WAIT_S) -> None:
        """`pin`: read at each opening, and kept nowhere. Nothing is opened yet."""
        self._label = label
        self._pin = pin
        self._wait_s = wait_s
        self._session: pkcs11.Session | None = None
        self._found: dict[tuple[pkcs11.ObjectClass, bytes], pkcs11.Object] = {}
        self._refused: str | None = None
        self._rests_until = 0.0
        self._waiting = 0
        self._closed = False
        with _GUARD:
            path = str(module.resolve())  # by whatever link it is named: it is initialized once
            self._library = _LIBRARIES.setdefault(path, _Library(path, _thread()))
            self._library.users += 1

    def run(self, work: Callable[["KeyToken"], T]) -> T:
        """What `work` answers. For a thread, which waits, or a greenlet, in which the loop goes on."""
        if in_greenlet():
            answer: T = await_only(self.beside(work))
            return answer
        future = self._handed(work)
        try:
            return future.result(self._wait_s)
        except WaitedTooLong as error:
            future.cancel()
            raise SignerUnavailable("the token does not answer in time") from error

    async def beside(self, work: Callable[["KeyToken"], T]) -> T:
        """The same for an event loop."""
        future = self._handed(work)
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise SignerUnavailable("the token does not answer in time") from error

    def close(self) -> None:
        """Let go of the library, and end it and its thread with the last who uses it: a process without either may be forked."""
        if self._closed:
            return
        self._closed = True
        with _GUARD:
            self._library.users -= 1
            is_last = not self._library.users
            if is_last:
                del _LIBRARIES[self._library.path]
        ended = self._library.thread.submit(self._library.end if is_last else self._ended)
        if is_last:
            self._library.thread.shutdown(wait=False)
        with suppress(WaitedTooLong):  # it hangs; the process may end all the same
            ended.result(self._wait_s)

    def _handed(self, work: Callable[["KeyToken"], T]) -> "Future[T]":
        if self._closed:
            raise SignerUnavailable("the token was let go")
        if self._waiting >= WAITING_MOST:
            raise SignerUnavailable("too many wait for the token")
        self._waiting += 1
        future = self._library.thread.submit(self._answered, work)
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: object) -> None:
        self._waiting -= (
            1  # by the thread, or by who cancels; a count that is off by one for a moment refuses one call more or less
        )

    def _answered(self, work: Callable[["KeyToken"], T]) -> T:
        for again in (True, False):
            try:
                self.session()
                return work(self)
            except refusals.PKCS11Error as error:
                self._library.begin_again()
                if not again:
                    raise SignerUnavailable(f"the token does not answer ({type(error).__name__})") from error
        raise AssertionError("unreachable")

    # What follows is for `work`, in the thread.

    def session(self) -> pkcs11.Session:
        """The session that reads and uses keys. TokenRefused, SignerUnavailable, PKCS11Error."""
        if self._session is None:
            if self._refused is not None:
                raise TokenRefused(self._refused)
            if time.monotonic() < self._rests_until:
                raise SignerUnavailable("the token did not answer a moment ago")
            self._session = self._opened()
            self._library.opened.append(self)
        return self._session

    def _opened(self) -> pkcs11.Session:
        """A token that was away is seen by a library that begins again, and not by one that has looked."""
        for again in (True, False):
            try:
                return self._logged_in(self._library.initialized().get_token(token_label=self._label))
            except _PIN_REFUSED as error:
                self._refused = (
                    f"the token {self._label} does not take the PIN ({type(error).__name__}); put it right, and start again"
                )
                raise TokenRefused(self._refused) from error
            except refusals.MultipleTokensReturned as error:
                raise TokenRefused(f"there are several tokens with the label {self._label}; give one of them another") from error
            except (refusals.PKCS11Error, RuntimeError, OSError) as error:
                self._library.begin_again()
                if not again:
                    self._rests_until = time.monotonic() + REST_S
                    raise SignerUnavailable(f"the token {self._label} cannot be opened ({type(error).__name__})") from error
        raise AssertionError("unreachable")

    def _logged_in(self, token: pkcs11.Token) -> pkcs11.Session:
        try:
            return token.open(user_pin=self._pin())
        except refusals.UserAlreadyLoggedIn:  # by another user of the library in this process: a login is of all its sessions
            return token.open()

    def _ended(self) -> None:
        with suppress(refusals.PKCS11Error, ValueError):
            self._library.opened.remove(self)
            if self._session is not None:
                self._session.close()
        self.forget()

    def forget(self) -> None:
        """Of the session and of the keys that were found by it."""
        self._session = None
        self._found.clear()

    def find(self, kind: pkcs11.ObjectClass, object_id: bytes) -> pkcs11.Object:
        """The key of this id. KeyRefused where there is none, or it may leave the token."""
        found = self._found.get((kind, object_id))
        if found is None:
            objects = list(self.session().get_objects({pkcs11.Attribute.CLASS: kind, pkcs11.Attribute.ID: object_id}))
            if len(objects) != 1:
                raise KeyRefused(f"the token {self._label} holds {len(objects)} keys of the id {object_id.hex()} instead of one")
            found = objects[0]
            _refuse_movable(found, object_id)
            self._found[kind, object_id] = found
        return found

    def change(self, work: Callable[[pkcs11.Session], T]) -> T:
        """By a session that may write; the others of a process only read."""
        self.session()
        session = self._library.initialized().get_token(token_label=self._label).open(rw=True)
        try:
            return work(session)
        finally:
            session.close()
            self._found.clear()


def _refuse_movable(key: pkcs11.Object, object_id: bytes) -> None:
    wanted = {pkcs11.Attribute.ALWAYS_SENSITIVE: True, pkcs11.Attribute.NEVER_EXTRACTABLE: True, pkcs11.Attribute.LOCAL: True}
    if any(key[attribute] is not value for attribute, value in wanted.items()):
        raise KeyRefused(f"the key {object_id.hex()} was not made in the token, or may leave it: rotate to one that was")
