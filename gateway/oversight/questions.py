"""Auditors' questions as people and programs ask them: the same on the command line, over HTTP and on the pages.

Owns which duty a question needs and how answers are told. Must never answer what is not on record before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from audit.call_life import CallLife
from audit.completeness import Completeness
from audit.log import Log
from audit.opening import StoredRecord
from audit.query import Query, QueryPage, Why, last_page, page
from audit.terms import LOOKS, CallOutcome, outcome_of, part
from gateway.domain.duties import Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailQuestion:
    """`query`, as `audit.question_language` reads it; the newest first or the oldest; `limit` records from `cursor` on."""

    query: Query
    newest_first: bool = False
    cursor: str | None = None
    limit: int = 100

    @property
    def duty(self) -> Duty:
        """What it takes to ask: more, where records are opened to answer it."""
        return Duty.SEARCH_SEALED if self.query.opens else Duty.QUERY

    async def ask(self, log: Log, why: Why) -> QueryPage:
        """As `audit.query.page`."""
        asking = last_page if self.newest_first else page
        return await asking(log, self.query, why, cursor=self.cursor, limit=self.limit)


def looks_at(customer: str, *, by_chance: bool = False) -> Query:
    """Who looked at this customer: questions, openings and exports that named them or one of their calls. `by_chance`: those that named
    nobody, and showed a record of theirs."""
    return Query(kinds=LOOKS, shown=customer) if by_chance else Query(kinds=LOOKS, about=customer)


def acts_of(agent: str, query: Query) -> Query:
    """What an agent, client or assistant did."""
    return replace(query, agent=agent)


def answer_shown(found: QueryPage) -> Mapping[str, object]:
    """A page as JSON."""
    return {
        "size": found.size,
        "gapless": found.gapless,
        "of_nobody": found.of_nobody,
        "completeness": completeness_shown(found.completeness),
        "opened": found.opened,
        "erased": found.closed,
        "next_cursor": found.next_cursor,
        "question_record": found.record,
        "records": [record_shown(match) for match in found.found],
    }


def completeness_shown(known: Completeness) -> Mapping[str, object]:
    """`basis`: sequence, census or index; `whole` null: not proven either way."""
    return {
        "basis": known.basis.value,
        "whole": known.whole,
        "of": known.of,
        "found": known.found,
        "expected": known.expected,
        "from_record": known.since,
        "to_record": known.until,
        "says": known.sentence(),
    }


def record_shown(match: StoredRecord) -> Mapping[str, object]:
    """The leaf is the evidence; `leaf_hash` what the log's tree has of it, in hexadecimal."""
    return {"index": match.index, "leaf_hash": match.leaf_hash.hex(), "leaf": match.fields}


COLUMNS = ("index", "time", "kind", "function", "decided", "by", "ended", "call")
"""Of a page as a table."""


def row_of(found: StoredRecord) -> tuple[object, ...]:
    """A record as a line under `COLUMNS`; its time in UTC, to the second."""
    policy, facts = part(found.fields, "policy"), part(found.fields, "facts")
    return (
        found.index,
        str(found.fields["time"])[:19].replace("T", " "),
        found.fields["kind"],
        part(found.fields, "function").get("name"),
        policy.get("decision") or facts.get("code") or facts.get("word"),
        because(found.fields),
        found.fields.get("end_state"),
        found.fields.get("call"),
    )


def life_shown(life: CallLife) -> Mapping[str, object]:
    """A call's life as JSON."""
    return {
        "call": life.call,
        "size": life.size,
        "outcome": None if life.outcome is None else life.outcome.value,
        "records": [{**record_shown(item), "step": step_of(item.fields)} for item in life.records],
        "looks": [record_shown(item) for item in life.looks],
        "more": life.more,
        "question_record": life.question_record,
    }


_STEPS: Mapping[CallOutcome, str] = {
    CallOutcome.ANSWERED: "read, and answered",
    CallOutcome.REPEATED: "asked again under the same ids: the first answer was told",
    CallOutcome.HELD: "held, to be confirmed by the customer",
    CallOutcome.CONFIRMED: "confirmed",
    CallOutcome.DECLINED: "declined",
    CallOutcome.REFUSED: "refused",
    CallOutcome.BEGUN: "a tool began",
    CallOutcome.SENT: "intended, and sent to the core",
    CallOutcome.EXECUTED: "executed by the core",
    CallOutcome.REJECTED: "rejected by the core",
    CallOutcome.NOT_ATTEMPTED: "not attempted: the core knows nothing of it",
    CallOutcome.UNKNOWN: "not known whether it happened",
}


def step_of(leaf: Mapping[str, object]) -> str:
    """What a record says about its call, in words."""
    outcome = outcome_of(leaf)
    if outcome is None:
        return str(part(leaf, "facts").get("word") or leaf["kind"])
    reconciled = "; reconciled with the core" if leaf["kind"] == "reconciled" else ""
    return _STEPS[outcome] + reconciled


def because(leaf: Mapping[str, object]) -> str:
    """By which rules, or for which reason."""
    policy, facts = part(leaf, "policy"), part(leaf, "facts")
    rules = policy.get("policies")
    named: Sequence[object] = rules if isinstance(rules, list | tuple) else ()
    return ", ".join(map(str, named)) or str(facts.get("reason") or facts.get("code") or "")
