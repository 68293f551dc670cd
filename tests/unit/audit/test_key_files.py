"""Key files: their form, who may read them, and each thing that can be wrong with one, told apart."""

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import verify_ed25519, verify_mldsa44
from audit.key_files import FileKeys, read_passphrase, write_new
from audit.key_format import (
    SCRYPT_LOG2_N,
    KeyDamaged,
    KeyExposed,
    KeyMissing,
    KeyUnsealed,
    Passphrase,
    PassphraseRefused,
    decoded,
    keys_json,
)
from audit.keyring import KeyKind, KeyPurpose, KeyRefused
from audit.keys import CUSTOMERS, EXPORTS, HEAD, LOG_PURPOSES, make_keys, open_keys
from tests.trail import Clock, Random

WORDS = b"correct horse battery"
ED = KeyPurpose("ed", KeyKind.ED25519, "keys/ed.key", "nothing")
PQ = KeyPurpose("pq", KeyKind.MLDSA44, "keys/pq.key", "nothing")
SEAL = KeyPurpose("seal", KeyKind.SEAL, "keys/seal.key", "nothing")


def quick(words: bytes = WORDS) -> Passphrase:
    return Passphrase(words, log2_n=10)


def written(folder: Path, purpose: KeyPurpose, content: bytes) -> Path:
    path = folder / purpose.file
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_the_keys_of_a_log_sign_what_verifies_and_are_never_made_twice(tmp_path: Path) -> None:
    storage = FileKeys(tmp_path, random=Random())
    make_keys(storage)
    signers, wrapping = open_keys(storage, Clock())
    verify_ed25519(signers.head.public, signers.head.sign(b"m"), b"m")
    verify_mldsa44(signers.head_pq.public, signers.head_pq.sign(b"m"), b"m")
    assert len({signers.head.public, signers.permits.public, signers.exports.public}) == 3
    assert wrapping.purpose is CUSTOMERS
    with pytest.raises(KeyRefused, match="is there already"):
        make_keys(storage)


def test_keys_from_before_this_form_are_read(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"\x01" * 32, pem):
        written(tmp_path, ED, content)
        (found,) = FileKeys(tmp_path).load(ED)
        assert found.public == key.public_key().public_bytes_raw()
    written(tmp_path, PQ, b"\x01" * 32)
    storage = FileKeys(tmp_path)
    (old,) = storage.load(PQ)
    storage.rotate(PQ, 10, lambda _old, _new: "")
    assert storage.load(PQ)[0].public == old.public, "it is written in the new form with the next one"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    written(tmp_path, ED, b"\x01" * 32).chmod(mode)
    with pytest.raises(KeyExposed, match="chmod 600"):
        FileKeys(tmp_path).load(ED)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_key_in_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    written(tmp_path, ED, b"\x01" * 32).parent.chmod(mode)
    with pytest.raises(KeyExposed, match="chmod 700"):
        FileKeys(tmp_path).load(ED)


def test_a_key_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, ED, b"\x01" * 32)
    if os.geteuid() == 0:
        os.chown(path, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(KeyExposed, match="another user"):
        FileKeys(tmp_path).load(ED)


def test_what_is_made_is_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        storage = FileKeys(tmp_path)
        storage.make(ED)
        storage.rotate(ED, 10, lambda _old, _new: "")
    finally:
        os.umask(before)
    folder = tmp_path / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} == {"ed.key", ".lock"}, "and nothing is left over"


def test_each_thing_that_is_wrong_is_told_apart(tmp_path: Path) -> None:
    ec = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ed = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    pem = ed.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeyMissing, match=r"ed\.key is not there"):
        FileKeys(tmp_path).load(ED)
    for purpose, content in ((ED, b"\x01" * 31), (PQ, b""), (ED, ec), (PQ, pem), (SEAL, pem), (ED, pem[:60])):
        written(tmp_path, purpose, content)
        with pytest.raises(KeyDamaged, match=Path(purpose.file).name):
            FileKeys(tmp_path).load(purpose)
    sealed = FileKeys(tmp_path / "sealed", passphrase=quick())
    sealed.make(ED)
    path = sealed.path(ED)
    with pytest.raises(PassphraseRefused, match="is sealed: give its passphrase"):
        FileKeys(tmp_path / "sealed").load(ED)
    with pytest.raises(PassphraseRefused, match="under another passphrase"):
        FileKeys(tmp_path / "sealed", passphrase=quick(b"another horse battery")).load(ED)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(KeyDamaged, match="damaged"):
        sealed.load(ED)
    plain = FileKeys(tmp_path / "plain")
    plain.make(ED)
    with pytest.raises(KeyUnsealed, match="keys seal"):
        FileKeys(tmp_path / "plain", may_be_plain=False).load(ED)
    with pytest.raises(KeyUnsealed, match="give a passphrase"):
        FileKeys(tmp_path / "new", may_be_plain=False).make(ED)


def test_a_file_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    """Whoever may move files, and no more, does not make one key do another's duty."""
    for passphrase in (None, quick()):
        folder = tmp_path / str(passphrase is None)
        storage = FileKeys(folder, passphrase=passphrase)
        make_keys(storage)
        storage.path(EXPORTS).replace(storage.path(HEAD))
        with pytest.raises(KeyDamaged, match=r"head\.ed25519"):
            storage.load(HEAD)


@given(data=st.data())
def test_no_changed_byte_of_a_sealed_file_passes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("keys")
    storage = FileKeys(folder, passphrase=quick(), random=Random())
    storage.make(SEAL)
    path = storage.path(SEAL)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 2))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises((KeyDamaged, PassphraseRefused)):
        FileKeys(folder, passphrase=quick()).load(SEAL)


def test_a_key_file_has_one_spelling(tmp_path: Path) -> None:
    """Base64 ends in bits that say nothing (RFC 4648 section 3.5): changed, they are a changed file."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    refused = 0
    for number in range(20):
        folder = tmp_path / str(number)
        FileKeys(folder, passphrase=quick(), random=Random()).make(SEAL)
        path = FileKeys(folder, passphrase=quick()).path(SEAL)
        content = path.read_bytes()
        body = content.rstrip(b"\n").rstrip(b"=")
        last = alphabet.index(body[-1:])
        path.write_bytes(body[:-1] + alphabet[last ^ 1 :][:1] + content[len(body) :])
        with pytest.raises((KeyDamaged, PassphraseRefused)):
            FileKeys(folder, passphrase=quick()).load(SEAL)
        refused += len(content) - len(body) > 1  # padded: the bit that changed says nothing
    assert refused


def test_a_plain_file_with_another_key_than_its_id_is_damaged(tmp_path: Path) -> None:
    storage = FileKeys(tmp_path)
    storage.make(SEAL)
    lines = storage.path(SEAL).read_bytes().split(b"\n")
    found = json.loads(lines[1])
    for change in (
        {"secret": "AAAA"},
        {"secret": "A" * 43 + "="},
        {"secret": ""},
        {"id": "00" * 8},
        {"begins": "0"},
        {"statement": None},
        {"made": None},
    ):
        found["keys"][0] = {**json.loads(lines[1])["keys"][0], **change}
        written(tmp_path, SEAL, lines[0] + b"\n" + json.dumps(found).encode())
        with pytest.raises(KeyDamaged):
            storage.load(SEAL)
    for body in (b"", b"[]", b"{}", b"null", json.dumps({**json.loads(lines[1]), "keys": []}).encode()):
        written(tmp_path, SEAL, lines[0] + b"\n" + body)
        with pytest.raises(KeyDamaged):
            storage.load(SEAL)


def test_costs_that_would_stop_a_start_are_not_paid(tmp_path: Path) -> None:
    storage = FileKeys(tmp_path, passphrase=quick())
    storage.make(SEAL)
    content = storage.path(SEAL).read_bytes()
    for cost in (b"30", b"1", b'"10"', b"true"):
        written(tmp_path, SEAL, content.replace(b'"log2_n":10', b'"log2_n":' + cost))
        with pytest.raises(KeyDamaged):
            storage.load(SEAL)


def test_sealing_changes_the_file_and_nothing_else(tmp_path: Path) -> None:
    plain = FileKeys(tmp_path)
    make_keys(plain)
    plain.rotate(HEAD, 10, lambda _old, _new: "said")
    before = {purpose: [(key.id, key.begins_s, key.statement) for key in plain.load(purpose)] for purpose in LOG_PURPOSES}
    words = quick()
    for purpose in LOG_PURPOSES:
        assert not plain.is_sealed(purpose)
        plain.seal(purpose, words)
        assert plain.is_sealed(purpose)
    sealed = FileKeys(tmp_path, passphrase=quick(), may_be_plain=False)
    assert before == {purpose: [(key.id, key.begins_s, key.statement) for key in sealed.load(purpose)] for purpose in LOG_PURPOSES}
    salts = {json.loads(sealed.path(purpose).read_bytes().split(b"\n")[1])["salt"] for purpose in LOG_PURPOSES}
    assert len(salts) == 1, "so that a start derives once"
    other = quick(b"another horse battery")
    sealed.seal(HEAD, other)
    with pytest.raises(PassphraseRefused):
        sealed.load(HEAD)
    assert len(FileKeys(tmp_path, passphrase=other).load(HEAD)) == 2


def test_the_secret_of_a_sealed_file_is_not_in_it(tmp_path: Path) -> None:
    secret = Random()(32)
    storage = FileKeys(tmp_path, passphrase=quick(), random=Random())
    storage.make(SEAL)
    (entry,) = decoded(SEAL, "seal.key", keys_json(SEAL, storage._entries(SEAL)))
    assert entry[1] == secret
    content = storage.path(SEAL).read_bytes()
    assert secret not in content
    assert b"AES" not in content
    assert secret.hex().encode() not in content


def test_a_passphrase_is_a_line_of_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_bytes(WORDS + b"\r\nmore\n")
    path.chmod(0o600)
    storage = FileKeys(tmp_path, passphrase=quick())
    storage.make(SEAL)
    assert FileKeys(tmp_path, passphrase=read_passphrase(path)).load(SEAL)
    path.chmod(0o640)
    with pytest.raises(KeyExposed, match="words"):
        read_passphrase(path)
    path.chmod(0o600)
    path.write_bytes(b"short\n")
    with pytest.raises(PassphraseRefused, match="16 characters"):
        read_passphrase(path)
    assert SCRYPT_LOG2_N >= 17
    path.write_bytes(WORDS)
    storage = FileKeys(tmp_path / "new", passphrase=read_passphrase(path))
    storage.make(SEAL)
    assert f'"log2_n":{SCRYPT_LOG2_N},'.encode() in storage.path(SEAL).read_bytes(), "what a guesser pays for each try"


def _make(folder: str, go: "multiprocessing.synchronize.Event") -> bytes:  # pragma: no cover - in a process of its own
    go.wait()
    storage = FileKeys(Path(folder))
    storage.make(SEAL)
    return storage.load(SEAL)[0].id


def test_processes_that_make_a_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Manager() as manager, multiprocessing.get_context("spawn").Pool(4) as pool:
        go = manager.Event()
        asked = [pool.apply_async(_make, (str(tmp_path), go)) for _ in range(4)]
        go.set()
        assert len({one.get(30) for one in asked}) == 1


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_keys_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    storage = FileKeys(tmp_path)
    storage.make(SEAL)
    before = storage.path(SEAL).read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if broken == "fsync" else Path, broken, fails)
    with pytest.raises(OSError, match="No space"):
        storage.rotate(SEAL, 10, lambda _old, _new: "")
    monkeypatch.undo()
    assert storage.path(SEAL).read_bytes() == before
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {"seal.key", ".lock"}


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert write_new(path, b"first")
    assert not write_new(path, b"second")
    assert path.read_bytes() == b"first"
