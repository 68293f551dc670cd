"""What the customer must confirm, and how they say so (banking.md section 3). Pure.

The gateway builds the intent, never the model: what is confirmed are its exact bytes. A passkey signs a challenge that only these
bytes lead to; a token names the same object in its authorization details. Any change of the intent is another intent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TypeAlias

from gateway.domain.strict_json import Json

DOMAIN = b"tellergate/confirm/v1\x00"
DETAILS_TYPE = "tellergate_intent"
"""`type` of the RFC 9396 authorization details that name an intent: `{"type": ..., "intent": {...}}`."""

CONFIRM_LIFETIME = timedelta(minutes=15)
APPROVE_LIFETIME = timedelta(hours=72)
"""How long a proposal lives that one person confirms, and one that a second person approves."""

CHALLENGE_LIFETIME = timedelta(minutes=5)
"""From when the customer opened the page; opening it again begins anew."""

Intent: TypeAlias = Mapping[str, Json]


class Method(StrEnum):
    """How it was confirmed: an assertion of a passkey (WebAuthn), or a token that names the intent (RFC 9396)."""

    PASSKEY = "passkey"
    TOKEN = "token"  # noqa: S105  # a method, no secret


@dataclass(frozen=True, slots=True)
class ConfirmationEvidence:
    """What proves that a person confirmed: kept as it came, so that an auditor can verify it offline. `by` is a customer or an officer.

    `kept` is canonical JSON: of a passkey, what `audit.evidence` verifies; of a token, its claims that were held against the intent.
    """

    by: str
    method: Method
    at: datetime
    kept: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """An intent that waits. `state`: open, confirmed, approved, declined or expired. `level` is 3, or 4 where a second person approves."""

    id: str
    customer: str
    agent: str | None
    intent: bytes
    level: int
    moves_money: bool
    state: str
    created: datetime
    expires: datetime
    opened: datetime | None = None
    confirmed_by: str | None = None
    approver: str | None = None

    @property
    def content(self) -> Intent:
        """The intent as it is shown: what a page may render, as text and nothing else."""
        content: Intent = json.loads(self.intent)
        return content


def drawn_up(
    content: Intent,
    *,
    confirmation: str,
    customer: str,
    agent: str | None,
    level: int,
    moves_money: bool,
    bundle: str,
    now: datetime,
) -> Proposal:
    """An open proposal: what every intent says, around its own `content`, which has the keys call_ids, agent, calls, total and warnings.

    `agent`: whose proposal it is; None for what the customer began themselves.
    """
    expires = now + (APPROVE_LIFETIME if level > 3 else CONFIRM_LIFETIME)
    intent: Intent = {
        **content,
        "version": 1,
        "id": confirmation,
        "customer": customer,
        "bundle": bundle,
        "issued_at": now.isoformat(),
        "expires": expires.isoformat(),
        "level": level,
    }
    return Proposal(confirmation, customer, agent, canonical(intent), level, moves_money, "open", now, expires)


def new_id(random: bytes) -> str:
    """Of a confirmation; it works as nothing by itself."""
    return f"cnf_{random.hex()}"


def canonical(intent: Intent) -> bytes:
    """RFC 8785 bytes. The intent holds text, integers, booleans, null, lists and objects alone, with ASCII keys."""
    return json.dumps(intent, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def challenge(intent: bytes) -> bytes:
    """The 32 bytes that a passkey signs for exactly this intent: SHA-256 over the domain and the canonical bytes."""
    return sha256(DOMAIN + intent).digest()


def matches_details(intent: bytes, details: Json) -> bool:
    """Whether a token's `authorization_details` hold one that deep-equals the intent."""
    if not isinstance(details, list):
        return False
    return any(
        isinstance(detail, dict) and detail.get("type") == DETAILS_TYPE and _is(detail.get("intent"), intent) for detail in details
    )


def _is(named: Json, intent: bytes) -> bool:
    """Compared as canonical bytes: to Python, `true`, 1 and 1.0 are equal."""
    return isinstance(named, dict) and canonical(named) == intent
