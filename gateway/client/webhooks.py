"""Whether a webhook is the gateway's: Standard Webhooks, signed with Ed25519. Pure but for the clock that may be handed in.

Nothing here is compared with a secret, so that no time of a comparison tells one: the keys are public.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.client.answers import reading

TOLERANCE = timedelta(minutes=5)
"""How far the sender's clock may be from the receiver's; a repeat is signed anew."""

_BODY_MOST = 65_536
_SIGNATURES_MOST = 16
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_PREFIX = "whpk_"


class WebhookNotGenuine(Exception):
    """Not signed by any of the keys, not now, or not as the gateway does. Answer 400, and do nothing. The message says which."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A genuine event. `id` is the same however often it is sent: one that you know changes nothing. `at`: ISO 8601."""

    type: str
    id: str
    at: str


@dataclass(frozen=True, slots=True)
class CallSettled(WebhookEvent):
    """A call that was held, or in doubt, has ended."""

    call_id: str
    status: str
    code: str | None
    confirmation_id: str | None


def verify_webhook(
    body: bytes, headers: Mapping[str, str], keys: Sequence[str], *, now: datetime | None = None, tolerance: timedelta = TOLERANCE
) -> WebhookEvent:
    """The event of a request that the gateway sent: a CallSettled, or of a type that is not known here.

    `body`: the bytes as they came. `keys`: what `tellergate keys webhook` prints, `whpk_...`; during a change of keys, the old and the new.
    WebhookNotGenuine; ValueError for a key that is none, or without any.
    """
    known = [_key(text) for text in keys]
    if not known:
        raise ValueError("keys: at least one")
    given = {name.lower(): value for name, value in headers.items()}
    if len(body) > _BODY_MOST or not all(name in given for name in _HEADERS):
        raise WebhookNotGenuine("its headers are missing, or it is too large")
    message_id, timestamp, signatures = (given[name] for name in _HEADERS)
    _in_time(timestamp, now or datetime.now(UTC), tolerance)
    over = f"{message_id}.{timestamp}.".encode() + body
    if not any(_signs(key, signature, over) for signature in _signatures(signatures) for key in known):
        raise WebhookNotGenuine("no signature of any of these keys holds")
    return _event(body, message_id)


def _key(text: str) -> Ed25519PublicKey:
    try:
        if text.startswith(_PREFIX):
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
    except ValueError:
        pass
    raise ValueError("keys: each is whpk_ and the base64 of 32 bytes, as `tellergate keys webhook` prints it")


def _in_time(timestamp: str, now: datetime, tolerance: timedelta) -> None:
    """Either way: what is kept back to be sent later is refused, and so is what claims to come."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookNotGenuine("its time is none")
    if abs(int(timestamp) - now.timestamp()) > tolerance.total_seconds():
        raise WebhookNotGenuine("it was signed too long ago, or later than now")


def _signatures(header: str) -> list[bytes]:
    """Those of the kind v1a. WebhookNotGenuine for more than anybody has keys."""
    parts = header.split(" ", _SIGNATURES_MOST)
    if len(parts) > _SIGNATURES_MOST:
        raise WebhookNotGenuine("it has too many signatures")
    try:
        return [base64.b64decode(part[4:], validate=True) for part in parts if part.startswith("v1a,")]
    except ValueError:
        raise WebhookNotGenuine("a signature is no base64") from None


def _signs(key: Ed25519PublicKey, signature: bytes, over: bytes) -> bool:
    try:
        key.verify(signature, over)
    except InvalidSignature:
        return False
    return True


def _event(body: bytes, message_id: str) -> WebhookEvent:
    try:
        read = json.loads(body)
        event = reading(WebhookEvent)(read)
        if event.id == message_id:
            return reading(CallSettled)(read) if event.type == "call.settled" else event
    except (ValueError, RecursionError):
        pass
    raise WebhookNotGenuine("it is signed and is not what the gateway sends; is the other side newer?")
