"""The evidence bundle: what an auditor takes away, and can verify without us.

A zip of records, proofs, checkpoints, trust policy, the bundles of rules that decided, disclosures where they were asked for, the
stand-alone verifier and a signed manifest. Written as a stream. The same records under the same checkpoint give the same bytes, save
for the manifest's time.
"""

import base64
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO

from audit import verify
from audit.bundle_file import BundleFile, Sink
from audit.checkpoint import Checkpoint, Note, NoteInvalid, sign_note
from audit.context import AT_ONCE, activations, before, deciding
from audit.cosigning import cosigned_note, last_cosigned
from audit.keys import KeyDestroyed, named
from audit.leaf import Plain, RecordKind, rfc3339
from audit.log import Log, LogUnavailable
from audit.merkle import consistency_proof, inclusion_proof, range_root
from audit.opening import NotSealed, open_sealed
from audit.query import (
    NOBODY,
    NothingKnown,
    Query,
    Why,
    about_facts,
    every_match,
    filter_of,
    flat,
    question,
    sealed_facts,
    sequence_of,
)
from audit.record_numbers import RecordNumbers
from audit.rotation_records import statements
from audit.store.cosignatures import LINES_MOST, lines_over
from audit.store.find import Filter, customers_of
from audit.store.policies import kept
from audit.store.reads import LogCorrupt, Nodes, Reads, StoredLeaf
from audit.store.timestamps import KeptTimestamp, first_timestamps, newest_timestamps, oldest_first

EARLIER_CHECKPOINTS_MOST = 8
"""Notes of earlier checkpoints in a bundle. Proofs it has for all of them, or for those that the auditor named."""

STAMPS_MOST = 16
"""Time stamps in a bundle, about: half of them the newest."""

STAMPS_OF_SIZE = 10
"""Of trees of one size: their names have one digit."""

SHOWN_MOST = 1000
"""Customers whom the record of an export names by pseudonym: a leaf has at most 65,535 bytes."""

_VERIFIER = Path(verify.__file__).read_bytes()

README = """Evidence bundle of a Tellergate log, version 2
==============================================

leaves/           one record per line: its index in the log, a space, its canonical JSON (RFC 8785)
proofs/           of a selection, and of what stands before a bundle that continues a checkpoint: one record per line, its index
                  and the hashes of its inclusion proof (RFC 6962 section 2.1.1) under the last checkpoint
frontier.txt      where the bundle continues a checkpoint: the roots of the perfect subtrees of its tree, largest first
checkpoints/      signed tree heads (C2SP tlog-checkpoint): Ed25519 and ML-DSA-44
consistency/      earlier checkpoints are prefixes of the last (RFC 6962 section 2.1.2): one size per line, and its proof, which begins
                  with the earlier root where its tree is a perfect one
disclosures/      index, path and RFC 9901 disclosure of what was revealed
trust.json        the public keys; get your own copy from the bank on another way, and pass it as --trust
rotations/        each rotation of a signing key, under the index of its record: signed by the key before it and by the new one
timestamps/       checkpoints as they were published, each with the token of a time stamp authority over it (RFC 3161):
                  openssl ts -verify -data NOTE -in TSR -CAfile ROOTS
policy/           the bundles of rules that decided, each under its SHA-256, by which records name it
manifest.note     size and SHA-256 of every other member, signed by the export key (C2SP signed-note)
verify.py         checks all of this; needs Python 3.11 and the package `cryptography` (50 or newer)

    python verify.py BUNDLE.zip --trust TRUST.json --pinned CHECKPOINT

Keep the last checkpoint: it is what a later, shorter log is found by.
"""

Told = Callable[[int, int], None]


def nobody(_done: int, _all_of: int) -> None:
    """Nobody wants to hear how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What goes into a bundle. `indexes` None: the whole log up to the checkpoint, or what follows the tree of `after` records."""

    indexes: Sequence[int] | None = None
    after: int = 0
    disclosures: IO[bytes] | None = None
    """Their lines, in order, from the beginning of this file."""
    earlier: Sequence[int] | None = None
    """Sizes of checkpoints that the auditor kept, so that these are proven to be prefixes. None: every published one."""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    """Further public facts of the manifest: purpose, case id, `complete_customer`, `export_record`."""


def trust_policy(log: Log) -> bytes:
    """The log's public keys as C2SP vkeys, in canonical JSON; of a log that continues others, these and where each
    ended. Publish it where the log's host cannot change it."""
    body = {
        "v": 1,
        "origin": log.origin,
        "log": [key.encode() for key in log.log_keys()],
        "exports": [named(f"{log.origin}/exports", log.signers.exports.signer()).key.encode()],
        "permits": [named(f"{log.origin}/permits", log.signers.permits.signer()).key.encode()],
    }
    continued = [{"origin": item.origin, "until": item.until} for item in log.lineage.predecessors]
    return _json({**body, "predecessors": continued} if continued else body)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: how many records match, the index of the record of the export itself, and the bytes of the file."""

    records: int
    record: int
    size: int


async def export(
    log: Log,
    why: Why,
    file: Sink,
    *,
    query: Query | None = None,
    records: RecordNumbers | None = None,
    reveal: bool = False,
    earlier: Sequence[bytes] = (),
    after: bytes | None = None,
    told: Told = nobody,
) -> Exported:
    """Write the bundle of a question's matches, of these `records`, or of the whole log (neither), with disclosures if `reveal`.

    `earlier` are checkpoints that the auditor kept, to be proven prefixes (by default every published one is); `after` is one that was
    verified before: only what follows it is written. The record of the export is durable before anything is opened, and is in the
    bundle; where the bundle does not arrive whole, another record says so. ValueError for a checkpoint that is none of this log, for
    records that it does not have, or for more than one of the three that choose; NothingKnown; LogUnavailable, LogCorrupt, SealBroken,
    OSError of `file`. What was erased is left closed.
    """
    size, _ = await log.head()
    sizes = [_size_of(log, note, size) for note in earlier]
    begin = 0 if after is None else _size_of(log, after, size)
    if sum((bool(begin), query is not None, records is not None)) > 1:
        raise ValueError("what follows a checkpoint is exported whole; records are chosen by a question or by indexes: say one")
    whole, wanted = query is None and records is None, Filter() if query is None else await filter_of(log, query)
    matches = await _chosen(log, query, records, range(begin, size))
    asked: dict[str, Plain] = {"whole": whole, "records": len(matches), "revealed": reveal, "after": begin, **flat(wanted)}
    asked |= {} if query is None else sealed_facts(query)
    asked |= {} if records is None else {"by_records": records.text}
    about = await about_facts(log, wanted, size)
    asked |= about or ({} if whole or wanted.customer is not None else await _shown(log, matches))
    record = await question(log, RecordKind.AUDIT_EXPORT, why, asked)
    sequence = None if query is None or query.opens else sequence_of(wanted)
    if wanted.customer == NOBODY or (sequence is not None and not matches):
        raise NothingKnown
    facts: dict[str, str | int] = {"purpose": why.purpose, "case": why.case_id, "auditor": why.auditor, "export_record": record}
    if sequence is not None:
        facts[f"complete_{sequence}"] = str(wanted.named()[sequence])
    indexes = None if whole else [*matches, record]
    async with _failing_on_record(log, why, record):
        with tempfile.TemporaryFile() as opened:
            if reveal:
                await _open_into(log, matches, opened)
            contents = Contents(indexes=indexes, after=begin, disclosures=opened, earlier=sizes or None, facts=facts)
            written = await bundle(log, contents, file, told=told)
        file.flush()
    return Exported(len(matches), record, written)


async def _chosen(log: Log, query: Query | None, records: RecordNumbers | None, rest: range) -> Sequence[int]:
    """Which records; `rest`: where nothing chooses."""
    if query is not None:
        return await every_match(log, query)
    if records is None:
        return rest
    records.require_within(rest.stop)
    return [*records]


async def _shown(log: Log, matches: Sequence[int]) -> Mapping[str, Plain]:
    """Of a selection that names nobody: whose records it holds. Of very many people the record says that alone, as of the whole log."""
    customers = await log.read_long(lambda reads: customers_of(reads.connection, matches, SHOWN_MOST))
    return {"shown_more": True} if len(customers) > SHOWN_MOST else {"shown": tuple(sorted(customers))} if customers else {}


@asynccontextmanager
async def _failing_on_record(log: Log, why: Why, record: int) -> AsyncIterator[None]:
    """Where the block does not end well, it is on record that the bundle of that record did not arrive whole."""
    whole = False
    try:
        yield
        whole = True
    finally:
        if not whole:
            with suppress(LogUnavailable):  # the export failed all the same, and its own record stands
                await question(log, RecordKind.AUDIT_EXPORT, why, {"failed": record})


def _size_of(log: Log, note: bytes, size: int) -> int:
    try:
        text = verify.own_text(note)
        known = log.signers.verify(Note.parse(text.encode()), log.origin).checkpoint
    except (NoteInvalid, ValueError):
        raise ValueError("a checkpoint that was given is damaged, or not of this log") from None
    if not 0 < known.size <= size:
        raise ValueError("a checkpoint that was given is ahead of this log: stop, and ask why")
    return known.size


async def _open_into(log: Log, indexes: Iterable[int], file: IO[bytes]) -> None:
    for index in indexes:
        try:
            opened = await open_sealed(log, index)
        except (NotSealed, KeyDestroyed):
            continue
        file.writelines(f"{index} {path} {text}\n".encode() for path, text in sorted(opened.items()))
    file.seek(0)


async def bundle(log: Log, contents: Contents, file: Sink, *, told: Told = nobody) -> int:
    """Publish a checkpoint and write the zip under it; its bytes. ValueError for an index beyond it; LogCorrupt as `publish`."""
    note = await log.publish(force=True)
    if note is None:
        raise ValueError("the log is empty")
    return await log.read_long(lambda reads: _Bundle(log, reads, contents, note, told).write(file))


def tlog_proof(index: int, hashes: Sequence[bytes], note: str) -> bytes:
    """C2SP tlog-proof: an inclusion proof and the checkpoint that it is under."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *(base64.b64encode(item).decode() for item in hashes), "", note]
    return "\n".join(lines).encode()


class _Bundle:
    """The members, from one snapshot of the log."""

    def __init__(self, log: Log, reads: Reads, contents: Contents, note: str, told: Told) -> None:
        self._log, self._reads, self._contents, self._note, self._told = log, reads, contents, note, told
        self._size = Checkpoint.parse(Note.parse(note.encode()).text).size
        self._nodes = Nodes(reads, self._size)
        known = activations(reads, self._size)
        self._rotations = statements(reads, self._size)
        self._begins = log.lineage.begins
        succeeded = {item.until for item in log.lineage.predecessors}
        if contents.indexes is None:
            proven = before(reads, contents.after, self._size, known) if contents.after else set()
            proven |= {index for index in self._rotations if index < contents.after}
            shipped = {*proven, *(index for index in known.values() if index >= contents.after)}
        else:
            chosen = sorted(set(contents.indexes))
            if not chosen or chosen[-1] >= self._size:
                raise ValueError("no such record")
            proven = shipped = {*chosen, *deciding(reads, chosen, known), *self._rotations, *succeeded}
        self._proven = sorted(proven)
        self._policies = kept(reads.connection, [digest for digest, index in known.items() if index in shipped])

    def write(self, file: Sink) -> int:
        """In the order of the members' names."""
        contents, into = self._contents, BundleFile(file)
        into.add("README.md", README.encode())
        published = self._reads.earlier_checkpoints(self._size, EARLIER_CHECKPOINTS_MOST, above=self._begins)
        earlier = {item.size: item.note for item in published}
        for quorum in range(1, LINES_MOST // 2 + 1):
            if (found := last_cosigned(self._reads, self._size - 1, quorum)) is None or found.size < max(
                contents.after, self._begins + 1
            ):
                break
            earlier[found.size] = cosigned_note(self._reads, found)
        stamps = self._stamps()
        earlier |= {item.checkpoint.size: self._cosigned(item) for item in stamps}
        for size, note in sorted({**earlier, self._size: self._last()}.items()):
            into.add(f"checkpoints/{size:016d}.note", note.encode())
        into.add_lines("consistency", self._prefixes(earlier))
        opened = into.add_lines("disclosures", contents.disclosures or ())
        if contents.after:
            into.add("frontier.txt", b"".join(base64.b64encode(peak) + b"\n" for peak in _peaks(contents.after, self._nodes)))
        records = into.add_lines("leaves", self._records())
        for digest, body in sorted(self._policies.items()):
            into.add(f"policy/{digest}.json", body)
        into.add_lines("proofs", (_line(index, inclusion_proof(index, self._size, self._nodes)) for index in self._proven))
        for index, statement in self._rotations.items():
            into.add(f"rotations/{index:016d}.note", statement.encode())
        for name, content in _stamp_members(stamps):
            into.add(name, content)
        into.add("trust.json", trust_policy(self._log))
        into.add("verify.py", _VERIFIER)
        about = {
            **contents.facts,
            "v": verify.VERSION,
            "origin": self._log.origin,
            "created": rfc3339(self._log.now()),
            "size": self._size,
            "after": contents.after,
            "whole": contents.indexes is None,
            "records": records,
            "disclosures": opened,
        }
        signer = named(f"{self._log.origin}/exports", self._log.signers.exports.signer())
        into.close(lambda files: sign_note(_json({**about, "files": files}).decode() + "\n", [signer]).encode().encode())
        return into.size

    def _last(self) -> str:
        """The checkpoint that all is under, with the cosignatures that are kept over it."""
        root = Checkpoint.parse(Note.parse(self._note.encode()).text).root
        return self._note + "".join(lines_over(self._reads.connection, self._size, root))

    def _stamps(self) -> Sequence[KeptTimestamp]:
        """The newest ones under the origin of now; of a selection also the first over each of its records, as far as there is room."""
        least, connection = max(self._contents.after, self._begins + 1), self._reads.connection
        found = newest_timestamps(connection, least, self._size, STAMPS_MOST // 2)
        covered = 0
        for index in sorted(self._contents.indexes or ()):
            if index >= covered and len(found) < STAMPS_MOST:
                first = first_timestamps(connection, max(index, self._begins) + 1, self._size)
                found += first
                covered = first[0].checkpoint.size if first else self._size
        return oldest_first(found)

    def _cosigned(self, stamp: KeptTimestamp) -> str:
        return stamp.checkpoint.note + "".join(lines_over(self._reads.connection, stamp.checkpoint.size, stamp.checkpoint.root))

    def _records(self) -> Iterator[bytes]:
        tail = range(self._contents.after, self._size) if self._contents.indexes is None else range(0)
        all_of = len(self._proven) + len(tail)
        for done, stored in enumerate(chain(self._stored(), self._reads.leaves(tail.start, tail.stop)), 1):
            yield b"%d %b\n" % (stored.idx, stored.leaf)
            if done % AT_ONCE == 0 or done == all_of:
                self._told(done, all_of)

    def _stored(self) -> Iterator[StoredLeaf]:
        for index in self._proven:
            found = self._reads.leaf(index)
            if found is None:
                raise LogCorrupt("a leaf is missing")
            yield found

    def _prefixes(self, earlier: Iterable[int]) -> Iterator[bytes]:
        """Consistency proofs of what is not computed again from the records themselves."""
        first = self._size if self._contents.indexes is not None else self._contents.after
        kept_by = self._contents.earlier
        sizes = self._reads.published_sizes(first) if kept_by is None else [*earlier, *kept_by]
        for old in sorted({size for size in (*sizes, *earlier) if 0 < size < first}):
            path = consistency_proof(old, self._size, self._nodes)
            whole = [range_root(0, old, self._nodes)] if old & (old - 1) == 0 else []
            yield _line(old, [*whole, *path])


def _stamp_members(stamps: Sequence[KeptTimestamp]) -> Iterator[tuple[str, bytes]]:
    """Those over trees of one size are numbered."""
    counts: Counter[int] = Counter()
    for stamp in sorted(stamps, key=lambda item: item.checkpoint.size):
        size = stamp.checkpoint.size
        if counts[size] < STAMPS_OF_SIZE:
            name = f"timestamps/{size:016d}-{counts[size]}"
            yield f"{name}.note", stamp.checkpoint.note.encode()
            yield f"{name}.tsr", stamp.token
            counts[size] += 1


def _peaks(size: int, nodes: Nodes) -> Iterator[bytes]:
    """Roots of the perfect subtrees of the tree of `size`, largest first."""
    start = 0
    while start < size:
        height = (size - start).bit_length() - 1
        yield nodes(height, start >> height)
        start += 1 << height


def _line(number: int, hashes: Iterable[bytes]) -> bytes:
    return b" ".join((b"%d" % number, *(base64.b64encode(item) for item in hashes))) + b"\n"


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
