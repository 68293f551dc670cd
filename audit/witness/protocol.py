"""The conversation of C2SP `tlog-witness`: what a log submits, what a witness answers. Pure: no I/O, no clock."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from audit.checkpoint import NOTE_MOST, SIGNATURES_MOST, Checkpoint, Note, NoteInvalid, Signature, VerifierKey, verify_signature
from audit.encoding import b64, unb64
from audit.merkle import HASH_BYTES

PROOF_MOST = 63
"""Lines of a consistency proof: no tree of fewer than 2**63 leaves needs more."""

SIZE_LESS_THAN = 2**63

BODY_MOST = NOTE_MOST + 64 * 64
"""Bytes of a submission that are read at all."""

SIZE_TYPE = "text/x.tlog.size"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


class WitnessRefusal(Exception):
    """A witness does not cosign, and nothing changed: `status` of the specification. `held`: the size that it cosigned last, of a 409."""

    def __init__(self, status: HTTPStatus, reason: str, held: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.held = held


@dataclass(frozen=True, slots=True)
class Submission:
    """A new checkpoint, and the proof that it continues the tree of `old` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    def encode(self) -> bytes:
        proof = "".join(f"{b64(item)}\n" for item in self.proof)
        return f"old {self.old}\n{proof}\n{self.note.encode()}".encode()

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """From a request's body, which has one spelling. WitnessRefusal (400)."""
        head, separator, note = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
            old = _OLD.fullmatch(first)
            if old is None or not separator or len(lines) > PROOF_MOST:
                raise ValueError("not an old size, at most 63 lines of a proof, an empty line and a checkpoint")
            proof = tuple(unb64(line) for line in lines)
            if any(len(item) != HASH_BYTES for item in proof):
                raise ValueError("a line of the proof is not one hash of 32 bytes")
            parsed = Note.parse(note)
            checkpoint = Checkpoint.extended(parsed.text)
            if checkpoint.size >= SIZE_LESS_THAN or int(old[1]) > checkpoint.size:
                raise ValueError("the old size is larger than the checkpoint's, or a size is beyond all sizes")
        except (ValueError, NoteInvalid) as error:
            reason = "the body is not ASCII" if isinstance(error, UnicodeError) else str(error)
            raise WitnessRefusal(HTTPStatus.BAD_REQUEST, reason) from None
        return cls(int(old[1]), proof, parsed, checkpoint)


def held_size(body: bytes) -> int:
    """The size that a witness says it holds, of a 409. NoteInvalid."""
    found = re.fullmatch(rb"(0|[1-9][0-9]{0,18})\n", body)
    if found is None:
        raise NoteInvalid("a witness does not say which size it holds")
    return int(found[1])


def cosignatures(body: bytes, note: Note, keys: Sequence[VerifierKey]) -> tuple[Signature, ...]:
    """The signature lines of an answer that are by `keys` (at least one), one of each; lines of other keys are ignored. NoteInvalid where
    one of ours is absent or does not verify over this note."""
    try:
        *lines, end = body.decode().split("\n")
    except UnicodeDecodeError as error:
        raise NoteInvalid("an answer that is not UTF-8") from error
    if not keys or end or not 0 < len(lines) <= SIGNATURES_MOST:
        raise NoteInvalid("an answer without cosignatures, or with too many")
    told, checkpoint = [Signature.parse(line) for line in lines], Checkpoint.extended(note.text)
    found = []
    for key in keys:
        mine = [item for item in told if (item.name, item.key_id) == (key.name, key.id)]
        verify_signature(Note(note.text, tuple(mine)), checkpoint, key)
        found.append(mine[0])
    return tuple(found)
