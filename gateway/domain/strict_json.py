"""Strict JSON (RFC 8259 with I-JSON's rules): one value, no duplicate keys, no NaN, no lone surrogates, bounded size and depth; and no NUL,
which PostgreSQL keeps in no text, and which ends one for many a program behind us.
"""

from decimal import Decimal

import jiter

from gateway.domain.errors import Fault

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What is written."""
Parsed = None | bool | int | Decimal | str | list["Parsed"] | dict[str, "Parsed"]
"""What was read: a fraction is an exact decimal, never a binary one."""

MAX_BODY_BYTES = 256 * 1024
MAX_ARGUMENT_BYTES = 16 * 1024
MAX_DEPTH = 12
MAX_INTEGER = 2**53 - 1
MAX_EXPONENT = 400
"""Of a fraction: what an IEEE 754 double holds, about."""


class JsonError(ValueError):
    """Not strict JSON. `fault` is the stable code; the message holds no input."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def loads(body: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Parsed:
    """Parse, or raise JsonError. Fractions become exact decimals, never binary ones."""
    if len(body) > max_bytes:
        raise JsonError(Fault.TOO_LARGE, f"more than {max_bytes} bytes")
    try:
        value: Parsed = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError as error:
        raise _explained(str(error)) from None
    _check(value, max_depth)
    if b"\\u0000" in body and _has_nul(value):  # a NUL has no other spelling; an escaped backslash before it is none
        raise JsonError(Fault.INVALID_JSON, "a NUL (\\u0000) in a text")
    return value


def _has_nul(value: Parsed) -> bool:
    if isinstance(value, dict):
        return any("\0" in name or _has_nul(member) for name, member in value.items())
    if isinstance(value, list):
        return any(_has_nul(member) for member in value)
    return isinstance(value, str) and "\0" in value


def _explained(message: str) -> JsonError:
    # jiter's messages quote the offending key, so only their kind is passed on
    if "Detected duplicate key" in message:
        return JsonError(Fault.DUPLICATE_KEY, "a key stands twice in one object")
    if "recursion" in message:
        return JsonError(Fault.TOO_DEEP, "nested too deeply")
    return JsonError(Fault.INVALID_JSON, "not JSON by RFC 8259")


def binary(value: Parsed) -> Json:
    """The same with binary fractions: for what is no money, and is only passed on."""
    if isinstance(value, dict):
        return {name: binary(member) for name, member in value.items()}
    if isinstance(value, list):
        return [binary(member) for member in value]
    return float(value) if isinstance(value, Decimal) else value


def _check(value: Parsed, levels: int) -> None:
    if isinstance(value, dict):
        if levels == 0:
            raise JsonError(Fault.TOO_DEEP, "nested too deeply")
        for member in value.values():
            if not isinstance(member, str):
                _check(member, levels - 1)
    elif isinstance(value, list):
        if levels == 0:
            raise JsonError(Fault.TOO_DEEP, "nested too deeply")
        for member in value:
            if not isinstance(member, str):
                _check(member, levels - 1)
    elif isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) <= MAX_EXPONENT):
        raise JsonError(Fault.INVALID_JSON, "a number out of range")
    elif isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise JsonError(Fault.INVALID_JSON, "an integer beyond 2^53")
