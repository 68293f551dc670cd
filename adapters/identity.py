"""When two identifiers are the same: the one place that says so. Pure.

An identifier is opaque: it is the same as another one only if it is equal byte for byte, since nobody but its owner knows whether a
small letter, a hyphen or a space counts. Where a standard says that they do not count, the type of the argument or the manifest names
the scheme, and both sides are compared in the scheme's canonical form. What does not have the form of its scheme is opaque too.
"""

import re
import string
from enum import StrEnum


class Scheme(StrEnum):
    """By which standard an identifier is written."""

    OPAQUE = "opaque"
    """By none."""
    ACCOUNT = "account"
    """An IBAN (ISO 13616), or a UK sort code and account number: without spaces and hyphens, in capitals."""
    CARD = "card"
    """The number of a card (ISO/IEC 7812): its 12 to 19 digits alone."""
    PHONE = "phone"
    """A telephone number (ITU-T E.164), with its plus sign if it has one, and its digits alone."""
    EMAIL = "email"
    """An address of mail (RFC 5321): the domain in small letters; what stands before the @ is the domain's own business."""


_SEPARATORS = re.compile(r"[\s-]+")
_SEPARATORS_OF_PHONES = re.compile(r"[\s()./-]+")
_ACCOUNT = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}|[0-9]{14}", re.ASCII)
_CARD = re.compile(r"[0-9]{12,19}", re.ASCII)
_NUMBERS = str.maketrans({letter: str(int(letter, 36)) for letter in string.ascii_letters})
_PHONE = re.compile(r"\+?[0-9]{5,15}", re.ASCII)


def canonical(scheme: Scheme, value: str) -> str:
    """The form in which identifiers of this scheme are compared and kept; `value` itself where it does not have the scheme's form."""
    match scheme:
        case Scheme.OPAQUE:
            return value
        case Scheme.ACCOUNT:
            plain = _formed(_ACCOUNT, _SEPARATORS.sub("", value).upper(), value)
            return plain if plain.isdigit() or has_check_digits(plain) else value
        case Scheme.CARD:
            return _formed(_CARD, _SEPARATORS.sub("", value), value)
        case Scheme.PHONE:
            return _formed(_PHONE, _SEPARATORS_OF_PHONES.sub("", value), value)
        case Scheme.EMAIL:
            local, at, domain = value.rpartition("@")
            return f"{local}@{domain.lower()}" if at and local and domain.isascii() else value


def same(scheme: Scheme, one: str, other: str) -> bool:
    """Whether two identifiers of this scheme name the same thing."""
    return canonical(scheme, one) == canonical(scheme, other)


def has_check_digits(iban: str) -> bool:
    """ISO 13616: the remainder by 97 is 1. Without it, any UUID that begins like an IBAN would be one."""
    moved = iban[4:] + iban[:4]
    return moved.isascii() and moved.isalnum() and int(moved.translate(_NUMBERS)) % 97 == 1


def _formed(form: re.Pattern[str], plain: str, value: str) -> str:
    return plain if value.isascii() and form.fullmatch(plain) else value
