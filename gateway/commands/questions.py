"""`tellergate audit query`, `life`, `agent` and `who-looked`: questions to the trail, on record before they are answered."""

import argparse
from collections.abc import Callable, Sequence

from audit.call_life import CallUnknown, life_of
from audit.log import Log
from audit.opening import StoredRecord
from audit.query import Query, QueryPage, Why
from audit.question_language import QuestionInvalid
from audit.terms import part
from gateway.commands.audit import UNKNOWN_TO_TRAIL, asked, query_of, written
from gateway.commands.printing import FINDING, GOOD, USAGE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.oversight.questions import (
    COLUMNS,
    TrailQuestion,
    acts_of,
    answer_shown,
    because,
    life_shown,
    looks_at,
    row_of,
    step_of,
)
from gateway.oversight.report_documents import write_table

_LOOKS = ("index", "time", "who", "did", "what for", "case", "by")


def query(options: argparse.Namespace) -> int:
    """Print the records that match."""
    return _answered(options, lambda: query_of(options))


def agent(options: argparse.Namespace) -> int:
    """Print what an agent, client or assistant did."""
    return _answered(options, lambda: acts_of(options.agent, query_of(options)))


def who_looked(options: argparse.Namespace) -> int:
    """Print who looked at a customer."""
    return _answered(options, lambda: looks_at(options.customer, by_chance=options.by_chance), _LOOKS, _look_row)


def life(options: argparse.Namespace) -> int:
    """Print the life of a call."""

    async def work(log: Log, why: Why) -> int:
        try:
            told = await life_of(log, options.call, why)
        except CallUnknown:
            return failed("nothing is on record of this call; the look is: look at the id", FINDING)
        if options.json:
            print_json(life_shown(told))
            return GOOD
        print_table(
            ("index", "time", "what happened", "by", "who"),
            ((item.index, _time(item), step_of(item.fields), because(item.fields), _who(item)) for item in told.records),
        )
        print(f"{told.call}: {'no outcome' if told.outcome is None else told.outcome.value}, up to record {told.size - 1}")
        for look in told.looks:
            print(f"looked at by {_who(look)} at {_time(look)}, record {look.index}")
        return GOOD

    return asked(options, Duty.QUERY, work)


def _answered(
    options: argparse.Namespace,
    asks: Callable[[], Query],
    columns: Sequence[str] = COLUMNS,
    row: Callable[[StoredRecord], tuple[object, ...]] = row_of,
) -> int:
    """One page of the question; its duty depends on what it asks, so a question that cannot be read is told first."""
    try:
        question = TrailQuestion(query=asks(), newest_first=options.newest_first, cursor=options.cursor, limit=options.limit)
    except QuestionInvalid as wrong:
        return failed(f"the question, at character {wrong.at + 1}: {wrong.message}", USAGE)
    except ValueError as wrong:
        return failed(str(wrong), USAGE)

    async def work(log: Log, why: Why) -> int:
        found = await question.ask(log, why)
        if options.csv is not None:
            with written(options.csv) as file:
                write_table(columns, map(row, found.found), file)
        if options.json:
            print_json(answer_shown(found))
        elif found.of_nobody:
            return failed(UNKNOWN_TO_TRAIL, FINDING)
        else:
            print_table(columns, map(row, found.found))
            _print_about(found)
        return FINDING if found.of_nobody or found.gapless is False or found.completeness.whole is False else GOOD

    return asked(options, question.duty, work)


def _print_about(found: QueryPage) -> None:
    print(f"{len(found.found)} records of a tree of {found.size}: {found.completeness.sentence()}")
    if found.gapless is False:
        print("THE SEQUENCE HAS A GAP: run `tellergate audit verify`")
    if found.opened or found.closed:
        erased = f"; {found.closed} could not be, since they were erased" if found.closed else ""
        print(f"{found.opened} records were opened to look for what they keep sealed{erased}")
    if found.next_cursor:
        print(f"more: --cursor {found.next_cursor}")


def _look_row(found: StoredRecord) -> tuple[object, ...]:
    facts = part(found.fields, "facts")
    did = {"audit.query": "searched", "audit.reveal": "opened", "audit.export": "took away"}[str(found.fields["kind"])]
    by = ", ".join(
        f"{name.removeprefix('by_')} {facts[name]}" for name in sorted(facts) if name.startswith("by_") and name != "by_customer"
    )
    what = f"record {facts['index']}" if "index" in facts else by
    return found.index, _time(found), _who(found), did, facts.get("purpose"), facts.get("case"), what


def _time(found: StoredRecord) -> str:
    return str(found.fields["time"])[:19].replace("T", " ")


def _who(found: StoredRecord) -> object:
    return part(found.fields, "actor").get("agent") or part(found.fields, "facts").get("by")
