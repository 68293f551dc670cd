"""Amounts in tokens: a number with a closed unit, or a number alone; exact, or not read at all. Pure.

Units are the names, codes and signs of CLDR and the minor units of the language's files; scales are closed ("2k", "£2 thousand").
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from adapters.core import exponent
from gateway.domain.reading import SaidAmount
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.tokens import Piece, Token

_UNITS = ENGLISH.units
Amounts = Iterator[tuple[SaidAmount, int]]


def amounts(pieces: Sequence[Piece], at: int) -> Amounts:
    """The ways to read an amount that begins here, and where each ends: with its unit first, alone last."""
    if at >= len(pieces):
        return
    piece = pieces[at]
    before = _unit_before(pieces, at)
    if before is not None:
        currencies, start = before
        for value, end, _ in _numbers(pieces, start):
            yield SaidAmount(value, currencies), end
        return
    if piece.kind in (Token.NUMBER, Token.WORD):
        for value, end, is_plain in _numbers(pieces, at):
            yield from _with_unit(pieces, value, end, is_plain=is_plain)


def _unit_before(pieces: Sequence[Piece], at: int) -> tuple[tuple[str, ...], int] | None:
    """The currencies of a sign or code that stands before a number, and where the number begins."""
    piece = pieces[at]
    if piece.kind is Token.SIGN and piece.text in _UNITS.signs:
        return _UNITS.signs[piece.text], at + 1
    if piece.kind is Token.WORD and piece.text in _UNITS.codes and at + 1 < len(pieces) and pieces[at + 1].kind is Token.NUMBER:
        return _UNITS.codes[piece.text], at + 1
    return None


def _with_unit(pieces: Sequence[Piece], value: Decimal, end: int, *, is_plain: bool) -> Amounts:
    following = pieces[end] if end < len(pieces) else None
    if following is not None and following.kind is Token.SIGN:
        if following.text in _UNITS.signs:
            yield SaidAmount(value, _UNITS.signs[following.text]), end + 1
        return  # of percent, it is no amount
    named = _UNITS.named(pieces, end)
    if named is not None:
        currencies, after = named
        yield from _and_minor(pieces, value, currencies, after)
        yield SaidAmount(value, currencies), after
    elif following is not None and following.text in _UNITS.minor and is_plain:
        yield from _minor(value, _UNITS.minor[following.text], end + 1)
    elif following is None or not following.is_joined or following.kind is Token.PUNCTUATION:
        yield SaidAmount(value), end


def _and_minor(pieces: Sequence[Piece], value: Decimal, currencies: tuple[str, ...], at: int) -> Amounts:
    """ "5 pounds and 50 pence", "5 pounds 50 pence"."""
    at += at < len(pieces) and pieces[at].text == "and"
    for part, end, is_plain in _numbers(pieces, at):
        unit = pieces[end].text if end < len(pieces) else ""
        if is_plain and unit in _UNITS.minor and value == int(value):
            for small, after in _minor(part, _UNITS.minor[unit], end + 1):
                both = tuple(code for code in currencies if code in small.currencies)
                if both and small.value < 1:
                    yield SaidAmount(value + small.value, both), after


def _minor(value: Decimal, currencies: tuple[str, ...], end: int) -> Amounts:
    if value == int(value):  # parts of a minor unit are no money
        digits = exponent(currencies[0])
        yield SaidAmount(value.scaleb(-digits), currencies), end


def _numbers(pieces: Sequence[Piece], at: int) -> Iterator[tuple[Decimal, int, bool]]:
    """A number in digits or words with its scale, where it ends, and whether it is without a scale."""
    if at >= len(pieces):
        return
    if pieces[at].kind is Token.NUMBER:
        value = decimal_of(pieces[at].text)
        if value is not None:
            scale = _UNITS.scales.get(pieces[at + 1].text) if at + 1 < len(pieces) else None
            if scale is not None:
                yield value * scale, at + 2, False
            elif at + 1 == len(pieces) or not pieces[at + 1].is_joined or _is_unit(pieces[at + 1]):
                yield value, at + 1, True
        return
    worded = _in_words(pieces, at)
    if worded is not None:
        yield *worded, True


def _is_unit(piece: Piece) -> bool:
    is_name = piece.text in _UNITS.minor or piece.text in _UNITS.codes
    return piece.kind in (Token.SIGN, Token.PUNCTUATION) or is_name or _UNITS.named((piece,), 0) is not None


def _in_words(pieces: Sequence[Piece], at: int) -> tuple[Decimal, int] | None:
    """A whole number in English words: "twenty", "thirty-five", "two hundred and fifty", "a hundred", "two thousand"."""
    total, part, last, end = 0, 0, 0, at
    spoken = False
    if (
        pieces[at].text in ("a", "an")
        and at + 1 < len(pieces)
        and pieces[at + 1].text in ("hundred", "thousand", "million", "grand")
    ):
        part, end = 1, at + 1
    while end < len(pieces):
        word = pieces[end].text
        number = _UNITS.numerals.get(word)
        if number is not None:
            fits = last in (0, 100) or (20 <= last < 100 and last % 10 == 0 and 0 < number < 10)
            if not fits:
                return None
            part, last, spoken, end = part + number, number or -1, True, end + 1
        elif word == "hundred" and 0 < part < 10:
            part, last, spoken, end = part * 100, 100, True, end + 1
        elif word in ("thousand", "million", "grand") and 0 < part < 1000 and total % _UNITS.scales[word] == 0:
            total, part, last, spoken, end = total + part * _UNITS.scales[word], 0, 0, True, end + 1
        elif (word == "and" and spoken and (last == 100 or total) and _is_numeral(pieces, end + 1)) or (
            word == "-" and spoken and pieces[end].is_joined and _is_numeral(pieces, end + 1)
        ):
            end += 1
        else:
            break
    return (Decimal(total + part), end) if spoken else None


def _is_numeral(pieces: Sequence[Piece], at: int) -> bool:
    return at < len(pieces) and pieces[at].text in _UNITS.numerals


def decimal_of(written: str) -> Decimal | None:
    """A number as English writes it; None where it could be another one. Groups are of three digits, all or none."""
    whole, point, fraction = written.partition(".")
    if point and (not fraction.isdigit() or (len(fraction) == 3 and len(whole) <= 3 and whole != "0")):
        return None  # 1.234 is a thousand elsewhere
    for group in (",", "'"):
        if group in whole:
            first, *others = whole.split(group)
            if not (1 <= len(first) <= 3 and first.isdigit() and all(len(other) == 3 and other.isdigit() for other in others)):
                return None
            whole = whole.replace(group, "")
    return Decimal(f"{whole}.{fraction}" if point else whole) if whole.isdigit() else None
