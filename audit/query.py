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
from audit.disclosure import JSON, value_of
from audit.leaf import Plain, Record, RecordKind, rfc3339
from audit.log import Log
from audit.merkle import leaf_hash
from audit.seal import SealBinding, check_disclosed, digest, unseal
from audit.store.find import Filter, find, find_last
from audit.store.reads import LogCorrupt, StoredLeaf

PAGE_MOST = 500
"""Records of a page."""

PURPOSE_MOST = 500
"""Characters of a purpose or a case id."""


NOBODY = "?"
"""The customer of a question whose customer has no record: a pseudonym that no record has."""


class CursorInvalid(Exception):
    """The cursor is not one of this question."""


class NotSealed(Exception):
    """The record has nothing sealed, or it was destroyed."""


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


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as stored: the raw leaf is the evidence, `fields` is the same, parsed."""

    index: int
    leaf: bytes
    leaf_hash: bytes
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class QueryPage:
    """Matches in the tree of `size` leaves, in order. `record` is the index of the question's own record.

    `gapless`: for a question by customer or by conversation alone, whether the sequence is whole so far. None otherwise, and where
    nothing was found: of nothing nothing is claimed. `of_nobody`: the customer who is asked for has no record, was erased or is
    mistyped, or nothing at all is known of the conversation.
    """

    size: int
    found: Sequence[StoredRecord]
    next_cursor: str | None
    gapless: bool | None
    record: int
    of_nobody: bool


@dataclass(frozen=True, slots=True)
class Revealed:
    """The opened disclosures of a record, by path: RFC 9901 texts, and their values."""

    index: int
    disclosures: Mapping[str, str]
    values: Mapping[str, JSON]
    record: int


async def page(log: Log, query: Query, why: Why, *, cursor: str | None = None, limit: int = 100) -> QueryPage:
    """One page of matches, at most `limit` (1 to 500). CursorInvalid, LogUnavailable (then nothing is answered), LogCorrupt."""
    if not 1 <= limit <= PAGE_MOST:
        raise ValueError("a page has 1 to 500 records")
    wanted = await filter_of(log, query)
    size, after, expected = _position((await log.head())[0], wanted, cursor)
    asked = {"size": size, "after": after, "limit": limit}
    record = await _asked(log, wanted, why, size, asked)
    rows = await log.read_long(lambda reads: find(reads.connection, wanted, size, after, limit + 1))
    found = [_found(row) for row in rows[:limit]]
    gapless, name = None, sequence_of(wanted)
    if name is not None and (found or cursor is not None):
        numbers = [match.fields[f"{name}_seq"] for match in found]
        gapless = numbers == list(range(expected, expected + len(numbers)))
    following = None
    if len(rows) > limit:
        following = f"{size}.{found[-1].index}.{expected + len(found)}.{_digest(wanted)}"
    of_nobody = wanted.customer == NOBODY or (name is not None and not found and cursor is None)
    return QueryPage(size, found, following, gapless, record, of_nobody)


async def last_page(log: Log, query: Query, why: Why, *, cursor: str | None = None, limit: int = 100) -> QueryPage:
    """The same from the other end: the newest matches first. Its cursors are its own; `gapless` is not told."""
    if not 1 <= limit <= PAGE_MOST:
        raise ValueError("a page has 1 to 500 records")
    wanted = await filter_of(log, query)
    size, before = _backward_position((await log.head())[0], wanted, cursor)
    asked = {"size": size, "before": before, "limit": limit}
    record = await _asked(log, wanted, why, size, asked)
    rows = await log.read_long(lambda reads: find_last(reads.connection, wanted, before, limit + 1))
    found = [_found(row) for row in rows[:limit]]
    following = f"{size}.{found[-1].index}.last.{_digest(wanted)}" if len(rows) > limit else None
    return QueryPage(size, found, following, None, record, wanted.customer == NOBODY)


async def _asked(log: Log, wanted: Filter, why: Why, size: int, facts: Mapping[str, Plain]) -> int:
    """The question is on record, and the index up to the log: it may be answered. LogUnavailable."""
    about = await about_facts(log, wanted, size)
    record = await question(log, RecordKind.AUDIT_QUERY, why, {**flat(wanted), **facts, **about})
    await catch_up_to_ask(log)
    return record


async def reveal(log: Log, index: int, why: Why) -> Revealed:
    """Open what is sealed of one record. NotSealed, KeyDestroyed, SealBroken, LogCorrupt; the question is recorded in any case."""
    about = await log.read(lambda reads: _customer_of(reads.leaf(index)))
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
    return _customer_of(next(iter(await log.read(lambda reads: find(reads.connection, of_one, size, -1, 1))), None))


def _customer_of(leaf: StoredLeaf | None) -> Mapping[str, Plain]:
    customer = None if leaf is None else json.loads(leaf.leaf).get("customer")
    return {"about": customer} if isinstance(customer, str) else {}


async def open_sealed(log: Log, index: int) -> dict[str, str]:
    """Path to disclosure of one record, checked against its leaf. Writes no record: `reveal` and `export` do."""
    stored, blob = await log.read(lambda reads: (reads.leaf(index), reads.sealed([index]).get(index)))
    if stored is None or blob is None:
        raise NotSealed
    fields = _found(stored).fields
    sealed = fields.get("sealed")
    if not isinstance(sealed, dict) or sealed["digest"] != digest(blob):
        raise LogCorrupt("a sealed blob is not the one of its leaf")
    subject = str(fields.get("customer", "-"))
    retention, kind, time = (str(fields[name]) for name in ("retention", "kind", "time"))
    key = await log.keys.key_of(subject, retention)
    disclosures = unseal(key, blob, SealBinding(log.origin, subject, retention, kind, time))
    check_disclosed(fields, disclosures)
    return disclosures


async def filter_of(log: Log, query: Query) -> Filter:
    """The question in the log's own terms: the customer by pseudonym, `NOBODY` if there is none."""
    customer = None
    if query.customer is not None:
        customer = await log.keys.subject_of(query.customer) or NOBODY
    return Filter(
        since=None if query.since is None else rfc3339(query.since),
        until=None if query.until is None else rfc3339(query.until),
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
    )


def flat(wanted: Filter) -> dict[str, Plain]:
    """The question as public facts of its record. Of a customer without a record it says that alone: what was typed in their place
    may be somebody's name, and these facts are for ever.
    """
    facts: dict[str, Plain] = {f"by_{name}": value for name, value in wanted.named().items()}
    unknown = {f"by_{name}": "unknown" for name in ("customer", "about") if getattr(wanted, name) == NOBODY}
    return facts | unknown


def sequence_of(wanted: Filter) -> str | None:
    """`customer` or `conversation` if the question is by that alone, so that its sequence shows whether the answer is complete."""
    for name in ("customer", "conversation"):
        if wanted.named().keys() == {name}:
            return name
    return None


def _position(present_size: int, wanted: Filter, cursor: str | None) -> tuple[int, int, int]:
    """Tree size, last index given, next number of the sequence."""
    if cursor is None:
        return present_size, -1, 1
    parts = cursor.split(".")
    if len(parts) != 4 or parts[3] != _digest(wanted) or not all(part.isascii() and part.isdigit() for part in parts[:3]):
        raise CursorInvalid
    size, after, expected = (int(part) for part in parts[:3])
    if not after < size <= present_size:
        raise CursorInvalid
    return size, after, expected


def _backward_position(present_size: int, wanted: Filter, cursor: str | None) -> tuple[int, int]:
    """Tree size, and the index of the last one given: what follows lies before it."""
    if cursor is None:
        return present_size, present_size
    parts = cursor.split(".")
    if (
        len(parts) != 4
        or parts[2:] != ["last", _digest(wanted)]
        or not all(part.isascii() and part.isdigit() for part in parts[:2])
    ):
        raise CursorInvalid
    size, before = int(parts[0]), int(parts[1])
    if not before < size <= present_size:
        raise CursorInvalid
    return size, before


def _digest(wanted: Filter) -> str:
    return hashlib.sha256(json.dumps(wanted.named(), sort_keys=True).encode()).hexdigest()[:16]


def _found(stored: StoredLeaf) -> StoredRecord:
    if leaf_hash(stored.leaf) != stored.hash:
        raise LogCorrupt("a stored leaf is not the one that was hashed")
    return StoredRecord(stored.idx, stored.leaf, stored.hash, json.loads(stored.leaf))
