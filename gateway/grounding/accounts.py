"""Account numbers in a text: IBANs with right check digits (ISO 13616), and UK sort codes with an account number. Pure."""

import re
from collections.abc import Iterator

from stdnum import iban
from stdnum.exceptions import ValidationError

from adapters.identity import Scheme, canonical

_UK_ACCOUNT = re.compile(r"(?<![\w-])(\d{2})([ -]?)(\d{2})\2(\d{2})[ ,/]+(\d{8})(?![\w-])|(?<![\w-])(\d{14})(?![\w-])")
_IBAN_START = re.compile(r"(?<![\w-])[a-z]{2}\d{2}(?=[a-z0-9 -])")
_IBAN_LONGEST = 34


def account_spans(plain: str) -> tuple[tuple[int, int, str], ...]:
    """Start, end and electronic form of each account in a folded text, in their order, without overlaps."""
    found: list[tuple[int, int, str]] = []
    for start, end, account in sorted((*_ibans(plain), *_uk_accounts(plain))):
        if not found or start >= found[-1][1]:
            found.append((start, end, account))
    return tuple(found)


def _ibans(plain: str) -> Iterator[tuple[int, int, str]]:
    for start in _IBAN_START.finditer(plain):
        end = _iban_end(plain, start.start())
        if end is not None:
            yield start.start(), end, canonical(Scheme.ACCOUNT, plain[start.start() : end])


def _uk_accounts(plain: str) -> Iterator[tuple[int, int, str]]:
    for match in _UK_ACCOUNT.finditer(plain):
        yield match.start(), match.end(), "".join(filter(str.isdigit, match.group()))


def _iban_end(plain: str, start: int) -> int | None:
    """Where an IBAN that starts here ends: the only end at which its length and check digits are right."""
    taken, at = "", start
    while at < len(plain) and len(taken) <= _IBAN_LONGEST:
        character = plain[at]
        if character in " -" and at + 1 < len(plain) and plain[at + 1].isalnum():
            at += 1
            continue
        if not (character.isascii() and character.isalnum()):
            break
        taken += character
        at += 1
        ends_here = at == len(plain) or not plain[at].isalnum()
        if ends_here and len(taken) >= 15 and _is_iban(taken.upper()):
            return at
    return None


def _is_iban(text: str) -> bool:
    try:
        iban.validate(text)
    except ValidationError:
        return False
    return True
