"""Mandates that a bank brings: a file of JSON lines, each a mandate and its signature. Every line is judged, and each refusal is named.

    {"mandate": {"customer": "alice", "version": 1, "functions": [...], "accounts": [...], "limits": {"GBP": {...}},
                 "starts": "2026-01-01T00:00:00+00:00", "ends": "2027-01-01T00:00:00+00:00"}, "signature": "BASE64"}

`restrictions`, a list of names, may stand in the mandate too. The signature is Ed25519 over the mandate's canonical form, by the holder of
the mandate key. Pure: nothing is stored here.
"""

import binascii
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TypeGuard

from audit.encoding import unb64
from gateway.domain.mandate import Limits, Mandate, MandateVerifier, load, time_of
from gateway.domain.strict_json import MAX_INTEGER, JsonError, Parsed, loads
from gateway.oversight.granted_mandates import MandateRefused, check_terms

LINE_BYTES = 64 * 1024
LINES_MOST = 10_000
TEXT_MOST = 64
"""Characters of a customer's or an account's id, as of `sub` in a token."""
LIST_MOST = 1_000
"""Functions, accounts or currencies of one mandate."""

_MAY_BE_LEFT_OUT = "restrictions"
_MEMBERS = tuple(field.name for field in fields(Mandate) if field.name != _MAY_BE_LEFT_OUT)
_LIMITS = tuple(field.name for field in fields(Limits))
_CURRENCY = re.compile(r"[A-Z]{3}")


class LineRefused(ValueError):
    """Why a line is not taken. The message holds nothing of it but the names of its members."""


@dataclass(frozen=True, slots=True)
class ImportedMandate:
    """A line that was taken. `number` counts from 1."""

    number: int
    mandate: Mandate
    signature: bytes


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was not, and why."""

    number: int
    reason: str


def judged(
    lines: Sequence[bytes], *, key: MandateVerifier, functions: Collection[str], restrictions: Collection[str], now: datetime
) -> tuple[Sequence[ImportedMandate], Sequence[RefusedLine]]:
    """The mandates of these lines and the lines that are refused, empty ones left out. `functions`: the names that are served;
    `restrictions`: those that the bundle in force has rules for."""
    taken: list[ImportedMandate] = []
    refused: list[RefusedLine] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            mandate, signature = _signed(line, key)
            check_terms(mandate, functions, restrictions, now)
            if mandate.customer in seen:
                raise LineRefused(f"its customer is that of line {seen[mandate.customer]}")
        except MandateRefused as error:
            refused.append(RefusedLine(number, f"{error.field}: {error}"))
        except LineRefused as error:
            refused.append(RefusedLine(number, str(error)))
        else:
            seen[mandate.customer] = number
            taken.append(ImportedMandate(number, mandate, signature))
    return taken, refused


def unsigned(line: bytes) -> Mandate:
    """The mandate of a line without a signature: `{"mandate": {...}}`. LineRefused."""
    return _mandate(_object(line, {"mandate"})["mandate"])


def _signed(line: bytes, key: MandateVerifier) -> tuple[Mandate, bytes]:
    found = _object(line, {"mandate", "signature"})
    mandate, text = _mandate(found["mandate"]), found["signature"]
    try:
        signature = unb64(text) if isinstance(text, str) else b""
        load(mandate.canonical(), signature, key)
    except (ValueError, binascii.Error):
        raise LineRefused("signature: is not of the mandate key over this mandate") from None
    return mandate, signature


def _object(line: bytes, members: Collection[str]) -> Mapping[str, Parsed]:
    try:
        value = loads(line, max_bytes=LINE_BYTES)
    except JsonError as error:
        raise LineRefused(str(error)) from None
    return _members(value, members, "the line")


def _members(value: Parsed, members: Collection[str], where: str) -> Mapping[str, Parsed]:
    if not isinstance(value, dict) or value.keys() != set(members):
        raise LineRefused(f"{where}: must be an object of {', '.join(sorted(members))}")
    return value


def _mandate(value: Parsed) -> Mandate:
    members = (*_MEMBERS, _MAY_BE_LEFT_OUT) if isinstance(value, dict) and _MAY_BE_LEFT_OUT in value else _MEMBERS
    found = _members(value, members, "mandate")
    customer, version = found["customer"], found["version"]
    if not _is_text(customer):
        raise LineRefused(f"customer: must be a text of 1 to {TEXT_MOST} characters")
    if not _is_whole(version) or version < 1:
        raise LineRefused("version: must be a whole number from 1 on")
    return Mandate(
        customer=customer,
        version=version,
        functions=tuple(names_of(found["functions"], "functions")),
        accounts=tuple(names_of(found["accounts"], "accounts")),
        limits=limits_of(found["limits"], "limits"),
        starts=_time(found["starts"], "starts"),
        ends=_time(found["ends"], "ends"),
        restrictions=tuple(names_of(found.get(_MAY_BE_LEFT_OUT, []), "restrictions", least=0)),
    )


def names_of(value: Parsed, where: str, *, least: int = 1) -> Iterator[str]:
    """A list of texts, sorted. LineRefused, which says `where`."""
    if not isinstance(value, list) or not least <= len(value) <= LIST_MOST:
        raise LineRefused(f"{where}: must be a list of {least} to {LIST_MOST}")
    texts = [item for item in value if _is_text(item)]
    if len(texts) != len(value) or len(set(texts)) != len(texts):
        raise LineRefused(f"{where}: must be texts of 1 to {TEXT_MOST} characters, each once")
    yield from sorted(texts)


def limits_of(value: Parsed, where: str) -> Mapping[str, Limits]:
    """Limits by currency. LineRefused, which says `where`."""
    if not isinstance(value, dict) or len(value) > LIST_MOST or not all(_CURRENCY.fullmatch(name) for name in value):
        raise LineRefused(f"{where}: must be an object by currency, such as GBP")
    return {currency: _limits(of, f"{where}.{currency}") for currency, of in value.items()}


def _limits(value: Parsed, where: str) -> Limits:
    found = _members(value, _LIMITS, where)
    amounts = {name: amount for name, amount in found.items() if _is_whole(amount) and amount >= 0}
    if len(amounts) != len(found):
        raise LineRefused(f"{where}: must be whole numbers, of minor units or of payments, from 0 on")
    return Limits(**amounts)


def _time(value: Parsed, where: str) -> datetime:
    time = time_of(value)
    if time is None:
        raise LineRefused(f"{where}: must be a time with its offset, such as 2026-01-01T00:00:00+00:00")
    return time


def _is_text(value: Parsed) -> TypeGuard[str]:
    return isinstance(value, str) and 1 <= len(value) <= TEXT_MOST and value.isprintable()


def _is_whole(value: Parsed) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value <= MAX_INTEGER
