"""When a decision may be remembered: only while it cannot depend on anything but its key and the order of certain instants.

Cedar's answer is a function of the rules, the request and the entities. All of a request is in the key, byte for byte as Cedar sees
it, save `context.now`. If the rules do nothing with `now` but compare it with datetimes of entities or of the rules themselves, then
between two neighbours of these datetimes every comparison has one outcome, and so has the decision. Whatever is not surely so is
asked each time.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cedarpy import pst

from policies.cedar import Policy
from policies.model import JSON, Decision
from policies.schema_checks import EXACT, is_exact_time, is_time
from policies.static_analysis import parts

Key = tuple[object, ...]

MOST_PLACES = 8192
"""About 2 KB each with a mandate of some twenty functions and accounts: 16 MB. Least recently used first out."""

_NOW = pst.GetAttr(pst.Var("context"), "now")
_COMPARISONS = frozenset({"less", "less_eq", "greater", "greater_eq", "eq", "not_eq"})

# Every form of a datetime that Cedar knows begins with a date
_DATED = re.compile(r'"([0-9]{4}-[0-9]{2}-[0-9]{2}[^"]*)"', re.ASCII)
_BEFORE_ALL, _AFTER_ALL = "", "~"
_UNREAD = "0"


@dataclass(frozen=True, slots=True)
class Cacheable:
    """That the decisions of a function may be remembered, by these members of the context and, if `timed`, by intervals of time.

    `instants` are the datetimes that stand in the rules.
    """

    members: tuple[str, ...]
    timed: bool
    instants: frozenset[str]

    def moment(self, now: JSON) -> str | None:
        """What stands for `now`: its text; one and the same if it is not read; None if it is not surely a datetime."""
        return instant(now) if self.timed else _UNREAD

    def flips(self, *entities: str) -> frozenset[str] | None:
        """Every instant at which the answer could change, with entities of this JSON. None: not sure to have found all."""
        if not self.timed:
            return frozenset()
        found = set(self.instants)
        for text in entities:
            instants = instants_in(text)
            if instants is None:
                return None
            found |= instants
        return frozenset(found)


class CachedDecision:
    """Where the decision of one key is kept, with the open interval of time in which it holds."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: tuple[str, str, Decision] | None = None

    def recall(self, moment: str) -> Decision | None:
        held = self._held
        return held[2] if held is not None and held[0] < moment < held[1] else None

    def keep(self, moment: str, flips: Collection[str] | None, decision: Decision) -> None:
        """Remember what was decided at this moment. Not at a flip itself, which lies in no open interval, and no error."""
        if decision.errors or flips is None or moment in flips:
            return
        after = max((flip for flip in flips if flip < moment), default=_BEFORE_ALL)
        before = min((flip for flip in flips if flip > moment), default=_AFTER_ALL)
        self._held = (after, before, decision)


class DecisionCache:
    """The places of one bundle. Bounded and safe to share; forgetting costs time, never changes an answer."""

    def __init__(self) -> None:
        self.place = lru_cache(maxsize=MOST_PLACES)(_new_place)


def _new_place(_key: Key) -> CachedDecision:
    return CachedDecision()


def memorable(policies: Iterable[Policy], members: Iterable[str]) -> Cacheable | None:
    """Whether these policies, of which Cedar is shown these members of the context, decide what may be remembered. None: they do not."""
    found: set[str] = set()
    for policy in policies:
        for clause in policy.clauses:
            for text in _instants(clause.expr):
                if text is None:
                    return None
                found.add(text)
    shown = {*members}
    return Cacheable(tuple(sorted(shown - {"now", "assurance"})), "now" in shown, frozenset(found))


def _instants(expr: pst.Expr) -> Iterator[str | None]:
    """The datetimes of the rules that `now` is compared with; None for every other use that could reach it."""
    match expr:
        case pst.BinaryOp(op, left, right) if op in _COMPARISONS and (left == _NOW) is not (right == _NOW):
            yield from _compared(right if left == _NOW else left)
        case pst.GetAttr(pst.Var("context"), member):
            if member == "now":
                yield None
        case pst.HasAttr(pst.Var("context"), (member, *_)):
            if member == "now":
                yield None
        case pst.Var("context"):
            yield None
        case _:
            for part in parts(expr):
                yield from _instants(part)


def _compared(other: pst.Expr) -> Iterator[str | None]:
    """What stands on the other side: attributes of entities are found in their JSON; a literal is its own instant."""
    match other:
        case pst.UnaryOp("datetime", pst.StringLit(text)) if is_exact_time(text):
            yield text
        case pst.GetAttr() if _of_entity(other):
            return
        case _:
            yield None


def _of_entity(expr: pst.Expr) -> bool:
    while isinstance(expr, pst.GetAttr):
        expr = expr.base
    return expr in (pst.Var("principal"), pst.Var("resource"))


def instant(value: JSON) -> str | None:
    """The text of a datetime as Cedar's JSON has it, if it is in the one form whose texts are ordered as the times are."""
    if not is_time(value):
        return None
    text: str = value["__extn"]["arg"]  # type: ignore[assignment, call-overload, index]
    return text if len(text) == EXACT else None


def instants_in(text: str) -> frozenset[str] | None:
    """Every datetime in the JSON of entities, and perhaps texts that only look like one. None if one could be in another form.

    The JSON is compact and escapes no printable ASCII but quotes and backslashes, as `as_json` writes it.
    """
    # With a schema Cedar takes bare text for a datetime, and computes one by functions other than `datetime`
    if text.count('"fn":') != text.count('"fn":"datetime"') or "__expr" in text:
        return None
    found = frozenset(_DATED.findall(text))
    return found if all(map(is_exact_time, found)) else None
