"""A report of a period, for a committee: how many calls, what became of them, why they were refused, who looked; with what proves it.

It holds counts and names of functions, rules and people of the bank, and nothing of customers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from audit.catching_up import catch_up_to_ask
from audit.census import Census, first_census, last_census
from audit.leaf import Plain, RecordKind, rfc3339
from audit.log import Log
from audit.opening import StoredRecord, stored_record
from audit.query import Why, question
from audit.store.find import Filter, find, indexed_upto
from audit.store.reads import Reads
from audit.store.report_counts import Period, of_calls, of_looks, of_refusals

LISTED_MOST = 500
"""Lines of each list."""

_DONE_BY_PEOPLE = (
    RecordKind.POLICY_ACTIVATE,
    RecordKind.KEY_ROTATE,
    RecordKind.KEY_DESTROY,
    RecordKind.HOLD_PLACE,
    RecordKind.HOLD_RELEASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReport:
    """Counts of the period from `since` (inclusive) to `until` (exclusive), in the tree of `size` records; `checkpoint` is a signed note.

    `calls`: function, how the call stands, calls. `reasons`, `rules`: of refusals. `looks`: who, how, how often. `acts`: what people
    did: switches, policies, keys, holds, erasures. `censuses`: those within the period that prove how many records of each function lie
    between them. `question_record`: that of the report itself.
    """

    origin: str
    since: datetime
    until: datetime
    made: datetime
    auditor: str
    purpose: str
    case: str
    size: int
    checkpoint: str | None
    calls: Sequence[tuple[str, str, int]]
    reasons: Sequence[tuple[str, int]]
    rules: Sequence[tuple[str, int]]
    looks: Sequence[tuple[str, str, int]]
    acts: Sequence[StoredRecord]
    censuses: tuple[Census, Census] | None
    question_record: int

    def counted(self) -> Mapping[str, int]:
        """Records of each function between the two censuses, as they prove."""
        if self.censuses is None:
            return {}
        first, last = self.censuses
        return {name: count - first.functions.get(name, 0) for name, count in sorted(last.functions.items())}


async def report_of(log: Log, since: datetime, until: datetime, why: Why) -> PeriodReport:
    """The report, once it is on record that it was asked for. ValueError for a period that is none; LogUnavailable, LogCorrupt."""
    if since >= until:
        raise ValueError("the period ends before it begins")
    await catch_up_to_ask(log)
    size = min((await log.head())[0], await log.read(lambda reads: indexed_upto(reads.connection)))
    period = Period(rfc3339(since), rfc3339(until), size)
    told: dict[str, Plain] = {"report": True, "by_since": period.since, "by_until": period.until, "size": size}
    record = await question(log, RecordKind.AUDIT_QUERY, why, told)

    def ask(reads: Reads) -> PeriodReport:
        return PeriodReport(
            origin=log.origin,
            since=since,
            until=until,
            made=log.now(),
            auditor=why.auditor,
            purpose=why.purpose,
            case=why.case_id,
            size=size,
            checkpoint=None,
            calls=of_calls(reads.connection, period),
            reasons=of_refusals(reads.connection, period, "reason", LISTED_MOST),
            rules=of_refusals(reads.connection, period, "policy", LISTED_MOST),
            looks=of_looks(reads.connection, period, LISTED_MOST),
            acts=_acts(reads, period),
            censuses=_censuses(reads, period),
            question_record=record,
        )

    found = await log.read_long(ask)
    return replace(found, checkpoint=await log.checkpoint())


def _acts(reads: Reads, period: Period) -> list[StoredRecord]:
    """What people did, in order."""
    wanted = Filter(kinds=_DONE_BY_PEOPLE, since=period.since, until=period.until)
    rows = find(reads.connection, wanted, period.size, -1, LISTED_MOST)
    for word in ("kill_engaged", "kill_lift"):
        rows += find(reads.connection, Filter(word=word, since=period.since, until=period.until), period.size, -1, LISTED_MOST)
    return [stored_record(row) for row in sorted(rows, key=lambda row: row.idx)][:LISTED_MOST]


def _censuses(reads: Reads, period: Period) -> tuple[Census, Census] | None:
    first = first_census(reads, period.size, period.since)
    last = last_census(reads, period.size, period.until)
    return None if first is None or last is None or last.size <= first.size else (first, last)
