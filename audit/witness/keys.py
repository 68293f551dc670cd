"""The keys that a witness signs by: a file of note signing keys (`PRIVATE+KEY+name+id+base64(type, seed)`), one of each type.

An Ed25519 cosigner's key must be of no other use, and of one name: its messages do not commit to the name (C2SP tlog-cosignature).
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.checkpoint import KeyType, NoteInvalid, SigningKey, VerifierKey
from audit.encoding import b64, unb64
from audit.key_files import read_private, write_new
from audit.keyring import KeyRefused

KEY_FILE = "witness.key"

COSIGNING = (KeyType.ED25519_COSIGNATURE, KeyType.MLDSA44)

_PREFIX = "PRIVATE+KEY+"
_SEED_BYTES = 32


def make_witness_keys(folder: Path, name: str) -> Sequence[SigningKey]:
    """New keys of a witness, durable on return. KeyRefused: there are some already, or no key can have this name."""
    seeds = [(kind, secrets.token_bytes(_SEED_BYTES)) for kind in COSIGNING]
    try:
        made = [_key(name, kind, seed) for kind, seed in seeds]
    except NoteInvalid as error:
        raise KeyRefused(str(error)) from None
    lines = [
        f"{_PREFIX}{name}+{key.key.id.hex()}+{b64(bytes([kind]) + seed)}\n" for key, (kind, seed) in zip(made, seeds, strict=True)
    ]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not write_new(folder / KEY_FILE, "".join(lines).encode()):
        raise KeyRefused(f"{KEY_FILE} is there already: keys are never written over; use another folder for another witness")
    return made


def witness_keys(folder: Path) -> Sequence[SigningKey]:
    """The keys of the witness in this folder, at least one. KeyRefused."""
    try:
        lines = read_private(folder / KEY_FILE).decode("ascii").splitlines()
        found = [_parsed(line) for line in lines]
    except (ValueError, IndexError, NoteInvalid):
        raise KeyRefused(f"{KEY_FILE} is damaged: restore it from where the keys are kept safe") from None
    if not found:
        raise KeyRefused(f"{KEY_FILE} holds no key: restore it from where the keys are kept safe")
    return found


def _parsed(line: str) -> SigningKey:
    name, key_id, encoded = line.removeprefix(_PREFIX).split("+", 2)
    raw = unb64(encoded)
    key = _key(name, KeyType(raw[0]), raw[1:])
    if not line.startswith(_PREFIX) or key.key.id.hex() != key_id or key.key.type not in COSIGNING:
        raise ValueError("not a key of a witness")
    return key


def _key(name: str, kind: KeyType, seed: bytes) -> SigningKey:
    """ValueError for a seed of another length."""
    private = MLDSA44PrivateKey.from_seed_bytes(seed) if kind is KeyType.MLDSA44 else Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(VerifierKey(name, kind, private.public_key().public_bytes_raw()), private.sign)
