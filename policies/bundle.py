"""A bundle: schema, rules, cases and function manifest as one thing that is hashed, signed by its author and activated by someone else.

Pure: keys and signatures are handed in. `policies.reading` says whether a bundle's rules are fit to decide.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_DOMAIN = b"tellergate policy bundle v1\0"

VERSION_MOST = 2**31 - 1
"""Versions are positive integers that each store can keep."""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file of Cedar text, under its name for people."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionEntry:
    """What the bundle was written for: a function as it was declared.

    `effect` is R, W, P or I; `resource` names the argument that is the resource (None: the bank); `schema_hash` covers the
    arguments.
    """

    name: str
    version: int
    effect: str
    level: int
    emergency: bool
    egress: bool
    resource: str | None
    data_classes: tuple[str, ...]
    schema_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What decides. Two bundles with one hash decide alike.

    `cases` are the files of what its rules were tried with, so that who signs and who activates it mean the same cases.
    """

    version: int
    author: str
    schema: str
    rules: tuple[RuleFile, ...]
    functions: tuple[FunctionEntry, ...]
    cases: tuple[RuleFile, ...] = ()

    def canonical(self) -> bytes:
        """RFC 8785 JSON of everything, files and functions sorted by name; without cases it has no such member."""
        body: dict[str, object] = {
            "author": self.author,
            "functions": [_members(function) for function in sorted(self.functions, key=lambda function: function.name)],
            "rules": [_members(rules) for rules in sorted(self.rules, key=lambda rules: rules.name)],
            "schema": self.schema,
            "version": self.version,
        }
        if self.cases:
            body["cases"] = [_members(case) for case in sorted(self.cases, key=lambda case: case.name)]
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical bytes, in hexadecimal: what every record names."""
        return hashlib.sha256(self.canonical()).hexdigest()


def _members(entry: RuleFile | FunctionEntry) -> dict[str, object]:
    """As `dataclasses.asdict`, which would copy each text: the bundle is hashed at every start, several times."""
    return {field.name: getattr(entry, field.name) for field in fields(entry)}


def load(body: bytes) -> Bundle:
    """The bundle of these canonical bytes: `load(bundle.canonical()) == bundle`. ValueError for anything else."""
    try:
        fields = json.loads(body, parse_float=_no_float)
        bundle = Bundle(
            version=fields["version"],
            author=fields["author"],
            schema=fields["schema"],
            rules=_files(fields["rules"]),
            cases=_files(fields.get("cases", ())),
            functions=tuple(
                FunctionEntry(**{**function, "data_classes": tuple(function["data_classes"])}) for function in fields["functions"]
            ),
        )
        texts = [
            bundle.author,
            bundle.schema,
            *(text for file in (*bundle.rules, *bundle.cases) for text in (file.name, file.text)),
        ]
        if (
            type(bundle.version) is not int
            or not 1 <= bundle.version <= VERSION_MOST
            or not all(isinstance(text, str) for text in texts)
        ):
            raise TypeError
        canonical = bundle.canonical()
    except (AttributeError, KeyError, TypeError, RecursionError, UnicodeError) as error:
        raise ValueError("not a bundle") from error
    if canonical != body:
        raise ValueError("not a bundle in canonical form")
    return bundle


def _files(listed: Iterable[Mapping[str, str]]) -> tuple[RuleFile, ...]:
    return tuple(RuleFile(**file) for file in listed)


def _no_float(text: str) -> int:
    raise ValueError("not a bundle: it has no fractions")


class Role(StrEnum):
    """In which capacity someone signs."""

    AUTHOR = "author"
    ACTIVATOR = "activator"


@dataclass(frozen=True, slots=True)
class BundleSignature:
    """Ed25519 over role, name and bundle hash: neither can be passed off as the other's, or for another bundle."""

    name: str
    role: Role
    value: bytes


@dataclass(frozen=True, slots=True)
class SignedBundle:
    bundle: Bundle
    author: BundleSignature
    activator: BundleSignature


class NotActivated(Exception):
    """The bundle must not decide: a signature is missing or wrong, or one person stands for both duties."""


def sign(bundle: Bundle, role: Role, name: str, key: Ed25519PrivateKey) -> BundleSignature:
    """The signature of `name` in this role. Deterministic (RFC 8032)."""
    return BundleSignature(name, role, key.sign(_signed(bundle, role, name)))


def activate(signed: SignedBundle, keys: Mapping[str, Ed25519PublicKey]) -> Bundle:
    """The bundle, if its author and someone else signed it. NotActivated otherwise.

    `keys` holds the officers' keys by name. Two names with one key are one person.
    """
    author, activator = signed.author, signed.activator
    if author.role is not Role.AUTHOR or activator.role is not Role.ACTIVATOR:
        raise NotActivated("a signature stands in the wrong place")
    if author.name != signed.bundle.author:
        raise NotActivated("the author's signature is not the author's")
    if author.name == activator.name:
        raise NotActivated("the author cannot activate")
    for signature in (author, activator):
        _verify(signed.bundle, signature, keys)
    if keys[author.name].public_bytes_raw() == keys[activator.name].public_bytes_raw():
        raise NotActivated("author and activator share a key")
    return signed.bundle


def _verify(bundle: Bundle, signature: BundleSignature, keys: Mapping[str, Ed25519PublicKey]) -> None:
    key = keys.get(signature.name)
    if key is None:
        raise NotActivated("a signer is unknown")
    try:
        key.verify(signature.value, _signed(bundle, signature.role, signature.name))
    except InvalidSignature:
        raise NotActivated("a signature does not match") from None


def _signed(bundle: Bundle, role: Role, name: str) -> bytes:
    return _DOMAIN + json.dumps([role.value, name, bundle.hash], ensure_ascii=False, separators=(",", ":")).encode()
