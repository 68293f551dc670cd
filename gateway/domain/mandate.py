"""What a customer granted to an assistant: functions, accounts, limits per currency, validity, restrictions. Signed; no row, no rights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from cryptography.exceptions import InvalidSignature

_DOMAIN = b"tellergate/mandate/v1\x00"
_STANDING_DOMAIN = b"tellergate/standing-mandate/v1\x00"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one currency, in minor units; rolling windows of 24 hours, 7 days and 30 days. Absent means 0."""

    payment_minor: int = 0
    day_minor: int = 0
    week_minor: int = 0
    month_minor: int = 0
    day_count: int = 0


NO_LIMITS = Limits()


class MandateSigner(Protocol):
    """What signs mandates: an Ed25519 private key, or a ring of them."""

    def sign(self, data: bytes, /) -> bytes:
        """The signature, which may begin with its key's id."""


class BesideSigner(Protocol):
    """As `MandateSigner`, for an event loop: whatever waits for a device waits beside it."""

    async def sign_beside(self, data: bytes, /) -> bytes:
        """The signature, which may begin with its key's id. SignerUnavailable."""


class MandateVerifier(Protocol):
    """What knows the gateway's signatures again: an Ed25519 public key, or a ring of them."""

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """InvalidSignature unless it is ours."""


@dataclass(frozen=True, slots=True, eq=False)
class Mandate:
    """One loaded row; compared by identity, so that what is derived from it can be cached by it.

    `restrictions`: names of rules of the policy bundle that are for this customer, such as `known_payees_only`; they only forbid.
    """

    customer: str
    version: int
    functions: tuple[str, ...]
    accounts: tuple[str, ...]
    limits: Mapping[str, Limits]
    starts: datetime
    ends: datetime
    restrictions: tuple[str, ...] = ()

    def state(self, at: datetime) -> Literal["to_come", "in_force", "ended"]:
        """At this time. One that ended without having begun has ended."""
        return "ended" if self.ends <= at else "to_come" if at < self.starts else "in_force"

    def limits_in(self, currency: str) -> Limits:
        return self.limits.get(currency, NO_LIMITS)

    def canonical(self) -> bytes:
        """The bytes that are signed: RFC 8785 JSON of every field, without restrictions where there are none."""
        body: dict[str, object] = {
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
        if self.restrictions:
            body["restrictions"] = sorted(self.restrictions)
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sign(self, key: "MandateSigner") -> bytes:
        """An Ed25519 signature over the domain and the canonical bytes."""
        return key.sign(_DOMAIN + self.canonical())


def time_of(text: object) -> datetime | None:
    """A time with its offset, in the one spelling that the canonical form has; None for anything else."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if time is None or time.utcoffset() is None or time.isoformat() != text else time


class MandateNotNewer(Exception):
    """A mandate is of no later version than the one that is stored. Nothing of what was given with it was stored."""

    def __init__(self, customer: str, stored: int) -> None:
        super().__init__("a mandate of the same version or a later one is stored")
        self.customer, self.stored = customer, stored


@dataclass(frozen=True, slots=True)
class StandingMandate:
    """What a customer signed so that payments within it need no confirmation of their own (banking.md section 3.8).

    `payees`: keys as of `KnownPayee`, or None for every payee whom the customer knows. Amounts are minor units of `currency`; `day_minor`
    and `day_count` bound what is paid without asking in a rolling day, by whichever agent. `agent` None: whichever the customer uses.
    `account`: the key (`acc:` and the core's id) of their own account from which payments come that name none; None: no default.
    """

    id: str
    customer: str
    agent: str | None
    currency: str
    payees: frozenset[str] | None
    payment_minor: int
    day_minor: int
    day_count: int
    starts: datetime
    ends: datetime
    account: str | None = None

    def canonical(self) -> bytes:
        """The bytes that the gateway signs: RFC 8785 JSON of every field."""
        body = {
            "account": self.account,
            "agent": self.agent,
            "currency": self.currency,
            "customer": self.customer,
            "day_count": self.day_count,
            "day_minor": self.day_minor,
            "ends": self.ends.isoformat(),
            "id": self.id,
            "payees": None if self.payees is None else sorted(self.payees),
            "payment_minor": self.payment_minor,
            "starts": self.starts.isoformat(),
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sign(self, key: "MandateSigner") -> bytes:
        """An Ed25519 signature over the domain and the canonical bytes."""
        return key.sign(_STANDING_DOMAIN + self.canonical())

    async def sign_beside(self, key: "BesideSigner") -> bytes:
        """The same for an event loop."""
        return await key.sign_beside(_STANDING_DOMAIN + self.canonical())

    def covers(self, agent: str | None, now: datetime, payee: str) -> bool:
        """Whether it holds for this agent (None: the customer's own device), now, and this payee, whom the customer knows."""
        return self.agent in (None, agent) and self.starts <= now < self.ends and (self.payees is None or payee in self.payees)


@dataclass(frozen=True, slots=True)
class SignedMandate:
    """A standing mandate that the customer confirmed, with the gateway's signature over it."""

    mandate: StandingMandate
    signature: bytes


def load_standing(body: bytes, signature: bytes, key: "MandateVerifier") -> StandingMandate:
    """The standing mandate of a stored row. ValueError when the signature is not ours."""
    try:
        key.verify(signature, _STANDING_DOMAIN + body)
    except InvalidSignature:
        raise ValueError("the standing mandate's signature does not hold") from None
    return standing_of(body)


def standing_of(body: bytes) -> StandingMandate:
    """The terms that these canonical bytes hold. Signed by nobody yet."""
    fields = json.loads(body)
    return StandingMandate(
        **{
            **fields,
            "payees": None if fields["payees"] is None else frozenset(fields["payees"]),
            "starts": datetime.fromisoformat(fields["starts"]),
            "ends": datetime.fromisoformat(fields["ends"]),
        }
    )


def load(body: bytes, signature: bytes, key: "MandateVerifier") -> Mandate:
    """The mandate of a stored row. ValueError when the signature is not ours or the body is not the one that was signed."""
    try:
        key.verify(signature, _DOMAIN + body)
    except InvalidSignature:
        raise ValueError("the mandate's signature does not hold") from None
    return mandate_of(body)


def mandate_of(body: bytes) -> Mandate:
    """The mandate that these canonical bytes hold. Signed by nobody yet. ValueError where they are not in canonical form."""
    fields = json.loads(body)
    mandate = Mandate(
        customer=fields["customer"],
        version=fields["version"],
        functions=tuple(fields["functions"]),
        accounts=tuple(fields["accounts"]),
        limits={currency: Limits(**limits) for currency, limits in fields["limits"].items()},
        starts=datetime.fromisoformat(fields["starts"]),
        ends=datetime.fromisoformat(fields["ends"]),
        restrictions=tuple(fields.get("restrictions", ())),
    )
    if mandate.canonical() != body:
        raise ValueError("the mandate is not in canonical form")
    return mandate
