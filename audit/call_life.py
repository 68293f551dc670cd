"""A call's life: its records and those of its confirmations, how it stands, and who looked at it."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.leaf import RecordKind
from audit.log import Log
from audit.opening import StoredRecord, stored_record
from audit.query import Query, Why, page
from audit.store.find import Filter, find
from audit.terms import LOOKS, CallOutcome, outcome_of, part

RECORDS_MOST = 500
"""Of one call, and of the looks at its customer."""


class CallUnknown(Exception):
    """Nothing is on record of this call. The look is."""


@dataclass(frozen=True, slots=True)
class CallLife:
    """`records` in order, with those in which the customer, or who approves, spoke. `looks`: those at the call, by its id or by opening
    what a record of it keeps sealed. `question_record`: that of this look. `more`: there are more than `RECORDS_MOST`."""

    call: str
    size: int
    outcome: CallOutcome | None
    records: Sequence[StoredRecord]
    looks: Sequence[StoredRecord]
    question_record: int
    more: bool


async def life_of(log: Log, call: str, why: Why) -> CallLife:
    """Everything that is on record of a call. CallUnknown, LogUnavailable, LogCorrupt; the look is recorded in any case."""
    told = await page(log, Query(call_id=call), why, limit=RECORDS_MOST)
    if not told.found:
        raise CallUnknown
    named = {str(facts["confirmation"]) for item in told.found if "confirmation" in (facts := part(item.fields, "facts"))}
    spoken: list[StoredRecord] = []
    for confirmation in sorted(named):
        spoken += await _found(log, Filter(kinds=(RecordKind.CONFIRMATION,), confirmation=confirmation), told.size)
    records = sorted([*told.found, *spoken], key=lambda item: item.index)
    customer = next((str(item.fields["customer"]) for item in records if "customer" in item.fields), None)
    looks = [] if customer is None else await _found(log, Filter(kinds=LOOKS, about=customer), told.size)
    indexes = {item.index for item in records}
    outcome = next((said for item in reversed(records) if (said := outcome_of(item.fields)) is not None), None)
    at_it = [look for look in looks if _is_at(look, call, indexes)]
    return CallLife(call, told.size, outcome, records, at_it, told.record, told.next_cursor is not None)


async def _found(log: Log, wanted: Filter, size: int) -> list[StoredRecord]:
    rows = await log.read_long(lambda reads: find(reads.connection, wanted, size, -1, RECORDS_MOST))
    return [stored_record(row) for row in rows]


def _is_at(look: StoredRecord, call: str, indexes: set[int]) -> bool:
    facts = part(look.fields, "facts")
    return facts.get("by_call") == call or facts.get("index") in indexes
