"""References: what a model sees instead of an identifier.

AES-SIV (RFC 5297) over the identifier and its expiry day, bound to customer, conversation and kind as associated data. No table is
kept; a reference of another customer, of another conversation, of another kind, expired or made up is answered alike: with None.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import date

from cryptography.exceptions import InvalidTag

from adapters.core import Identified, ReferenceKind
from audit.keyring import KeyRing

LIFETIME_DAYS = 7
MAX_REFERENCE_CHARS = 96
_EPOCH = date(2020, 1, 1)


class References:
    """Issues references by the active key of a ring (AES-256-SIV), and resolves those of each. Pure computation; safe to share."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def issue(self, customer: str, conversation: str, identified: Identified, today: date) -> str:
        """The reference for this identifier, the same for a whole day, good until the end of `today` + LIFETIME_DAYS."""
        # SIV is deterministic: the same object has the same reference for a whole day, so that a model can recognise it.
        expires = (today - _EPOCH).days + LIFETIME_DAYS
        plain = expires.to_bytes(2, "big") + identified.id.encode()
        sealed = self._keys.seal_same(plain, _bound_to(customer, conversation, identified.kind))
        return f"{identified.kind.value}_{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def resolve(
        self, customer: str, conversation: str, text: str, kinds: Sequence[ReferenceKind], *, today: date
    ) -> Identified | None:
        """The identifier behind `text`, or None for whatever reason."""
        prefix, _, body = text.partition("_")
        kind = next((kind for kind in kinds if kind.value == prefix), None)
        if kind is None or len(text) > MAX_REFERENCE_CHARS:
            return None
        try:
            sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            plain = self._keys.unseal_same(sealed, _bound_to(customer, conversation, kind))
        except (InvalidTag, binascii.Error, ValueError):
            return None
        if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != body:
            return None  # a second spelling of the same bytes is not the reference that was issued
        if (today - _EPOCH).days > int.from_bytes(plain[:2], "big"):
            return None
        return Identified(kind, plain[2:].decode())


def _bound_to(customer: str, conversation: str, kind: ReferenceKind) -> list[bytes]:
    return [customer.encode(), conversation.encode(), kind.value.encode()]
