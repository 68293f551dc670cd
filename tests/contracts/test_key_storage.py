"""What every storage of keys does alike: in files, plain and sealed, in a PKCS#11 token, and in memory."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from audit.key_files import FileKeys
from audit.key_format import Passphrase
from audit.keyring import (
    NONCE_BYTES,
    KeyKind,
    KeyPurpose,
    KeyRefused,
    KeyRing,
    KeyStorage,
    RingKey,
    SignedRows,
    SignerUnavailable,
    verifies,
)
from audit.token_keys import TokenKeys
from tests.support.keys import MemoryKeys
from tests.support.softhsm import new_token, opened
from tests.trail import Random

PURPOSES = {kind: KeyPurpose(kind.value, kind, f"keys/{kind.value}.key", "nothing", wraps=kind is KeyKind.SEAL) for kind in KeyKind}
STORAGES = ("memory", "plain files", "sealed files", "token")
NONCE = bytes(NONCE_BYTES)


class Time:
    """Seconds, as they are set."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def storage_of(name: str, folder: Path, time: Time) -> KeyStorage:
    if name == "memory":
        return MemoryKeys(Random(), time)
    if name == "token":
        return TokenKeys(folder, opened(_label()), random=Random(), now_s=time)
    passphrase = Passphrase(b"correct horse battery", log2_n=10) if name == "sealed files" else None
    return FileKeys(folder, passphrase=passphrase, may_be_plain=passphrase is None, random=Random(), now_s=time)


@cache
def _label() -> str:
    """One token for all: its keys have ids of their own, and the files say which are whose."""
    return new_token()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path, time: Time) -> KeyStorage:
    return storage_of(request.param, tmp_path, time)


def unendorsed(_old: RingKey, _new: RingKey) -> str:
    return ""


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_is_made_once_and_is_the_same_for_everybody(storage: KeyStorage, kind: KeyKind, time: Time) -> None:
    purpose = PURPOSES[kind]
    with pytest.raises(KeyRefused):
        storage.load(purpose)
    assert storage.make(purpose)
    first = KeyRing(purpose, storage, time)
    assert not storage.make(purpose)
    again = KeyRing(purpose, storage, time)
    assert [key.id for key in first.keys] == [key.id for key in again.keys]
    assert len(first.active().id) == 8
    assert bool(first.active().public) == kind.signs


@pytest.mark.parametrize("kind", KeyKind)
def test_a_new_key_begins_at_its_time_and_a_ring_learns_of_it_before(storage: KeyStorage, kind: KeyKind, time: Time) -> None:
    purpose = PURPOSES[kind]
    storage.make(purpose)
    ring = KeyRing(purpose, storage, time)
    old = ring.active()
    assert not ring.refresh()
    told: list[tuple[bytes, bytes]] = []

    def endorse(before: RingKey, after: RingKey) -> str:
        told.append((before.id, after.id))
        return "said"

    made = storage.rotate(purpose, 1_010, endorse)
    assert told == [(old.id, made.id)]
    assert len(ring.keys) == 1, "nothing changes under who does not look"
    assert ring.refresh()
    assert not ring.refresh()
    assert [key.id for key in ring.keys] == [old.id, made.id]
    assert ring.keys[-1].statement == "said"
    assert ring.active().id == old.id
    time.now_s = 1_010
    assert ring.active().id == made.id
    assert ring.active(1_009).id == old.id, "who did something at another time"
    with pytest.raises(KeyRefused):
        storage.rotate(purpose, 1_010, endorse)


def test_what_an_older_key_made_holds_on_until_it_is_retired(storage: KeyStorage, time: Time) -> None:
    rings = {}
    for kind in KeyKind:
        storage.make(PURPOSES[kind])
        rings[kind] = KeyRing(PURPOSES[kind], storage, time)
    rows = SignedRows(rings[KeyKind.ED25519])
    sealed = rings[KeyKind.SEAL].seal(NONCE, b"plain", b"bound")
    same = rings[KeyKind.SIV].seal_same(b"plain", [b"a", b"b"])
    code, row = rings[KeyKind.MAC].mac(b"m"), rows.sign(b"m")
    quantum_safe = rings[KeyKind.MLDSA44].sign(b"m")
    older = {kind: ring.active() for kind, ring in rings.items()}
    for kind, ring in rings.items():
        storage.rotate(PURPOSES[kind], 1_005, unendorsed)
        ring.refresh()
    time.now_s = 1_005
    assert rings[KeyKind.SEAL].unseal(sealed, b"bound") == b"plain"
    assert rings[KeyKind.SEAL].sealed_by(sealed) == older[KeyKind.SEAL].id
    assert rings[KeyKind.SEAL].sealed_by(rings[KeyKind.SEAL].seal(NONCE, b"", b"")) != older[KeyKind.SEAL].id
    assert rings[KeyKind.SIV].unseal_same(same, [b"a", b"b"]) == b"plain"
    assert rings[KeyKind.SIV].seal_same(b"plain", [b"a", b"b"]) != same
    assert rings[KeyKind.MAC].is_mac(b"m", code)
    assert rings[KeyKind.MAC].mac(b"m") != code
    rows.verify(row, b"m")
    rows.verify(row[8:], b"m")  # as it was stored before keys had ids
    assert row[:8] == older[KeyKind.ED25519].id != rows.sign(b"m")[:8]
    assert verifies(KeyKind.MLDSA44, older[KeyKind.MLDSA44].public, quantum_safe, b"m")
    for kind, ring in rings.items():
        storage.retire(PURPOSES[kind], older[kind].id)
        ring.refresh()
    with pytest.raises(InvalidTag):
        rings[KeyKind.SEAL].unseal(sealed, b"bound")
    with pytest.raises(InvalidTag):
        rings[KeyKind.SIV].unseal_same(same, [b"a", b"b"])
    assert not rings[KeyKind.MAC].is_mac(b"m", code)
    rows.verify(row, b"m")  # old evidence verifies on: the public half stays
    with pytest.raises(SignerUnavailable):
        rings[KeyKind.ED25519].signer(1_000)
    assert len(rings[KeyKind.ED25519].signers()) == 1


def test_a_key_in_use_or_unknown_is_not_retired(storage: KeyStorage, time: Time) -> None:
    purpose = PURPOSES[KeyKind.MAC]
    storage.make(purpose)
    (key,) = storage.load(purpose)
    made = storage.rotate(purpose, 1_010, unendorsed)
    for wanted in (key.id, made.id, b"x" * 8):
        with pytest.raises(KeyRefused):
            storage.retire(purpose, wanted)
    assert len(storage.load(purpose)) == 2


def test_what_a_distrusted_key_signed_is_not_believed_and_evidence_is_never_distrusted(storage: KeyStorage, time: Time) -> None:
    kept = KeyPurpose("kept", KeyKind.ED25519, "keys/kept.key", "nothing", evidence=True)
    for purpose in (PURPOSES[KeyKind.ED25519], kept):
        storage.make(purpose)
        ring = KeyRing(purpose, storage, time)
        rows, old = SignedRows(ring), ring.active()
        row = rows.sign(b"m")
        storage.rotate(purpose, 1_005, unendorsed)
        time.now_s = 1_005
        if purpose.evidence:
            with pytest.raises(KeyRefused):
                storage.retire(purpose, old.id, distrust=True)
            rows.verify(row, b"m")
            continue
        storage.retire(purpose, old.id, distrust=True)
        ring.refresh()
        for signature in (row, row[8:]):
            with pytest.raises(InvalidSignature):
                rows.verify(signature, b"m")
        time.now_s = 1_000


def test_what_goes_wrong_while_a_key_is_endorsed_leaves_everything_as_it_was(storage: KeyStorage) -> None:
    purpose = PURPOSES[KeyKind.ED25519]
    storage.make(purpose)
    version = storage.version(purpose)

    def fails(_old: RingKey, _new: RingKey) -> str:
        raise SignerUnavailable

    with pytest.raises(SignerUnavailable):
        storage.rotate(purpose, 1_010, fails)
    assert len(storage.load(purpose)) == 1
    assert storage.version(purpose) == version


def test_keys_that_overlap_are_told_from_older_ones(storage: KeyStorage, time: Time) -> None:
    purpose = PURPOSES[KeyKind.ED25519]
    storage.make(purpose)
    ring = KeyRing(purpose, storage, time)
    first = ring.public
    assert ring.publics(0) == [first]
    storage.rotate(purpose, 1_010, unendorsed)
    ring.refresh()
    assert ring.publics(120)[0] == first
    assert len(ring.publics(120)) == 2, "the next one is told before it begins"
    time.now_s = 1_130
    assert ring.publics(120)[1] == first
    time.now_s = 1_131
    assert first not in ring.publics(120)
    assert first in ring.publics()


def test_rows_and_seals_of_others_are_refused(storage: KeyStorage, time: Time) -> None:
    for kind in (KeyKind.ED25519, KeyKind.SEAL):
        storage.make(PURPOSES[kind])
    rows, ring = SignedRows(KeyRing(PURPOSES[KeyKind.ED25519], storage, time)), KeyRing(PURPOSES[KeyKind.SEAL], storage, time)
    row = rows.sign(b"m")
    for wrong in (b"", row[:-1], row + b"x", bytes(72), row[:8], bytes([row[0] ^ 1]) + row[1:]):
        with pytest.raises(InvalidSignature):
            rows.verify(wrong, b"m")
    sealed = ring.seal(NONCE, b"plain", b"bound")
    for wrong in (b"", sealed[:-1], sealed[:20], sealed[1:], sealed + b"x", bytes(60)):
        with pytest.raises(InvalidTag):
            ring.unseal(wrong, b"bound")
    with pytest.raises(InvalidTag):
        ring.unseal(sealed, b"another")
    assert ring.unseal(sealed[9:], b"bound") == b"plain", "as it was sealed before keys had ids"


class Rotations(RuleBasedStateMachine):
    """Any order of rotations, retirements, looks and waiting: a ring opens what was sealed by each key that is not retired, and no other;
    two processes that look at least as often as keys begin open what the other one seals.
    """

    storage_name = "memory"

    @initialize()
    def begin(self) -> None:
        self.folder, self.time = TemporaryDirectory(), Time()
        self.storage = storage_of(self.storage_name, Path(self.folder.name), self.time)
        self.purpose = PURPOSES[KeyKind.SEAL]
        self.storage.make(self.purpose)
        self.rings = [KeyRing(self.purpose, self.storage, self.time) for _ in range(2)]
        self.sealed: list[tuple[bytes, bytes]] = []
        self.retired: set[bytes] = set()

    def teardown(self) -> None:
        self.folder.cleanup()

    def look(self) -> None:
        for ring in self.rings:
            ring.refresh()

    @rule(lead_s=st.integers(1, 20))
    def rotate(self, lead_s: int) -> None:
        keys = self.storage.load(self.purpose)
        begins_s = int(self.time.now_s) + lead_s
        try:
            self.storage.rotate(self.purpose, begins_s, unendorsed)
        except KeyRefused:
            assert begins_s <= keys[-1].begins_s

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.look()
        self.time.now_s += seconds

    @rule(process=st.integers(0, 1))
    def seal(self, process: int) -> None:
        sealed = self.rings[process].seal(NONCE, b"plain", b"")
        self.sealed.append((self.rings[process].active().id, sealed))

    @precondition(lambda self: len(self.storage.load(self.purpose)) > 1)
    @rule()
    def retire(self) -> None:
        keys = self.storage.load(self.purpose)
        in_use = keys[1].begins_s > self.time.now_s
        try:
            self.storage.retire(self.purpose, keys[0].id)
        except KeyRefused:
            assert in_use
        else:
            assert not in_use
            self.retired.add(keys[0].id)
            self.look()

    @invariant()
    def both_open_what_is_not_retired(self) -> None:
        for key_id, sealed in self.sealed:
            for ring in self.rings:
                if key_id in self.retired:
                    with pytest.raises(InvalidTag):
                        ring.unseal(sealed, b"")
                else:
                    assert ring.unseal(sealed, b"") == b"plain"


def machine_of(name: str) -> type[Rotations]:
    return type(f"Rotations of {name}", (Rotations,), {"storage_name": name})


def run_of(name: str) -> type[TestCase]:
    case = machine_of(name).TestCase
    case.settings = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], stateful_step_count=20)
    return case


TestRotationsInMemory = run_of("memory")
TestRotationsInPlainFiles = run_of("plain files")
TestRotationsInSealedFiles = run_of("sealed files")
TestRotationsInAToken = run_of("token")
