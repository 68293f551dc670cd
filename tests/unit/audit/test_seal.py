"""Sealed disclosures open as the record that they belong to, and as no other."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit import seal
from audit.disclosure import commitment
from audit.leaf import LeafInvalid, disclose

KEY = AESGCM(b"\x01" * 32)
BINDING = seal.SealBinding("log", "subject", "P7Y", "read", "2026-11-24T10:00:00.000000Z")
DISCLOSED = disclose(
    [("arguments", "account", "GB00"), ("", "core_key", "k1"), ("sealed", "text", "two\nlines and spaces")], bytes(48)
)
BLOB = seal.seal(KEY, b"\x02" * 12, DISCLOSED.payload(), BINDING)
LEAF = {
    "arguments": {"account": {"commitment": commitment(DISCLOSED.disclosures["arguments.account"])}},
    "core_key": {"commitment": commitment(DISCLOSED.disclosures["core_key"])},
    "sealed": {"digest": seal.digest(BLOB), "fields": {"text": {"commitment": commitment(DISCLOSED.disclosures["sealed.text"])}}},
}


def test_what_was_sealed_opens_and_fits_its_leaf() -> None:
    opened = seal.unseal(KEY, BLOB, BINDING)
    assert opened == DISCLOSED.disclosures
    seal.check_disclosed(LEAF, opened)
    assert seal.committed_in(LEAF) == DISCLOSED.commitments


@pytest.mark.parametrize("field", ["log", "subject", "retention", "kind", "time"])
def test_it_does_not_open_as_another_record(field: str) -> None:
    with pytest.raises(seal.SealBroken):
        seal.unseal(KEY, BLOB, replace(BINDING, **{field: "other"}))


def test_it_does_not_open_under_another_key_or_with_changed_bytes() -> None:
    with pytest.raises(seal.SealBroken):
        seal.unseal(AESGCM(b"\x02" * 32), BLOB, BINDING)
    for at in range(0, len(BLOB), 5):
        changed = bytearray(BLOB)
        changed[at] ^= 1
        with pytest.raises(seal.SealBroken):
            seal.unseal(KEY, bytes(changed), BINDING)
    for length in (0, 5, 12, 20):
        with pytest.raises(seal.SealBroken):
            seal.unseal(KEY, BLOB[:length], BINDING)


def test_a_disclosure_that_the_leaf_does_not_commit_to_is_refused() -> None:
    good = DISCLOSED.disclosures
    for wrong in (
        {"arguments.account": good["core_key"]},
        {"no.where": good["core_key"]},
        {"sealed.fields.text": good["sealed.text"]},
    ):
        with pytest.raises(LeafInvalid):
            seal.check_disclosed(LEAF, wrong)
