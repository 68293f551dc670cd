"""Calls over time, by function or by rule: plain SVG made here, and the same numbers as a table. Each chart is a question on record."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Request, Response

from audit.catching_up import catch_up_to_ask
from audit.leaf import EndState, RecordKind, rfc3339
from audit.query import question
from audit.store.counts_over_time import CountedGroup, counted
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.staff_door import StaffDoor

BARS_MOST = 400
CHARTS_MOST = 12
"""Functions or rules with a chart of their own: the most frequent."""

SERIES = ("done", "refused", "asked", "confirmed", "open")
_STEPS = ((16, timedelta(minutes=1)), (13, timedelta(hours=1)), (10, timedelta(days=1)))
"""Characters of a time that name a stretch, and how long one is; beyond days, months."""

_WIDTH, _HEIGHT = 1000, 160


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One rectangle, in the units of the drawing."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class ChartShown:
    """`rows`: each stretch that has any with its number of each series."""

    name: str
    bars: Sequence[ChartBar]
    totals: Mapping[str, int]
    rows: Sequence[tuple[str, Mapping[str, int]]]
    most: int


def mount_charts(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/charts")
    async def audit_charts_page(request: Request) -> Response:
        """The form of a chart: to open it asks nothing."""

        async def show(look: AuditLook) -> Response:
            today = door.clock().date()
            since, until = (today - timedelta(days=6)).isoformat(), (today + timedelta(days=1)).isoformat()
            return look.page("charts.html", since=since, until=until, by="function", answer=None)

        return await answered(door, request, Duty.QUERY, show)

    @app.post(f"{HOME}/charts")
    async def audit_charts(request: Request) -> Response:
        """Count over a period. The question is on record."""
        return await answered(door, request, Duty.QUERY, lambda look: _charts(desk, look))


async def _charts(desk: AuditDesk, look: AuditLook) -> Response:
    since, until, by = _day(look.form, "since"), _day(look.form, "until"), look.form.get("by", "function")
    if by not in ("function", "policy") or since >= until:
        raise RequestFault(Fault.INVALID_REQUEST, "ask by function or by policy, until a day after the first", param="until")
    log, facts = desk.log, {"by_since": rfc3339(since), "by_until": rfc3339(until), "counted_by": by}
    record = await question(log, RecordKind.AUDIT_QUERY, look.why, facts)
    await catch_up_to_ask(log)
    size, (prefix, stretches) = record + 1, stretches_of(since, until)
    found = await log.read_long(lambda reads: counted(reads.connection, facts["by_since"], facts["by_until"], size, prefix))
    names = Counter[str]()
    for group in found.groups:
        for name in _names(group, by):
            names[name] += group.records
    charts = [chart("", found.groups, stretches)]
    charts += [
        chart(name, [group for group in found.groups if name in _names(group, by)], stretches)
        for name, _ in names.most_common(CHARTS_MOST)
    ]
    answer = {
        "charts": charts,
        "record": record,
        "size": size,
        "from_record": found.from_record,
        "left": max(len(names) - CHARTS_MOST, 0),
    }
    return look.page(
        "charts.html", since=since.date().isoformat(), until=until.date().isoformat(), by=by, answer=answer, series=SERIES
    )


def stretches_of(since: datetime, until: datetime) -> tuple[int, Sequence[str]]:
    """The finest division of a period that has at most `BARS_MOST` stretches: how many characters name one, and their names. Pure."""
    for prefix, step in _STEPS:
        if (until - since) / step <= BARS_MOST:
            count = -(-(until - since) // step)
            return prefix, [rfc3339(since + step * number)[:prefix] for number in range(count)]
    return 7, list(_months(since, until))


def _months(since: datetime, until: datetime) -> Iterator[str]:
    """The last `BARS_MOST` of a period."""
    first, last = since.year * 12 + since.month - 1, until.year * 12 + until.month - 1
    for month in range(max(first, last - BARS_MOST + 1), last + 1):
        yield f"{month // 12:04}-{month % 12 + 1:02}"


def chart(name: str, groups: Sequence[CountedGroup], stretches: Sequence[str]) -> ChartShown:
    """Bars on each other, a column for each stretch, scaled to the highest. Pure."""
    counts = {stretch: Counter[str]() for stretch in stretches}
    for group in groups:
        if group.time in counts:
            counts[group.time][series_of(group)] += group.records
    most = max((of.total() for of in counts.values()), default=0)
    width, bars = _WIDTH / max(len(stretches), 1), list[ChartBar]()
    for number, stretch in enumerate(stretches):
        top = float(_HEIGHT)
        for series in SERIES:
            if height := _HEIGHT * counts[stretch][series] / max(most, 1):
                top -= height
                bars.append(
                    ChartBar(series, round(number * width, 2), round(top, 2), round(max(width * 0.9, 0.5), 2), round(height, 2))
                )
    totals = sum(counts.values(), Counter[str]())
    return ChartShown(name, bars, totals, [(stretch, of) for stretch, of in counts.items() if of.total()], most)


def series_of(group: CountedGroup) -> str:
    """What a record counts as: done, refused, asked (the customer is to confirm), confirmed (or declined), or open (nobody knows yet)."""
    if group.kind == RecordKind.CONFIRMATION:
        return "confirmed"
    if group.kind == RecordKind.DENY:
        return "asked" if group.decision == "challenge" else "refused"
    if group.kind == RecordKind.UNKNOWN:
        return "open"
    if group.kind in (RecordKind.OUTCOME, RecordKind.RECONCILED):
        return "done" if group.end_state == EndState.EXECUTED else "refused"
    return "done"


def _names(group: CountedGroup, by: str) -> Sequence[str]:
    if by == "policy":
        return group.policies
    return () if group.function is None else (group.function,)


def _day(form: Mapping[str, str], name: str) -> datetime:
    try:
        return datetime.fromisoformat(form.get(name, "")).replace(tzinfo=UTC)
    except ValueError:
        raise RequestFault(Fault.INVALID_REQUEST, f"{name}: must be a day such as 2026-03-01", param=name) from None
