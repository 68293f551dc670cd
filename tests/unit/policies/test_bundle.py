"""A bundle is one thing: its hash covers all of it, and two people stand for it."""

import json
from dataclasses import replace

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.bundle import Bundle, NotActivated, Role, RuleFile, SignedBundle, activate, load, sign
from tests.samples import bank

ADA = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
BEN = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
KEYS = {"ada": ADA.public_key(), "ben": BEN.public_key()}


def signed(bundle: Bundle) -> SignedBundle:
    return SignedBundle(bundle, sign(bundle, Role.AUTHOR, "ada", ADA), sign(bundle, Role.ACTIVATOR, "ben", BEN))


def test_a_bundle_is_activated_by_someone_else() -> None:
    bundle = bank.bundle()
    assert activate(signed(bundle), KEYS) is bundle


def test_the_order_of_files_and_functions_does_not_matter() -> None:
    bundle = bank.bundle()
    shuffled = replace(bundle, rules=bundle.rules[::-1], functions=bundle.functions[::-1])
    assert shuffled.hash == bundle.hash


def test_a_bundle_comes_back_from_its_bytes() -> None:
    bundle = bank.bundle()
    body = bundle.canonical()
    assert load(body) == bundle
    assert body == rfc8785.dumps(json.loads(body))
    for wrong in (b"", b"{}", b"[]", b"null", body + b" ", body.replace(b'"version":1', b'"version":1.0'), body[:-1] + b',"x":1}'):
        with pytest.raises(ValueError, match=r"not a bundle|Expecting value"):
            load(wrong)


def test_every_part_is_in_the_hash() -> None:
    bundle = bank.bundle()
    first, *others = bundle.functions
    changed = [
        replace(bundle, version=2),
        replace(bundle, author="ben"),
        replace(bundle, schema=bundle.schema + "\n"),
        replace(bundle, rules=bundle.rules[1:]),
        replace(bundle, rules=(RuleFile("z.cedar", bundle.rules[0].text), *bundle.rules[1:])),
        replace(bundle, rules=(RuleFile(bundle.rules[0].name, bundle.rules[0].text + " "), *bundle.rules[1:])),
        replace(bundle, functions=tuple(others)),
        replace(bundle, functions=(replace(first, schema_hash="0"), *others)),
        replace(bundle, functions=(replace(first, level=4), *others)),
        replace(bundle, functions=(replace(first, resource=None), *others)),
    ]
    assert len({bundle.hash, *(one.hash for one in changed)}) == len(changed) + 1


def refused(bundle: SignedBundle) -> str:
    with pytest.raises(NotActivated) as caught:
        activate(bundle, KEYS)
    return str(caught.value)


def test_the_author_cannot_activate() -> None:
    bundle = bank.bundle()
    alone = replace(signed(bundle), activator=sign(bundle, Role.ACTIVATOR, "ada", ADA))
    assert refused(alone) == "the author cannot activate"


def test_two_names_with_one_key_are_one_person() -> None:
    bundle = bank.bundle()
    alias = replace(signed(bundle), activator=sign(bundle, Role.ACTIVATOR, "ben", ADA))
    with pytest.raises(NotActivated, match="share a key"):
        activate(alias, {**KEYS, "ben": ADA.public_key()})


def test_a_signature_counts_only_in_its_place_and_for_its_bundle() -> None:
    bundle = bank.bundle()
    good = signed(bundle)
    other = replace(bundle, version=2)
    assert refused(replace(good, bundle=other)) == "a signature does not match"
    assert refused(replace(good, author=sign(bundle, Role.AUTHOR, "ben", BEN))) == "the author's signature is not the author's"
    assert refused(replace(good, author=good.activator, activator=good.author)) == "a signature stands in the wrong place"
    assert refused(replace(good, activator=replace(good.author, name="ben", role=Role.ACTIVATOR))) == "a signature does not match"
    assert refused(replace(good, activator=sign(bundle, Role.ACTIVATOR, "ben", ADA))) == "a signature does not match"
    assert refused(replace(good, activator=sign(bundle, Role.ACTIVATOR, "eve", BEN))) == "a signer is unknown"
    broken = bytes([good.author.value[0] ^ 1]) + good.author.value[1:]
    assert refused(replace(good, author=replace(good.author, value=broken))) == "a signature does not match"
    assert refused(replace(good, author=replace(good.author, value=b""))) == "a signature does not match"
