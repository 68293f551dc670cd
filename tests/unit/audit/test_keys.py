"""Customers' keys, in a store of their own."""

from pathlib import Path

import pytest

from audit.keyring import KeyKind
from audit.keys import KEYS_CACHED, NO_CUSTOMER, KeyDestroyed, KeyStore
from audit.migration import KEYS_HISTORY, prepare
from gateway.app.databases import DatabaseName
from tests.support.databases import places
from tests.support.keys import one_key
from tests.trail import Clock, Random


async def a_store(path: Path, random: Random) -> KeyStore:
    database = places(path).open(DatabaseName.KEYS, name="tests")
    await prepare(database, KEYS_HISTORY, may_upgrade=False)
    return KeyStore(database, one_key(KeyKind.SEAL, b"\x05" * 32), Clock(), random)


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
