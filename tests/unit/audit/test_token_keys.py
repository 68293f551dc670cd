"""Keys in a PKCS#11 token, beyond what every storage does: what never leaves it, files of before, faults in pairs, forks and wrong PINs."""

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography.exceptions import InvalidTag
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.exceptions import DeviceError
from sqlalchemy.util.concurrency import greenlet_spawn

from audit import token_device
from audit.key_files import FileKeys
from audit.key_format import KeyDamaged, Passphrase
from audit.keyring import NONCE_BYTES, KeyKind, KeyPurpose, KeyRefused, KeyRing, RingKey, SignerUnavailable, verifies
from audit.keys import CUSTOMERS, HEAD, HEAD_PQ
from audit.token_device import KeyToken, TokenRefused
from audit.token_keys import TokenKeys
from gateway.app.keys import PURPOSES
from tests.support.softhsm import new_token, opened, unplugged
from tests.support.waiting import WAITS_S

NONCE = bytes(NONCE_BYTES)


@pytest.fixture(scope="module")
def label() -> str:
    return new_token()


@pytest.fixture
def token(label: str) -> Iterator[KeyToken]:
    token = opened(label)
    yield token
    token.close()


def unendorsed(_old: RingKey, _new: RingKey) -> str:
    return ""


def objects(token: KeyToken, **wanted: object) -> list[pkcs11.Object]:
    return token.run(lambda asked: list(asked.session().get_objects({Attribute[name]: value for name, value in wanted.items()})))


def test_what_signs_and_what_wraps_is_made_in_the_token_and_cannot_leave_it(token: KeyToken, tmp_path: Path) -> None:
    storage = TokenKeys(tmp_path, token)
    before = {bytes(found[Attribute.ID]) for found in objects(token)}
    for purpose in PURPOSES:
        storage.make(purpose)
    made = [found for found in objects(token) if bytes(found[Attribute.ID]) not in before]
    labels = sorted(str(found[Attribute.LABEL]) for found in made)
    inside = [purpose.name for purpose in PURPOSES if purpose.kind is KeyKind.ED25519 or purpose.wraps]
    assert [name for name in labels if name != "tellergate-files"] == sorted(f"tellergate-{name}" for name in inside)
    for found in objects(token):
        assert (found[Attribute.SENSITIVE], found[Attribute.EXTRACTABLE], found[Attribute.LOCAL]) == (True, False, True)
        with pytest.raises(pkcs11.AttributeSensitive):
            _ = found[Attribute.VALUE]
    for purpose in PURPOSES:
        entries = storage._entries(purpose)
        content = storage.path(purpose).read_bytes()
        assert content.startswith(b"tellergate keys 1 token\n")
        assert not [kept for kept in entries if kept.secret and kept.secret in content]
        assert bool(entries[0].object_id) == (purpose.name in inside)


@pytest.mark.parametrize("purpose", [HEAD, HEAD_PQ, CUSTOMERS], ids=lambda purpose: purpose.name)
def test_a_file_of_before_is_read_on_and_the_next_rotation_moves_into_the_token(
    purpose: KeyPurpose, token: KeyToken, tmp_path: Path
) -> None:
    words = Passphrase(b"correct horse battery", log2_n=10)
    files = FileKeys(tmp_path, passphrase=words, may_be_plain=False)
    files.make(purpose)
    old = KeyRing(purpose, files)
    made = old.sign(b"m") if purpose.kind.signs else old.seal(NONCE, b"plain", b"")
    storage = TokenKeys(tmp_path, token, passphrase=words, may_be_plain=False)
    assert not storage.is_inside(purpose)
    assert storage.load(purpose)[0].id == old.active().id
    told: list[bytes] = []

    def endorse(before: RingKey, after: RingKey) -> str:
        told.extend(key.signer.sign(b"statement") for key in (before, after) if key.signer is not None)
        return "said"

    storage.rotate(purpose, int(time.time()) - 1, endorse)
    assert storage.is_inside(purpose)
    without_words = TokenKeys(tmp_path, token)
    ring = KeyRing(purpose, without_words)
    assert ring.keys[0].id == old.active().id != ring.active().id
    if purpose.kind.signs:
        assert verifies(purpose.kind, ring.keys[0].public, made, b"m")
        assert [verifies(purpose.kind, key.public, by, b"statement") for key, by in zip(ring.keys, told, strict=True)] == [
            True,
            True,
        ]
    else:
        assert ring.unseal(made, b"") == b"plain"
        assert ring.is_mac(b"head", old.mac(b"head")), "what it vouched for is known again"
    with pytest.raises(KeyRefused, match="goes with a token"):
        files.load(purpose)


def test_a_key_that_was_not_made_in_the_token_is_not_used(token: KeyToken, tmp_path: Path) -> None:
    storage = TokenKeys(tmp_path, token)
    storage.make(CUSTOMERS)
    (kept,) = storage._entries(CUSTOMERS)

    def exchange(session: pkcs11.Session) -> None:
        next(iter(session.get_objects({Attribute.ID: kept.object_id}))).destroy()
        known = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: b"k" * 32,
            Attribute.TOKEN: True,
            Attribute.ID: kept.object_id,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
        }
        session.create_object(known)

    token.run(lambda asked: asked.change(exchange))
    with pytest.raises(SignerUnavailable, match="not made in the token"):
        KeyRing(CUSTOMERS, TokenKeys(tmp_path, token)).seal(NONCE, b"", b"")


def test_a_file_that_was_changed_or_put_in_another_s_place_is_refused(token: KeyToken, tmp_path: Path) -> None:
    storage = TokenKeys(tmp_path, token)
    one, other = (KeyPurpose(name, KeyKind.MAC, f"keys/{name}.key", "nothing") for name in ("one", "other"))
    for purpose in (one, other):
        storage.make(purpose)
    kept = storage.path(one).read_bytes()
    storage.path(one).write_bytes(storage.path(other).read_bytes())
    with pytest.raises(KeyDamaged, match="belongs elsewhere"):
        storage.load(one)
    for at in range(len(b"tellergate keys 1 token\n"), len(kept), 37):
        storage.path(one).write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        with pytest.raises(KeyRefused):
            storage.load(one)
    storage.path(one).write_bytes(kept)
    assert len(storage.load(one)) == 1


def test_a_retired_key_is_gone_from_the_token_and_a_retirement_that_stopped_half_way_goes_on(
    token: KeyToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = TokenKeys(tmp_path, token, now_s=lambda: 100.0)
    storage.make(HEAD)
    old = storage._entries(HEAD)[0]
    storage.rotate(HEAD, 50, unendorsed)
    assert len(objects(token, ID=old.object_id)) == 1
    with monkeypatch.context() as stopped:
        stopped.setattr("audit.key_files.replace_file", lambda *_: (_ for _ in ()).throw(OSError("stopped here")))
        with pytest.raises(OSError, match="stopped here"):
            storage.retire(HEAD, old.key.id)
    assert objects(token, ID=old.object_id) == []
    assert len(storage.load(HEAD)) == 2, "what it signed verifies on"
    storage.retire(HEAD, old.key.id)
    assert storage.load(HEAD)[0].signer is None


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_fault_of_the_token_is_mended_by_another_session_or_told(
    done: bool, lasting: bool, token: KeyToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed and not done, failed and done: once, or for good."""
    storage = TokenKeys(tmp_path, token)
    storage.make(HEAD)
    ring, faults = KeyRing(HEAD, storage), iter([True] if not lasting else [True] * 9)
    found = KeyToken.find

    def find(asked: KeyToken, kind: ObjectClass, object_id: bytes) -> object:
        key = found(asked, kind, object_id)
        if not next(faults, False):
            return key
        if done:
            key.sign(b"m", mechanism=pkcs11.Mechanism.EDDSA)  # type: ignore[attr-defined]
        raise DeviceError

    monkeypatch.setattr(KeyToken, "find", find)
    sessions = token._session
    if lasting:
        with pytest.raises(SignerUnavailable, match="DeviceError"):
            ring.sign(b"m")
        monkeypatch.setattr(KeyToken, "find", found)
    assert verifies(HEAD.kind, ring.public, ring.sign(b"m"), b"m")
    assert token._session is not sessions


def test_a_token_that_is_gone_is_told_and_taken_up_again_when_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_device, "REST_S", 0.0)
    label = new_token()
    token = opened(label)
    storage = TokenKeys(tmp_path, token)
    for purpose in (HEAD, CUSTOMERS):
        storage.make(purpose)
    head, customers = KeyRing(HEAD, storage), KeyRing(CUSTOMERS, storage)
    sealed = customers.seal(NONCE, b"plain", b"")
    with unplugged(label):
        for asked in (lambda: head.sign(b"m"), lambda: customers.unseal(sealed, b""), lambda: asyncio.run(storage.answers())):
            with pytest.raises(SignerUnavailable):
                asked()
        with pytest.raises(KeyRefused):
            storage.rotate(HEAD, 10**10, unendorsed)
    assert verifies(HEAD.kind, head.public, head.sign(b"m"), b"m")
    assert customers.unseal(sealed, b"") == b"plain"
    assert len(storage.load(HEAD)) == 1
    token.close()


def test_what_was_not_sealed_here_is_told_from_a_token_that_does_not_answer(token: KeyToken, tmp_path: Path) -> None:
    storage = TokenKeys(tmp_path, token)
    storage.make(CUSTOMERS)
    ring = KeyRing(CUSTOMERS, storage)
    sealed = ring.seal(NONCE, b"plain", b"bound")
    session = token._session
    for wrong in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:40]):
        with pytest.raises(InvalidTag):
            ring.unseal(wrong, b"bound")
        with pytest.raises(InvalidTag):
            asyncio.run(ring.unseal_beside(wrong, b"bound"))
    assert token._session is session, "nothing was opened again for it"


def test_a_wrong_pin_is_tried_once(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token locks itself after a few."""
    logins: list[object] = []
    login = KeyToken._logged_in

    def counted(asked: KeyToken, found: pkcs11.Token) -> pkcs11.Session:
        logins.append(found)
        return login(asked, found)

    monkeypatch.setattr(KeyToken, "_logged_in", counted)
    token = opened(label, pin="not this one")
    for _ in range(5):
        with pytest.raises(TokenRefused, match="does not take the PIN") as refused:
            token.run(lambda asked: asked.session())
    assert len(logins) == 1
    assert "not this one" not in str(refused.value)
    token.close()
    right = opened(label)
    right.run(lambda asked: asked.session())
    right.close()


def test_a_token_that_hangs_keeps_nobody_waiting_and_no_more_than_a_bound_wait(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_device, "WAITING_MOST", 3)
    token, go_on = opened(label, wait_s=0.1), threading.Event()

    async def many() -> list[BaseException | None]:
        asked = [token.beside(lambda _: go_on.wait(20)) for _ in range(8)]
        return [item if isinstance(item, BaseException) else None for item in await asyncio.gather(*asked, return_exceptions=True)]

    told = [str(item) for item in asyncio.run(many())]
    assert sorted(set(told)) == ["the token does not answer in time", "too many wait for the token"]
    go_on.set()
    assert token._library.thread.submit(lambda: token._waiting).result(5) == 0
    monkeypatch.setattr(token, "_wait_s", 5.0)
    token.run(lambda asked: asked.session())
    token.close()


async def test_an_event_loop_goes_on_while_the_token_is_waited_for_also_in_a_greenlet(token: KeyToken, tmp_path: Path) -> None:
    storage = await asyncio.to_thread(TokenKeys, tmp_path, token)
    await asyncio.to_thread(storage.make, HEAD)
    ring = await asyncio.to_thread(KeyRing, HEAD, storage)
    slow, ticks = threading.Event(), 0

    async def tick() -> None:
        nonlocal ticks
        while not slow.is_set():
            ticks += 1
            await asyncio.sleep(0.001)

    def hold(_: KeyToken) -> None:
        time.sleep(0.05)

    ticking = asyncio.create_task(tick())
    for sign in (lambda: ring.sign_beside(b"m"), lambda: greenlet_spawn(ring.sign, b"m")):
        holding, before = asyncio.ensure_future(token.beside(hold)), ticks
        await asyncio.sleep(0)
        assert verifies(HEAD.kind, ring.public, await sign(), b"m")
        await holding
        assert ticks - before > 10
    slow.set()
    await ticking


def test_a_process_that_is_forked_initializes_the_library_itself(token: KeyToken, tmp_path: Path) -> None:
    storage = TokenKeys(tmp_path, token)
    storage.make(HEAD)
    ring = KeyRing(HEAD, storage)
    ring.sign(b"before")
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def child() -> None:
        sending.send((os.getpid(), ring.sign(b"m")))

    process = context.Process(target=child, daemon=True)
    process.start()
    assert receiving.poll(WAITS_S)
    pid, signature = receiving.recv()
    process.join(WAITS_S)
    assert process.exitcode == 0
    assert pid != os.getpid()
    for by in (signature, ring.sign(b"m")):
        assert verifies(HEAD.kind, ring.public, by, b"m")


def test_the_last_who_lets_go_ends_the_library_and_its_thread(label: str) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("key-token")]

    before = len(names())
    one, other = opened(label), opened(label)
    for token in (one, other):
        token.run(lambda asked: asked.session())
    one.close()
    other.run(lambda asked: asked.session())
    other.close()
    other.close()
    until = time.monotonic() + WAITS_S
    while len(names()) > before and time.monotonic() < until:  # it ends by itself, once its last work is done
        time.sleep(0.01)
    assert len(names()) <= before
    with pytest.raises(SignerUnavailable):
        other.run(lambda asked: asked.session())


@pytest.mark.parametrize("purpose", [HEAD, CUSTOMERS], ids=lambda purpose: purpose.name)
def test_what_a_rotation_left_that_stopped_before_its_file_is_told_from_what_files_name(
    purpose: KeyPurpose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = TokenKeys(tmp_path, opened(new_token()))
    storage.make(purpose)
    with monkeypatch.context() as stopped:
        stopped.setattr("audit.key_files.replace_file", lambda *_: (_ for _ in ()).throw(OSError("stopped here")))
        with pytest.raises(OSError, match="stopped here"):
            storage.rotate(purpose, 50, unendorsed)
    storage.rotate(purpose, 60, unendorsed)
    (stray,) = storage.strays(purpose)
    for kept in storage._entries(purpose):
        with pytest.raises(KeyRefused, match="no such key"):
            storage.destroy_stray(purpose, kept.object_id)
    storage.destroy_stray(purpose, stray)
    assert storage.strays(purpose) == []
    assert [len(objects(storage.token, ID=kept.object_id)) for kept in storage._entries(purpose)] == [1, 1]
    assert objects(storage.token, ID=stray) == []
    with pytest.raises(KeyRefused, match="no such key"):
        storage.destroy_stray(purpose, stray)
    assert (storage.strays(HEAD_PQ), FileKeys(tmp_path).strays(purpose)) == ([], [])
    storage.close()
