"""Strict JWS in compact form (RFC 7515): what joserfc would let pass is refused here, before any signature is looked at.

Three segments in the one canonical base64url spelling, a header that is an object without a key twice, no critical extensions, a
bounded size. Keys named or carried by a header (`jku`, `x5u`, `jwk`) are never used by what is in here.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gateway.domain.strict_json import JsonError, Parsed, loads

_LAST_S = 253_402_300_799
"""The end of the year 9999: no NumericDate lies behind it."""

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class Malformed(ValueError):
    """Not a JWS that is taken here. The message holds no input."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A JWS whose form is good; its signature is not checked yet."""

    header: Mapping[str, Parsed]
    payload: Mapping[str, Parsed]
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        value = self.header.get("alg")
        return value if isinstance(value, str) else ""


def parse(text: str, *, max_bytes: int) -> Compact:
    """The parts of a compact JWS whose payload is a JSON object, or Malformed."""
    found = _COMPACT.fullmatch(text) if len(text) <= max_bytes else None
    if found is None:
        raise Malformed("not three segments of base64url, or too long")
    header = _object(found[1], max_bytes)
    if "crit" in header or "b64" in header:  # RFC 7515 section 4.1.11: what is critical and not understood is refused
        raise Malformed("an extension that is not known here")
    payload = _object(found[2], max_bytes)
    signed = text[: found.end(2)].encode("ascii")
    return Compact(header, payload, signed, decode(found[3]))


def media_type(value: Parsed) -> str:
    """A `typ` for comparison: whatever its case, with or without `application/` (RFC 7515 section 4.1.9); empty for what is none."""
    return value.lower().removeprefix("application/") if isinstance(value, str) else ""


def numeric_date(claims: Mapping[str, Parsed], name: str) -> int:
    """A NumericDate, which may have a fraction (RFC 7519 section 2), to the second before it. Malformed."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= _LAST_S:
        raise Malformed("a time that is missing or none")
    return int(value)


def decode(segment: str) -> bytes:
    """The bytes of base64url without padding, in their one canonical spelling."""
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64url") from None
    if encode(raw) != segment:
        raise Malformed("base64url in another spelling")
    return raw


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _object(segment: str, max_bytes: int) -> Mapping[str, Parsed]:
    try:
        value = loads(decode(segment), max_bytes=max_bytes)
    except JsonError:
        raise Malformed("a segment that is not strict JSON") from None
    if not isinstance(value, dict):
        raise Malformed("a segment that is no object")
    return value
