"""Who may sign bundles, and how their signatures are kept: the officers that a bank pins, and the file beside a bundle. Pure.

The officers are pinned by whoever runs the gateway, on another way than the bundle and its signatures come: their file alone says whose
word counts, and for what.
"""

import base64
import binascii
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from policies.bundle import Bundle, BundleSignature, NotActivated, Role, SignedBundle, activate

NAME_MOST = 64
"""Characters of an officer's name."""

STAFF_ROLES = ("officer", "auditor", "reviewer", "operator")
"""Roles in the file that sign no bundles; what each may do is said elsewhere."""

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Officer:
    """A person who may sign, in these roles and with this key alone."""

    name: str
    roles: frozenset[Role]
    key: Ed25519PublicKey
    staff: frozenset[str] = frozenset()
    """What this person is beside signing bundles, some of `STAFF_ROLES`: by their key they may do the duties of it."""


def parse_officers(text: str) -> Mapping[str, Officer]:
    """The officers of a TOML file by their names, `[[officer]]` with `name`, `roles` and `public_key` (base64 of 32 bytes, RFC 8032).

    ValueError, naming the officer, for anything else: an entry that is not understood would be one that nobody meant.
    """
    content = tomllib.loads(text)
    listed = content.get("officer")
    if set(content) != {"officer"} or not isinstance(listed, list) or not listed:
        raise ValueError("a file of officers is a list of [[officer]] and nothing else")
    officers: dict[str, Officer] = {}
    for entry in listed:
        officer = _officer(entry)
        if officer.name in officers:
            raise ValueError(f"{officer.name}: stands twice")
        officers[officer.name] = officer
    return officers


def officer_entry(officer: Officer) -> str:
    """The entry of an officer as `parse_officers` takes it."""
    roles = ", ".join(f'"{role}"' for role in (*sorted(officer.roles), *sorted(officer.staff)))
    key = base64.b64encode(officer.key.public_bytes_raw()).decode()
    return f'[[officer]]\nname = {json.dumps(officer.name, ensure_ascii=False)}\nroles = [{roles}]\npublic_key = "{key}"\n'


def verified(signed: SignedBundle, officers: Mapping[str, Officer]) -> Bundle:
    """The bundle, if a pinned author and another person, a pinned activator, signed exactly it. NotActivated otherwise."""
    for signature in (signed.author, signed.activator):
        officer = officers.get(signature.name)
        if officer is None:
            raise NotActivated(f"{signature.name} is not among the pinned officers")
        if signature.role not in officer.roles:
            raise NotActivated(f"{signature.name} is not pinned as {signature.role}")
    return activate(signed, {name: officer.key for name, officer in officers.items()})


def is_name(text: str) -> bool:
    """Whether an officer, or an author, may be called so."""
    return 1 <= len(text) <= NAME_MOST and text.isprintable() and text == text.strip()


def signatures_file(signatures: Mapping[Role, BundleSignature]) -> bytes:
    """The file that stands beside a bundle: JSON, one signature for each role."""
    body = {
        role.value: {"name": signature.name, "signature": base64.b64encode(signature.value).decode()}
        for role, signature in signatures.items()
    }
    return json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"


def parse_signatures(body: bytes) -> Mapping[Role, BundleSignature]:
    """The signatures of such a file, not verified yet. ValueError for anything else."""
    try:
        members = json.loads(body)
        found = {
            Role(role): BundleSignature(_name(entry["name"]), Role(role), _bytes(entry["signature"], _SIGNATURE_BYTES))
            for role, entry in members.items()
            if set(entry) == {"name", "signature"}
        }
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("not a file of signatures") from error
    if len(found) != len(members):
        raise ValueError("not a file of signatures")
    return found


def _officer(entry: object) -> Officer:
    if not isinstance(entry, dict) or set(entry) != {"name", "roles", "public_key"}:
        raise ValueError("an officer has name, roles and public_key, and nothing else")
    name = _name(entry["name"])
    staff: frozenset[str] = frozenset()
    try:
        staff = frozenset(role for role in entry["roles"] if role in STAFF_ROLES)
        roles = frozenset(Role(role) for role in entry["roles"] if role not in staff)
        key = Ed25519PublicKey.from_public_bytes(_bytes(entry["public_key"], _KEY_BYTES))
    except (ValueError, TypeError):
        roles, key = frozenset(), None
    if not (roles or staff) or key is None or not isinstance(entry["roles"], list):
        known = ", ".join((*(role.value for role in Role), *STAFF_ROLES))
        raise ValueError(f"{name}: roles are some of {known}; public_key is base64 of {_KEY_BYTES} bytes")
    return Officer(name, roles, key, staff)


def _name(value: object) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"a name has 1 to {NAME_MOST} printable characters")
    return value


def _bytes(value: object, size: int) -> bytes:
    try:
        found = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except binascii.Error:
        found = b""
    if len(found) != size:
        raise ValueError(f"base64 of {size} bytes is wanted")
    return found
