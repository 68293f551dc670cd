"""What a witness decides: one head of a log after the other, each a continuation of the one before, and never two views.

Pure but for the store that it is given: no clock of its own, no network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from audit.checkpoint import Checkpoint, KeyType, NoteInvalid, SigningKey, VerifierKey, sign_text, verify_signature
from audit.merkle import EMPTY_ROOT, ProofInvalid, verify_consistency
from audit.witness.protocol import Submission, WitnessRefusal


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The head of a log that was cosigned last; of a log that never was, the tree without leaves. `time_s`: when, seconds since 1970."""

    size: int = 0
    root: bytes = EMPTY_ROOT
    time_s: int = 0


class WitnessStore(Protocol):
    """What a witness remembers of each log.

    Durability: what `advance` wrote survives a crash once it returns. Concurrency: any threads, any processes; `advance` of one log
    is one after the other. Retry: safe, by the protocol. Errors: WitnessUnavailable, after which nothing may be signed.
    """

    def keys_of(self, origin: str) -> Sequence[VerifierKey]:
        """The keys that this log signs by; none for a log that is not known."""

    def advance(self, origin: str, decided: Callable[[Cosigned], Cosigned]) -> Cosigned:
        """Replace what was cosigned last by what `decided` makes of it, as one step that nothing comes between. What it raises is raised,
        and nothing changed."""


class WitnessUnavailable(Exception):
    """What is remembered cannot be read or written: nothing is cosigned."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Cosigns for logs that it knows. `now_s`: the time, seconds since 1970."""

    store: WitnessStore
    keys: Sequence[SigningKey]
    now_s: Callable[[], int]

    def add_checkpoint(self, body: bytes) -> str:
        """The cosignature lines over a submitted checkpoint. WitnessRefusal; WitnessUnavailable.

        1. The body is a submission, and its log is known. 2. The log signed it. 3. In one step: it continues what was cosigned last, and
        takes its place, durably. 4. Only then it is signed, as of a time that never goes back for a log.
        """
        submitted = Submission.parse(body)
        origin = submitted.checkpoint.origin
        keys = self.store.keys_of(origin)
        if not keys:
            raise WitnessRefusal(HTTPStatus.NOT_FOUND, "a log that is not known here")
        _require_signed(submitted, keys)
        now_s = self.now_s()
        held = self.store.advance(origin, lambda last: continued(last, submitted, now_s))
        signed = (sign_text(submitted.note.text, submitted.checkpoint, key, held.time_s) for key in self.keys)
        return "".join(signature.line() for signature in signed)


def continued(last: Cosigned, submitted: Submission, now_s: int) -> Cosigned:
    """What is cosigned after `last`. WitnessRefusal: 409 for another old size, or another root of the same size; 422 for a proof that
    does not hold."""
    new = submitted.checkpoint
    if submitted.old != last.size:
        raise WitnessRefusal(HTTPStatus.CONFLICT, "another size was cosigned last", last.size)
    if new.size == last.size and new.root != last.root:
        raise WitnessRefusal(HTTPStatus.CONFLICT, "another tree of the same size was cosigned", last.size)
    try:
        _prove(last, new, submitted.proof)
    except ProofInvalid as error:
        raise WitnessRefusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    return Cosigned(new.size, new.root, max(now_s, last.time_s))


def _prove(last: Cosigned, new: Checkpoint, proof: Sequence[bytes]) -> None:
    if last.size == 0:  # every tree continues the one without leaves
        if proof:
            raise ProofInvalid("from a size of zero the proof is empty")
        return
    verify_consistency(last.size, new.size, proof, last.root, new.root)


def _require_signed(submitted: Submission, keys: Sequence[VerifierKey]) -> None:
    """By one known key of each type: where a log signs by two algorithms, one that is broken is not enough. WitnessRefusal."""
    missing = {key.type for key in keys}
    for key in keys:
        if key.type in missing and _is_signed(submitted, key):
            missing.discard(key.type)
    if missing:
        names = ", ".join(sorted(_NAMES[item] for item in missing))
        raise WitnessRefusal(HTTPStatus.FORBIDDEN, f"no signature of a known key of the log: {names}")


def _is_signed(submitted: Submission, key: VerifierKey) -> bool:
    try:
        verify_signature(submitted.note, submitted.checkpoint, key)
    except NoteInvalid:
        return False
    return True


_NAMES = {KeyType.ED25519: "Ed25519", KeyType.ED25519_COSIGNATURE: "Ed25519 cosignature", KeyType.MLDSA44: "ML-DSA-44"}
