"""Officers and signatures come back from their files as they were, whatever they are called; what is no such file is refused."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from policies.bundle import BundleSignature, Role, load
from policies.officers import NAME_MOST, Officer, is_name, officer_entry, parse_officers, parse_signatures, signatures_file

NAMES = st.text(min_size=1, max_size=NAME_MOST).filter(is_name)
KEYS = st.binary(min_size=32, max_size=32).map(Ed25519PrivateKey.from_private_bytes)
ROLES = st.frozensets(st.sampled_from(Role), min_size=1)


@given(st.dictionaries(NAMES, st.tuples(ROLES, KEYS), min_size=1, max_size=4))
@example({'"\\ü\U0001f600': (frozenset({Role.AUTHOR}), Ed25519PrivateKey.from_private_bytes(b"k" * 32))})
def test_officers_come_back_from_their_file(people: dict[str, tuple[frozenset[Role], Ed25519PrivateKey]]) -> None:
    officers = [Officer(name, roles, key.public_key()) for name, (roles, key) in people.items()]
    found = parse_officers("\n".join(map(officer_entry, officers)))
    assert [(item.name, item.roles, item.key.public_bytes_raw()) for item in found.values()] == [
        (item.name, item.roles, item.key.public_bytes_raw()) for item in officers
    ]
    with pytest.raises(ValueError, match="stands twice"):
        parse_officers("\n".join(map(officer_entry, [*officers, officers[0]])))


@given(st.dictionaries(st.sampled_from(Role), st.tuples(NAMES, st.binary(min_size=64, max_size=64))))
def test_signatures_come_back_from_their_file(signed: dict[Role, tuple[str, bytes]]) -> None:
    signatures = {role: BundleSignature(name, role, value) for role, (name, value) in signed.items()}
    assert parse_signatures(signatures_file(signatures)) == signatures


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(["author", "name"]), inner),
    max_leaves=8,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=64))
def test_what_is_no_such_file_is_a_value_error_and_nothing_else(body: bytes) -> None:
    for read in (parse_signatures, load):
        try:
            found: object = read(body)
        except ValueError:
            continue
        assert found == {}, "an empty object is a file without a signature"
