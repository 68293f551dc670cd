"""Checkpoints: C2SP signed-note, tlog-checkpoint and tlog-cosignature. Pure: no I/O, no clock, no randomness.

A checkpoint of ours carries two signatures of the log: Ed25519 (type 0x01) over the note's text, and ML-DSA-44 (type 0x06) over
the `subtree/v1` structure with the time in seconds. Both are needed: one holds against today's, one against tomorrow's attackers.
Witnesses add cosignatures: ML-DSA-44 in the same form, and Ed25519 (type 0x04) over the time and the note's text.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from audit.encoding import b64, unb64
from audit.merkle import HASH_BYTES

NOTE_MOST = 65_536
"""Bytes of a note that is read at all; 16 signatures with ML-DSA fit."""

SIGNATURES_MOST = 16

_NAME = re.compile(r"[!-*,-~]{1,255}", re.ASCII)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_DASH = "— "

LOW_ORDER = frozenset(
    bytes.fromhex(item)
    for item in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""y coordinates (sign bit cleared) of the points of order 1, 2, 4 and 8: under such a key anything verifies."""


class NoteInvalid(Exception):
    """A note, key or signature is malformed, not canonical, or does not verify. The text says why and holds no input."""


class KeyType(IntEnum):
    """Signature types of C2SP signed-note that we use."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    MLDSA44 = 0x06


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name (a C2SP vkey): who may sign a note, and how."""

    name: str
    type: KeyType
    public: bytes

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise NoteInvalid("a key's name is 1 to 255 printable ASCII characters without space and plus")
        if self.type is not KeyType.MLDSA44:
            check_ed25519_key(self.public)
        elif len(self.public) != 1312:
            raise NoteInvalid("an ML-DSA-44 public key has 1312 bytes")

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256(name, newline, type, key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def encode(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.type]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """From `encode`'s form. NoteInvalid when malformed, of an unknown type, or when the id is another key's."""
        name, _, rest = text.partition("+")
        key_id, _, material = rest.partition("+")
        raw = _unb64(material)
        try:
            key = cls(name, KeyType(raw[0] if raw else 0), raw[1:])
        except ValueError as error:
            raise NoteInvalid("not a key of a type that is used here") from error
        if key.id.hex() != key_id:
            raise NoteInvalid("the key's id is not that of the key")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes
    blob: bytes

    def line(self) -> str:
        """As it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {b64(self.key_id + self.blob)}\n"

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """From a line without its newline. NoteInvalid."""
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        blob = _unb64(encoded)
        if not line.startswith(_DASH) or _NAME.fullmatch(name) is None or len(blob) < 5:
            raise NoteInvalid("a signature line is malformed")
        return cls(name, blob[:4], blob[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note: its text (with the final newline) and its signature lines, none of them verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)

    @classmethod
    def parse(cls, encoded: bytes) -> "Note":
        """NoteInvalid unless `encoded` is a canonical signed note: parsing and encoding again gives the same bytes."""
        if len(encoded) > NOTE_MOST:
            raise NoteInvalid("the note is too long")
        try:
            content = encoded.decode()
        except UnicodeDecodeError as error:
            raise NoteInvalid("the note is not UTF-8") from error
        if any(character < " " and character != "\n" for character in content):
            raise NoteInvalid("the note holds a control character")
        text, separator, tail = content.rpartition("\n\n")
        lines = tail.split("\n")
        if not separator or lines.pop() or not 0 < len(lines) <= SIGNATURES_MOST:
            raise NoteInvalid("the note has no signature lines or too many")
        note = cls(text + "\n", tuple(Signature.parse(line) for line in lines))
        if note.encode() != content:
            raise NoteInvalid("the note is not canonical")
        return note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The three lines of C2SP tlog-checkpoint: which log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n"

    @classmethod
    def extended(cls, text: str) -> "Checkpoint":
        """Of a log that need not be ours: extension lines may follow, none of them empty. NoteInvalid."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise NoteInvalid("not a checkpoint of three lines or more")
        return cls.parse("\n".join(lines[:3]) + "\n")

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """NoteInvalid unless `text` has exactly three canonical lines; we write no extension lines and accept none."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or _NAME.fullmatch(lines[0]) is None or _DECIMAL.fullmatch(lines[1]) is None:
            raise NoteInvalid("not a checkpoint of three lines")
        parsed = cls(lines[0], int(lines[1]), _unb64(lines[2]))
        if len(parsed.root) != HASH_BYTES or parsed.text() != text:
            raise NoteInvalid("the checkpoint is not canonical")
        return parsed


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A verifier key and the function that signs for it: raw message bytes to raw signature bytes."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint under which every required signature verified. `time_s` is the ML-DSA signature's, None without one."""

    checkpoint: Checkpoint
    time_s: int | None


def sign_note(text: str, keys: Sequence[SigningKey]) -> Note:
    """Ed25519 signatures over a note's text, which ends in a newline."""
    return Note(text, tuple(Signature(key.key.name, key.key.id, key.sign(text.encode())) for key in keys))


def sign_checkpoint(checkpoint: Checkpoint, keys: Sequence[SigningKey], time_s: int) -> Note:
    """Sign with each key after its type. `time_s`: seconds since 1970, stated by ML-DSA signatures."""
    text = checkpoint.text()
    return Note(text, tuple(sign_text(text, checkpoint, key, time_s) for key in keys))


def sign_text(text: str, checkpoint: Checkpoint, key: SigningKey, time_s: int) -> Signature:
    """One key's signature over a checkpoint, after its type. `text` may have extension lines: Ed25519 signs them, ML-DSA-44 does not."""
    if key.key.type is KeyType.ED25519:
        blob = key.sign(text.encode())
    elif key.key.type is KeyType.ED25519_COSIGNATURE:
        blob = time_s.to_bytes(8) + key.sign(cosigned_text(text, time_s))
    else:
        blob = time_s.to_bytes(8) + key.sign(cosigned_message(key.key.name, checkpoint, time_s))
    return Signature(key.key.name, key.key.id, blob)


def cosigned_text(text: str, time_s: int) -> bytes:
    """What an Ed25519 cosigner signs (C2SP tlog-cosignature, `cosignature/v1`): the time, then the note's whole text."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def cosigned_message(name: str, checkpoint: Checkpoint, time_s: int) -> bytes:
    """What an ML-DSA-44 cosigner signs (C2SP tlog-cosignature): the whole tree as the subtree from 0 to its size."""
    origin = checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\x00",
            bytes([len(name)]) + name.encode(),
            time_s.to_bytes(8),
            bytes([len(origin)]) + origin,
            (0).to_bytes(8),
            checkpoint.size.to_bytes(8),
            checkpoint.root,
        )
    )


def verify_note(note: Note, keys: Sequence[VerifierKey]) -> None:
    """NoteInvalid unless every one of `keys` (Ed25519; at least one) signed the text. Lines of other keys are ignored."""
    if not keys:
        raise NoteInvalid("no key to verify with")
    for key in keys:
        verify_ed25519(key.public, _signature_of(note, key).blob, note.text.encode())


def verify_checkpoint(note: Note, origin: str, keys: Sequence[VerifierKey]) -> VerifiedCheckpoint:
    """NoteInvalid unless it is a checkpoint of `origin` that every one of `keys` (at least one) signed."""
    if not keys:
        raise NoteInvalid("no key to verify with")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise NoteInvalid("a checkpoint of another log")
    time_s = None
    for key in keys:
        stated_s = verify_signature(note, checkpoint, key)
        time_s = time_s if stated_s is None else stated_s
    return VerifiedCheckpoint(checkpoint, time_s)


def verify_signature(note: Note, checkpoint: Checkpoint, key: VerifierKey) -> int | None:
    """The time that this key's signature over a checkpoint states, seconds since 1970; None for Ed25519, which states none. NoteInvalid
    unless it is there once and verifies."""
    blob = _signature_of(note, key).blob
    if key.type is KeyType.ED25519:
        verify_ed25519(key.public, blob, note.text.encode())
        return None
    time_s = int.from_bytes(blob[:8])
    if time_s >= 2**63:
        raise NoteInvalid("a signature states a time beyond all times")
    if key.type is KeyType.ED25519_COSIGNATURE:
        verify_ed25519(key.public, blob[8:], cosigned_text(note.text, time_s))
    else:
        verify_mldsa44(key.public, blob[8:], cosigned_message(key.name, checkpoint, time_s))
    return time_s


def check_ed25519_key(public: bytes) -> None:
    """NoteInvalid for a wrong length, a y coordinate that is not reduced, or a point of low order."""
    if len(public) != 32:
        raise NoteInvalid("an Ed25519 public key has 32 bytes")
    y = public[:31] + bytes([public[31] & 0x7F])
    if y in LOW_ORDER or int.from_bytes(y, "little") >= 2**255 - 19:
        raise NoteInvalid("an Ed25519 public key of low order or not in canonical form")


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """RFC 8032, with `check_ed25519_key`. NoteInvalid unless it verifies."""
    check_ed25519_key(public)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise NoteInvalid("the Ed25519 signature does not verify") from error


def verify_mldsa44(public: bytes, signature: bytes, message: bytes, context: bytes = b"") -> None:
    """FIPS 204, ML-DSA-44; C2SP uses the empty context. NoteInvalid unless it verifies."""
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message, context)
    except (InvalidSignature, ValueError) as error:
        raise NoteInvalid("the ML-DSA-44 signature does not verify") from error


def _signature_of(note: Note, key: VerifierKey) -> Signature:
    found = [signature for signature in note.signatures if signature.name == key.name and signature.key_id == key.id]
    if len(found) != 1:
        raise NoteInvalid("a required signature is absent or doubled")
    return found[0]


def _unb64(text: str) -> bytes:
    try:
        return unb64(text)
    except ValueError as error:
        raise NoteInvalid("base64 that is malformed or not canonical") from error
