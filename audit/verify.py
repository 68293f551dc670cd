"""Verifies an evidence bundle of a Tellergate log. One file: the standard library and `cryptography` alone.

    python verify.py BUNDLE [--json] [--trust FILE] [--pinned CHECKPOINT]

Exit status 0: everything held; 1: a finding; 2: wrong usage. The steps, in the order in which the code takes them:

 1. The file is a zip exactly as the export writes it. It is packed again from its members and compared byte by byte, so that no
    byte of it can be ignored: no comment, no extra field, no time stamp, nothing between or behind the members.
 2. The keys: from `--trust`, which you got on another way than the bundle; else the bundle's own, and then a bundle that somebody
    signed with keys of their own looks good. Compare the printed fingerprints.
 3. The manifest is signed by the export key, and lists every member but itself with its SHA-256.
 4. Every checkpoint is of this log and signed by every key of the log (Ed25519, and ML-DSA-44, whose signature states the time).
 5. Every leaf is in canonical form (RFC 8785) with known fields only, and at its own index below the checkpoint's size.
 6. The tree: of a whole log the root is computed again at the size of each checkpoint; of a selection each leaf has an inclusion
    proof (RFC 6962) under the last checkpoint.
 7. Order: each earlier checkpoint, and the pinned one, is a prefix of the last (computed again, or a consistency proof).
 8. Freshness: the last checkpoint was at most 60 seconds old when the bundle was made.
 9. Completeness: the sequences of each customer and conversation count without gaps, from 1 in a whole log.
10. Ends: every intent has at most one end state, and in a whole log none stays without one for more than 15 minutes.
    `outcome_unknown` is one, and may be reconciled once, later.
11. Disclosures hash to the commitments in their leaves.

A tail that was cut from a bundle is found by 3, 4 and 6. A shorter log that the bank signs again, consistently, is found by a
pinned checkpoint (a copy that you kept) or by a witness, and by nothing else.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERDICTS = ("integrity", "authenticity", "order", "freshness", "completeness", "disclosure")
FRESH_S = 60
OPEN_MOST_S = 900
KINDS = words(
    "deny read intent outcome unknown reconciled confirmation policy.activate function.register key.rotate key.destroy hold.place "
    "hold.release retention.prune audit.query audit.reveal audit.export admin census log.start log.stop alarm"
)
FIELDS = words(
    "v log writer kind time retention call parent conversation conversation_seq customer customer_seq trace actor approver "
    "function policy sca arguments result sealed grounding facts timings redaction instruction core_key intent end_state"
)
MEMBER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", re.ASCII)
END_KINDS = {"outcome": "end", "unknown": "end", "reconciled": "reconciled"}
Json = dict[str, object]


class Finding(Exception):
    """Something does not hold. The first argument is the verdict that it belongs to."""


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


@dataclass
class Bundle:
    """The members, and what the steps learn from them."""

    members: Mapping[str, bytes]
    origin: str = ""
    manifest: Json = field(default_factory=dict)
    trust: Mapping[str, list["Key"]] = field(default_factory=dict)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    time_s: int = 0
    size: int = 0
    leaves: dict[int, bytes] = field(default_factory=dict)
    parsed: dict[int, Json] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.manifest["whole"] is True


def verify(raw: bytes, *, trust: bytes | None = None, pinned: bytes | None = None) -> Report:
    """Verify the bytes of a bundle against a trust policy and a pinned checkpoint, each optional. Raises nothing."""
    report = Report()
    try:
        bundle = Bundle(unpack(raw))  # 1
        step_keys(bundle, trust, report)  # 2
        step_manifest(bundle)  # 3
        step_checkpoints(bundle, pinned, report)  # 4
        step_leaves(bundle)  # 5
        report.checked.update(("integrity", "authenticity", "order", "freshness"))
        for step in (step_tree, step_order, step_freshness, step_sequences, step_ends, step_disclosures):  # 6 to 11
            step(bundle, report)
    except Finding as finding:
        report.findings.append((finding.args[0], finding.args[1]))
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        RecursionError,
        AttributeError,
        struct.error,
        OverflowError,
        OSError,
    ) as error:
        report.findings.append(("integrity", f"malformed beyond reading ({type(error).__name__})"))
    return report


# 1. The file.


def pack(members: Mapping[str, bytes]) -> bytes:
    """The one zip of these members: stored, sorted by name, dated 1980-01-01, without comments or extra fields."""
    body, directory = bytearray(), bytearray()
    for name in sorted(members):
        content, label = members[name], name.encode()
        common = struct.pack("<HHHHHIIIHH", 20, 0x800, 0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(label), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 0x314) + common + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(body))
        directory += label
        body += b"PK\x03\x04" + common + label + content
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def unpack(raw: bytes) -> dict[str, bytes]:
    if len(raw) < 22 or raw[-22:-18] != b"PK\x05\x06":
        raise Finding("integrity", "1. not a zip as the export writes it")
    count, directory = struct.unpack("<H4xI", raw[-12:-2])
    members: dict[str, bytes] = {}
    at = 0
    for _ in range(count):
        if raw[at : at + 4] != b"PK\x03\x04":
            break
        length, label = struct.unpack("<IH", raw[at + 22 : at + 28])
        start = at + 30 + label
        name = raw[at + 30 : start].decode()
        if MEMBER.fullmatch(name) is None:
            raise Finding("integrity", "1. a member whose name could lead out of the folder")
        members[name] = raw[start : start + length]
        at = start + length
    if at != directory or pack(members) != raw:
        raise Finding("integrity", "1. bytes of the zip are not those that its members give")
    return members


# 2. The keys.


@dataclass(frozen=True)
class Key:
    """A public key of C2SP signed notes: type 1 is Ed25519, type 6 ML-DSA-44."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def verify(self, signature: bytes, message: bytes) -> None:
        try:
            if self.kind == 1:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise Finding("authenticity", f"a signature of {self.name} (type {self.kind}) does not verify") from None


def parse_key(text: str) -> Key:
    name, key_id, material = text.split("+", 2)
    raw = unb64(material)
    key = Key(name, raw[0], raw[1:])
    if key.kind not in (1, 6) or key.id.hex() != key_id or (key.kind == 1 and low_order(key.public)):
        raise Finding("authenticity", "2. the trust policy holds a key that cannot be used")
    return key


def low_order(public: bytes) -> bool:
    """Under a point of order 1, 2, 4 or 8 anything verifies; so may what is not reduced below the field's prime."""
    prime = 2**255 - 19
    y = int.from_bytes(public, "little") & (2**255 - 1)
    eighth = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
    return len(public) != 32 or y >= prime or y in (0, 1, prime - 1, eighth, prime - eighth)


def step_keys(bundle: Bundle, trust: bytes | None, report: Report) -> None:
    own = bundle.members["trust.json"]
    found = load(own if trust is None else trust)
    bundle.origin = text_of(found["origin"])
    bundle.trust = {role: [parse_key(each) for each in texts_of(found[role])] for role in ("log", "exports")}
    if not bundle.trust["log"] or not bundle.trust["exports"] or {1, 6} - {key.kind for key in bundle.trust["log"]}:
        raise Finding("authenticity", "2. the trust policy lacks a key")
    if trust is not None and trust != own:
        report.notes.append("the bundle's own trust policy differs from the one given; the given one was used")
    if trust is None:
        report.notes.append("no --trust: verified against the bundle's own keys; compare their fingerprints")
    keys = [*bundle.trust["log"], *bundle.trust["exports"]]
    report.facts["keys"] = [{"name": key.name, "type": key.kind, "sha256": hashlib.sha256(key.public).hexdigest()} for key in keys]


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
    text, signatures = read_note(bundle.members["manifest.note"])
    for key in bundle.trust["exports"]:
        key.verify(signature_by(key, signatures), text)
    if len(signatures) != len(bundle.trust["exports"]):
        raise Finding("integrity", "3. the manifest bears a signature of an unknown key")
    bundle.manifest = load(text[:-1])
    given = {name: hashlib.sha256(content).hexdigest() for name, content in bundle.members.items() if name != "manifest.note"}
    if bundle.manifest["files"] != given:
        raise Finding("integrity", "3. the members are not those of the manifest")
    if bundle.manifest["origin"] != bundle.origin:
        raise Finding("authenticity", "3. the manifest is of another log than the trust policy")


# 4. Checkpoints.


def read_checkpoint(raw: bytes, bundle: Bundle) -> tuple[int, bytes, int]:
    """Size, root and time in seconds, after every signature verified."""
    text, signatures = read_note(raw)
    origin, decimal, encoded, rest = text.decode().split("\n")
    if origin != bundle.origin or re.fullmatch(r"0|[1-9][0-9]{0,18}", decimal, re.ASCII) is None or rest:
        raise Finding("authenticity", "4. not a checkpoint of this log")
    size, root = int(decimal), hash_of(encoded)
    time_s = 0
    for key in bundle.trust["log"]:
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


def step_checkpoints(bundle: Bundle, pinned: bytes | None, report: Report) -> None:
    for name in sorted(bundle.members):
        if name.startswith("checkpoints/"):
            size, root, time_s = read_checkpoint(bundle.members[name], bundle)
            if name != f"checkpoints/{size:016d}.note" or size == 0:
                raise Finding("integrity", "4. a checkpoint under another's name")
            bundle.checkpoints[size] = root
            bundle.size, bundle.time_s = size, time_s
    if not bundle.checkpoints or bundle.size != bundle.manifest["size"]:
        raise Finding("order", "4. the last checkpoint is not the manifest's")
    report.facts |= {"origin": bundle.origin, "size": bundle.size, "root": bundle.checkpoints[bundle.size].hex()}
    if pinned is None:
        report.notes.append("no --pinned: a shorter log that the bank signed again would not be found")
        return
    size, root, _ = read_checkpoint(pinned, bundle)
    if size > bundle.size or bundle.checkpoints.get(size, root) != root:
        raise Finding("order", "4. the pinned checkpoint is ahead of this log, or of another history")
    if size:
        bundle.checkpoints[size] = root


# 5. Leaves.


def step_leaves(bundle: Bundle) -> None:
    last = -1
    for line in lines_of(bundle.members["leaves.txt"]):
        number, _, leaf = line.partition(b" ")
        index = int(number)
        if number != b"%d" % index or not last < index < bundle.size:
            raise Finding("order", "5. leaves are not in the order of their index")
        bundle.leaves[index], bundle.parsed[index], last = leaf, check_leaf(leaf, bundle.origin), index
    if len(bundle.leaves) != bundle.manifest["records"] or (bundle.whole and len(bundle.leaves) != bundle.size):
        raise Finding("completeness", "5. there are fewer or more leaves than the manifest says")


def check_leaf(leaf: bytes, origin: str) -> Json:
    found = load(leaf)
    numbers = {name: found[name] for name in ("v", "customer_seq", "conversation_seq") if name in found}
    if any(type(each) is not int for each in numbers.values()) or numbers["v"] != 1:
        raise Finding("integrity", "5. a leaf of another version, or whose sequence is no number")
    if len(leaf) > 65_535 or not found.keys() <= FIELDS or found["kind"] not in KINDS or not plain(found):
        raise Finding("integrity", "5. a leaf breaks the schema")
    if found["log"] != origin:
        raise Finding("integrity", "5. a leaf of another log")
    return found


def load(raw: bytes) -> Json:
    """An object, if `raw` is its canonical form (which no object with doubled keys has)."""
    found = json.loads(raw)
    if type(found) is not dict or json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() != raw:
        raise Finding("integrity", "JSON that is not in canonical form")
    return found


def plain(value: object) -> bool:
    if type(value) is dict:
        return all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", key, re.ASCII) and plain(each) for key, each in value.items())
    if type(value) is list:
        return all(plain(each) for each in value)
    return value is None or type(value) in (str, bool) or (type(value) is int and abs(value) < 2**53)


# 6. and 7. The tree.


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots(leaves: Sequence[bytes], sizes: Mapping[int, bytes]) -> dict[int, bytes]:
    """The root of the tree of the first n leaves, for each n of `sizes` that there are leaves for."""
    found: dict[int, bytes] = {}
    peaks: list[bytes] = []
    for size, leaf in enumerate(leaves):
        top, height = hashlib.sha256(b"\x00" + leaf).digest(), 0
        while size >> height & 1:
            top, height = node(peaks.pop(), top), height + 1
        peaks.append(top)
        if size + 1 in sizes:
            found[size + 1] = peaks[-1]
            for left in reversed(peaks[:-1]):
                found[size + 1] = node(left, found[size + 1])
    return found


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2), None where it is too long or too short."""
    here, last, top = index, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
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


def consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency proof leads to (RFC 9162 section 2.1.4.2), 0 < old < new."""
    path = list(proof) if old & (old - 1) else [old_root, *proof]
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


def step_tree(bundle: Bundle, report: Report) -> None:
    if bundle.whole:
        computed = roots(list(bundle.leaves.values()), bundle.checkpoints)
        for size, root in bundle.checkpoints.items():
            if computed.get(size) != root:
                raise Finding("integrity" if size == bundle.size else "order", f"6. the leaves do not lead to checkpoint {size}")
        return
    newest = bundle.members[f"checkpoints/{bundle.size:016d}.note"]
    for index, leaf in bundle.leaves.items():
        given = bundle.members[f"proofs/{index:016d}.tlog-proof"]
        head, _, checkpoint = given.partition(b"\n\n")
        kind, number, *hashes = head.decode().split("\n")
        if kind != "c2sp.org/tlog-proof@v1" or number != f"index {index}" or checkpoint != newest:
            raise Finding("integrity", "6. a proof is malformed")
        if included(leaf, index, bundle.size, [hash_of(each) for each in hashes]) != bundle.checkpoints[bundle.size]:
            raise Finding("integrity", f"6. leaf {index} is not under the root")
    report.notes.append(
        "a selection: each leaf is in the log; what follows the last number of a sequence is known from a whole log only"
    )


def step_order(bundle: Bundle, _report: Report) -> None:
    newest = bundle.checkpoints[bundle.size]
    for size, root in bundle.checkpoints.items():
        if bundle.whole or size == bundle.size:
            continue
        name = f"consistency/{size:016d}-{bundle.size:016d}.txt"
        if name not in bundle.members:
            raise Finding("order", f"7. no consistency proof from {size}: ask for an export that covers your checkpoint")
        proof = [hash_of(each.decode()) for each in lines_of(bundle.members[name])]
        if consistent(size, bundle.size, proof, root) != (root, newest):
            raise Finding("order", f"7. checkpoint {size} is not a prefix of the last")


# 8. to 11. What the leaves say.


def step_freshness(bundle: Bundle, report: Report) -> None:
    made = seconds(text_of(bundle.manifest["created"]))
    report.facts["checkpoint_time"] = datetime.fromtimestamp(bundle.time_s, UTC).isoformat()
    if not -FRESH_S <= made - bundle.time_s <= FRESH_S:
        report.findings.append(("freshness", "8. the checkpoint was older than 60 s when the bundle was made: a frozen log"))


def step_sequences(bundle: Bundle, report: Report) -> None:
    for name in ("customer", "conversation"):
        numbers: dict[object, list[object]] = {}
        for leaf in bundle.parsed.values():
            if name in leaf:
                numbers.setdefault(leaf[name], []).append(leaf[f"{name}_seq"])
        if not bundle.whole:
            claimed = bundle.manifest.get(f"complete_{name}")
            numbers = {claimed: numbers[claimed]} if claimed in numbers else {}
        for found in numbers.values():
            report.checked.add("completeness")
            if found != list(range(1, len(found) + 1)):
                report.findings.append(("completeness", f"9. the sequence of a {name} has a gap"))
    if bundle.whole:
        report.checked.add("completeness")


def step_ends(bundle: Bundle, report: Report) -> None:
    states: dict[str, int] = {}
    ends: dict[int, list[tuple[str, str]]] = {index: [] for index, leaf in bundle.parsed.items() if leaf["kind"] == "intent"}
    for leaf in bundle.parsed.values():
        kind = text_of(leaf["kind"])
        if kind in END_KINDS:
            reference = leaf["intent"]
            index = reference["index"] if type(reference) is dict else -1
            if index in ends:
                ends[index].append((END_KINDS[kind], text_of(leaf["end_state"])))
                expected = hashlib.sha256(b"\x00" + bundle.leaves[index]).digest()
                if type(reference) is not dict or reference["leaf"] != b64url(expected):
                    report.findings.append(("integrity", f"10. an end of intent {index} names another leaf"))
            elif bundle.whole:
                report.findings.append(("integrity", "10. an end state without its intent"))
    for index, found in ends.items():
        unknown = found[:1] == [("end", "outcome_unknown")]
        allowed = len(found) <= 1 or (unknown and len(found) == 2 and found[1][0] == "reconciled")
        if not allowed or any(step == "reconciled" for step, _ in found[:1]):
            report.findings.append(("integrity", f"10. intent {index} has more than one end state"))
        state = found[-1][1] if found else "open"
        states[state] = states.get(state, 0) + 1
        if not found and bundle.whole and bundle.time_s - seconds(text_of(bundle.parsed[index]["time"])) > OPEN_MOST_S:
            report.findings.append(("completeness", f"10. intent {index} has had no end state for more than 15 minutes"))
    report.facts["intents"] = states


def step_disclosures(bundle: Bundle, report: Report) -> None:
    for line in lines_of(bundle.members["disclosures.txt"]):
        report.checked.add("disclosure")
        index, path, disclosed = line.decode().split(" ")
        steps = path.split(".", 1)
        place: object = bundle.parsed[int(index)]
        for step in ["sealed", "fields", *steps[1:]] if steps[0] == "sealed" else steps:
            place = place[step] if type(place) is dict else None
        name = json.loads(base64.urlsafe_b64decode(disclosed + "=" * (-len(disclosed) % 4)))[1]
        if place != {"commitment": b64url(hashlib.sha256(disclosed.encode()).digest())} or name != steps[-1]:
            report.findings.append(("disclosure", f"11. a disclosure of leaf {index} is not what the leaf commits to"))


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


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def text_of(value: object) -> str:
    if type(value) is not str:
        raise Finding("integrity", "a text was expected")
    return value


def texts_of(value: object) -> list[str]:
    if type(value) is not list:
        raise Finding("integrity", "a list was expected")
    return [text_of(each) for each in value]


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def main(arguments: Sequence[str] | None = None, write: Callable[[str], object] = sys.stdout.write) -> int:
    parser = argparse.ArgumentParser(description="Verify an evidence bundle of a Tellergate log.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--trust", type=Path, help="the trust policy, got on another way than the bundle")
    parser.add_argument("--pinned", type=Path, help="a checkpoint of this log that you kept")
    given = parser.parse_args(arguments)
    try:
        raw, trust, pinned = (None if path is None else path.read_bytes() for path in (given.bundle, given.trust, given.pinned))
    except OSError as error:
        parser.error(f"cannot read {error.filename}")
    report = verify(raw or b"", trust=trust, pinned=pinned)
    if given.json:
        write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        lines = [f"{name:13} {report.verdict(name)}" for name in VERDICTS]
        lines += [f"finding: {verdict}: {what}" for verdict, what in report.findings]
        write("\n".join(lines + [f"note: {each}" for each in report.notes]) + "\n")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
