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

from gateway.domain.mandate import SignedMandate
from gateway.domain.states import ProposalState
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
    """An intent that waits. `level` is 3, or 4 where a second person approves."""

    id: str
    customer: str
    agent: str | None
    intent: bytes
    level: int
    moves_money: bool
    state: ProposalState
    created: datetime
    expires: datetime
    opened: datetime | None = None
    approver: str | None = None

    @property
    def waits(self) -> bool:
        """Whether somebody is still to speak: the customer, or at L4 a second person after them."""
        return self.state is ProposalState.OPEN or (self.state is ProposalState.CONFIRMED and self.level > 3)

    @property
    def content(self) -> Intent:
        """The intent as it is shown: what a page may render, as text and nothing else."""
        content: Intent = json.loads(self.intent)
        return content


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """One call of a proposal: `arguments` as `arguments.stored` keeps them, `grounding` its sources and uses, both JSON.

    `claimed`: it was executed, or cannot be any more.
    """

    call_id: str
    native_id: str
    turn: str
    function: str
    arguments: bytes
    arguments_hash: bytes
    grounding: bytes
    claimed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProposal:
    """A proposal that is to be kept. `principal`: who asked, without any token. `repeat_key`: the same for the same calls, whatever their
    ids. `open_most`: how many may wait for one customer; `day_most`: how many may be made in a day. `approvers`: who may approve it once
    the customer has confirmed (L4): the other owners of every account that it takes from."""

    proposal: Proposal
    conversation: str | None
    turn: str | None
    principal: bytes
    repeat_key: bytes
    calls: tuple[ProposedCall, ...]
    open_most: int
    day_most: int
    approvers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A proposal as it is kept, with what only the gateway needs of it."""

    proposal: Proposal
    conversation: str | None
    turn: str | None
    principal: bytes
    evidence: bytes | None


@dataclass(frozen=True, slots=True)
class ProposalChange:
    """From one state to another, over exactly this intent. `evidence`: of who confirmed or approved. `signing`: a standing mandate that
    is in force with it."""

    id: str
    intent: bytes
    before: ProposalState
    after: ProposalState
    by: str
    at: datetime
    evidence: bytes | None = None
    signing: SignedMandate | None = None


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
    return Proposal(confirmation, customer, agent, canonical(intent), level, moves_money, ProposalState.OPEN, now, expires)


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
