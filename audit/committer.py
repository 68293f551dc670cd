"""The committer: what one transaction of the log does. Splices the sequences, grows the tree, signs the head that it found.

A head is signed after its commit, by the next transaction, publication or start: one that was signed and then rolled back would
contradict the log for ever. Until then a code vouches for it that only this installation can make, so that nobody else's is signed.

State in memory is a copy of what the last commit wrote. It is replaced after a commit only, and compared with the stored head
at the start of each transaction, so that a second process on the same database is seen and caught up with.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from audit.heads import Heads
from audit.leaf import EndState, Record, RecordKind, Rendered
from audit.merkle import TILE_HEIGHT, TILE_WIDTH, Frontier, Tile, leaf_hash
from audit.store.bulk_insert import SharedChange
from audit.store.reads import LogCorrupt, Reads
from audit.store.writes import (
    Head,
    lock_head,
    read_counters,
    read_intents,
    remove_sealed,
    write_checkpoint,
    write_group,
    write_head,
    write_tiles,
)
from audit.terms import about_of

COUNTERS_CACHED = 65_536
INTENTS_CACHED = 4_096

ENDING = frozenset({RecordKind.OUTCOME, RecordKind.UNKNOWN, RecordKind.RECONCILED})


class IntentEnded(Exception):
    """The intent is not there, or has its end state already. Nothing was written."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Where a record is. Sequences count from 1 per customer and per conversation, without gaps; None without one."""

    index: int
    leaf_hash: bytes
    customer_seq: int | None
    conversation_seq: int | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A record that waits for the committer. `time` is the record's as the leaf has it, `subject` the customer's pseudonym."""

    record: Record
    time: str
    rendered: Rendered
    subject: str | None
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree whose leaf hashes were computed from stored bytes."""

    size: int
    root: bytes
    peaks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """A signed checkpoint that waits to be stored."""

    tree: Tree
    note: str
    time_s: int


@dataclass(frozen=True, slots=True)
class Removal:
    """Sealed blobs that an erasure removes."""

    indexes: tuple[int, ...]


Item = Pending | Publication | Removal


@dataclass(slots=True)
class _Group:
    """What one transaction will write, and the state after it."""

    frontier: Frontier
    counters: dict[str, int]
    ends: dict[int, str | None]
    intents: dict[int, bytes]
    leaves: list[dict[str, object]] = field(default_factory=list)
    sealed: list[dict[str, object]] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    new_intents: list[dict[str, object]] = field(default_factory=list)
    ended: list[dict[str, object]] = field(default_factory=list)
    head: Head | None = None


class Committer:
    """`apply`, `committed` and `failed` of a `GroupWriter`. Not safe for use by two writers at once."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._frontier = Frontier()
        self._counters: OrderedDict[str, int] = OrderedDict()
        self._known: Head | None = None
        """The stored head as this process wrote it last, unless its last transaction failed."""
        self._open: OrderedDict[int, bytes] = OrderedDict()
        """Hashes of intents that this process wrote and nobody has ended."""
        self._staged: _Group | None = None

    @property
    def size(self) -> int:
        """Leaves committed."""
        return self._frontier.size

    def head(self) -> tuple[int, bytes]:
        return self._frontier.size, self._frontier.root()

    def take_over(self, other: "Committer") -> None:
        self._frontier = other._frontier.copy()

    async def sign_ahead(self) -> None:
        """Have the head that this process wrote last signed before the transaction in which it must be, where that waits for a device.
        SignerUnavailable."""
        known = self._known
        if known is not None and not self._heads.check(known):
            await self._heads.sign_ahead(known.size, known.root)

    def begin(self, connection: Connection) -> None:
        """Give a new log its head, of no leaves. LogCorrupt if there are leaves."""
        if Reads(connection).last_leaf_index() is not None:
            raise LogCorrupt("there are leaves without a head")
        root = Frontier().root()
        write_head(connection, Head(0, root, [], "", **self._heads.vouched(0, root)))

    def sign_stored(self, connection: Connection) -> None:
        """Sign the committed head, if nobody has: a process died before it could, or the log is new."""
        stored = lock_head(connection)
        if stored is not None and not self._heads.check(stored):
            write_head(connection, self._signed(stored))

    def _signed(self, stored: Head) -> Head:
        note = self._heads.sign(stored.size, stored.root)
        return replace(stored, note=note, **self._heads.vouched(stored.size, stored.root))

    def load(self, reads: Reads) -> None:
        """Take over the stored state. LogCorrupt unless head, signature, frontier and leaves agree."""
        stored, last = reads.head(), reads.last_leaf_index()
        self._counters.clear()
        if stored is None:
            raise LogCorrupt("the stored head is gone")
        self._heads.check(stored)
        if (-1 if last is None else last) != stored.size - 1:
            raise LogCorrupt("the leaves do not end where the head says")
        frontier = Frontier(stored.size, list(stored.peaks))
        level = 0
        while (count := stored.size >> (TILE_HEIGHT * level)) > 0:
            start = count - count % TILE_WIDTH
            missing = reads.hashes(start, count) if level == 0 else reads.tile_roots(level - 1, start, count)
            frontier.open_tiles.append(missing)
            level += 1
        if bin(stored.size).count("1") != len(stored.peaks) or frontier.root() != stored.root:
            raise LogCorrupt("the frontier does not lead to the signed root")
        self._frontier = frontier

    def recomputed(self, reads: Reads, published: Head | None) -> Tree:
        """The stored tree, its leaf hashes since `published` computed from the stored bytes. LogCorrupt if they do not lead to the
        signed head. Safe beside everything else: it looks at nothing in memory.
        """
        stored = reads.head()
        if stored is None:
            raise LogCorrupt("the stored head is gone")
        self._heads.check(stored)
        size, root = stored.size, stored.root
        frontier = Frontier() if published is None else Frontier(published.size, list(published.peaks))
        if published is not None and frontier.root() != published.root:
            raise LogCorrupt("the frontier of the last checkpoint does not lead to its root")
        if size < frontier.size:
            raise LogCorrupt("the stored log is shorter than its last checkpoint")
        for leaf in reads.leaves(frontier.size, size):
            frontier.push(leaf_hash(leaf.leaf), [])
        if frontier.root() != root:
            raise LogCorrupt("the stored leaves do not lead to the signed root")
        return Tree(size, root, tuple(frontier.peaks))

    def apply(self, connection: Connection, items: Sequence[Item]) -> Sequence[LogEntry | Exception | None]:
        """One transaction. Answers an Entry per record, None for the rest, IntentEnded where a record may not be."""
        answered = self.at_once(connection, items)
        if answered is not None:
            return answered
        stored = lock_head(connection)
        if stored is None:
            raise LogCorrupt("the stored head is gone")
        found = stored if self._heads.check(stored) else self._signed(stored)
        self._catch_up(connection, stored)
        records = [item for item in items if isinstance(item, Pending)]
        group = self._begin(connection, records)
        answers: list[LogEntry | Exception | None] = []
        for item in items:
            if isinstance(item, Publication):
                stored = Head(item.tree.size, item.tree.root, list(item.tree.peaks), item.note)
                write_checkpoint(connection, stored, item.time_s)
                answers.append(None)
            elif isinstance(item, Removal):
                remove_sealed(connection, item.indexes)
                answers.append(None)
            else:
                answers.append(self._add(group, item))
        self._write(connection, group, found.note)
        if not group.leaves and found is not stored:
            write_head(connection, found)
        self._staged = group
        return answers

    def at_once(
        self, connection: Connection, items: Sequence[Item], *, alone: bool = False, beside: SharedChange | None = None
    ) -> Sequence[LogEntry | Exception | None] | None:
        """The same for records, on the head that this process wrote last. None if somebody wrote after it, or other items are among these;
        then nothing was written. `alone`: by one statement, and None where there must be several. `beside`: what others change in that
        statement; None where it does not hold, or one of the records may not be.
        """
        known = self._known
        if known is None or not all(isinstance(item, Pending) for item in items):
            return None
        found = known if self._heads.check(known) else self._signed(known)
        records = [item for item in items if isinstance(item, Pending)]
        group = self._begin(connection, records)
        answers = [self._add(group, record) for record in records]
        if beside is not None and any(isinstance(answer, Exception) for answer in answers):
            return None
        if (alone and group.tiles) or not self._write(connection, group, found.note, known, beside):
            self._known = None
            return None
        self._staged = group
        return answers

    def committed(self, _answers: object) -> None:
        group, self._staged = self._staged, None
        if group is None:
            return
        self._frontier = group.frontier
        if group.head is not None:
            self._known = group.head
        self._open.update({row["idx"]: row["hash"] for row in group.new_intents})  # type: ignore[misc]  # as `_add` made them
        for row in group.ended:
            self._open.pop(row["b_idx"], None)  # type: ignore[call-overload]  # as above
        while len(self._open) > INTENTS_CACHED:
            self._open.popitem(last=False)
        for key, last in group.counters.items():
            self._counters[key] = last
            self._counters.move_to_end(key)
        while len(self._counters) > COUNTERS_CACHED:
            self._counters.popitem(last=False)

    def failed(self) -> None:
        """The transaction may or may not have happened. What is kept is from before it; the next one catches up from the head."""
        self._staged = self._known = None

    def _catch_up(self, connection: Connection, stored: Head) -> None:
        """Take over what another process has committed. LogCorrupt unless it continues what this one knows.

        Stored hashes will do, since they must lead to the signed root; that the leaves give them is looked at before a checkpoint.
        """
        if stored.size == self._frontier.size and stored.root == self._frontier.root():
            return
        if stored.size <= self._frontier.size:
            raise LogCorrupt("the stored log is not a continuation of what this process committed")
        self._open.clear()
        frontier = self._frontier.copy()
        for hashed, customer, conversation in Reads(connection).grown(frontier.size, stored.size):
            frontier.push(hashed, [])
            self._counters.pop(f"u:{customer}", None)
            self._counters.pop(f"c:{conversation}", None)
        if frontier.root() != stored.root:
            raise LogCorrupt("the stored log is not a continuation of what this process committed")
        self._frontier = frontier

    def _begin(self, connection: Connection, records: Sequence[Pending]) -> _Group:
        keys = {key for record in records for key in _keys(record)}
        counters = {key: self._counters[key] for key in keys if key in self._counters}
        for key, counter in read_counters(connection, keys - counters.keys()).items():
            if leaf_hash(counter.leaf) != counter.hash or _said(counter.leaf, key) != counter.last:
                raise LogCorrupt("a sequence is not what the log's last leaf of it says")
            counters[key] = counter.last
        wanted = [record.record.intent.index for record in records if record.record.intent is not None]
        intents = {index: self._open[index] for index in wanted if index in self._open}
        ends: dict[int, str | None] = dict.fromkeys(intents)
        unknown = [index for index in wanted if index not in intents]
        for index, row in (read_intents(connection, unknown) if unknown else {}).items():
            intents[index], ends[index] = row.hash, row.end_state
        return _Group(self._frontier.copy(), counters, ends, intents)

    def _add(self, group: _Group, pending: Pending) -> LogEntry | Exception:
        record = pending.record
        if record.kind in ENDING and not _may_end(group, record):
            return IntentEnded()
        index = group.frontier.size
        customer_seq = _next(group, f"u:{pending.subject}") if pending.subject is not None else None
        conversation_seq = _next(group, f"c:{record.conversation}") if record.conversation is not None else None
        leaf = pending.rendered.splice(customer_seq, conversation_seq)
        hashed = leaf_hash(leaf)
        group.frontier.push(hashed, group.tiles)
        entry = LogEntry(index, hashed, customer_seq, conversation_seq)
        group.leaves.append(_row(pending, entry, leaf))
        if pending.blob is not None:
            group.sealed.append({"idx": index, "blob": pending.blob})
        if record.kind is RecordKind.INTENT:
            group.new_intents.append({"idx": index, "hash": hashed, "call": record.call_id, "time": pending.time})
        elif record.intent is not None and record.end_state is not None and record.kind in ENDING:
            group.ends[record.intent.index] = record.end_state.value
            group.ended.append({"b_idx": record.intent.index, "b_end_state": record.end_state.value})
        return entry

    def _write(
        self, connection: Connection, group: _Group, signed: str, known: Head | None = None, beside: SharedChange | None = None
    ) -> bool:
        """False, and nothing was written, if the stored head is not the `known` one, or what is `beside` does not hold."""
        if not group.leaves:
            return True
        frontier, root = group.frontier, group.frontier.root()
        group.head = Head(frontier.size, root, frontier.peaks, signed, **self._heads.vouched(frontier.size, root))
        rows = {"leaves": group.leaves, "sealed": group.sealed, "intents": group.new_intents}
        if not write_group(connection, rows, group.ended, group.head, known, beside=beside):
            return False
        if group.tiles:
            write_tiles(connection, group.tiles)
        return True


def _keys(pending: Pending) -> list[str]:
    keys = []
    if pending.subject is not None:
        keys.append(f"u:{pending.subject}")
    if pending.record.conversation is not None:
        keys.append(f"c:{pending.record.conversation}")
    return keys


def _next(group: _Group, key: str) -> int:
    number = group.counters.get(key, 0) + 1
    group.counters[key] = number
    return number


def _said(leaf: bytes, key: str) -> object:
    """The sequence number in a leaf, if the leaf is of this customer or conversation."""
    found = json.loads(leaf)
    name = "customer" if key.startswith("u:") else "conversation"
    return found.get(f"{name}_seq") if found.get(name) == key[2:] else None


def _may_end(group: _Group, record: Record) -> bool:
    """One end state per intent: open, or outcome_unknown and now reconciled. The reference must be the intent's own."""
    if record.intent is None or group.intents.get(record.intent.index) != record.intent.leaf_hash:
        return False
    state = group.ends[record.intent.index]
    if record.kind is RecordKind.RECONCILED:
        return state == EndState.OUTCOME_UNKNOWN.value
    return state is None


def _row(pending: Pending, entry: LogEntry, leaf: bytes) -> dict[str, object]:
    record = pending.record
    return {
        "idx": entry.index,
        "leaf": leaf,
        "hash": entry.leaf_hash,
        "time": pending.time,
        "kind": record.kind.value,
        "customer": pending.subject,
        "customer_seq": entry.customer_seq,
        "call": record.call_id,
        "conversation": record.conversation,
        "conversation_seq": entry.conversation_seq,
        "trace": record.trace_id,
        "function": None if record.function is None else record.function.name,
        "decision": None if record.policy is None else record.policy.decision,
        "policies": None if record.policy is None else "".join(f"\n{policy}\n" for policy in record.policy.policies),
        "bundle": None if record.policy is None else record.policy.bundle_hash,
        "end_state": None if record.end_state is None else record.end_state.value,
        "approver": None if record.approver is None else record.approver.id,
        "about": about_of({"kind": record.kind.value, "facts": record.facts}),
    }
