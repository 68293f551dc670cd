"""What auditors may ask. Each question is itself a record, durable before its answer is given, with purpose and case id.

Pages are pinned to a tree size, so they repeat. An answer by customer or conversation is provably complete: their sequences have
no gaps.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audit.catching_up import catch_up_to_ask
from audit.completeness import Completeness, completeness_of
from audit.cursors import backward, forward
from audit.disclosure import JSON, value_of
from audit.leaf import Plain, Record, RecordKind, rfc3339
from audit.log import LEAVES_MOST, Log
from audit.opening import StoredRecord, open_sealed, stored_record
from audit.sealed_conditions import SealedCondition, condition_of
from audit.sealed_search import SealedSearch
from audit.store.find import Filter, find, find_last, indexed_upto
from audit.store.reads import StoredLeaf
from audit.terms import CallOutcome

PAGE_MOST = 500
"""Records of a page."""

AT_ONCE = 500
"""Matches of one look, where all of them are wanted."""

PURPOSE_MOST = 500
"""Characters of a purpose or a case id."""


NOBODY = "?"
"""The customer of a question whose customer has no record: a pseudonym that no record has."""


class SwitchUnknown(ValueError):
    """No such kill switch is on record."""


class NothingKnown(Exception):
    """Nothing is on record of the customer or conversation that is asked for: never was, erased or mistyped. The look is recorded."""


Signs = Callable[[Mapping[str, Plain]], Mapping[str, Plain]]
"""What a person's key says of these facts: a statement and its signature, as further facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Who asks, what for, under which case. None may be empty: it stands in the log for ever. `signs`: by whose key, if by one."""

    auditor: str
    purpose: str
    case_id: str
    signs: Signs | None = None

    def __post_init__(self) -> None:
        if not all(0 < len(item) <= PURPOSE_MOST for item in (self.auditor, self.purpose, self.case_id)):
            raise ValueError("auditor, purpose and case id are needed, each of at most 500 characters")

    def facts(self, told: Mapping[str, Plain]) -> Mapping[str, Plain]:
        """Purpose, case and these, for the record of a question; with the signature over exactly them."""
        asked = {"purpose": self.purpose, "case": self.case_id, **told}
        return asked if self.signs is None else {**asked, **self.signs(asked)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for; None for any. `since` is inclusive, `until` exclusive, both aware and in UTC.

    `customer` is the bank's id. The other fields are as in the leaf.
    """

    since: datetime | None = None
    until: datetime | None = None
    kinds: tuple[RecordKind, ...] = ()
    customer: str | None = None
    call_id: str | None = None
    conversation: str | None = None
    trace_id: str | None = None
    function: str | None = None
    decision: str | None = None
    policy: str | None = None
    bundle_hash: str | None = None
    end_state: str | None = None
    approver: str | None = None
    about: str | None = None
    """Of looks: the bank's id of the customer whom they were about."""
    shown: str | None = None
    """Of looks that named nobody: the bank's id of a customer whose record they showed."""
    agent: str | None = None
    """The agent, client or assistant that acted."""
    by: str | None = None
    """Who of the bank did it: an officer, an auditor, a back end."""
    reason: str | None = None
    """A code of why, of the call or of the policies."""
    case: str | None = None
    word: str | None = None
    """What was done, of records that are no calls: `enrolled`, `kill_engaged`, `approved` …"""
    confirmation: str | None = None
    switch: str | None = None
    """The id of a kill switch: what people did with it."""
    while_switch: str | None = None
    """The id of a kill switch: from the moment it was engaged until both lifts were given."""
    outcomes: tuple[CallOutcome, ...] = ()
    """How the call stands by now: the record that decided it is found."""
    amount: str | None = None
    """Sealed: `AmountRange.parse`."""
    payee: str | None = None
    """Sealed: an id, an account number or a name."""
    new_payee: str | None = None
    """Sealed: `yes` or `no`."""

    @property
    def opens(self) -> bool:
        """Whether what records keep sealed is opened to answer it."""
        return (self.amount, self.payee, self.new_payee) != (None, None, None)


@dataclass(frozen=True, slots=True)
class QueryPage:
    """Matches in the tree of `size` leaves, in order. `record` is the index of the question's own record.

    `gapless`: for a question by customer or by conversation alone, whether the sequence is whole so far. None otherwise, and where
    nothing was found: of nothing nothing is claimed. `of_nobody`: the customer who is asked for has no record, was erased or is
    mistyped, or nothing at all is known of the conversation. `completeness`: what it rests on that nothing is missing. `opened`: how many
    records were opened to look for what they keep sealed, and `closed`: how many could not be, since they were erased.
    """

    size: int
    found: Sequence[StoredRecord]
    next_cursor: str | None
    gapless: bool | None
    record: int
    of_nobody: bool
    completeness: Completeness
    opened: int = 0
    closed: int = 0


@dataclass(frozen=True, slots=True)
class Revealed:
    """The opened disclosures of a record, by path: RFC 9901 texts, and their values."""

    index: int
    disclosures: Mapping[str, str]
    values: Mapping[str, JSON]
    record: int


async def page(log: Log, query: Query, why: Why, *, cursor: str | None = None, limit: int = 100) -> QueryPage:
    """One page of matches, at most `limit` (1 to 500). CursorInvalid, ConditionInvalid, LogUnavailable (then nothing is answered),
    LogCorrupt. A page of what is sealed ends after `OPENED_MOST` candidates, however many matched."""
    asking = await _asking(log, query, limit)
    size, after, expected = (asking.size, -1, 1) if cursor is None else forward(cursor, asking.digest, asking.size)
    search = SealedSearch(log, asking.wanted, asking.condition, size)
    rows = await search.matching(after, limit + 1)
    found = [stored_record(row) for row in rows[:limit]]
    record = await _asked(log, asking, why, {"size": size, "after": after, "limit": limit}, found)
    gapless, name = None, None if query.opens else sequence_of(asking.wanted)
    if name is not None and (found or cursor is not None):
        numbers = [match.fields[f"{name}_seq"] for match in found]
        gapless = numbers == list(range(expected, expected + len(numbers)))
    following = None
    if len(rows) > limit:
        following = f"{size}.{found[-1].index}.{expected + len(found)}.{asking.digest}"
    elif search.looked_to is not None:
        following = f"{size}.{search.looked_to}.{expected + len(found)}.{asking.digest}"
    of_nobody = asking.of_nobody or (name is not None and not found and cursor is None)
    rests_on = await log.read_long(lambda reads: completeness_of(reads, asking.wanted, size))
    return QueryPage(size, found, following, gapless, record, of_nobody, rests_on, search.opened, search.closed)


async def last_page(log: Log, query: Query, why: Why, *, cursor: str | None = None, limit: int = 100) -> QueryPage:
    """The same from the other end: the newest matches first. Its cursors are its own; `gapless` is not told. ValueError for what is
    sealed: that is looked for from the first record on."""
    if query.opens:
        raise ValueError("what records keep sealed is looked for from the first record on")
    asking = await _asking(log, query, limit)
    size, before = (asking.size, asking.size) if cursor is None else backward(cursor, asking.digest, asking.size)
    rows = await log.read_long(lambda reads: find_last(reads.connection, asking.wanted, before, limit + 1, size=size))
    found = [stored_record(row) for row in rows[:limit]]
    record = await _asked(log, asking, why, {"size": size, "before": before, "limit": limit}, found)
    following = f"{size}.{found[-1].index}.last.{asking.digest}" if len(rows) > limit else None
    rests_on = await log.read_long(lambda reads: completeness_of(reads, asking.wanted, size))
    return QueryPage(size, found, following, None, record, asking.of_nobody, rests_on)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A question in the log's terms, and the size of the tree that it may be asked of."""

    wanted: Filter
    condition: SealedCondition | None
    size: int

    @property
    def digest(self) -> str:
        condition = None if self.condition is None else [self.condition.amount_text, self.condition.payee, self.condition.new_payee]
        said = {**self.wanted.named(), **({} if condition is None else {"sealed": condition})}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def of_nobody(self) -> bool:
        return NOBODY in (self.wanted.customer, self.wanted.about, self.wanted.shown)


async def _asking(log: Log, query: Query, limit: int) -> _Asking:
    if not 1 <= limit <= PAGE_MOST:
        raise ValueError("a page has 1 to 500 records")
    condition = condition_of(query.amount, query.payee, query.new_payee)
    await catch_up_to_ask(log)
    wanted = await filter_of(log, query)
    size = (await log.head())[0]
    if wanted.outcomes:  # how calls stand is known as far as the index goes
        size = min(size, await log.read(lambda reads: indexed_upto(reads.connection)))
    return _Asking(wanted, condition, size)


async def _asked(log: Log, asking: _Asking, why: Why, facts: Mapping[str, Plain], found: Sequence[StoredRecord]) -> int:
    """The question is on record, with whose records are shown: it may be answered. LogUnavailable."""
    about = await about_facts(log, asking.wanted, asking.size)
    if asking.wanted.customer is None and not about:
        customers = {str(match.fields["customer"]) for match in found if "customer" in match.fields}
        about = {"shown": tuple(sorted(customers))} if customers else {}
    sealed = {} if asking.condition is None else asking.condition.facts()
    return await question(log, RecordKind.AUDIT_QUERY, why, {**flat(asking.wanted), **sealed, **facts, **about})


async def every_match(log: Log, query: Query) -> list[int]:
    """The indexes of all matches, for an export. ConditionInvalid, LogUnavailable. Writes no record of the question: the export's does."""
    asking, found, at = await _asking(log, query, 1), list[int](), -1
    while True:
        search = SealedSearch(log, asking.wanted, asking.condition, asking.size)
        found += [stored.idx for stored in await search.matching(at, AT_ONCE)]
        if search.looked_to is None:
            return found
        at = search.looked_to


async def reveal(log: Log, index: int, why: Why) -> Revealed:
    """Open what is sealed of one record. NotSealed, KeyDestroyed, SealBroken, LogCorrupt; the question is recorded in any case."""
    about = await log.read(lambda reads: customer_facts(reads.leaf(index)))
    record = await question(log, RecordKind.AUDIT_REVEAL, why, {"index": index, **about})
    disclosures = await open_sealed(log, index)
    values = {path: value_of(text) for path, text in disclosures.items()}
    return Revealed(index, disclosures, values, record)


async def question(log: Log, kind: RecordKind, why: Why, facts: Mapping[str, Plain]) -> int:
    """Write the record of a question and return its index. LogUnavailable: then the question must not be answered."""
    entry = await log.append(Record(kind=kind, time=log.now(), agent=why.auditor, facts=why.facts(facts)))
    return entry.index


async def about_facts(log: Log, wanted: Filter, size: int) -> Mapping[str, Plain]:
    """Whom a question by a call or a conversation is about, for the facts of its record; nothing where it names the customer, or nobody."""
    if wanted.customer is not None or (wanted.call is None and wanted.conversation is None):
        return {}
    of_one = Filter(call=wanted.call, conversation=wanted.conversation)
    return customer_facts(next(iter(await log.read(lambda reads: find(reads.connection, of_one, size, -1, 1))), None))


def customer_facts(leaf: StoredLeaf | None) -> Mapping[str, Plain]:
    """Whom a record is about, for the facts of a look at it; nothing where there is no record, or it is of nobody."""
    customer = None if leaf is None else json.loads(leaf.leaf).get("customer")
    return {"about": customer} if isinstance(customer, str) else {}


async def filter_of(log: Log, query: Query) -> Filter:
    """The question in the log's own terms: the customer by pseudonym, `NOBODY` if there is none."""
    customer = None
    if query.customer is not None:
        customer = await log.keys.subject_of(query.customer) or NOBODY
    since, until = (None if at is None else rfc3339(at) for at in (query.since, query.until))
    if query.while_switch is not None:
        since, until = await _while(log, query.while_switch, since, until)
    return Filter(
        since=since,
        until=until,
        kinds=query.kinds,
        customer=customer,
        call=query.call_id,
        conversation=query.conversation,
        trace=query.trace_id,
        function=query.function,
        decision=query.decision,
        policy=query.policy,
        bundle=query.bundle_hash,
        end_state=query.end_state,
        approver=query.approver,
        about=None if query.about is None else await log.keys.subject_of(query.about) or NOBODY,
        shown=None if query.shown is None else await log.keys.subject_of(query.shown) or NOBODY,
        agent=query.agent,
        by=query.by,
        reason=query.reason,
        case=query.case,
        word=query.word,
        confirmation=query.confirmation,
        switch=query.switch,
        outcomes=query.outcomes,
    )


async def _while(log: Log, switch: str, since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """The part of this time in which a kill switch stopped. SwitchUnknown."""
    of_it = await log.read_long(lambda reads: find(reads.connection, Filter(switch=switch), LEAVES_MOST, -1, 100))
    acts = [json.loads(stored.leaf) for stored in of_it]
    engaged = next((act["time"] for act in acts if act["facts"].get("word") == "kill_engaged"), None)
    if engaged is None:
        raise SwitchUnknown(f"no kill switch {switch} is on record; `switch` ids stand in records of kind admin")
    lifts = [act["time"] for act in acts if act["facts"].get("word") == "kill_lift"]
    ended = lifts[1] if len(lifts) > 1 else None
    return max(since or engaged, engaged), min(filter(None, (until, ended)), default=None)


def flat(wanted: Filter) -> dict[str, Plain]:
    """The question as public facts of its record. Of a customer without a record it says that alone: what was typed in their place
    may be somebody's name, and these facts are for ever.
    """
    facts: dict[str, Plain] = {f"by_{name}": value for name, value in wanted.named().items()}
    unknown = {f"by_{name}": "unknown" for name in ("customer", "about", "shown") if getattr(wanted, name) == NOBODY}
    return facts | unknown


def sealed_facts(query: Query) -> Mapping[str, Plain]:
    """What a question asks of what is sealed, as public facts of its record. ConditionInvalid."""
    condition = condition_of(query.amount, query.payee, query.new_payee)
    return {} if condition is None else condition.facts()


def sequence_of(wanted: Filter) -> str | None:
    """`customer` or `conversation` if the question is by that alone, so that its sequence shows whether the answer is complete."""
    for name in ("customer", "conversation"):
        if wanted.named().keys() == {name}:
            return name
    return None
