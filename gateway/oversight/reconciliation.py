"""What was intended against what the core did: finds every difference, and invents none. Pure (TC-14).

The log says what was intended and how it ended; the core says, of itself, what it did under which key and what it booked. Every intent that
was executed must have exactly one effect, with its amount; everything else must have none; every effect must have its intent.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from adapters.core import CoreEffect, Money
from audit.leaf import EndState

APART = timedelta(minutes=5)
"""How far an intent and its effect may be apart: the life of a permit, and clocks that differ. What lies so close to the beginning of
the time that is looked at serves as a partner, and is no finding for having none."""


class DifferenceKind(StrEnum):
    """The kinds of findings. Closed and stable."""

    MISSING = "missing"
    """The log has it executed, and the core has no such effect."""
    UNINTENDED = "unintended"
    """The core has an effect, or a payment as initiated through an assistant, that nothing in the log intended."""
    AMOUNT = "amount"
    """Both have it, for different amounts."""
    END_STATE = "end_state"
    """The log has it rejected or not attempted, and the core did it; or executed, and the core declined it."""
    DOUBLE = "double"
    """The core has several effects of one intent, or there are several intents of one key."""
    UNSETTLED = "unsettled"
    """An intent without a known end, though it is not under way any more."""


@dataclass(frozen=True, slots=True)
class IntentOnRecord:
    """One intent of the log, under the key that the core was told. `end_state` is the last that was recorded, None for none.

    `amount` is the instruction's; None where it has none, or where it is sealed for good.
    """

    key: str
    call_id: str
    index: int
    function: str
    at: datetime
    end_state: str | None
    amount: Money | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: the intent, if there is one, and the effects, if there are any."""

    what: DifferenceKind
    intent: IntentOnRecord | None
    effects: tuple[CoreEffect, ...]


def compare(
    intents: Sequence[IntentOnRecord], effects: Sequence[CoreEffect], *, since: datetime, now: datetime, grace: timedelta
) -> list[Difference]:
    """Every difference from `since` on, in order of time. Both sides must be given from `since - APART` on.

    An intent that is younger than `grace` before `now`, when the effects were read, may have had its effect since: it is no finding that
    there is none, or no end.
    """
    by_key: dict[str | None, list[CoreEffect]] = defaultdict(list)
    for effect in effects:
        by_key[effect.key].append(effect)
    intents_by_key: dict[str, list[IntentOnRecord]] = defaultdict(list)
    for intent in intents:
        intents_by_key[intent.key].append(intent)
    differences: list[tuple[datetime, Difference]] = []
    for key, same in intents_by_key.items():
        what = _compared(same, by_key.get(key, []), since=since, before=now - grace)
        differences += [(same[0].at, Difference(item, same[0], tuple(by_key.get(key, ())))) for item in what]
    for of, done in by_key.items():
        if of is None or of not in intents_by_key:
            differences += [
                (item.at, Difference(DifferenceKind.UNINTENDED, None, (item,)))
                for item in done
                if item.at >= since and _is_done(item)
            ]
    return [finding for _, finding in sorted(differences, key=lambda it: it[0])]


def _compared(
    same: Sequence[IntentOnRecord], effects: Sequence[CoreEffect], *, since: datetime, before: datetime
) -> Iterable[DifferenceKind]:
    """What is wrong with the intent of one key."""
    intent = same[0]
    done = [effect for effect in effects if _is_done(effect)]
    if len(same) > 1 or len(done) > 1:
        yield DifferenceKind.DOUBLE
    if any(intent.amount is not None and effect.amount is not None and effect.amount != intent.amount for effect in done):
        yield DifferenceKind.AMOUNT
    match intent.end_state:
        case EndState.EXECUTED.value if not done and effects:
            yield DifferenceKind.END_STATE
        case EndState.EXECUTED.value if not done and since <= intent.at < before:
            yield DifferenceKind.MISSING
        case EndState.REJECTED_BY_CORE.value | EndState.NOT_ATTEMPTED.value if done:
            yield DifferenceKind.END_STATE
        case None | EndState.OUTCOME_UNKNOWN.value if intent.at < before:
            yield DifferenceKind.UNSETTLED


def _is_done(effect: CoreEffect) -> bool:
    return effect.status != "declined"
