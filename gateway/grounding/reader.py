"""Reads what a customer wrote into clauses: whole, or not at all. Pure; knows nothing of calls.

A clause is an order only if the grammar takes every token of it: courtesies, a request, a verb, and the parts that `parts` reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from gateway.domain.reading import Act, Clause, ClauseKind, Reading, SaidOrder, Spoilt
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.parts import PAYING, SEPARATORS, WAYS_MOST, Budget, Parts
from gateway.grounding.tokens import Piece, Token, tokens

CHARACTERS_MOST = 4_000
"""Of typed text in a turn; more is kept, and counts as not understood."""

_STEPS_MOST = 6_000
"""Of one message. An order of ten words takes a hundred."""

_SEARCH_MOST = 2_000
"""Of the search for words that stand in the way of an order, in one message."""

_SHORT = 20
_CLAUSE_MOST = 60
_BACK_MOST = 8
"""Tokens. A longer sentence is no order, and a longer name none that is taken back."""

_ENDS = frozenset(".!?\n;")
_PLEASE = frozenset({"please", "pls", "plz"})
_SPOILING = frozenset(item.value for item in Spoilt)


def read(text: str) -> Reading:
    """The clauses of one message, in their order; together they cover all of its tokens."""
    if len(text) > CHARACTERS_MOST:
        return Reading((Clause(ClauseKind.OTHER, 0, len(text), spoilt=frozenset({Spoilt.TOO_LONG})),))
    reading, searching = Budget(_STEPS_MOST), Budget(_SEARCH_MOST)
    sentences = (_Sentence(sentence, reading, searching) for sentence in _sentences(tokens(text)))
    return Reading(tuple(clause for sentence in sentences for clause in sentence.clauses()))


@lru_cache(maxsize=1024)
def read_once(text: str) -> Reading:
    """`read`, remembered: of words that were heard before readings were kept."""
    return read(text)


def spoilt_by(pieces: Sequence[Piece]) -> frozenset[Spoilt]:
    """The classes of words in it that turn what is said."""
    words = {piece.text for piece in pieces}
    found = {Spoilt(name) for name, listed in ENGLISH.classes.items() if name in _SPOILING and words & listed}
    return frozenset(found | ({Spoilt.REPORTED} if '"' in words else set()))


def _sentences(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ...]]:
    """Each with the marks that end it. What stands in quotation marks stays in one piece with its sentence."""
    begun, quoted = 0, False
    for at, piece in enumerate(pieces):
        quoted ^= piece.text == '"'
        if _is_end(piece) and not quoted and not _goes_on(pieces, at):
            yield tuple(pieces[begun : at + 1])
            begun = at + 1
    if begun < len(pieces):
        yield tuple(pieces[begun:])


def _is_end(piece: Piece) -> bool:
    return piece.kind is Token.PUNCTUATION and piece.text in _ENDS


def _goes_on(pieces: Sequence[Piece], at: int) -> bool:
    """A full stop within a name or an abbreviation, where something is joined to it; a mark that another follows."""
    if at + 1 == len(pieces):
        return False
    following = pieces[at + 1]
    return _is_end(following) or (pieces[at].text == "." and following.is_joined)


class _Sentence:
    def __init__(self, pieces: tuple[Piece, ...], budget: Budget, searching: Budget) -> None:
        end = len(pieces)
        while end and _is_end(pieces[end - 1]):
            end -= 1
        self._body = pieces[:end]
        self._is_question = any(piece.text == "?" for piece in pieces[end:])
        self._budget = budget
        self._searching = searching
        self._has_plain_names = True
        self._failed: set[tuple[int, Act | None]] = set()

    def clauses(self) -> list[Clause]:
        if not self._body:
            return []
        found = None
        if len(self._body) <= _CLAUSE_MOST:
            if all(piece.text in ENGLISH.taken or piece.text not in ENGLISH.closed for piece in self._body):
                found = self._whole(0, None)
            if found is None:  # a name that holds numbers, or words like "may"
                self._has_plain_names = False
                begin = self._begin(self._body)
                ways = self._orders(self._body, begin, must_ask=self._is_question)
                found = [self._clause(ClauseKind.ORDER, self._body, ways)] if ways else None
                if not ways and self._is_question and _only_asks(self._body, begin):
                    found = [self._clause(ClauseKind.QUESTION, self._body)]
        return found or [replace(self._clause(ClauseKind.OTHER, self._body), unread=self._in_the_way())]

    def _in_the_way(self) -> tuple[int, int] | None:
        """The places of one to three words without which the rest would be an order, in a short sentence that has a verb of one."""
        body, self._budget, self._has_plain_names = self._body, self._searching, True
        if len(body) > _SHORT or not any(verbs.end(body, at) for at in range(len(body)) for verbs in ENGLISH.verbs.values()):
            return None
        for length in (1, 2, 3):
            for at in range(len(body) - length + 1):
                rest = body[:at] + body[at + length :]
                if rest and any(way.payee and way.amount for way in self._orders(rest, self._begin(rest), must_ask=False)):
                    return body[at].start, body[at + length - 1].end
        return None

    def _begin(self, body: Sequence[Piece]) -> int:
        """After the courtesies, and a word that joins it to what was said before."""
        begin = _skipped(body, 0)
        return _skipped(body, ENGLISH.joining.end(body, begin) or begin)

    def _parts(self, body: Sequence[Piece]) -> Parts:
        return Parts(body, self._budget, has_plain_names=self._has_plain_names)

    def _clause(self, kind: ClauseKind, body: Sequence[Piece], ways: Sequence[SaidOrder] = ()) -> Clause:
        return Clause(kind, body[0].start, body[-1].end, tuple(dict.fromkeys(ways))[:WAYS_MOST], spoilt=spoilt_by(body))

    def _whole(self, begin: int, act: Act | None) -> list[Clause] | None:
        """From here on as one clause, or as several with a comma or "and" between them; None if a part of it is not understood."""
        if (begin, act) in self._failed:
            return None
        body = self._body[begin:]
        clause = self._understood(body, act, is_last=True)
        if clause is not None:
            return [clause]
        if not (self._is_question and ENGLISH.questions.end(body, 0) is not None):
            for end, begins in _joints(body):
                first = self._understood(body[:end], act, is_last=False)
                if first is not None:
                    rest = self._whole(begin + begins, first.ways[0].act if first.ways else act)
                    if rest is not None:
                        return [first, *rest]
        self._failed.add((begin, act))
        return None

    def _understood(self, body: tuple[Piece, ...], act: Act | None, *, is_last: bool) -> Clause | None:
        """This as one clause of a known kind. `act`: of the order before it in the same sentence ("pay Anna 10 pounds and Ben 15")."""
        begin = self._begin(body)
        if begin == len(body):
            return self._clause(ClauseKind.COURTESY, body) if body else None
        is_asked = self._is_question and is_last
        ways = self._orders(body, begin, must_ask=is_asked)
        if not ways and act in PAYING and not is_asked:
            parts = self._parts(body)
            ways = [way for way in parts.all_ways(begin, SaidOrder(act=act)) if way.payee is not None and way.amount is not None]
        if ways:
            return self._clause(ClauseKind.ORDER, body, ways)
        if is_asked:  # "Pay Anna 20?" is no order, and neither completes nor corrects one
            return self._clause(ClauseKind.QUESTION, body) if _only_asks(body, begin) else None
        return self._taking_back(body) or self._mention(body[begin:]) or self._correction(body) or self._completion(body)

    def _orders(self, body: tuple[Piece, ...], begin: int, *, must_ask: bool) -> list[SaidOrder]:
        """`must_ask`: a question mark follows, so that only a request such as "can you" makes it an order."""
        if body[-1].text == "instead":  # of what was taken back before
            body = body[:-1]
        asked = ENGLISH.asking.end(body, begin)
        parts, found = self._parts(body), []
        starts = [begin] if not must_ask else []
        for start in starts if asked is None else [_skipped(body, asked), *starts]:
            for act in map(Act, ENGLISH.verbs):
                for end in ENGLISH.verbs[act].ends(body, start):
                    found += parts.all_ways(end, SaidOrder(act=act))
                for end in ENGLISH.nouns[act].ends(body, start):
                    found += parts.all_ways(end, SaidOrder(act=act), bare=act not in PAYING)
        return found

    def _taking_back(self, body: tuple[Piece, ...]) -> Clause | None:
        """The last order, or all of them, or the one to a name, is taken back, and nothing else is said."""
        at, is_taken, is_all = 0, False, False
        while at < len(body) and (end := max(_back_ends(body, at), default=None)) is not None:
            is_taken = is_taken or ENGLISH.taking_back.end(body, at) is not None
            is_all = is_all or ENGLISH.everything.end(body, at) == end
            at = end
        if at == len(body):
            return replace(self._clause(ClauseKind.TAKING_BACK, body), is_all=is_all) if is_taken else None
        return self._taken_by_name(body)

    def _taken_by_name(self, body: tuple[Piece, ...]) -> Clause | None:
        """ "Not Anna", "please don't pay Anna"."""
        last = len(body)
        while last > 1 and ENGLISH.back_fillers.end(body, last - 1) == last:
            last -= 1
        begins, seen = [0], {0}
        for at in begins:
            for named in ENGLISH.taken_names.ends(body, at):
                if 0 < last - named <= _BACK_MOST and all(_is_of_name(piece) for piece in body[named:last]):
                    names = " ".join(piece.text for piece in body[named:last])
                    return replace(self._clause(ClauseKind.TAKING_BACK, body), names=names)
            following = [end for end in _back_ends(body, at) if end < last and end not in seen]
            begins += following
            seen.update(following)
        return None

    def _correction(self, body: tuple[Piece, ...]) -> Clause | None:
        """Something in the place of what was said: "sorry, 8 pounds", "make it 8", "I meant Ben", "8 pounds, not 80"."""
        at = 0
        while at < len(body) and (end := _joined_or(body, at, ENGLISH.correcting.end(body, at))) is not None:
            at = end
        stop = len(body)
        while stop > at and (body[stop - 1].text in SEPARATORS or ENGLISH.instead.end(body, stop - 1) == stop):
            stop -= 1
        is_marked = (at, stop) != (0, len(body))
        texts = [piece.text for piece in body[at:stop]]
        if "not" in texts:  # the second is what it was
            middle = at + texts.index("not")
            was, stop = self._one_part(body[middle + 1 : stop]), middle
            while stop > at and body[stop - 1].text in SEPARATORS:
                stop -= 1
            ways = [way for way in self._one_part(body[at:stop]) if any(_slots(way) == _slots(other) for other in was)]
        else:
            ways = self._one_part(body[at:stop]) if is_marked else []
        return self._clause(ClauseKind.CORRECTION, body, ways) if ways else None

    def _one_part(self, body: Sequence[Piece]) -> list[SaidOrder]:
        """One part alone; a number without a unit is an amount here."""
        if not body:
            return []
        plain = Parts(body, self._budget, has_plain_names=True)
        alone = [replace(way, act=None) for way in plain.all_ways(0, SaidOrder(act=Act.PAY))]
        return [way for way in alone if len(_slots(way)) == 1]

    def _mention(self, body: tuple[Piece, ...]) -> Clause | None:
        ways = list(Parts(body, self._budget, has_plain_names=True).mentions())
        return self._clause(ClauseKind.MENTION, body, ways) if ways else None

    def _completion(self, body: tuple[Piece, ...]) -> Clause | None:
        """Parts of an order without its verb: "20 pounds", "from Everyday", "to Anna", "on Friday"."""
        at = ENGLISH.answering.end(body, 0) or 0
        at = _skipped(body, ENGLISH.answers.end(body, at) or at)
        if at == len(body):
            return None
        plain = Parts(body, self._budget, has_plain_names=True)
        if any(piece.text in _PLEASE for piece in body):  # "20 pounds to Ben please" lacks nothing but the verb
            asked = [way for way in plain.all_ways(at, SaidOrder(act=Act.PAY)) if way.payee and way.amount]
            if asked:
                return self._clause(ClauseKind.ORDER, body, asked)
        ways = [way for way in plain.all_ways(at, SaidOrder()) if _slots(way)]
        return self._clause(ClauseKind.COMPLETION, body, ways) if ways else None


def _only_asks(body: Sequence[Piece], begin: int) -> bool:
    """Whether it begins as a question does, and not as a request that a verb of an order may follow; "do" alone is no request."""
    asked = ENGLISH.asking.end(body, begin)
    is_request = asked is not None and not (asked == begin + 1 and body[begin].text == "do")
    return ENGLISH.questions.end(body, begin) is not None and not is_request


def _joints(body: tuple[Piece, ...]) -> Iterator[tuple[int, int]]:
    """Where a clause may end, and where the next begins."""
    for at in range(1, len(body)):
        if body[at].text == ",":
            yield at, ENGLISH.joining.end(body, at + 1) or at + 1
        else:
            joined = ENGLISH.joining.end(body, at)
            if joined is not None and joined < len(body):
                yield at, joined


def _skipped(body: Sequence[Piece], at: int) -> int:
    """After the courtesies and commas that stand here."""
    while at < len(body) and (end := _joined_or(body, at, ENGLISH.courtesy.end(body, at))) is not None:
        at = end
    return at


def _joined_or(body: Sequence[Piece], at: int, end: int | None) -> int | None:
    return at + 1 if body[at].text in SEPARATORS else end


def _back_ends(body: Sequence[Piece], at: int) -> list[int]:
    """Where the phrases of a taking back that begin here end."""
    if body[at].text in SEPARATORS:
        return [at + 1]
    lists = (ENGLISH.taking_back, ENGLISH.taken_objects, ENGLISH.everything, ENGLISH.back_fillers)
    return [end for phrases in lists for end in phrases.ends(body, at)]


def _is_of_name(piece: Piece) -> bool:
    return piece.kind in (Token.WORD, Token.ODD, Token.ACCOUNT) or piece.text in "&-.'"


def _slots(order: SaidOrder) -> frozenset[str]:
    return frozenset(slot for slot in SaidOrder.__dataclass_fields__ if getattr(order, slot) is not None)
