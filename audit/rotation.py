"""Rotations of keys: one key follows another from a moment on, says the one before it, and so does the new one. Pure.

The statement is a C2SP signed note of five lines: the log's origin with `/rotation`, the purpose, the second since 1970 at which the new
key begins, both keys as C2SP vkeys. Both sign it under that first line as their name: Ed25519 over the text, ML-DSA-44 over a label and
the text, so that neither signature can be taken for one over a checkpoint.
"""

import re
from dataclasses import dataclass

from audit.checkpoint import (
    KeyType,
    Note,
    NoteInvalid,
    Signature,
    VerifierKey,
    verify_ed25519,
    verify_mldsa44,
)
from audit.keyring import KeyPurpose, RingKey, SignerUnavailable

_SECONDS = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)

MLDSA_LABEL = b"tellergate/rotation/v1\n\x00"


@dataclass(frozen=True, slots=True)
class Rotation:
    """From `begins_s` (seconds since 1970) on, `new` does what `old` did before."""

    purpose: str
    begins_s: int
    old: VerifierKey
    new: VerifierKey

    def text(self, origin: str) -> str:
        return f"{origin}/rotation\n{self.purpose}\n{self.begins_s}\n{self.old.encode()}\n{self.new.encode()}\n"


def state_rotation(origin: str, purpose: KeyPurpose, name: str, old: RingKey, new: RingKey) -> str:
    """The statement, signed by both. `name`: of these keys in signed notes. SignerUnavailable."""
    if old.signer is None or new.signer is None:
        raise SignerUnavailable("a key that is retired cannot say which one follows it")
    signers = (old.signer, new.signer)
    rotation = Rotation(purpose.name, new.begins_s, *(VerifierKey(name, signer.type, signer.public) for signer in signers))
    text = rotation.text(origin)
    signatures = []
    for signer in signers:
        key = VerifierKey(f"{origin}/rotation", signer.type, signer.public)
        signatures.append(Signature(key.name, key.id, signer.sign(_signed(signer.type, text))))
    return Note(text, tuple(signatures)).encode()


def read_rotation(statement: str, *origins: str) -> Rotation:
    """The rotation that this statement makes in a log of these origins. NoteInvalid unless both keys signed it, and nobody else."""
    note = Note.parse(statement.encode())
    lines = note.text.split("\n")
    origin = lines[0].removesuffix("/rotation")
    if len(lines) != 6 or origin == lines[0] or origin not in origins or _SECONDS.fullmatch(lines[2]) is None:
        raise NoteInvalid("not a rotation of a key of this log")
    rotation = Rotation(lines[1], int(lines[2]), VerifierKey.parse(lines[3]), VerifierKey.parse(lines[4]))
    old, new = rotation.old, rotation.new
    if rotation.text(origin) != note.text or (old.name, old.type) != (new.name, new.type) or old.public == new.public:
        raise NoteInvalid("not a rotation of one key to another of its kind")
    if len(note.signatures) != 2:
        raise NoteInvalid("a rotation is signed by both keys and nobody else")
    for key, signature in zip((old, new), note.signatures, strict=True):
        signer = VerifierKey(lines[0], key.type, key.public)
        if (signature.name, signature.key_id) != (signer.name, signer.id):
            raise NoteInvalid("a rotation is signed by both keys, the older one first")
        verify = verify_ed25519 if key.type is KeyType.ED25519 else verify_mldsa44
        verify(key.public, signature.blob, _signed(key.type, note.text))
    return rotation


def _signed(kind: KeyType, text: str) -> bytes:
    return text.encode() if kind is KeyType.ED25519 else MLDSA_LABEL + text.encode()
