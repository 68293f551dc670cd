"""The background verification: the whole stored log against its signed head, in pieces, round after round.

One process of an installation does it, and keeps how far it is in the log's database, under a code by a key of this installation: nobody
else can say that it was further than it was. Holds a bounded piece at a time; rules between records are `audit.inspection`'s.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from audit.inspection import check_checkpoint
from audit.keys import KeyStore
from audit.leaf import RecordKind
from audit.log import Log
from audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from audit.rules import RecordRules
from audit.store.auditors_index import cursor
from audit.store.reads import LogCorrupt, Reads
from audit.store.tables import checkpoints
from audit.store.verification import (
    KeptVerification,
    ends_of,
    intents_in,
    keep_verification,
    postings_after,
    published_roots,
    read_verification,
    take_verification,
)
from audit.store.writes import split_hashes
from audit.stored_rows import Seen, StoreFinding, check_beyond, check_index, check_leaf, check_tiles, parsed_leaf, rows_in

PIECE = 256
"""Records that one step verifies: a tile. Some 50 to 100 ms on a busy machine, in which other threads take their turns."""

CHECKPOINTS_AT_ONCE = 50
POSTINGS_AT_ONCE = 4096

KEEP_S = 30
"""How often the position is kept: what a process that ends has verified since then is verified again."""

LEASE_S = 90
"""After so long without a sign another process goes on."""

LOOK_S = 10
"""A process that does not verify looks so often whether it should."""

ROUND_S = 60
"""A round begins at most so often."""

KEPT_FINDINGS_MOST = 20


class Phase(StrEnum):
    """What a round reads: the records, then the published checkpoints, then what the auditors' index has too many of."""

    RECORDS = "records"
    CHECKPOINTS = "checkpoints"
    POSTINGS = "postings"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class EndedRound:
    """A round that was gone through: over how many records, when (seconds since 1970), and what it found, the first of it."""

    size: int
    began_s: int
    ended_s: int
    findings: list[str]


@dataclass(slots=True)
class VerificationRound:
    """How far a round is. `size` and `root`: of the head that it began with; `indexed`: how far the auditors' index was."""

    began_s: int
    size: int
    root: str
    indexed: int
    phase: Phase = Phase.RECORDS
    position: int = 0
    peaks: str = ""
    open_tiles: list[str] = field(default_factory=list)
    is_broken: bool = False
    """A leaf is missing: what follows is verified by itself, and leads to no root."""
    posted: int = 0
    counted: int = 0
    checkpoint: int = 0
    posting: tuple[int, int] = (-1, -1)
    findings: list[str] = field(default_factory=list)

    def frontier(self) -> Frontier:
        tiles = [split_hashes(bytes.fromhex(level)) for level in self.open_tiles]
        return Frontier(self.position, split_hashes(bytes.fromhex(self.peaks)), tiles)

    def take(self, frontier: Frontier) -> None:
        self.peaks = b"".join(frontier.peaks).hex()
        self.open_tiles = [b"".join(level).hex() for level in frontier.open_tiles]


@dataclass(slots=True)
class VerificationState:
    """The round that is under way, and the last one that ended."""

    first_s: int
    """When the first round of all began, seconds since 1970."""
    round: VerificationRound | None = None
    last: EndedRound | None = None


@dataclass(frozen=True, slots=True)
class _Unsealed:
    """A record of which nothing sealed is there any more."""

    index: int
    subject: str
    retention: str


class StoreVerifier:
    """Verifies one log, a piece with each `step`.

    Concurrency: one step at a time; any number of processes may take steps, one of them at a time works. Durability: a position is kept
    every `KEEP_S` seconds and at the end of a round. Errors: LogUnavailable, after which the next step begins where it was kept.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._holder = os.urandom(8).hex()
        self._mine: VerificationState | None = None
        self._kept_s = 0
        self._looked_s = 0
        self.known: VerificationState | None = None
        """As this process last saw it, whoever works."""

    async def step(self) -> Sequence[StoreFinding]:
        """Verify the next piece, if it is this process' turn and one is due; what does not hold in it."""
        now_s = int(self._log.now().timestamp())
        found: list[StoreFinding] = []
        try:
            state = self._mine or await self._taken(now_s, found)
            if state is None:
                return found
            self._mine, self._looked_s, self.known = (
                None,
                now_s,
                state,
            )  # until this step is through: one that fails begins again where it was kept
            ended = await self._went_on(state, now_s, found)
            if state.round is not None:
                told = [_told(item) for item in found]
                state.round.findings = (state.round.findings + told)[:KEPT_FINDINGS_MOST]
            if ended and state.round is not None:
                of_round = state.round
                state.last, state.round = EndedRound(of_round.size, of_round.began_s, now_s, of_round.findings), None
            if (ended or now_s - self._kept_s >= KEEP_S) and not await self._keep(state, now_s):
                return found
            self._mine = state
        except LogCorrupt as error:
            found.append(StoreFinding(str(error)))
        return found

    @property
    def is_resting(self) -> bool:
        """Whether this process has nothing to verify now: another one does it, or the next round is not due."""
        return self._mine is None or self._mine.round is None

    async def _taken(self, now_s: int, found: list[StoreFinding]) -> VerificationState | None:
        """What was kept, if this process may go on with it. Asks at most every `LOOK_S`."""
        if now_s - self._looked_s < LOOK_S:
            return None
        self._looked_s = now_s
        first = _sealed(self._log, VerificationState(now_s))
        taken = await self._log.write(lambda connection: take_verification(connection, self._holder, now_s, now_s + LEASE_S, first))
        try:
            self.known = await stored_verification(self._log)
        except LogCorrupt as error:
            found.append(StoreFinding(str(error)))
            self.known = VerificationState(now_s)
        if not taken:
            return None
        self._kept_s = now_s
        return self.known

    async def _keep(self, state: VerificationState, now_s: int) -> bool:
        kept = _sealed(self._log, state)
        self._kept_s = now_s
        return await self._log.write(lambda connection: keep_verification(connection, self._holder, now_s + LEASE_S, kept))

    async def _went_on(self, state: VerificationState, now_s: int, found: list[StoreFinding]) -> bool:
        """One piece; whether the round is over."""
        if state.round is None:
            if state.last is not None and now_s - state.last.began_s < ROUND_S:
                return False
            state.round = await self._log.read(lambda reads: _begun(self._log, reads, now_s))
        of_round, committed = state.round, self._log.size()
        seen, unsealed = await self._log.read_long(lambda reads: _piece(self._log, reads, of_round, committed))
        found += seen.findings
        found += await _lost(self._log.keys, unsealed)
        return of_round.phase is Phase.OVER


async def stored_verification(log: Log) -> VerificationState | None:
    """How far the background verification of a log is; None before the first. LogCorrupt where somebody else wrote what was kept;
    LogUnavailable."""
    kept = await log.read(lambda reads: read_verification(reads.connection))
    if kept is None:
        return None
    if not any(log.keys.vouched(_bound(origin, kept.body), kept.mac) for origin in log.lineage.origins):
        raise LogCorrupt("what was kept of the background verification is not of this installation")
    told: dict[str, Any] = json.loads(kept.body)
    of_round, last = told["round"], told["last"]
    if of_round is not None:
        of_round = VerificationRound(**{**of_round, "phase": Phase(of_round["phase"]), "posting": tuple(of_round["posting"])})
    return VerificationState(told["first_s"], of_round, None if last is None else EndedRound(**last))


def _sealed(log: Log, state: VerificationState) -> KeptVerification:
    body = json.dumps(asdict(state))
    return KeptVerification(body, log.keys.vouch(_bound(log.origin, body)))


def _bound(origin: str, body: str) -> bytes:
    """No head is one of these: the text of a head begins with `<origin>/head`."""
    return f"{origin}/verification\n{body}".encode()


def _begun(log: Log, reads: Reads, now_s: int) -> VerificationRound:
    head = log.stored_head(reads)
    return VerificationRound(now_s, head.size, head.root.hex(), min(cursor(reads.connection), head.size))


def _piece(log: Log, reads: Reads, of_round: VerificationRound, committed: int) -> tuple[Seen, Sequence[_Unsealed]]:
    seen = Seen(frontier=of_round.frontier())
    head = log.stored_head(reads)
    if head.size < max(committed, of_round.size):
        seen.find("the stored log is shorter than what was committed: was the tail cut?")
    unsealed: Sequence[_Unsealed] = ()
    if of_round.phase is Phase.RECORDS:
        unsealed = _records(log, reads, of_round, seen)
        if of_round.position == of_round.size:
            root = seen.frontier.root() if of_round.size else EMPTY_ROOT
            if not of_round.is_broken and root.hex() != of_round.root:
                seen.find("the leaves do not lead to the signed root")
            check_beyond(reads, seen, head.size)
            of_round.phase = Phase.CHECKPOINTS
    elif of_round.phase is Phase.CHECKPOINTS:
        _checkpoints(log, reads, of_round, seen)
    elif of_round.phase is Phase.POSTINGS:
        _postings(reads, of_round, seen)
    return seen, unsealed


def _records(log: Log, reads: Reads, of_round: VerificationRound, seen: Seen) -> Sequence[_Unsealed]:
    start, until = of_round.position, min(of_round.position + PIECE, of_round.size)
    rows = rows_in(reads, start, until)
    there = {row.idx for row in rows if isinstance(row.leaf, bytes)}
    if len(there) != until - start:
        seen.find("a leaf is missing or not bytes", min(set(range(start, until)) - there))
        of_round.is_broken = True
    check_index(reads, seen, rows, of_round.indexed)
    published = published_roots(reads.connection, start, until)
    rules, parsed, roots = RecordRules(log.lineage, log.now()), {}, {}
    for row in rows:
        if not isinstance(row.leaf, bytes):
            continue
        hashed = leaf_hash(row.leaf)
        fields = rules.alone(row.idx, row.leaf)
        check_leaf(seen, row, fields, hashed)
        if fields is not None:
            parsed[row.idx] = (fields, hashed)
        if not of_round.is_broken:
            seen.frontier.push(hashed, seen.tiles)
            check_tiles(reads, seen)
            roots[row.idx + 1] = seen.frontier.root()
    seen.breached(rules)
    if not of_round.is_broken and any(roots[size] != root for size, root in published):
        seen.find("a published checkpoint is not what the leaves lead to")
    _intents(reads, seen, (start, until), parsed)
    of_round.position, of_round.posted = until, of_round.posted + seen.posted
    of_round.take(seen.frontier)
    return [
        _Unsealed(row.idx, str(parsed[row.idx][0].get("customer")), str(parsed[row.idx][0]["retention"]))
        for row in rows
        if row.blob is None and row.idx in parsed and "sealed" in parsed[row.idx][0]
    ]


def _intents(reads: Reads, seen: Seen, piece: tuple[int, int], parsed: Mapping[int, tuple[Mapping[str, object], bytes]]) -> None:
    """The table of intents, which the sweep goes by: it has those of the leaves, and they ended as the leaves say."""
    stored = intents_in(reads.connection, *piece)
    said = {index: item for index, item in parsed.items() if item[0]["kind"] == RecordKind.INTENT}
    if stored.keys() != said.keys():
        seen.find("the table of intents is not what the log says", min(stored.keys() ^ said.keys()))
    ended: dict[object, object] = {}
    for leaf in ends_of(reads.connection, sorted({str(fields["call"]) for fields, _ in said.values()})) if said else ():
        fields = parsed_leaf(leaf) or {}
        reference = fields.get("intent")
        if isinstance(reference, dict):
            ended[reference.get("index")] = fields.get("end_state")
    for index in stored.keys() & said.keys():
        fields, hashed = said[index]
        row = stored[index]
        if (row.hash, row.call, row.time, row.end_state) != (hashed, fields["call"], fields["time"], ended.get(index)):
            seen.find("an intent's row is not what the log says", index)


def _checkpoints(log: Log, reads: Reads, of_round: VerificationRound, seen: Seen) -> None:
    """Each is signed; that the leaves lead to their roots was seen with the records."""
    here = (checkpoints.c.id > of_round.checkpoint, checkpoints.c.size <= of_round.size)
    rows = reads.connection.execute(select(checkpoints).where(*here).order_by(checkpoints.c.id).limit(CHECKPOINTS_AT_ONCE)).all()
    for row in rows:
        check_checkpoint(log, seen, row, row.root)
        of_round.checkpoint = row.id
    if len(rows) < CHECKPOINTS_AT_ONCE:
        of_round.phase = Phase.POSTINGS


def _postings(reads: Reads, of_round: VerificationRound, seen: Seen) -> None:
    """Those of the records were found one by one: there must not be more."""
    found = postings_after(reads.connection, *of_round.posting, POSTINGS_AT_ONCE)
    of_round.counted += sum(index < of_round.indexed for _, index in found)
    if found:
        of_round.posting = found[-1]
    if len(found) < POSTINGS_AT_ONCE:
        if of_round.counted != of_round.posted:
            seen.find("the auditors' index names records that it should not")
        of_round.phase = Phase.OVER


async def _lost(keys: KeyStore, unsealed: Sequence[_Unsealed]) -> list[StoreFinding]:
    """What is sealed no more must have been destroyed: the list of that is kept in another database, and is written first."""
    if not unsealed:
        return []
    destroyed = await keys.destroyed_of(sorted({item.subject for item in unsealed}))
    return [
        StoreFinding("what a record keeps sealed is gone, and no erasure says so", item.index)
        for item in unsealed
        if destroyed.get((item.subject, item.retention), 0) <= item.index
    ]


def _told(found: StoreFinding) -> str:
    return found.what if found.index is None else f"{found.what} (record {found.index})"
