"""Authenticators of the three algorithms, and what waits for a customer kept in memory: the ports of `ports`, without a store."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.domain.ports import Passkey, ProposalNotOpen
from gateway.domain.proposal import CHALLENGE_LIFETIME, ConfirmationEvidence, Proposal, canonical
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus, ProposalState
from gateway.identity.compact import encode

RP_ID, ORIGIN = "bank.example", "https://confirm.bank.example"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Authenticator:
    """Makes assertions with a key of its kind: ES256, EdDSA, RS256. Everything about one can be made wrong."""

    algorithm: str = "ES256"
    key: Any = None
    credential: str = field(default_factory=lambda: encode(b"credential-1"))

    def __post_init__(self) -> None:
        made = {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "EdDSA": Ed25519PrivateKey.generate}
        self.key = self.key or made.get(self.algorithm, lambda: RSA_KEY)()

    @property
    def public_key(self) -> bytes:
        public = self.key.public_key()
        if self.algorithm == "EdDSA":
            return b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" + public.public_bytes_raw()
        numbers = public.public_numbers()
        if self.algorithm == "RS256":
            return rsa_cose(numbers.n)
        return (
            b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"
            + numbers.x.to_bytes(32, "big")
            + b"\x22\x58\x20"
            + numbers.y.to_bytes(32, "big")
        )

    def sign(self, signed: bytes) -> bytes:
        if self.algorithm == "EdDSA":
            return bytes(self.key.sign(signed))
        if self.algorithm == "RS256":
            return bytes(self.key.sign(signed, padding.PKCS1v15(), SHA256()))
        return bytes(self.key.sign(signed, ec.ECDSA(SHA256())))

    def assertion(self, over: bytes, **changed: Any) -> dict[str, Any]:
        """As a browser would send it, but for what is `changed`: `flags`, `sign_count`, `rp_id`, or a member of the client data."""
        rp_id, flags = changed.pop("rp_id", RP_ID), changed.pop("flags", 0x05)
        count = changed.pop("sign_count", 0)
        said = {"type": "webauthn.get", "challenge": encode(over), "origin": ORIGIN, "crossOrigin": False} | changed
        client_data = json.dumps(said).encode()
        authenticator_data = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")
        response = {
            "clientDataJSON": encode(client_data),
            "authenticatorData": encode(authenticator_data),
            "signature": encode(self.sign(authenticator_data + hashlib.sha256(client_data).digest())),
            "userHandle": encode(b"handle"),
        }
        return {
            "id": self.credential,
            "rawId": self.credential,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }

    def passkey(self, customer: str = "alice", *, sign_count: int = 0, active_from: datetime = NOW - timedelta(days=2)) -> Passkey:
        return Passkey(self.credential, customer, self.public_key, sign_count, active_from)


def rsa_cose(modulus: int) -> bytes:
    """The COSE_Key of an RS256 key with the exponent 65537."""
    raw = modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")
    return b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59" + len(raw).to_bytes(2, "big") + raw + b"\x21\x43\x01\x00\x01"


def intent_of(confirmation: str = "cnf_1", customer: str = "alice", **changed: Any) -> dict[str, Any]:
    """An intent as the gateway makes it."""
    call = {
        "function": "initiate_transfer",
        "title": "Send money to a saved payee",
        "arguments": [
            {"name": "from", "label": "from", "value": "Current (GB29 NWBK 6016 1331 9268 19)", "kind": None, "source": None},
            {"name": "to", "label": "to", "value": "Bob Builder (GB94 BARC 1020 1530 0934 59)", "kind": "payee", "source": "known"},
            {"name": "amount", "label": "amount", "value": "120.50 GBP", "kind": "amount", "source": "typed"},
            {"name": "reference", "label": "reference", "value": "Invoice 42", "kind": "free_text", "source": "typed"},
        ],
        "exactly": {"amount": "120.50 GBP"},
        "payee": {"name": "Bob Builder", "identifier": "GB94BARC10201530093459", "known": True, "check": "match"},
        "amount": {"value": "120.50", "currency": "GBP"},
        "account": "Current (GB29 NWBK 6016 1331 9268 19)",
        "execute_on": None,
        "rail": "FPS",
        "fees": [],
        "consequence": None,
        "initiated_through_assistant": True,
    }
    return {
        "version": 1,
        "id": confirmation,
        "call_ids": ["call_1"],
        "customer": customer,
        "agent": "Acme assistant",
        "bundle": "ab" * 32,
        "issued_at": NOW.isoformat(),
        "expires": (NOW + timedelta(minutes=15)).isoformat(),
        "level": 3,
        "calls": [call],
        "total": {"value": "120.50", "currency": "GBP"},
        "warnings": [{"code": "irreversible", "text": "Once done it cannot be undone."}],
    } | changed


def proposal_of(
    intent: dict[str, Any], *, state: ProposalState = ProposalState.OPEN, created: datetime = NOW, **changed: Any
) -> Proposal:
    return Proposal(
        **{
            "id": intent["id"],
            "customer": intent["customer"],
            "agent": intent["agent"],
            "intent": canonical(intent),
            "level": intent["level"],
            "moves_money": True,
            "state": state,
            "created": created,
            "expires": created + timedelta(minutes=15),
        }
        | changed
    )


class MemoryPasskeys:
    """The `Passkeys` of `ports`."""

    def __init__(self, *passkeys: Passkey) -> None:
        self.kept = {passkey.credential: passkey for passkey in passkeys}
        self.revoked: set[str] = set()

    async def of(self, customer: str) -> Sequence[Passkey]:
        return [item for item in self.kept.values() if item.customer == customer and item.credential not in self.revoked]

    async def find(self, credential: str) -> Passkey | None:
        return None if credential in self.revoked else self.kept.get(credential)

    async def enrol(self, passkey: Passkey) -> bool:
        if passkey.credential in self.kept:
            return False
        self.kept[passkey.credential] = passkey
        return True

    async def revoke(self, customer: str, credential: str, at: datetime) -> bool:
        found = await self.find(credential)
        if found is None or found.customer != customer:
            return False
        self.revoked.add(credential)
        return True

    async def count(self, credential: str, sign_count: int) -> bool:
        found = await self.find(credential)
        if found is None or not (sign_count > found.sign_count or sign_count == found.sign_count == 0):
            return False
        self.kept[credential] = replace(found, sign_count=sign_count)
        return True


class MemoryConfirmations:
    """The `Confirmations` of `ports`: the customer's own alone, and whoever is in `approvers` for what has level 4."""

    def __init__(self, *proposals: Proposal) -> None:
        self.kept = {proposal.id: proposal for proposal in proposals}
        self.approvers: set[str] = set()
        self.confirmed: list[ConfirmationEvidence] = []
        self.now = NOW

    async def find(self, customer: str, confirmation_id: str) -> Proposal | None:
        found = self.kept.get(confirmation_id)
        approves = found is not None and found.level == 4 and found.state is not ProposalState.OPEN and customer in self.approvers
        return found if found is not None and (found.customer == customer or approves) else None

    async def open(self, customer: str, confirmation_id: str, at: datetime) -> Proposal | None:
        found = await self.find(customer, confirmation_id)
        if found is not None:
            self.kept[found.id] = replace(found, opened=at)
        return found

    async def waiting(self, customer: str, at: datetime) -> Sequence[Proposal]:
        found = [await self.find(customer, item) for item in self.kept]
        open_ones = (ProposalState.OPEN, ProposalState.CONFIRMED)
        return [match for match in found if match is not None and match.state in open_ones and match.expires > at]

    async def confirm(self, customer: str, confirmation_id: str, evidence: ConfirmationEvidence) -> Sequence[Recorded]:
        found = await self.find(customer, confirmation_id)
        if found is None:
            raise ProposalNotOpen("unknown")
        if found.opened is None or evidence.at - found.opened > CHALLENGE_LIFETIME:
            raise ProposalNotOpen("challenge_expired")
        before, after = (
            (ProposalState.OPEN, ProposalState.CONFIRMED)
            if found.customer == customer
            else (ProposalState.CONFIRMED, ProposalState.APPROVED)
        )
        if found.state != before:
            raise ProposalNotOpen(found.state)
        if found.expires <= evidence.at:
            raise ProposalNotOpen("expired")
        older = (item for item in self.kept.values() if item.customer == customer and item.created < found.created)
        if any(item.state is ProposalState.OPEN for item in older):
            raise ProposalNotOpen("waits")
        self.kept[found.id] = replace(found, state=after)
        self.confirmed.append(evidence)
        if found.level == 4 and after is ProposalState.CONFIRMED:
            return ()
        return [Recorded("call_" + "0" * 28, "c1", CallStatus.DONE, None, None, {"status": "accepted"}, None)]

    async def decline(self, customer: str, confirmation_id: str, at: datetime) -> None:
        found = await self.find(customer, confirmation_id)
        if found is None:
            raise ProposalNotOpen("unknown")
        if found.state != (ProposalState.OPEN if found.customer == customer else ProposalState.CONFIRMED):
            raise ProposalNotOpen(found.state)
        self.kept[found.id] = replace(found, state=ProposalState.DECLINED)
