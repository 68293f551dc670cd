"""The parts of an order: whom, how much, from where, when, how often, what for, each once and in any order. Pure.

Names and free text are the open places. Where a name may end in several places, each is one way to read it; whoever knows the names
takes the one that fits. Closed-class words end free text, so that "for the tickets if she asks" is never taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from gateway.domain.reading import Act, SaidOrder
from gateway.grounding.days import days
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.money import amounts
from gateway.grounding.tokens import Piece, Token

WAYS_MOST = 24
_NAME_MOST = 8
_TEXT_MOST = 12
"""Tokens."""

SEPARATORS = frozenset({",", "-", ":"})
PAYING = (Act.PAY, Act.SET_UP)
_IN_NAMES = frozenset({"&", "-", ".", "'"})
"""Punctuation that a name may hold."""

_PLAIN = frozenset({"and", "of", "the", "a", "an", "my", "our"})
"""Closed-class words that plain names hold."""

Way = tuple[SaidOrder, int]


class Budget:
    """How much work one message may make; what is left to be read then is not read."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self) -> bool:
        """Whether there is anything left."""
        self._left -= 1
        return self._left >= 0


class Parts:
    """Reads the parts of orders in one clause. `has_plain_names`: names hold neither numbers nor closed-class words."""

    def __init__(self, body: Sequence[Piece], budget: Budget, *, has_plain_names: bool = False) -> None:
        self._body = body
        self._budget = budget
        self._has_plain_names = has_plain_names

    def all_ways(self, at: int, order: SaidOrder, *, bare: bool = True) -> list[SaidOrder]:
        """Every way to take all of the rest as parts of this order. `bare`: a name or an amount may stand without a word before it."""
        return list(islice(self._ways(at, order, bare=bare), WAYS_MOST))

    def _ways(self, at: int, order: SaidOrder, *, bare: bool) -> Iterator[SaidOrder]:
        if not self._budget.spend():
            return
        if at == len(self._body):
            yield order
            return
        for said, end, still in self._next(at, order, bare=bare):
            yield from self._ways(end, said, bare=still)

    def _next(self, at: int, order: SaidOrder, *, bare: bool) -> Iterator[tuple[SaidOrder, int, bool]]:
        """The order with one part more, where that ends, and whether something bare may follow."""
        body = self._body
        skipped = at + 1 if body[at].text in SEPARATORS else ENGLISH.courtesy.end(body, at)
        if skipped is not None:
            yield order, skipped, bare
        particle = ENGLISH.particles.end(body, at) if order.act is Act.PAY else None
        if particle is not None:
            yield order, particle, bare
        if bare and order.act is Act.PAY and (end := ENGLISH.open_words.end(body, at)) is not None:
            yield order, end, True
        if order.amount is None and (bare or order.act is None):
            if body[at].text == "the":
                yield from (
                    (replace(order, amount=amount), end, False) for amount, end in amounts(body, at + 1) if amount.currencies
                )
            for amount, end in amounts(body, at):
                if amount.currencies or (bare and order.act in PAYING):
                    yield replace(order, amount=amount), end, False
        if bare and order.payee is None and order.amount is None:
            for name, end in self._names(at):
                yield replace(order, payee=name), end, True
        yield from ((said, end, False) for said, end in self._marked(at, order))
        yield from ((said, end, False) for said, end in self._times(at, order))

    def _marked(self, at: int, order: SaidOrder) -> Iterator[Way]:
        """A part behind the word that says which it is."""
        for slot, phrases in ENGLISH.slots.items():
            if getattr(order, slot) is not None:
                continue
            for begins in phrases.ends(self._body, at):
                for value, end in self._values(slot, at, begins, order.act):
                    part: dict[str, Any] = {slot: value}
                    yield replace(order, **part), end

    def _values(self, slot: str, at: int, begins: int, act: Act | None) -> Iterator[tuple[object, int]]:
        match slot:
            case "payee":
                # "for" names whom an order that recurs is for, "with" whom something is settled with
                if self._body[at].text not in ("for", "with") or (self._body[at].text == "for") == (act is Act.SET_UP):
                    yield from self._names(begins)
            case "account":
                for name, end in self._names(begins):
                    yield name, ENGLISH.accounts.end(self._body, end) or end
            case "amount":
                yield from (
                    (amount, end) for amount, end in amounts(self._body, begins) if amount.currencies or self._body[at].text == "of"
                )
            case "reference" | "purpose":
                yield from self._texts(begins)
            case _:
                yield from days(self._body, begins)

    def _times(self, at: int, order: SaidOrder) -> Iterator[Way]:
        if order.frequency is None:
            for name, phrases in ENGLISH.frequencies.items():
                end = phrases.end(self._body, at)
                if end is not None:
                    yield replace(order, frequency=name), end
        if order.day is None:
            for day, end in days(self._body, at):
                yield replace(order, day=day), end

    def _names(self, at: int) -> Iterator[tuple[str, int]]:
        """The ways to take a name that begins here, the shortest first. An account is one by itself."""
        body, begin = self._body, at
        while at < len(body) and (body[at].text in ENGLISH.determiners or body[at].text in ENGLISH.relations):
            at += 1
        if at < len(body) and body[at].kind is Token.ACCOUNT:
            yield body[at].text, at + 1
        for start in sorted({begin, at}):
            for end in range(start + 1, min(start + _NAME_MOST, len(body)) + 1):
                if not self._may_be_in_name(body[end - 1]):
                    break
                yield " ".join(piece.text for piece in body[start:end]), end

    def _may_be_in_name(self, piece: Piece) -> bool:
        if piece.kind is Token.PUNCTUATION:
            return piece.text in _IN_NAMES
        if piece.kind in (Token.SIGN, Token.ACCOUNT, Token.DATE):
            return False
        return not self._has_plain_names or (
            piece.kind is not Token.NUMBER and (piece.text not in ENGLISH.closed or piece.text in _PLAIN)
        )

    def mentions(self) -> Iterator[SaidOrder]:
        """Who gets how much, by the forms of the grammar: all of the clause, or nothing."""
        for form in ENGLISH.mentions:
            yield from self._formed(form, 0, SaidOrder())

    def _formed(self, form: tuple[str, ...], at: int, order: SaidOrder) -> Iterator[SaidOrder]:
        if not self._budget.spend():
            return
        if not form:
            while at < len(self._body) and (end := ENGLISH.courtesy.end(self._body, at)) is not None:
                at = end
            if at == len(self._body):
                yield order
        elif at == len(self._body):
            return
        elif form[0] == "PAYEE":
            for name, end in self._names(at):
                yield from self._formed(form[1:], end, replace(order, payee=name))
        elif form[0] == "AMOUNT":
            for amount, end in amounts(self._body, at):
                yield from self._formed(form[1:], end, replace(order, amount=amount))
        elif self._body[at].text == form[0]:
            yield from self._formed(form[1:], at + 1, order)

    def _texts(self, at: int) -> Iterator[tuple[str, int]]:
        """The ways to take free text that begins here, the longest first."""
        end = at
        while end < len(self._body) and end - at < _TEXT_MOST and _is_free(self._body[end]):
            end += 1
        for last in range(end, at, -1):
            yield " ".join(piece.text for piece in self._body[at:last]), last


def _is_free(piece: Piece) -> bool:
    if piece.kind is Token.WORD:
        return piece.text not in ENGLISH.closed
    return piece.kind is Token.NUMBER or piece.text.isalnum() or piece.text in ENGLISH.in_text
