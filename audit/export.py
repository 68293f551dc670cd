"""The evidence bundle: what an auditor takes away, and can verify without us.

A zip of leaves, proofs, checkpoints, trust policy, policy files, disclosures where they were asked for, the stand-alone verifier
and a signed manifest. The same records under the same checkpoint give the same bytes, save for the manifest's time.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit import verify
from audit.checkpoint import Note, sign_note
from audit.keys import KeyDestroyed, named
from audit.leaf import Plain, RecordKind, rfc3339
from audit.log import Log
from audit.merkle import consistency_proof, inclusion_proof
from audit.query import NOBODY, NothingKnown, NotSealed, Query, Why, filter_of, flat, open_sealed, question, sequence_of
from audit.store.find import Filter, find
from audit.store.reads import LogCorrupt, Nodes, Reads, StoredLeaf

SELECTED_MOST = 10_000
"""Records of a selection: each brings a proof file of 4 KB. A whole log brings none."""

EARLIER_CHECKPOINTS_MOST = 8

BUNDLE_MOST = 2**30
"""Bytes of a bundle: it is built and verified in memory."""

_VERIFIER = Path(verify.__file__).read_bytes()

README = """Evidence bundle of a Tellergate log
===================================

leaves.txt        one record per line: its index in the log, a space, its canonical JSON (RFC 8785)
proofs/           of a selection: one inclusion proof per record (C2SP tlog-proof)
checkpoints/      signed tree heads (C2SP tlog-checkpoint): Ed25519 and ML-DSA-44
consistency/      of a selection: earlier checkpoints are prefixes of the last (RFC 6962 section 2.1.2)
disclosures.txt   index, path and RFC 9901 disclosure of what was revealed; empty where nothing was
trust.json        the public keys; get your own copy from the bank on another way, and pass it as --trust
policy/           the policy bundle that decided
manifest.note     SHA-256 of every other member, signed by the export key (C2SP signed-note)
verify.py         checks all of this; needs Python 3.11 and the package `cryptography` (50 or newer)

    python verify.py BUNDLE.zip --trust TRUST.json --pinned CHECKPOINT

Keep the last checkpoint: it is what a later, shorter log is found by.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What goes into a bundle. `indexes` None: the whole log, up to the checkpoint."""

    indexes: Sequence[int] | None = None
    disclosures: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    policy_files: Mapping[str, bytes] = field(default_factory=dict)
    pinned_sizes: Sequence[int] = ()
    """Sizes of checkpoints that the auditor kept, so that a selection proves them to be prefixes."""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    """Further public facts of the manifest: purpose, case id, `complete_customer`, `export_record`."""


def trust_policy(log: Log) -> bytes:
    """The log's public keys as C2SP vkeys, in canonical JSON. Publish it where the log's host cannot change it."""
    body = {
        "v": 1,
        "origin": log.origin,
        "log": [key.encode() for key in log.log_keys()],
        "exports": [named(f"{log.origin}/exports", log.signers.exports).key.encode()],
        "permits": [named(f"{log.origin}/permits", log.signers.permits).key.encode()],
    }
    return _json(body)


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle, and the index of the record that it was made."""

    raw: bytes
    records: int
    record: int


async def export(
    log: Log,
    why: Why,
    *,
    query: Query | None = None,
    reveal: bool = False,
    policy_files: Mapping[str, bytes] | None = None,
    pinned_sizes: Sequence[int] = (),
) -> Exported:
    """The bundle of a question's matches, or of the whole log (`query` None), with disclosures if `reveal`.

    The record of the export is durable before anything is opened, and is in the bundle. ValueError for more than 10,000 matches
    or a pinned size beyond the log; NothingKnown; LogUnavailable, LogCorrupt, SealBroken. What was erased is left closed.
    """
    size, _ = await log.head()
    if any(not 0 < pinned <= size for pinned in pinned_sizes):
        raise ValueError("a pinned checkpoint is ahead of this log: stop, and ask why")
    wanted = Filter() if query is None else await filter_of(log, query)
    matches = range(size) if query is None else await _matches(log, wanted, size)
    asked: dict[str, Plain] = {"whole": query is None, "records": len(matches), "revealed": reveal, **flat(wanted)}
    record = await question(log, RecordKind.AUDIT_EXPORT, why, asked)
    if wanted.customer == NOBODY or (sequence_of(wanted) is not None and not matches):
        raise NothingKnown
    facts: dict[str, str | int] = {"purpose": why.purpose, "case": why.case_id, "auditor": why.auditor, "export_record": record}
    if (name := sequence_of(wanted)) is not None:
        facts[f"complete_{name}"] = str(wanted.named()[name])
    contents = Contents(
        indexes=None if query is None else [*matches, record],
        disclosures=await _opened(log, matches) if reveal else {},
        policy_files=policy_files or {},
        pinned_sizes=pinned_sizes,
        facts=facts,
    )
    return Exported(await bundle(log, contents), len(matches), record)


async def _matches(log: Log, wanted: Filter, size: int) -> list[int]:
    rows = await log.read_long(lambda reads: find(reads.connection, wanted, size, -1, SELECTED_MOST))
    found = [row.idx for row in rows]
    if len(found) == SELECTED_MOST:
        raise ValueError(f"a selection has fewer than {SELECTED_MOST} records: narrow the question, or export the whole log")
    return found


async def _opened(log: Log, indexes: Sequence[int]) -> dict[int, dict[str, str]]:
    opened = {}
    for index in indexes:
        try:
            opened[index] = await open_sealed(log, index)
        except (NotSealed, KeyDestroyed):
            continue
    return opened


async def bundle(log: Log, contents: Contents) -> bytes:
    """Publish a checkpoint and build the zip under it. ValueError for an index beyond it or too much; LogCorrupt as `publish`."""
    note = await log.publish(force=True)
    if note is None:
        raise ValueError("the log is empty")
    return await log.read_long(lambda reads: _build(log, reads, contents, note))


def tlog_proof(index: int, hashes: Sequence[bytes], note: str) -> bytes:
    """C2SP tlog-proof: an inclusion proof and the checkpoint that it is under."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *(base64.b64encode(item).decode() for item in hashes), "", note]
    return "\n".join(lines).encode()


def _build(log: Log, reads: Reads, contents: Contents, note: str) -> bytes:
    size = int(Note.parse(note.encode()).text.split("\n")[1])
    whole = contents.indexes is None
    if any(verify.MEMBER.fullmatch(name) is None for name in contents.policy_files):
        raise ValueError("the name of a policy file could lead out of its folder")
    chosen = range(size) if contents.indexes is None else sorted(set(contents.indexes))
    if not whole and len(chosen) > SELECTED_MOST:
        raise ValueError(f"a selection has at most {SELECTED_MOST} records")
    if not chosen or chosen[-1] >= size:
        raise ValueError("no such record")
    members = {
        "README.md": README.encode(),
        "verify.py": _VERIFIER,
        "trust.json": trust_policy(log),
        "leaves.txt": b"".join(b"%d %b\n" % (item.idx, item.leaf) for item in _stored(reads, chosen)),
        "disclosures.txt": _disclosures(contents.disclosures),
        f"checkpoints/{size:016d}.note": note.encode(),
        **{f"policy/{name}": content for name, content in contents.policy_files.items()},
    }
    if not whole:
        nodes = Nodes(reads, size)
        for index in chosen:
            members[f"proofs/{index:016d}.tlog-proof"] = tlog_proof(index, inclusion_proof(index, size, nodes), note)
    _add_earlier(reads, members, size, contents)
    if sum(map(len, members.values())) > BUNDLE_MOST:
        raise ValueError("the bundle would be larger than 1 GiB: export selections")
    manifest = {
        **contents.facts,
        "v": 1,
        "origin": log.origin,
        "created": rfc3339(log.now()),
        "size": size,
        "whole": whole,
        "records": len(chosen),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
    }
    signer = named(f"{log.origin}/exports", log.signers.exports)
    members["manifest.note"] = sign_note(_json(manifest).decode() + "\n", [signer]).encode().encode()
    return verify.pack(members)


def _add_earlier(reads: Reads, members: dict[str, bytes], size: int, contents: Contents) -> None:
    for earlier in reads.earlier_checkpoints(size, EARLIER_CHECKPOINTS_MOST):
        members[f"checkpoints/{earlier.size:016d}.note"] = earlier.note.encode()
    if contents.indexes is None:
        return
    named_sizes = {int(name[12:28]) for name in members if name.startswith("checkpoints/")}
    for old in sorted(named_sizes.union(contents.pinned_sizes)):
        if 0 < old < size:
            hashes = consistency_proof(old, size, Nodes(reads, size))
            proof = "".join(f"{base64.b64encode(item).decode()}\n" for item in hashes)
            members[f"consistency/{old:016d}-{size:016d}.txt"] = proof.encode()


def _stored(reads: Reads, chosen: Sequence[int]) -> Iterable[StoredLeaf]:
    if isinstance(chosen, range):
        yield from reads.leaves(chosen.start, chosen.stop)
        return
    for index in chosen:
        found = reads.leaf(index)
        if found is None:
            raise LogCorrupt("a leaf is missing")
        yield found


def _disclosures(given: Mapping[int, Mapping[str, str]]) -> bytes:
    lines = [f"{index} {path} {text}\n" for index in sorted(given) for path, text in sorted(given[index].items())]
    return "".join(lines).encode()


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
