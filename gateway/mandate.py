"""What a customer granted to an assistant: functions, accounts, limits per currency, validity. Signed; no row means no rights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_DOMAIN = b"tellergate/mandate/v1\x00"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one currency, in minor units; rolling windows of 24 hours, 7 days and 30 days. Absent means 0."""

    payment_minor: int = 0
    day_minor: int = 0
    week_minor: int = 0
    month_minor: int = 0
    day_count: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Mandate:
    """One loaded row; compared by identity, so that what is derived from it can be cached by it."""

    customer: str
    version: int
    functions: tuple[str, ...]
    accounts: tuple[str, ...]
    limits: Mapping[str, Limits]
    starts: datetime
    ends: datetime

    def limits_in(self, currency: str) -> Limits:
        return self.limits.get(currency, NO_LIMITS)

    def canonical(self) -> bytes:
        """The bytes that are signed: RFC 8785 JSON of every field."""
        body = {
            "accounts": sorted(self.accounts),
            "customer": self.customer,
            "ends": self.ends.isoformat(),
            "functions": sorted(self.functions),
            "limits": {
                currency: {name: getattr(limits, name) for name in Limits.__dataclass_fields__}
                for currency, limits in self.limits.items()
            },
            "starts": self.starts.isoformat(),
            "version": self.version,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sign(self, key: Ed25519PrivateKey) -> bytes:
        """An Ed25519 signature over the domain and the canonical bytes."""
        return key.sign(_DOMAIN + self.canonical())


def load(body: bytes, signature: bytes, key: Ed25519PublicKey) -> Mandate:
    """The mandate of a stored row. ValueError when the signature is not ours or the body is not the one that was signed."""
    try:
        key.verify(signature, _DOMAIN + body)
    except InvalidSignature:
        raise ValueError("the mandate's signature does not hold") from None
    fields = json.loads(body)
    mandate = Mandate(
        customer=fields["customer"],
        version=fields["version"],
        functions=tuple(fields["functions"]),
        accounts=tuple(fields["accounts"]),
        limits={currency: Limits(**limits) for currency, limits in fields["limits"].items()},
        starts=datetime.fromisoformat(fields["starts"]),
        ends=datetime.fromisoformat(fields["ends"]),
    )
    if mandate.canonical() != body:
        raise ValueError("the mandate is not in canonical form")
    return mandate
