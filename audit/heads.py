"""What vouches for the log's heads: a code in their own transaction, a signature once they are committed."""

from typing import Protocol, TypedDict

from audit.checkpoint import Checkpoint, Note, NoteInvalid, SigningKey, VerifierKey, sign_note, verify_note
from audit.keys import KeyStore, SigningKeys
from audit.store.reads import LogCorrupt
from audit.store.writes import Head


class Vouched(TypedDict):
    """What a head's row has besides size, root, peaks and note."""

    origin: str
    mac: bytes


class Heads(Protocol):
    """What vouches for heads of the log, and what signs those that are committed."""

    def sign(self, size: int, root: bytes) -> str:
        """The note of a head that is committed. SignerUnavailable."""

    async def sign_ahead(self, size: int, root: bytes) -> None:
        """Beside the loop, for the next `sign` of this head, where that would wait for a device. SignerUnavailable."""

    def vouched(self, size: int, root: bytes) -> Vouched:
        """`origin` and `mac` of a head that is about to be committed."""

    def check(self, stored: Head) -> bool:
        """Whether the stored head is signed already. LogCorrupt unless it is vouched for, and its note a signature of this log."""


class LogHeads:
    """`Heads` of one log. Heads are signed as of `<origin>/head`: none of them is taken for a checkpoint."""

    def __init__(self, origin: str, signers: SigningKeys, keys: KeyStore) -> None:
        self._origin = origin
        self._name = f"{origin}/head"
        self._keys = keys
        self._ring = signers.head
        self._ahead: tuple[bytes, bytes, bytes] | None = None
        """Public key, text and signature of a head that was signed before its transaction."""
        self._last: tuple[str, tuple[int, bytes]] = ("", (0, b""))
        """The note that was signed or verified last, so that no transaction verifies what this process signed in the one before."""

    def sign(self, size: int, root: bytes) -> str:
        """The note of a committed head. SignerUnavailable."""
        signer = self._ring.signer()
        ahead, self._ahead = self._ahead, None
        sign = signer.sign if ahead is None or ahead[:2] != (signer.public, self._text(size, root)) else lambda _text: ahead[2]
        key = VerifierKey(self._name, signer.type, signer.public)
        note = sign_note(Checkpoint(self._name, size, root).text(), [SigningKey(key, sign)]).encode()
        self._last = (note, (size, root))
        return note

    async def sign_ahead(self, size: int, root: bytes) -> None:
        """A signature over a head that another process' has followed meanwhile is over what was committed all the same."""
        signer = self._ring.signer()
        if signer.waits:
            text = self._text(size, root)
            self._ahead = (signer.public, text, await signer.sign_beside(text))

    def vouched(self, size: int, root: bytes) -> Vouched:
        """By what this installation knows its own head again."""
        return Vouched(origin=self._origin, mac=self._keys.vouch(self._text(size, root)))

    def check(self, stored: Head) -> bool:
        """Whether the head is signed. LogCorrupt for one that this installation did not write.

        Before revision 0004 of the log's tables heads had a signature under the log's own name and no code: such a one must be
        over exactly this head.
        """
        try:
            return self._checked(stored)
        except LogCorrupt:
            # A process that stood still may meet a head by a key that began meanwhile: it looks at the files once, for a millisecond
            if not any([self._ring.looked_again(), self._keys.wrapping.looked_again()]):
                raise
            return self._checked(stored)

    def _checked(self, stored: Head) -> bool:
        if stored.origin != self._origin:
            raise LogCorrupt("the stored head is of another log")
        if stored.mac is None:
            if self._said(stored.note, self._origin) != (stored.size, stored.root):
                raise LogCorrupt("the stored head is not what was signed")
            return False
        if not self._keys.vouched(self._text(stored.size, stored.root), stored.mac):
            raise LogCorrupt("the stored head is not what was committed")
        if not stored.note:
            return False
        note, said = self._last
        if note != stored.note:
            said = self._said(stored.note, self._name)
            self._last = (stored.note, said)
        size, root = said
        if size > stored.size or (size == stored.size and root != stored.root):
            raise LogCorrupt("the stored head is not what was signed")
        return size == stored.size

    def _text(self, size: int, root: bytes) -> bytes:
        return Checkpoint(self._name, size, root).text().encode()

    def _said(self, note: str, name: str) -> tuple[int, bytes]:
        """What a head's note says, signed by whichever of the log's keys: it was stored before or after a rotation."""
        try:
            parsed = Note.parse(note.encode())
            by = {signature.key_id for signature in parsed.signatures}
            keys = (VerifierKey(name, self._ring.type, key.public) for key in self._ring.usable())
            verify_note(parsed, [key for key in keys if key.id in by])
            said = Checkpoint.parse(parsed.text)
        except NoteInvalid as error:
            raise LogCorrupt("the stored head is not signed by this log") from error
        if said.origin != name:
            raise LogCorrupt("the stored head is not signed by this log")
        return said.size, said.root
