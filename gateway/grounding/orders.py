"""What the customer ordered, taken back, corrected and spoke against, over the turns that count; held against one call. Pure.

Only this module follows clauses over turns. It knows no text but the clauses' own, and decides nothing: `judging` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from adapters.core import KnownPayee, Money
from gateway.domain.doubts import Doubt, QuotedPart
from gateway.domain.facts import Utterance
from gateway.domain.reading import Act, Clause, ClauseKind, SaidAmount, SaidDay, SaidOrder, Spoilt
from gateway.grounding.days import resolved
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.lexing import lex
from gateway.grounding.names import kept, named_in
from gateway.grounding.payees import name_of, saved_names
from gateway.grounding.reader import read_once
from gateway.grounding.tokens import Token, tokens


def names_an_account(words: Sequence[Utterance]) -> bool:
    """Whether an order, or what completes one, says from which account."""
    typed = (message for message in words if message.origin == "typed")
    return any(way.account for message in typed for clause in _clauses(message) for way in clause.ways)


def _clauses(message: Utterance) -> Sequence[Clause]:
    """As it was read when it was heard, or read now where that was not kept."""
    return (message.reading or read_once(message.text)).clauses


DELETED = "deleted"
"""The origin of words that the customer removed: they count as taken back."""

_SPOILT: dict[Spoilt, Doubt] = {item: Doubt(item.value) for item in Spoilt}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call would do, as far as an order says it. `payees`: the keys by which its payee may be known; `on`, `first`, `last`: days
    of the call, None where it has none. `account_currency`: of the account that it debits, if that is known. `accounts`: names of the
    customer's own accounts as `name_of` gives them, and whether it is the one that the call debits.
    """

    act: Act
    payees: frozenset[str]
    amount: Money | None
    on: date | None = None
    first: date | None = None
    last: date | None = None
    frequency: str | None = None
    account_currency: str | None = None
    accounts: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the words say of a call. `is_whole`: one whole order of the last turn that ordered anything says all of it, and nothing else.

    `turn` is that order's, `times` how many orders of it say the same, `says_account` whether it says from which account. `is_against`:
    they speak against it: negated, taken back. `only_asks`: the payee is named in questions alone. None of them: it may be asked, with
    these doubts and this sentence.
    """

    is_whole: bool = False
    is_against: bool = False
    only_asks: bool = False
    turn: int = 0
    times: int = 0
    says_account: bool = False
    doubts: tuple[Doubt, ...] = ()
    quoted: tuple[QuotedPart, ...] = ()


@dataclass(slots=True)
class _Told:
    """One order, as it stands after what was said since."""

    ways: tuple[tuple[SaidOrder, frozenset[str]], ...]
    said_on: date
    turn: int
    message: Utterance
    clause: Clause
    is_taken_back: bool = False
    doubts: set[Doubt] = field(default_factory=set)

    def keys(self) -> frozenset[str]:
        return frozenset(key for _, keys in self.ways for key in keys)


class Conversation:
    """The orders of the turns that count, in their order, as one customer wrote them."""

    def __init__(self, words: Sequence[Utterance], payees: Sequence[KnownPayee]) -> None:
        self._payees = payees
        self._names = saved_names(kept(payees))
        self._orders: list[_Told] = []
        self._against: dict[str, int] = {}
        """Payees whom the customer spoke against, with how many orders came before."""
        self._questions: list[tuple[Utterance, Clause]] = []
        self._others: list[tuple[Utterance, Clause, set[Doubt]]] = []
        """What was not understood."""
        self._mention: Clause | None = None
        self._is_off = False
        """Whether the last thing said was a taking back of what was last."""
        for message in words:
            if message.origin == DELETED:
                self._take_back(message, Clause(ClauseKind.TAKING_BACK, 0, 0, is_all=True))
            elif message.origin == "typed":
                self._hear(message)

    def said_of(self, wanted: Wanted) -> Spoken:
        """Held against one call that pays, or orders payments."""
        mine = [told for told in self._orders if told.keys() & wanted.payees]
        spoken_against = max((self._against.get(key, -1) for key in wanted.payees), default=-1)
        live = [told for told in mine if not told.is_taken_back]
        if self._is_against(wanted, mine, live, spoken_against):
            return Spoken(is_against=True)
        last_turn = max((told.turn for told in self._orders), default=0)
        tried = [(told, self._doubts(told, wanted, last_turn)) for told in live]
        if whole := [told for told, doubts in tried if not doubts]:
            order = whole[-1]
            sentence = QuotedPart(order.message.text[order.clause.start : order.clause.end], understood=True)
            says_account = any(way.account for way, _ in order.ways)
            return Spoken(is_whole=True, turn=order.turn, times=len(whole), says_account=says_account, quoted=(sentence,))
        if tried:
            told, doubts = min(tried, key=lambda item: len(item[1]))
            return Spoken(doubts=tuple(sorted(doubts, key=list(Doubt).index)), quoted=_quoted(told.message, told.clause))
        return self._other_words_of(wanted)

    def _other_words_of(self, wanted: Wanted) -> Spoken:
        """Where nothing was ordered: the last words that were not understood and name the payee, or the last of all."""
        naming = [item for item in self._others if named_in(lex(item[0].text), self._payees) & wanted.payees]
        if not naming and any(self._names_in(*asked) & wanted.payees for asked in self._questions):
            return Spoken(only_asks=True)
        if not self._others:
            return Spoken(doubts=(Doubt.NO_ORDER,))
        message, clause, doubts = (naming or self._others)[-1]
        return Spoken(doubts=tuple(sorted(doubts, key=list(Doubt).index)), quoted=_quoted(message, clause))

    def _is_against(self, wanted: Wanted, mine: Sequence[_Told], live: Sequence[_Told], spoken_against: int) -> bool:
        """Whether the payee, or this very amount to them, is what was denied, taken back, or corrected since."""
        newest = max((self._orders.index(told) for told in live), default=-1)
        same = [told for told in mine if any(_says_amount(way, wanted.amount) for way, _ in told.ways)]
        if spoken_against > newest or (same and all(told.is_taken_back for told in same)):
            return True
        return (bool(mine) and not live) or (self._is_off and not live)

    # hearing

    def _hear(self, message: Utterance) -> None:
        before = len(self._orders)
        doubts: set[Doubt] = set()
        for clause in _clauses(message):
            doubts |= self._take(message, clause)
        if self._mention is not None:
            doubts |= self._not_understood(message, self._mention)
            self._mention = None
        for told in self._orders[before:]:
            told.doubts |= doubts

    def _take(self, message: Utterance, clause: Clause) -> set[Doubt]:
        """What one clause does to the orders; and what the orders of its own message doubt because of it."""
        mention, self._mention = self._mention, None
        order = _taken_up(clause, mention)
        left = self._not_understood(message, mention) if mention is not None and order is clause else set()
        match clause.kind:
            case ClauseKind.ORDER if ways := self._fitting(order):
                self._orders.append(_Told(ways, message.at.date(), message.turn, message, clause))
                self._is_off = False
                return left | self._instead_of_nothing(message, clause)
            case ClauseKind.TAKING_BACK:
                return left | self._take_back(message, clause)
            case ClauseKind.COMPLETION | ClauseKind.CORRECTION | ClauseKind.MENTION if self._changed(message, clause):
                self._is_off = False
                return left
            case ClauseKind.MENTION:
                self._mention = clause
                return left
            case ClauseKind.QUESTION:
                self._questions.append((message, clause))
                return left
            case ClauseKind.COURTESY:
                return left
        return left | self._not_understood(message, clause)

    def _fitting(self, clause: Clause) -> tuple[tuple[SaidOrder, frozenset[str]], ...]:
        """The ways to read an order whose payee is somebody, or who is left open."""
        ways = [(way, self._names.meant_by(way.payee)) for way in clause.ways]
        named = [(way, keys) for way, keys in ways if keys]
        return tuple(named or [(way, keys) for way, keys in ways if way.payee is None])

    def _latest(self, message: Utterance) -> list[_Told]:
        """What "cancel that" takes back: the order just before it in the same message, else all of the last message that ordered."""
        last = self._orders[-1:]
        return (
            last if not last or last[0].message is message else [told for told in self._orders if told.message is last[0].message]
        )

    def _instead_of_nothing(self, message: Utterance, clause: Clause) -> set[Doubt]:
        is_instead = message.text[clause.start : clause.end].casefold().endswith("instead")
        return {Doubt.NEGATED} if is_instead and not any(told.is_taken_back for told in self._orders) else set()

    def _take_back(self, message: Utterance, clause: Clause) -> set[Doubt]:
        """What is taken back; and what an order doubts that comes after it in the same message, where there was nothing to take back."""
        if clause.names is not None and (keys := self._names.meant_by(clause.names)):
            for told in self._orders:
                told.is_taken_back |= bool(told.keys() & keys)
            self._against.update(dict.fromkeys(keys, len(self._orders)))
            return set()
        taken = self._orders if clause.is_all or clause.names is not None else self._latest(message)
        for told in taken:
            told.is_taken_back = True
        for told in self._orders:
            told.doubts.add(Doubt.NEGATED)
        self._is_off = True
        return set() if self._orders and clause.names is None else {Doubt.NEGATED}

    def _changed(self, message: Utterance, clause: Clause) -> bool:
        """The last order with what completes or corrects it, as of this turn; False if it does neither."""
        last = next(reversed(self._orders), None)
        if last is None or message.turn - last.turn > 1 or (last.is_taken_back and clause.kind is not ClauseKind.CORRECTION):
            return False
        parts = [(part, self._names.meant_by(part.payee)) for part in clause.ways]
        changed: list[tuple[SaidOrder, frozenset[str]]] = []
        for order, keys in last.ways:
            for part, meant in parts:
                if part.payee is not None and not meant:
                    continue
                new = order.corrected(part) if clause.kind is ClauseKind.CORRECTION else order.completed(part)
                if new is not None:
                    changed.append((new, meant or keys))
        if not changed:
            return False
        self._orders.append(replace(last, ways=tuple(changed), turn=message.turn, is_taken_back=False, doubts=set(last.doubts)))
        last.is_taken_back = True
        return True

    def _not_understood(self, message: Utterance, clause: Clause) -> set[Doubt]:
        """Other words: whatever was ordered before is not whole any more; what they deny is spoken against."""
        named = self._names_in(message, clause)
        if Spoilt.NEGATED in clause.spoilt:
            self._against.update(dict.fromkeys(named, len(self._orders)))
            if not named and self._orders:
                self._orders[-1].is_taken_back = True
        doubts = {_SPOILT[item] for item in clause.spoilt} | {Doubt.NOT_WHOLE}
        self._others.append((message, clause, doubts))
        for told in self._orders:
            told.doubts |= doubts
        return doubts

    def _names_in(self, message: Utterance, clause: Clause) -> frozenset[str]:
        return named_in(lex(message.text[clause.start : clause.end]), self._payees)

    # holding against a call

    def _doubts(self, told: _Told, wanted: Wanted, last_turn: int) -> set[Doubt]:
        doubts = min((set(_differences(way, keys, wanted, told.said_on)) for way, keys in told.ways), key=len)
        if not told.keys() <= wanted.payees:  # read in one way it names somebody else
            doubts.add(Doubt.AMBIGUOUS)
        return doubts | told.doubts | ({Doubt.EARLIER_TURN} if told.turn != last_turn else set())


def _taken_up(clause: Clause, mention: Clause | None) -> Clause:
    """An order that leaves open whom and how much, with what was mentioned just before; the clause itself where it takes up nothing."""
    if mention is None or clause.kind is not ClauseKind.ORDER:
        return clause
    both = (way.completed(part) for way in clause.ways for part in mention.ways)
    ways = tuple(way for way in both if way is not None)
    return replace(clause, ways=ways) if ways else clause


def _differences(way: SaidOrder, keys: frozenset[str], wanted: Wanted, said_on: date) -> Iterator[Doubt]:
    """Where an order, read in one way, does not say exactly this call."""
    if not keys & wanted.payees or not keys <= wanted.payees:
        yield Doubt.AMBIGUOUS
    if (Act.SET_UP if way.frequency else way.act) is not wanted.act:
        yield Doubt.NOT_WHOLE
    if wanted.amount is not None:
        yield from _amount_differs(way.amount, wanted.amount, wanted.account_currency)
    if _days_differ(way, wanted, said_on):
        yield Doubt.DAY
    if way.frequency != wanted.frequency:
        yield Doubt.FREQUENCY
    if way.account is not None and not wanted.accounts.get(name_of(way.account)):
        yield Doubt.ACCOUNT


def _days_differ(way: SaidOrder, wanted: Wanted, said_on: date) -> bool:
    """Whether a day was said that the call does not have, or the other way round. Today is as good as none."""

    def day(said: SaidDay | None) -> date | None:
        return None if said is None else resolved(said, said_on)

    if wanted.act is Act.SET_UP:
        return (day(way.first or way.day), day(way.last)) != (wanted.first, wanted.last)
    today = {None, said_on}
    on = day(way.day)
    return bool(way.first or way.last) or (on != wanted.on if on not in today else wanted.on not in today)


def _says_amount(way: SaidOrder, money: Money | None) -> bool:
    return money is not None and way.amount is not None and way.amount.value == Decimal(money.value)


def _amount_differs(said: SaidAmount | None, money: Money, account_currency: str | None) -> Iterator[Doubt]:
    if said is None or said.value != Decimal(money.value):
        yield Doubt.AMOUNT
    elif not said.currencies:
        if account_currency not in (None, money.currency):
            yield Doubt.UNIT
    elif money.currency not in said.currencies or (said.currencies[0] != money.currency and account_currency != money.currency):
        yield Doubt.UNIT


def _quoted(message: Utterance, clause: Clause) -> tuple[QuotedPart, ...]:
    """The clause in parts: what stands in the way of an order, and what turns it, is marked as not understood."""
    parts: list[QuotedPart] = []
    end = clause.start
    for piece in tokens(message.text[clause.start : clause.end]):
        start = clause.start + piece.start
        is_plain = piece.text in ENGLISH.known or piece.text not in ENGLISH.closed
        is_in_the_way = clause.unread is not None and clause.unread[0] <= start < clause.unread[1]
        understood = not is_in_the_way and (piece.kind is not Token.WORD or (is_plain and piece.text not in ENGLISH.spoiling))
        text = message.text[end : clause.start + piece.end]
        if parts and parts[-1].understood == understood:
            parts[-1] = QuotedPart(parts[-1].text + text, understood)
        else:
            parts.append(QuotedPart(message.text[end:start] + message.text[start : clause.start + piece.end], understood))
        end = clause.start + piece.end
    return tuple(parts)
