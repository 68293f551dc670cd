"""Signing keys on disk, and customers' keys in a store of their own."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from audit.checkpoint import KeyType, verify_ed25519, verify_mldsa44
from audit.keys import KEYS_CACHED, NO_CUSTOMER, FileSigner, KeyDestroyed, KeyRefused, KeyStore, make_files, read_files
from audit.migration import KEYS_HISTORY, prepare
from gateway.app.databases import DatabaseName
from tests.support.databases import places
from tests.trail import Clock, Random


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_signers_of_both_kinds_sign_what_verifies(tmp_path: Path) -> None:
    make_files(tmp_path / "secrets", Random())
    signers, kek = read_files(tmp_path / "secrets")
    verify_ed25519(signers.head.public, signers.head.sign(b"m"), b"m")
    verify_mldsa44(signers.head_pq.public, signers.head_pq.sign(b"m"), b"m")
    assert len({signers.head.public, signers.permits.public, signers.exports.public}) == 3
    assert len(kek) == 32


def test_a_pem_key_is_read_as_well_as_raw_bytes(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    pem = private(tmp_path / "pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    raw = private(tmp_path / "raw", b"\x01" * 32)
    assert FileSigner.read(pem, KeyType.ED25519).public == FileSigner.read(raw, KeyType.ED25519).public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "key", b"\x01" * 32)
    path.chmod(mode)
    with pytest.raises(KeyRefused, match="others"):
        FileSigner.read(path, KeyType.ED25519)


def test_what_is_no_key_of_the_wanted_type_is_refused(tmp_path: Path) -> None:
    ec = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ed = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    pem = ed.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, content, wanted in (
        ("short", b"\x01" * 31, KeyType.ED25519),
        ("empty", b"", KeyType.MLDSA44),
        ("other curve", ec, KeyType.ED25519),
        ("other type", pem, KeyType.MLDSA44),
        ("broken", pem[:60], KeyType.ED25519),
    ):
        with pytest.raises(KeyRefused, match=name):
            FileSigner.read(private(tmp_path / name, content), wanted)
    with pytest.raises(KeyRefused, match="cannot be read"):
        FileSigner.read(tmp_path / "absent", KeyType.ED25519)


async def a_store(path: Path, random: Random) -> KeyStore:
    database = places(path).open(DatabaseName.KEYS, name="tests")
    await prepare(database, KEYS_HISTORY, may_upgrade=False)
    return KeyStore(database, b"\x05" * 32, Clock(), random)


async def test_each_customer_and_class_has_its_own_key_and_keeps_it(tmp_path: Path) -> None:
    store = await a_store(tmp_path, Random())
    sealed = {}
    for customer in ("C-1", "C-2", None):
        for retention in ("P1Y", "P7Y"):
            key = await store.key_for(customer, retention)
            sealed[key.subject, retention] = key.cipher.encrypt(b"\x00" * 12, b"same", None)
    assert len(set(sealed.values())) == 6
    assert len({subject for subject, _ in sealed}) == 3
    assert NO_CUSTOMER in {subject for subject, _ in sealed}
    await store.close()
    again = await a_store(tmp_path, Random(b"other"))
    for (subject, retention), blob in sealed.items():
        assert (await again.key_of(subject, retention)).decrypt(b"\x00" * 12, blob, None) == b"same"
    assert (await again.key_for("C-1", "P1Y")).subject == (await again.subject_of("C-1"))
    await again.close()


async def test_pseudonyms_say_nothing_of_the_customer(tmp_path: Path) -> None:
    store = await a_store(tmp_path, Random())
    subject = (await store.key_for("C-1", "P7Y")).subject
    assert len(subject) == 22
    other = await a_store(tmp_path / "other", Random(b"other"))
    assert (await other.key_for("C-1", "P7Y")).subject != subject
    await store.close()
    await other.close()


async def test_two_processes_agree_on_a_new_customer(tmp_path: Path) -> None:
    one, other = await a_store(tmp_path, Random()), await a_store(tmp_path, Random(b"other"))
    assert (await one.key_for("C-1", "P7Y")).subject == (await other.key_for("C-1", "P7Y")).subject
    await one.close()
    await other.close()


async def test_a_destroyed_key_is_gone(tmp_path: Path) -> None:
    store = await a_store(tmp_path, Random())
    subject = (await store.key_for("C-1", "P7Y")).subject
    await store.destroy(subject, ["P7Y"], below=3, locked={})
    with pytest.raises(KeyDestroyed):
        await store.key_of(subject, "P7Y")
    assert (await store.destroyed()) == {subject: {"P7Y": 3}}
    assert (await store.key_for("C-1", "P7Y")).subject != subject
    await store.close()


async def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEYS_CACHED <= 65_536
    monkeypatch.setattr("audit.keys.KEYS_CACHED", 2)
    store = await a_store(tmp_path, Random())
    for customer in ("C-1", "C-2", "C-1", "C-3", "C-1"):
        await store.key_for(customer, "P7Y")
    assert [customer for customer, _ in store._cached] == ["C-3", "C-1"]
    await store.close()


def test_a_kek_has_32_bytes(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused):
        KeyStore(places(tmp_path).open(DatabaseName.KEYS, name="tests"), b"\x05" * 16, Clock(), Random())
