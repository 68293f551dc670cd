"""Disclosures and commitments of RFC 9901 (SD-JWT): what stands in a leaf instead of a value, and what opens it. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

from audit.encoding import b64url, unb64url

SALT_BYTES = 16

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What a sealed value may be: plain dicts, lists, tuples and scalars. NaN and infinities are refused."""


def disclosure(salt: bytes, name: str, value: JSON) -> str:
    """RFC 9901 section 4.2.1: base64url of the JSON array of salt, name and value. ValueError for a value that is not JSON."""
    opened = [b64url(salt), name, value]
    try:
        text = orjson.dumps(opened)
    except TypeError:
        text = b"null"
    if b"null" in text:
        # orjson knows no integers beyond 64 bits, and writes NaN as null; the standard encoder takes the one and refuses the other
        text = _standard(opened)
    return b64url(text)


def _standard(opened: list[JSON]) -> bytes:
    try:
        return _dump_secret(opened).encode()
    except TypeError as error:
        raise ValueError("not a JSON value") from error


def commitment(disclosed: str) -> str:
    """RFC 9901 section 4.2.3: base64url of SHA-256 over the disclosure's ASCII form."""
    return b64url(hashlib.sha256(disclosed.encode()).digest())


def value_of(disclosed: str) -> JSON:
    """The value in a disclosure that was checked against its commitment."""
    salt_name_value: list[JSON] = json.loads(unb64url(disclosed))
    return salt_name_value[2]


_dump_secret = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
