"""Verifies an evidence bundle of a Tellergate log. One file: the standard library and `cryptography` alone.

    python verify.py BUNDLE [--json] [--trust FILE] [--pinned CHECKPOINT] [--after-checkpoint CHECKPOINT] [--witness VKEY ...]

Exit status 0: everything held; 1: a finding; 2: wrong usage, or a file of yours that cannot be read for what it is. The bundle is read
as a stream: memory grows with customers, conversations and open intents, not with records. The steps, in the order of the code:

 1. The file is a zip exactly as the export writes it. Headers and directory are made again from its members and compared byte by
    byte, so that no byte of it can be ignored: no comment, no extra field, no time stamp, nothing between or behind the members.
 2. The keys: from `--trust`, which you got on another way than the bundle; else the bundle's own, and then a bundle that somebody
    signed with keys of their own looks good. Compare the printed fingerprints. A key that was rotated is followed, from whichever one
    is trusted, by statements that the older and the newer key signed both; each is on record in the log.
 3. The manifest is signed by the export key, and lists every member but itself with its size and SHA-256.
 4. Every checkpoint is of this log and signed by every key of the log (Ed25519, and ML-DSA-44, whose signature states the time); by the
    ones of that time. With `--witness` one at least is cosigned (C2SP tlog-cosignature) by enough of these witnesses.
 5. Every record keeps each rule of `RULES`, by itself and beside those before it.
 6. The tree: of a whole log the root is computed again at the size of each checkpoint; what follows a checkpoint continues its tree;
    of a selection each record has an inclusion proof (RFC 6962) under the last checkpoint.
 7. Order: each earlier checkpoint, and the pinned one, is a prefix of the last (computed again, or a consistency proof).
 8. Freshness: the last checkpoint was at most 60 seconds old when the bundle was made.
 9. Disclosures hash to the commitments in their records.
10. Policies: each bundle of rules in `policy/` has the hash under which it decided. What nobody read is named.

A tail that was cut from a bundle is found by 3, 4 and 6. A shorter log that the bank signs again, consistently, is found by a
pinned checkpoint (a copy that you kept) or by a witness, and by nothing else.

With `--after-checkpoint` a bundle of what follows a checkpoint that you verified before is verified alone. What it refers to from
before (the number before a sequence's next, the intent of an end, the activation of a policy) is in it, with inclusion proofs.
"""

import argparse
import base64
import hashlib
import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

VERSION = 2
VERDICTS = ("integrity", "authenticity", "order", "freshness", "completeness", "disclosure")
FRESH_S = 60
AHEAD_MOST_S = 60
BACK_MOST_S = 900
OPEN_MOST_S = 900
FINDINGS_MOST = 100
MEMBER_MOST = 2**24
MEMBERS_MOST = 1_000_000
OWN_FILE_MOST = 2**16
DEEP_MOST = 100
MEMBER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", re.ASCII)
KEY_NAME = re.compile(r"[!-*,-~]{1,255}", re.ASCII)
INDEX = re.compile(rb"0|[1-9][0-9]{0,15}", re.ASCII)
MANIFEST = "manifest.note"
STAMP = re.compile(r"timestamps/[0-9]{16}-[0-9]\.(note|tsr)", re.ASCII)
STAMPS_UNCHECKED = " time stamps (RFC 3161), not checked"
FOR_PEOPLE = frozenset({"README.md", "verify.py", MANIFEST})
Json = dict[str, object]
Test = Callable[[object], bool]
Steps = Sequence[Callable[["Bundle", "Report"], None]]

RULES: Mapping[str, tuple[str, str]] = {
    "form": ("integrity", "a record is canonical JSON (RFC 8785) of at most 65,535 bytes"),
    "fields": ("integrity", "a record has known fields, kinds, decisions and end states only, nested ones too, each of its shape"),
    "needed": (
        "integrity",
        "a record has what every record needs, and its kind: an end its call and intent, an intent its instruction",
    ),
    "log": ("integrity", "a record is of the log of its range; the first of a successor says which log it follows, and from where"),
    "state": ("integrity", "an end state is one of its kind"),
    "sealed": ("integrity", "what is committed is sealed, and nothing is sealed without a commitment"),
    "backwards": ("order", "no record is more than 15 minutes older than one before it"),
    "ahead": ("order", "no record is more than 60 seconds younger than the checkpoint over it"),
    "customer": ("completeness", "the records of a customer count from 1 without a gap"),
    "conversation": ("completeness", "the records of a conversation count from 1 without a gap"),
    "activated": ("integrity", "what decided was activated by an earlier record"),
    "rotated": ("authenticity", "a rotation of a signing key is signed by the key before it and by the new one"),
    "end": ("integrity", "an end names, by index and hash, an earlier intent that is open; only `reconciled` follows `unknown`"),
    "call": ("integrity", "an end is of the call of its intent"),
    "open": ("completeness", "no intent is without an end for more than 15 minutes"),
}
"""What records must keep: the verdict that a breach belongs to, and the rule. The bank's own check has the same ones."""


class Finding(Exception):
    """Something does not hold. The first argument is the verdict that it belongs to."""


class InputUnreadable(Exception):
    """A file of the auditor's own (`trust`, `pinned` or `after`, the first argument) is not what it should be; the second says why."""


@dataclass
class Report:
    """What was found. `checked` are the verdicts that hold a statement; the others are not claimed by this bundle."""

    findings: list[tuple[str, str]] = field(default_factory=list)
    checked: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    facts: Json = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.findings

    def find(self, verdict: str, what: str) -> None:
        if len(self.findings) < FINDINGS_MOST:
            self.findings.append((verdict, what))

    def verdict(self, name: str) -> str:
        if any(verdict == name for verdict, _ in self.findings):
            return "finding"
        return "good" if name in self.checked else "not claimed"

    def as_json(self) -> Json:
        return {
            "good": self.good,
            "verdicts": {name: self.verdict(name) for name in VERDICTS},
            "findings": [{"verdict": verdict, "what": what} for verdict, what in self.findings],
            "notes": self.notes,
            **self.facts,
        }


@dataclass(frozen=True)
class Entry:
    """A member of the zip: where its header is, its content's size in bytes, CRC-32 and SHA-256."""

    name: str
    offset: int
    size: int
    crc: int
    sha256: str


@dataclass
class Bundle:
    """The members, and what the steps learn from them."""

    file: BinaryIO
    entries: Mapping[str, Entry]
    told: Callable[[int, int], None]
    read_names: set[str] = field(default_factory=set)
    origin: str = ""
    origins: Sequence[str] = ()
    predecessors: Sequence[tuple[str, int]] = ()
    manifest: Json = field(default_factory=dict)
    trust: Mapping[str, list["Key"]] = field(default_factory=dict)
    successions: Mapping[str, list["Succession"]] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    newest: bytes = b""
    time_s: int = 0
    size: int = 0
    after: int = 0
    witnesses: Sequence["Key"] = ()
    decided: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        return self.manifest["whole"] is True

    def in_line(self, index: int, found: Json) -> bool:
        """Whether a record is of the log of its range, and the first of a range says which log it follows."""
        facts = found.get("facts")
        said = [facts.get(name) for name in ("word", "predecessor", "size")] if type(facts) is dict else [None] * 3
        follows = found["kind"] == "admin" and said[0] == "log_succeeds" and type(said[2]) is int and (said[1], said[2])
        ended = [each for each in self.predecessors if each[1] == index]
        return ended in ([], [follows]) and found["log"] == next(
            (name for name, end in self.predecessors if index < end), self.origin
        )

    def read(self, name: str) -> bytes:
        """A member's content, looked at again: what is read is what was hashed."""
        entry = self.entries.get(name)
        if entry is None:
            raise Finding("integrity", f"the member {name} is absent")
        self.file.seek(entry.offset + 30 + len(name))
        content = self.file.read(entry.size)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise Finding("integrity", f"the member {name} changed while it was read")
        self.read_names.add(name)
        return content

    def lines(self, folder: str) -> Iterator[bytes]:
        """The lines of the parts of a list, which are numbered from 0."""
        for number in range(len(self.entries)):
            name = f"{folder}/{number:06d}.txt"
            if name not in self.entries:
                return
            yield from lines_of(self.read(name))


def verify(
    source: bytes | Path,
    *,
    trust: bytes | None = None,
    pinned: bytes | None = None,
    after: bytes | None = None,
    witnesses: Sequence["Key"] = (),
    quorum: int | None = None,
    further: Steps = (),
    told: Callable[[int, int], None] = lambda done, all_of: None,
) -> Report:
    """Verify a bundle against a trust policy, a pinned checkpoint and the one that it continues, each optional. InputUnreadable for one
    of these three, OSError for a file that cannot be read; nothing else. `quorum`: so many of the witnesses with these keys must have
    cosigned a checkpoint; None: all. `further` steps come last. `told` hears of records done, and of how many.
    """
    report = Report()
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            bundle = Bundle(file, walk(file), told, witnesses=witnesses)  # 1
            step_keys(bundle, trust, report)  # 2
            step_rotations(bundle, report)
            step_manifest(bundle)  # 3
            step_checkpoints(bundle, pinned, after, report)  # 4
            if witnesses:
                step_witnesses(bundle, quorum, report)
            step_records(bundle, report)  # 5, 6 and 9
            for step in (step_order, step_freshness, step_policies, *further):  # 7, 8 and 10
                step(bundle, report)
        except Finding as finding:
            report.find(finding.args[0], finding.args[1])
        except (ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError, struct.error, OverflowError) as error:
            report.find("integrity", f"malformed beyond reading ({type(error).__name__})")
    return report


# 1. The file.


def local_header(name: str, content: bytes) -> bytes:
    """What stands before a member: stored, dated 1980-01-01, without extra fields."""
    return b"PK\x03\x04" + _common(20, zlib.crc32(content), len(content), name, 0) + name.encode()


def directory(entries: Sequence[Entry], start: int) -> bytes:
    """What stands behind the members, which end at `start`; in ZIP64 where a number does not fit otherwise."""
    body = bytearray()
    for entry in entries:
        far = entry.offset >= 2**32 - 1
        extra = struct.pack("<HHQ", 1, 8, entry.offset) if far else b""
        body += b"PK\x01\x02" + struct.pack("<H", 0x314) + _common(45 if far else 20, entry.crc, entry.size, entry.name, len(extra))
        body += struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, min(entry.offset, 2**32 - 1)) + entry.name.encode() + extra
    count, size = len(entries), len(body)
    if count >= 2**16 - 1 or max(start, size) >= 2**32 - 1:
        end = struct.pack("<QHHIIQQQQ", 44, 0x32D, 45, 0, 0, count, count, size, start)
        body += b"PK\x06\x06" + end + b"PK\x06\x07" + struct.pack("<IQI", 0, start + size, 1)
        count, size, start = 2**16 - 1, 2**32 - 1, 2**32 - 1
    return bytes(body + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, size, start, 0))


def _common(needs: int, crc: int, size: int, name: str, extra: int) -> bytes:
    return struct.pack("<HHHHHIIIHH", needs, 0x800, 0, 0, 0x21, crc, size, size, len(name.encode()), extra)


def walk(file: BinaryIO) -> dict[str, Entry]:
    """Every member, sorted by name but for the manifest at the end; nothing else is in the file."""
    found: dict[str, Entry] = {}
    at, last = 0, ""
    while (head := file.read(30)).startswith(b"PK\x03\x04") and len(head) == 30:
        size, label = struct.unpack("<IH", head[22:28])
        if size > MEMBER_MOST or len(found) >= MEMBERS_MOST:
            raise Finding("integrity", "1. a member larger, or more members, than an export writes")
        name, content = file.read(label).decode(), file.read(size)
        if MEMBER.fullmatch(name) is None:
            raise Finding("integrity", "1. a member whose name could lead out of the folder")
        if head + name.encode() != local_header(name, content) or len(content) != size:
            raise Finding("integrity", "1. a member's header is not what its content gives")
        if MANIFEST in found or (name <= last and name != MANIFEST):
            raise Finding("integrity", "1. members are doubled, or not in their order")
        found[name] = Entry(name, at, size, zlib.crc32(content), hashlib.sha256(content).hexdigest())
        at, last = at + 30 + label + size, name
    expected = directory(list(found.values()), at)
    if not found or head + file.read(len(expected)) != expected:
        raise Finding("integrity", "1. not a zip as the export writes it: bytes behind the members are not what these give")
    return found


# 2. The keys.


@dataclass(frozen=True)
class Key:
    """A public key of C2SP signed notes: type 1 is Ed25519, type 4 a witness's, type 6 ML-DSA-44."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def verify(self, signature: bytes, message: bytes) -> None:
        try:
            if self.kind in (1, 4):
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise Finding("authenticity", f"a signature of {self.name} (type {self.kind}) does not verify") from None


def parse_key(text: str, kinds: Sequence[int] = (1, 6)) -> Key:
    """A vkey: name, id and material with a plus between."""
    name, key_id, material = [*text.split("+", 2), "", ""][:3]
    try:
        raw = unb64(material)
    except (Finding, ValueError):
        raw = b""
    key = Key(name, raw[0] if raw else 0, raw[1:])
    if KEY_NAME.fullmatch(name) is None or key.kind not in kinds or (key.kind != 6 and low_order(key.public)):
        raise Finding("authenticity", "2. a key that cannot be used")
    if key.id.hex() != key_id:
        raise Finding("authenticity", "2. a key that cannot be used: its id is another's")
    return key


def low_order(public: bytes) -> bool:
    """Under a point of order 1, 2, 4 or 8 anything verifies; so may what is not reduced below the field's prime."""
    prime = 2**255 - 19
    y = int.from_bytes(public, "little") & (2**255 - 1)
    eighth = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
    return len(public) != 32 or y >= prime or y in (0, 1, prime - 1, eighth, prime - eighth)


def step_keys(bundle: Bundle, trust: bytes | None, report: Report) -> None:
    own = load(bundle.read("trust.json"))
    if trust is None:
        found = own
        use_keys(bundle, own)
        report.notes.append("no --trust: verified against the bundle's own keys; compare their fingerprints")
    else:
        found = own_file("trust", trust, plain_object)
        own_file("trust", trust, lambda _: use_keys(bundle, found))
        if canonical(found) != canonical(own):
            report.notes.append("the bundle's own trust policy differs from the one given; the given one was used")
    keys = [*bundle.trust["log"], *bundle.trust["exports"]]
    report.facts["keys"] = [{"name": key.name, "type": key.kind, "sha256": hashlib.sha256(key.public).hexdigest()} for key in keys]


def use_keys(bundle: Bundle, found: Json) -> None:
    if whole_number(found["v"]) != 1:
        raise Finding("authenticity", "2. the trust policy is of another version")
    bundle.origin = text_of(found["origin"])
    if KEY_NAME.fullmatch(bundle.origin) is None:
        raise Finding("authenticity", "2. the trust policy names no log")
    bundle.predecessors = continued(found.get("predecessors", []), bundle.origin)
    bundle.origins = [bundle.origin, *(name for name, _ in bundle.predecessors)]
    bundle.trust = {role: [parse_key(each) for each in texts_of(found[role])] for role in ("log", "exports")}
    if not bundle.trust["exports"] or {1, 6} - {key.kind for key in bundle.trust["log"]}:
        raise Finding("authenticity", "2. the trust policy lacks a key")


def continued(found: object, origin: str) -> list[tuple[str, int]]:
    """The logs that this one continues, each with the index at which it ended: in their order, none twice."""
    given = (
        found if type(found) is list and all(type(each) is dict and each.keys() == {"origin", "until"} for each in found) else [{}]
    )
    line = [(text_of(each.get("origin", "")), whole_number(each.get("until", 0))) for each in given]
    names, ends = [origin, *(name for name, _ in line)], [0, *(end for _, end in line)]
    if not all(map(KEY_NAME.fullmatch, names)) or len(set(names)) != len(names) or ends != sorted(set(ends)):
        raise Finding("authenticity", "2. the trust policy does not say in order which logs this one continues")
    return line


def own_file(name: str, raw: bytes, read: Callable[[str], Json | None]) -> Json:
    """What `read` makes of a file of the auditor's own. InputUnreadable where it makes nothing of it."""
    try:
        return read(own_text(raw)) or {}
    except Finding as finding:
        raise InputUnreadable(name, finding.args[1]) from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise InputUnreadable(name, "it is damaged, or something else") from None


def own_text(raw: bytes) -> str:
    """Whatever an editor or a mail made of its spelling: UTF-16, a byte order mark, CRLF, empty lines. UnicodeError, a ValueError."""
    text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig").replace("\r\n", "\n")
    return text.strip("\n") + "\n"


Succession = list[tuple[int, Key]]
"""The keys of one duty in their order, each with the second since 1970 at which it began."""


def read_rotation(raw: bytes, *origins: str) -> tuple[int, Key, Key]:
    """When the new key begins, the older one and the new one, after both signatures verified."""
    text, signatures = read_note(raw)
    head, _, begins, old, new = [*text.decode().split("\n"), *[""] * 4][:5]
    known = [f"{origin}/rotation" for origin in origins]
    if head not in known or re.fullmatch(r"[1-9][0-9]{0,15}", begins, re.ASCII) is None or text.count(b"\n") != 5:
        raise Finding("authenticity", "2. not a rotation of a key of this log")
    keys = parse_key(old), parse_key(new)
    if (keys[0].name, keys[0].kind) != (keys[1].name, keys[1].kind) or keys[0] == keys[1] or len(signatures) != 2:
        raise Finding("authenticity", "2. a rotation leads from one key to another of its kind, and both sign it")
    for key, (name, key_id, blob) in zip(keys, signatures, strict=True):
        signer = Key(head, key.kind, key.public)
        if (name, key_id) != (signer.name, signer.id):
            raise Finding("authenticity", "2. a rotation is signed by the older key first, then by the new one")
        signer.verify(blob, text if key.kind == 1 else b"tellergate/rotation/v1\n\x00" + text)
    return int(begins), *keys


def step_rotations(bundle: Bundle, report: Report) -> None:
    names = [name for name in bundle.entries if name.startswith("rotations/")]
    rotations = [read_rotation(bundle.read(name), *bundle.origins) for name in names]
    after, before = {old: (begins, new) for begins, old, new in rotations}, {new: (begins, old) for begins, old, new in rotations}
    if not len(after) == len(before) == len(set(rotations)):
        raise Finding("authenticity", "2. two keys follow the same one, or one follows two")
    bundle.successions = {role: [succession(key, after, before) for key in keys] for role, keys in bundle.trust.items()}
    for line in (line for lines in bundle.successions.values() for line in lines if len(line) > 1):
        digest = hashlib.sha256(line[-1][1].public).hexdigest()
        report.notes.append(f"{line[0][1].name} (type {line[0][1].kind}) was rotated; its last key has the SHA-256 {digest}")


def succession(key: Key, after: Mapping[Key, tuple[int, Key]], before: Mapping[Key, tuple[int, Key]]) -> Succession:
    """Every key before and after the one that is trusted."""
    line = [(0, key)]
    while line[-1][1] in after and len(line) <= len(after):
        line.append(after[line[-1][1]])
    while line[0][1] in before and len(line) <= 2 * len(after):
        begins, old = before[line[0][1]]
        line[:1] = [(0, old), (begins, line[0][1])]
    if [begins for begins, _ in line] != sorted({begins for begins, _ in line}):
        raise Finding("authenticity", "2. keys do not follow each other in time")
    return line


def key_at(line: Succession, time_s: float) -> Key:
    """The key of this duty at this time; the first one for any time before it."""
    return next((key for begins, key in reversed(line) if begins <= time_s), line[0][1])


# 3. The manifest.


def read_note(raw: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    text, _, tail = raw.decode().rpartition("\n\n")
    signatures = []
    for line in tail.removesuffix("\n").split("\n"):
        dash, name, blob = line.split(" ")
        decoded = unb64(blob)
        signatures.append((name, decoded[:4], decoded[4:]))
        if dash != "—":
            raise Finding("integrity", "a note is malformed")
    again = f"{text}\n\n" + "".join(f"— {name} {base64.b64encode(key + blob).decode()}\n" for name, key, blob in signatures)
    if again.encode() != raw:
        raise Finding("integrity", "a note is not in canonical form")
    return text.encode() + b"\n", signatures


def signature_by(key: Key, signatures: Sequence[tuple[str, bytes, bytes]]) -> bytes:
    found = [blob for name, key_id, blob in signatures if name == key.name and key_id == key.id]
    if len(found) != 1 or len(signatures) > 16:
        raise Finding("authenticity", f"the signature of {key.name} (type {key.kind}) is absent or doubled")
    return found[0]


def step_manifest(bundle: Bundle) -> None:
    text, signatures = read_note(bundle.read(MANIFEST))
    made_s = made_at(load(text[:-1])) if any(len(line) > 1 for line in bundle.successions["exports"]) else 0
    for line in bundle.successions["exports"]:
        key = key_at(line, made_s)
        key.verify(signature_by(key, signatures), text)
    if len(signatures) != len(bundle.trust["exports"]):
        raise Finding("integrity", "3. the manifest bears a signature of an unknown key")
    manifest = bundle.manifest = load(text[:-1])
    if whole_number(manifest["v"]) != VERSION:
        raise Finding("integrity", "3. a bundle of another version than this verifier's")
    given = {entry.name: {"bytes": entry.size, "sha256": entry.sha256} for entry in bundle.entries.values()}
    del given[MANIFEST]
    if manifest["files"] != given or not plain_numbers(manifest["files"]):
        raise Finding("integrity", "3. the members are not those of the manifest")
    if manifest["origin"] != bundle.origin:
        raise Finding("authenticity", "3. the manifest is of another log than the trust policy")
    bundle.size, bundle.after = whole_number(manifest["size"]), whole_number(manifest["after"])
    if type(manifest["whole"]) is not bool or not bundle.after < bundle.size or (bundle.after and not bundle.whole):
        raise Finding("integrity", "3. the manifest does not say which records these are")


def made_at(manifest: Json) -> float:
    """When the manifest was made, in seconds since 1970."""
    if not real_time(manifest.get("created")):
        raise Finding("integrity", "8. the manifest does not say when it was made")
    return seconds(text_of(manifest["created"]))


def plain_numbers(files: object) -> bool:
    """True is 1 to a comparison: sizes must be numbers."""
    return type(files) is dict and all(type(each) is dict and type(each["bytes"]) is int for each in files.values())


# 4. Checkpoints.


def read_checkpoint(raw: bytes, bundle: Bundle) -> tuple[int, bytes, int]:
    """Size, root and time in seconds, after every signature verified."""
    text, signatures = read_note(raw)
    origin, decimal, encoded = [*text.decode().split("\n"), "", ""][:3]
    if origin != bundle.origin or re.fullmatch(r"0|[1-9][0-9]{0,18}", decimal, re.ASCII) is None or text.count(b"\n") != 3:
        raise Finding("authenticity", "4. not a checkpoint of this log")
    size, root = int(decimal), hash_of(encoded)
    lines, time_s = bundle.successions["log"], 0
    stating = {key.id for line in lines for _, key in line if key.kind == 6}
    stated_s = next((int.from_bytes(blob[:8]) for _, key_id, blob in signatures if key_id in stating), 0)
    for key in (key_at(line, stated_s) for line in lines):
        blob = signature_by(key, signatures)
        if key.kind == 1:
            key.verify(blob, text)
        else:
            time_s = int.from_bytes(blob[:8])
            key.verify(blob[8:], cosigned(key.name, time_s, origin, size, root))
    return size, root, time_s


def cosigned(name: str, time_s: int, origin: str, size: int, root: bytes) -> bytes:
    """C2SP tlog-cosignature: label, cosigner, time, log, and the subtree from 0 to size."""
    head = b"subtree/v1\n\x00" + bytes([len(name)]) + name.encode() + time_s.to_bytes(8)
    return head + bytes([len(origin)]) + origin.encode() + (0).to_bytes(8) + size.to_bytes(8) + root


def step_witnesses(bundle: Bundle, quorum: int | None, report: Report) -> None:
    """The newest checkpoint that enough witnesses cosigned, each by all of its keys; what other steps say of it they say in any case."""
    names, newest = {key.name for key in bundle.witnesses}, 0
    for name in (name for name in bundle.entries if name.startswith("checkpoints/")):
        text, signatures = read_note(bundle.read(name))
        origin, decimal, encoded, _ = text.decode().split("\n")
        lacking = set()
        for key in bundle.witnesses:
            try:
                blob = signature_by(key, signatures)
                time_s, signed = int.from_bytes(blob[:8]), b"cosignature/v1\ntime %d\n%b" % (int.from_bytes(blob[:8]), text)
                head = signed if key.kind == 4 else cosigned(key.name, time_s, origin, int(decimal), hash_of(encoded))
                key.verify(blob[8:], head)
            except Finding:
                lacking.add(key.name)
        newest = int(decimal) if len(names - lacking) >= (len(names) if quorum is None else quorum) else newest
    report.facts["witnessed_size"] = newest
    if not newest:
        raise Finding("order", "4. no checkpoint of this bundle is cosigned by enough of the witnesses")
    if newest < bundle.size:
        report.notes.append(f"the witnesses cosigned {newest} of {bundle.size} records; what follows is on the bank's word")


def kept_checkpoint(name: str, raw: bytes, bundle: Bundle) -> tuple[int, bytes]:
    """One that the auditor kept. Damaged: InputUnreadable. Whole, and signed by other keys than the bundle: a finding."""
    notes: list[bytes] = []
    own_file(name, raw, lambda text: notes.append(text.encode()) if read_note(text.encode()) else None)
    text, signatures = read_note(notes[0])
    if text.count(b"\n") != 3:
        raise InputUnreadable(name, "it is no checkpoint")
    known = {(key.name, key.id) for line in bundle.successions["log"] for _, key in line}
    if known.isdisjoint((signer, key_id) for signer, key_id, _ in signatures):
        raise Finding("authenticity", f"4. the {name} checkpoint is of another log, or signed by other keys than this bundle's")
    try:
        return read_checkpoint(notes[0], bundle)[:2]
    except (Finding, ValueError) as error:
        raise InputUnreadable(name, f"it is damaged ({error.args[-1]})") from None


def step_checkpoints(bundle: Bundle, pinned: bytes | None, after: bytes | None, report: Report) -> None:
    last = 0
    for name in bundle.entries:
        if name.startswith("checkpoints/"):
            size, root, time_s = read_checkpoint(bundle.read(name), bundle)
            if name != f"checkpoints/{size:016d}.note" or size == 0:
                raise Finding("integrity", "4. a checkpoint under another's name")
            bundle.checkpoints[size], bundle.newest, bundle.time_s, last = root, root, time_s, size
    if last != bundle.size:
        raise Finding("order", "4. the last checkpoint is not the manifest's")
    report.facts |= {"origin": bundle.origin, "size": bundle.size, "root": bundle.newest.hex()}
    for name, raw in (("pinned", pinned), ("after", after)):
        if raw is not None:
            size, root = kept_checkpoint(name, raw, bundle)
            if size > bundle.size or bundle.checkpoints.get(size, root) != root:
                raise Finding("order", f"4. the {name} checkpoint is ahead of this log, or of another history")
            if size:
                bundle.checkpoints[size] = root
            if name == "after" and bundle.after not in (0, size):
                raise Finding("order", f"4. this bundle continues checkpoint {bundle.after}, not the one of --after-checkpoint")
    if bundle.after and after is None:
        raise Finding(
            "order", f"4. this bundle continues checkpoint {bundle.after}: give the one that you verified, --after-checkpoint"
        )
    if pinned is None and after is None:
        report.notes.append("no --pinned: a shorter log that the bank signed again would not be found")
    report.checked.add("authenticity")


# 5. Records.


def matches(pattern: str) -> Test:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: type(value) is str and compiled.fullmatch(value) is not None


def at_least(least: int) -> Test:
    return lambda value: type(value) is int and least <= value < 2**53


def one_of(words: str) -> Test:
    allowed = frozenset(words.split())
    return lambda value: type(value) is str and value in allowed


def label(value: object) -> bool:
    return type(value) is str and 0 < len(value) <= 255


def texts(value: object) -> bool:
    return type(value) is list and all(type(each) is str for each in value)


def shown(value: object) -> bool:
    """What stands in clear: a text, a list of texts, a whole number below 2**53, yes, no or nothing."""
    return value is None or type(value) in (str, bool) or texts(value) or (type(value) is int and abs(value) < 2**53)


def real_time(value: object) -> bool:
    """RFC 3339 in UTC with six digits, of a day that there is."""
    try:
        return TIME(value) and datetime.fromisoformat(str(value)) is not None
    except ValueError:
        return False


def an_object(parts: Mapping[str, Test]) -> Test:
    """With exactly these members; `?` behind a name: it may be absent."""
    needed = frozenset(name for name in parts if not name.endswith("?"))
    tests = {name.removesuffix("?"): test for name, test in parts.items()}

    def test(value: object) -> bool:
        if type(value) is not dict or not needed <= value.keys():
            return False
        return all(name in tests and tests[name](each) for name, each in value.items())

    return test


def a_map(test: Test) -> Test:
    return lambda value: type(value) is dict and all(NAME(name) and test(each) for name, each in value.items())


def one_form(value: object) -> bool:
    """A value of a call: committed, public or masked, and never two of these."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((form, content),) = value.items()
    return bool(FORMS[form](content)) if form in FORMS else False


DIGEST, NAME, ID = matches("[A-Za-z0-9_-]{43}"), matches("[A-Za-z][A-Za-z0-9_.-]{0,63}"), matches("[!-~]{1,255}")
HASH, TIME = matches("[0-9a-f]{64}"), matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}\.[0-9]{6}Z")
FORMS: Mapping[str, Test] = {"commitment": DIGEST, "public": shown, "masked": lambda value: type(value) is str}
COMMITTED = an_object({"commitment": DIGEST})
SHAPES: Mapping[str, Test] = {
    "v": lambda value: type(value) is int and value == 1,
    "log": ID,
    "writer": ID,
    "kind": one_of(
        "deny read intent outcome unknown reconciled confirmation policy.activate key.rotate key.destroy hold.place hold.release "
        "audit.query audit.reveal audit.export admin census log.start log.stop"
    ),
    "time": real_time,
    "retention": matches(r"P(?=[0-9])([1-9][0-9]{0,3}Y)?([1-9][0-9]{0,3}M)?([1-9][0-9]{0,4}D)?"),
    "call": ID,
    "parent": ID,
    "conversation": ID,
    "conversation_seq": at_least(1),
    "customer": ID,
    "customer_seq": at_least(1),
    "trace": an_object({"id": matches("[0-9a-f]{32}"), "span": matches("[0-9a-f]{16}")}),
    "actor": an_object({"agent?": label, "model?": label, "on_behalf_of?": label}),
    "approver": an_object({"id": label, "saw": COMMITTED}),
    "function": an_object({"name": NAME, "version": at_least(1), "schema": HASH}),
    "policy": an_object(
        {
            "bundle": HASH,
            "version": label,
            "decision": one_of("permit challenge deny"),
            "policies": texts,
            "reason": label,
            "obligations": texts,
        }
    ),
    "sca": an_object({"level": label, "method": label, "confirmation?": ID, "exemption?": label, "evidence?": COMMITTED}),
    "arguments": a_map(one_form),
    "result": a_map(one_form),
    "sealed": an_object({"digest": DIGEST, "fields": a_map(COMMITTED)}),
    "grounding": a_map(label),
    "facts": a_map(shown),
    "timings": a_map(at_least(0)),
    "redaction": label,
    "instruction": COMMITTED,
    "core_key": COMMITTED,
    "intent": an_object({"index": at_least(0), "leaf": DIGEST}),
    "end_state": one_of("executed rejected_by_core not_attempted outcome_unknown"),
}
"""Each field, and the test of its value."""

ALWAYS = ("v", "log", "writer", "kind", "time", "retention")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "deny": ("call", "customer"),
    "read": ("call", "customer", "function"),
    "intent": ("call", "customer", "function", "instruction"),
    "outcome": ("call", "intent", "end_state"),
    "unknown": ("call", "intent", "end_state"),
    "reconciled": ("call", "intent", "end_state"),
    "policy.activate": ("facts",),
    "key.rotate": ("facts",),
    "audit.query": ("actor", "facts"),
    "audit.reveal": ("actor", "facts"),
    "audit.export": ("actor", "facts"),
    "census": ("facts",),
}
FINAL = frozenset({"executed", "rejected_by_core", "not_attempted"})
STATES = {"outcome": FINAL, "unknown": frozenset({"outcome_unknown"}), "reconciled": FINAL}


def commits(found: Json) -> bool:
    """Whether anything in the record is a commitment."""
    sealed, sca = found.get("sealed"), found.get("sca")
    values = [value for name in ("arguments", "result") if type(part := found.get(name)) is dict for value in part.values()]
    return (
        not found.keys().isdisjoint(("instruction", "core_key", "approver"))
        or (type(sealed) is dict and bool(sealed["fields"]))
        or (type(sca) is dict and "evidence" in sca)
        or any("commitment" in value for value in values)
    )


def broken(leaf: bytes, index: int, bundle: Bundle) -> tuple[Json, list[str]]:
    """The record, and the rules that it breaks by itself."""
    try:
        found = json.loads(leaf)
        if type(found) is not dict or len(leaf) > 65_535:
            return {}, ["form"]
        if not all(name in SHAPES and SHAPES[name](value) for name, value in found.items()):
            return {}, ["fields"]
        if canonical(found) != leaf:
            return {}, ["form"]
    except (ValueError, RecursionError):
        return {}, ["form"]
    if not {*ALWAYS, *NEEDS.get(str(found.get("kind")), ())} <= found.keys():
        return {}, ["needed"]
    if any((name in found) != (f"{name}_seq" in found) for name in ("customer", "conversation")):
        return {}, ["needed"]
    rules = [] if bundle.in_line(index, found) else ["log"]
    if "end_state" in found and found["end_state"] not in STATES.get(str(found["kind"]), ()):
        rules.append("state")
    if commits(found) != ("sealed" in found):
        rules.append("sealed")
    return found, rules


@dataclass
class Intent:
    hash: str
    time_s: float
    call: object
    unknown: bool = False


class Records:
    """The rules between records, which come in the order of their index. What is over is forgotten."""

    def __init__(self, bundle: Bundle, report: Report) -> None:
        self.bundle, self.report = bundle, report
        claims = {name: bundle.manifest.get(f"complete_{name}") for name in ("customer", "conversation")}
        self.claimed = {(name, claim) for name, claim in claims.items() if type(claim) is str}
        self.last: dict[tuple[str, object], int] = {}
        self.latest_s = float("-inf")
        self.activated: set[object] = set()
        self.intents: dict[object, Intent] = {}
        self.ended: set[object] = set()
        self.states: dict[str, int] = {}

    def breach(self, rule: str, index: int) -> None:
        self.report.find(RULES[rule][0], f"5. record {index}: {rule}: {RULES[rule][1]}")

    def take(self, index: int, leaf: bytes) -> Json:
        """The record, after every rule was looked at."""
        found, rules = broken(leaf, index, self.bundle)
        for rule in rules:
            self.breach(rule, index)
        if found:
            time_s = seconds(text_of(found["time"]))
            if time_s < self.latest_s - BACK_MOST_S:
                self.breach("backwards", index)
            if time_s > self.bundle.time_s + AHEAD_MOST_S:
                self.breach("ahead", index)
            self.latest_s = max(self.latest_s, time_s)
            self.count(index, found)
            self.decide(index, found)
            self.rotate(index, found)
            if found["kind"] == "intent":
                digest = b64url(hashlib.sha256(b"\x00" + leaf).digest())
                self.intents[index] = Intent(digest, time_s, found["call"])
            elif found["kind"] in STATES:
                self.end(index, found)
        return found

    def count(self, index: int, found: Json) -> None:
        for name in ("customer", "conversation"):
            if name in found:
                key, number = (name, found[name]), whole_number(found[f"{name}_seq"])
                if not self.bundle.whole and key not in self.claimed:
                    continue
                if number != self.last.get(key, 0) + 1 and index >= self.bundle.after:
                    self.breach(name, index)
                self.last[key] = number

    def decide(self, index: int, found: Json) -> None:
        facts, policy = found.get("facts"), found.get("policy")
        if found["kind"] == "policy.activate" and type(facts) is dict:
            self.activated.add(str(facts.get("bundle")))
        if type(policy) is dict:
            self.bundle.decided.add(text_of(policy["bundle"]))
            if policy["bundle"] not in self.activated and index >= self.bundle.after:
                self.breach("activated", index)

    def rotate(self, index: int, found: Json) -> None:
        facts = found.get("facts")
        if found["kind"] != "key.rotate" or type(facts) is not dict or "statement" not in facts:
            return
        statement, name = str(facts["statement"]).encode(), f"rotations/{index:016d}.note"
        try:
            read_rotation(statement, *self.bundle.origins)
        except (Finding, ValueError):
            self.breach("rotated", index)
        if name not in self.bundle.entries or self.bundle.read(name) != statement:
            self.report.find("authenticity", f"5. record {index}: the rotation on record is not the one in rotations/")
        self.bundle.recorded.add(name)

    def end(self, index: int, found: Json) -> None:
        reference = found["intent"]
        at, digest = (reference["index"], reference["leaf"]) if type(reference) is dict else (None, None)
        intent = self.intents.get(at)
        if intent is None:
            if at in self.ended or (self.bundle.whole and index >= self.bundle.after):
                self.breach("end", index)
            return
        if intent.hash != digest or (self.bundle.whole and intent.unknown != (found["kind"] == "reconciled")):
            self.breach("end", index)
        if intent.call != found["call"]:
            self.breach("call", index)
        if found["end_state"] == "outcome_unknown":
            intent.unknown = True
        else:
            del self.intents[at]
            if not self.bundle.whole:
                self.ended.add(at)
            state = text_of(found["end_state"])
            self.states[state] = self.states.get(state, 0) + 1

    def close(self) -> None:
        """What is left when the last record was read."""
        for at, intent in self.intents.items():
            state = "outcome_unknown" if intent.unknown else "open"
            self.states[state] = self.states.get(state, 0) + 1
            if not intent.unknown and self.bundle.whole and self.bundle.time_s - intent.time_s > OPEN_MOST_S:
                self.breach("open", whole_number(at))
        self.report.facts["intents"] = self.states
        if {name for name in self.bundle.entries if name.startswith("rotations/")} - self.bundle.recorded:
            self.report.find("authenticity", "5. a rotation that is followed is not on record")
        for name, claim in self.claimed - self.last.keys():
            self.report.find("completeness", f"5. the bundle claims all records of {name} {claim!r} and has none")
        if self.bundle.whole or self.claimed:
            self.report.checked.add("completeness")


# 6. and 7. The tree.


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


@dataclass
class Tree:
    """A tree that grows: the roots of its perfect subtrees, largest first."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def push(self, hashed: bytes) -> None:
        top, height = hashed, 0
        while self.size >> height & 1:
            top, height = node(self.peaks.pop(), top), height + 1
        self.peaks.append(top)
        self.size += 1

    def root(self) -> bytes:
        top = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            top = node(left, top)
        return top


def included(hashed: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2), None where it is too long or too short."""
    here, last, top = index, size - 1, hashed
    for sibling in proof:
        if last == 0:
            return None
        if here & 1 or here == last:
            top = node(sibling, top)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            top = node(top, sibling)
        here, last = here >> 1, last >> 1
    return top if last == 0 else None


def consistent(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency proof leads to (RFC 9162 section 2.1.4.2), 0 < old < new. `path` begins with the root of the
    old tree where that is a perfect one.
    """
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    if not path:
        return None
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if here & 1 or here == last:
            first, second = node(sibling, first), node(sibling, second)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second = node(second, sibling)
        here, last = here >> 1, last >> 1
    return (first, second) if last == 0 else None


def step_records(bundle: Bundle, report: Report) -> None:
    records, proofs, tree = Records(bundle, report), bundle.lines("proofs"), Tree()
    revealed = Disclosures(bundle, report)
    if bundle.after:
        tree = Tree(bundle.after, [hash_of(each.decode()) for each in lines_of(bundle.read("frontier.txt"))])
        if tree.size.bit_count() != len(tree.peaks) or tree.root() != bundle.checkpoints[tree.size]:
            raise Finding("order", f"6. what this bundle continues is not the tree of checkpoint {tree.size}")
    last, count, all_of = -1, 0, whole_number(bundle.manifest["records"])
    for line in bundle.lines("leaves"):
        number, _, leaf = line.partition(b" ")
        index = int(number) if INDEX.fullmatch(number) else -1
        if not last < index < bundle.size:
            raise Finding("order", "6. records are not in the order of their index")
        revealed.take(index, records.take(index, leaf))
        if bundle.whole and index >= bundle.after:
            grow(bundle, tree, index, leaf)
        else:
            prove(bundle, next(proofs, b""), index, leaf)
        last, count = index, count + 1
        if count % 1000 == 0:
            bundle.told(count, all_of)
    records.close()
    revealed.close()
    if count != all_of or (bundle.whole and tree.size != bundle.size) or next(proofs, None) is not None:
        raise Finding("completeness", "6. there are fewer or more records than the manifest says")
    report.facts["records"] = count
    report.checked.add("integrity")
    if not bundle.whole:
        report.notes.append(
            "a selection: each record is in the log; what follows the last number of a sequence is known from a whole log only"
        )


def grow(bundle: Bundle, tree: Tree, index: int, leaf: bytes) -> None:
    if index != tree.size:
        raise Finding("completeness", f"6. record {tree.size} is missing")
    tree.push(leaf_hash(leaf))
    expected = bundle.checkpoints.get(tree.size)
    if expected is not None and tree.root() != expected:
        raise Finding("integrity" if tree.size == bundle.size else "order", f"6. the records do not lead to checkpoint {tree.size}")


def prove(bundle: Bundle, line: bytes, index: int, leaf: bytes) -> None:
    number, *hashes = line.decode().split(" ")
    if number != str(index):
        raise Finding("integrity", f"6. record {index} has no proof")
    if included(leaf_hash(leaf), index, bundle.size, [hash_of(each) for each in hashes]) != bundle.newest:
        raise Finding("integrity", f"6. record {index} is not under the root")


def step_order(bundle: Bundle, report: Report) -> None:
    first = bundle.after if bundle.whole else bundle.size
    wanted = {size for size in bundle.checkpoints if size < first}
    last = 0
    for line in bundle.lines("consistency"):
        number, *hashes = line.split(b" ")
        old = int(number) if INDEX.fullmatch(number) else 0
        if not last < old < bundle.size:
            raise Finding("order", "7. consistency proofs are not in their order")
        found = consistent(old, bundle.size, [hash_of(each.decode()) for each in hashes])
        if found is None or found[1] != bundle.newest or bundle.checkpoints.get(old, found[0]) != found[0]:
            raise Finding("order", f"7. checkpoint {old} is not a prefix of the last")
        wanted.discard(old)
        last = old
    if wanted:
        which = ", ".join(map(str, sorted(wanted)[:5]))
        raise Finding(
            "order", f"7. no consistency proof from {which}: ask for an export with --from-checkpoint and your checkpoint"
        )
    report.checked.add("order")


# 8. Freshness.


def step_freshness(bundle: Bundle, report: Report) -> None:
    made = made_at(bundle.manifest)
    report.facts["checkpoint_time"] = datetime.fromtimestamp(bundle.time_s, UTC).isoformat()
    report.checked.add("freshness")
    if not -FRESH_S <= made - bundle.time_s <= FRESH_S:
        report.find("freshness", "8. the checkpoint was older than 60 s when the bundle was made: a frozen log")


# 9. Disclosures.


class Disclosures:
    """The lines of `disclosures/`, which come in the order of the records: index, path and disclosure."""

    def __init__(self, bundle: Bundle, report: Report) -> None:
        self.report, self.wanted = report, whole_number(bundle.manifest["disclosures"])
        self.lines, self.count = bundle.lines("disclosures"), 0
        self.next = next(self.lines, None)
        if self.next is not None:
            report.checked.add("disclosure")

    def take(self, index: int, found: Json) -> None:
        last = ""
        while self.next is not None and self.next.startswith(b"%d " % index):
            path = self.path(found, self.next, last)
            if path is None:
                self.report.find("disclosure", f"9. a disclosure of record {index} is not what the record commits to")
            self.next, self.count, last = next(self.lines, None), self.count + 1, path or last

    def path(self, found: Json, line: bytes, last: str) -> str | None:
        """The path of a disclosure that is what the record commits to, and behind the last one; None of any other."""
        try:
            _, path, disclosed = line.decode().split(" ")
            opened = strict(unb64url(disclosed).decode())
        except (Finding, ValueError, RecursionError):
            return None
        place: object = found
        section, _, name = path.rpartition(".")
        for step in (*(("sealed", "fields") if section == "sealed" else section.split(".") if section else ()), name):
            place = place.get(step) if type(place) is dict else None
        committed = {"commitment": b64url(hashlib.sha256(disclosed.encode()).digest())}
        named = type(opened) is list and len(opened) == 3 and opened[1] == name
        return path if place == committed and named and path > last else None

    def close(self) -> None:
        if self.next is not None or self.count != self.wanted:
            self.report.find("disclosure", "9. there are fewer or more disclosures of these records than the manifest says")


# 10. Policies, and what nobody reads.


def step_policies(bundle: Bundle, report: Report) -> None:
    kept = set()
    for name in bundle.entries:
        if name.startswith("policy/"):
            digest = hashlib.sha256(bundle.read(name)).hexdigest()
            if name != f"policy/{digest}.json":
                raise Finding("integrity", f"10. {name} is not the bundle of rules of that hash")
            kept.add(digest)
    for digest in sorted(bundle.decided - kept):
        report.notes.append(f"the bundle of rules {digest} decided and is not in policy/")
    report.facts["policies"] = sorted(kept)
    stamps = {name for name in bundle.entries if STAMP.fullmatch(name)}
    if stamps:
        report.notes.append(f"{sum(name.endswith('.tsr') for name in stamps)}{STAMPS_UNCHECKED}")
    for name in bundle.entries.keys() - bundle.read_names - FOR_PEOPLE - stamps:
        report.notes.append(f"nobody reads the member {name}")


def canonical(found: object) -> bytes:
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def load(raw: bytes) -> Json:
    """An object, if `raw` is its canonical form."""
    found = plain_object(raw.decode())
    if canonical(found) != raw:
        raise Finding("integrity", "JSON that is not in canonical form")
    return found


def plain_object(text: str) -> Json:
    """An object of the kind that the log signs. ValueError, RecursionError."""
    found = strict(text)
    if type(found) is not dict or not plain(found):
        raise Finding("integrity", "an object was expected, of ASCII names, and whole numbers below 2**53")
    return found


def plain(value: object) -> bool:
    if type(value) is dict:
        return all(name.isascii() and plain(each) for name, each in value.items())
    if type(value) is list:
        return all(map(plain, value))
    return type(value) is not float and not (type(value) is int and abs(value) >= 2**53)


def strict(text: str) -> object:
    """I-JSON (RFC 7493), at most 100 deep: no name twice, no NaN, no lone surrogate. ValueError, RecursionError."""
    found = json.loads(text, object_pairs_hook=once, parse_constant=never)
    canonical(found)
    if depth(found) > DEEP_MOST:
        raise ValueError("nested too deep")
    return found


def once(pairs: list[tuple[str, object]]) -> Json:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def never(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def depth(value: object) -> int:
    if type(value) is dict:
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if type(value) is list else 0


def lines_of(raw: bytes) -> list[bytes]:
    if raw and not raw.endswith(b"\n"):
        raise Finding("integrity", "a list that does not end with its line")
    return raw.split(b"\n")[:-1]


def hash_of(text: str) -> bytes:
    raw = unb64(text)
    if len(raw) != 32:
        raise Finding("integrity", "a hash has 32 bytes")
    return raw


def unb64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise Finding("integrity", "base64 that is not canonical")
    return raw


def unb64url(text: str) -> bytes:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    if b64url(raw) != text:
        raise Finding("integrity", "base64url that is not canonical")
    return raw


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def text_of(value: object) -> str:
    if type(value) is not str:
        raise Finding("integrity", "a text was expected")
    return value


def whole_number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise Finding("integrity", "a whole number was expected")
    return value


def texts_of(value: object) -> list[str]:
    if type(value) is not list:
        raise Finding("integrity", "a list was expected")
    return [text_of(each) for each in value]


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


OWN_FILES = {"trust": "trust", "pinned": "pinned", "after": "after_checkpoint"}


def main(arguments: Sequence[str] | None = None, write: Callable[[str], object] = sys.stdout.write, further: Steps = ()) -> int:
    parser = argparse.ArgumentParser(description="Verify an evidence bundle of a Tellergate log.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--trust", type=Path, help="the trust policy, got on another way than the bundle")
    parser.add_argument("--pinned", type=Path, help="a checkpoint of this log that you kept")
    parser.add_argument(
        "--after-checkpoint", type=Path, help="the checkpoint that you verified before, where the bundle continues it"
    )
    parser.add_argument("--witness", nargs="+", default=[], metavar="VKEY", help="keys of the witnesses that you trust")
    parser.add_argument("--witness-quorum", type=int, metavar="N", help="so many of them must have cosigned; left out: all")
    given = parser.parse_args(arguments)
    paths = {name: getattr(given, option) for name, option in OWN_FILES.items()}

    def told(done: int, all_of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {all_of} records" + ("\n" if done == all_of else ""))

    try:
        own = {name: own_bytes(path) for name, path in paths.items() if path is not None}
        witnesses = [parse_key(text, (4, 6)) for text in given.witness]
        if given.witness_quorum is not None and not 0 < given.witness_quorum <= len({key.name for key in witnesses}):
            parser.error("--witness-quorum is from 1 to the number of witnesses named by --witness")
        report = verify(given.bundle, witnesses=witnesses, quorum=given.witness_quorum, further=further, told=told, **own)
    except OSError as error:
        parser.error(f"cannot read {error.filename}")
    except (Finding, ValueError, IndexError):
        parser.error("--witness takes vkeys of witnesses, as `witness keygen` prints them")
    except InputUnreadable as error:
        parser.error(f"cannot use {paths[error.args[0]]}: {error.args[1]}")
    if given.json:
        write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        lines = [f"{name:13} {report.verdict(name)}" for name in VERDICTS]
        lines += [f"finding: {verdict}: {what}" for verdict, what in report.findings]
        write("\n".join(lines + [f"note: {each}" for each in report.notes]) + "\n")
    return 0 if report.good else 1


def own_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(OWN_FILE_MOST)


if __name__ == "__main__":
    sys.exit(main())
