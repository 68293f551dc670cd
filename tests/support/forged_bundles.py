"""A corpus of bundles for two verifiers to agree about: damaged bytes, members and lines, JSON that nobody should write, and lies that a
made-up bank signs anew with every key it has. Whether one is good does not matter here; that both say the same does.
"""

import base64
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit import verify
from audit.checkpoint import Checkpoint, SigningKey, sign_checkpoint
from audit.disclosure import commitment
from audit.encoding import b64, b64url
from audit.export import trust_policy
from audit.key_files import FileKeys
from audit.keys import LOG_PURPOSES, named
from audit.log import Log
from audit.merkle import consistency_proof, inclusion_proof, leaf_hash, subtree_root
from audit.query import Query
from audit.rotation_records import rotate
from audit.store.timestamps import KeptTimestamp, keep_timestamp, latest_published
from audit.succession import KnownHead, SuccessionOrder, succeed
from tests.support.bundles import Members, exported, leaves_of, lines, manifest_of, pack, signed, unpack
from tests.support.json_spellings import NAMES, TOKENS, respelled
from tests.support.lies import (
    LIES,
    SPELLINGS,
    WHY,
    Honest,
    cut_or_longer,
    flipped,
    honest_exports,
    leaf_lie,
    lines_changed,
    members_changed,
    zip_numbers,
)
from tests.trail import ORIGIN, Clock, Random, a_record, activate_rules, an_end, an_intent, open_trail

Own = dict[str, bytes]


@dataclass(frozen=True)
class Source:
    """An export, the log that signed it, all of its records, and what its auditor holds."""

    log: Log
    raw: bytes
    leaves: Sequence[bytes]
    own: Own


@dataclass(frozen=True)
class Corpus:
    """What forgeries are made from."""

    honest: Honest
    sources: Sequence[Source]

    def forged(self, number: int) -> tuple[str, bytes, Own]:
        """The forgery of this number, always the same: its kind, the bundle, and the auditor's files."""
        dice = random.Random(number)
        kind = list(FORGERIES)[number % len(FORGERIES)]
        source = dice.choice(self.sources)
        own = {name: content for name, content in source.own.items() if name == "after" or dice.random() < 0.6}
        raw, own = FORGERIES[kind](dice, self, replace(source, own=own))
        return kind, raw, own


@asynccontextmanager
async def corpus(folder: Path) -> AsyncIterator[Corpus]:
    """Whole exports, selections and tails, of a log, of one whose keys were rotated, and of one that continues two others."""
    async with AsyncExitStack() as stack:
        honest = await stack.enter_async_context(honest_exports(folder / "honest"))
        every = leaves_of(unpack(await exported(honest.log, WHY)))
        own = {"trust": honest.trust, "pinned": honest.kept}
        sources = [
            Source(honest.log, honest.whole, every, own),
            Source(honest.log, honest.selection, every, own),
            Source(honest.log, honest.tail, every, {**own, "after": honest.kept}),
            *await stack.enter_async_context(_rotated(folder / "rotated")),
            *await stack.enter_async_context(_succeeded(folder / "succeeded")),
        ]
        yield Corpus(honest, sources)


@asynccontextmanager
async def _rotated(folder: Path) -> AsyncIterator[list[Source]]:
    clock = Clock()
    log = await open_trail(folder, clock, Random(b"another seed"))
    await activate_rules(log)
    await log.append(a_record(call_id="call_1", customer="C-0"))
    clock.forward(2)
    own = {"trust": trust_policy(log), "pinned": (await log.publish() or "").encode()}
    latest = await log.read(lambda reads: latest_published(reads.connection))
    if latest is not None:  # no verifier of a bundle by itself reads a token
        stamp = KeptTimestamp(latest, "https://tsa.example", latest.time_s, b"a token")
        await log.write(lambda connection: keep_timestamp(connection, stamp))
    for purpose in LOG_PURPOSES:
        rotate(FileKeys(folder), purpose, ORIGIN, int(clock().timestamp()) + 10)
    await log.publish(force=True)
    clock.forward(11)
    intent = await log.append(an_intent(call_id="call_2", customer="C-0"))
    await log.append(an_end(intent.index, intent.leaf_hash, call_id="call_2", customer="C-0"))
    whole = await exported(log, WHY, reveal=True)
    some = await exported(log, WHY, query=Query(customer="C-0"))
    every = leaves_of(unpack(await exported(log, WHY)))
    yield [Source(log, whole, every, own), Source(log, some, every, own)]
    await log.close()


@asynccontextmanager
async def _succeeded(folder: Path) -> AsyncIterator[list[Source]]:
    """Keys are rotated under the first name and under the last one."""
    clock = Clock()
    log = await open_trail(folder, clock, Random(b"a third seed"))
    await activate_rules(log)
    for turn in range(3):
        intent = await log.append(an_intent(call_id=f"call_{turn}", customer="C-0"))
        if turn != 1:
            for purpose in LOG_PURPOSES:
                rotate(FileKeys(folder), purpose, log.origin, int(clock().timestamp()) + 1)
        clock.forward(2)
        await log.publish(force=True)
        if turn < 2:
            (size, root), lost = await log.head(), KnownHead(99, bytes(32), "a note", ())
            log, _ = await succeed(log, SuccessionOrder(f"{ORIGIN}-{turn + 2}", size, root, lost, {}), lambda _connection: None)
        await log.append(an_end(intent.index, intent.leaf_hash, call_id=f"call_{turn}", customer="C-0"))
        clock.forward(2)
    own = {"trust": trust_policy(log), "pinned": (await log.publish(force=True) or "").encode()}
    await log.append(a_record(call_id="call_9", customer="C-0"))
    whole = await exported(log, WHY, reveal=True)
    some = await exported(log, WHY, query=Query(customer="C-0"))
    every = leaves_of(unpack(await exported(log, WHY)))
    yield [Source(log, whole, every, own), Source(log, some, every, own)]
    await log.close()


# What a made-up bank can do: any records under any tree of its own, signed by every key.


def made_up(source: Source, leaves: Sequence[bytes], **changes: Any) -> bytes:
    """The bundle of these records instead, in the source's form, with proofs of their own tree; without disclosures if those are 0."""
    members, log = unpack(source.raw), source.log
    if changes.get("disclosures") == 0:
        members.pop("disclosures/000000.txt", None)
    hashes = [leaf_hash(leaf) for leaf in leaves]

    def node(height: int, at: int) -> bytes:
        return subtree_root(hashes[at << height : (at + 1) << height])

    manifest, size = manifest_of(members), len(leaves)
    after = min(manifest["after"], size - 1)
    shipped = [int(line.split(b" ", 1)[0]) for line in lines(members)]
    shipped = list(range(size)) if manifest["whole"] and not after else [index for index in shipped if index < size]
    if manifest["whole"]:
        shipped = [*(index for index in shipped if index < after), *range(after, size)]
    proven = [index for index in shipped if index < after or not manifest["whole"]]
    kept = {name: content for name, content in members.items() if not name.startswith(("checkpoints/", "consistency/"))}
    kept["leaves/000000.txt"] = b"".join(b"%d %b\n" % (index, leaves[index]) for index in shipped)
    kept["proofs/000000.txt"] = b"".join(_proof(index, inclusion_proof(index, size, node)) for index in proven)
    pinned = int(source.own.get("pinned", b"\n1").split(b"\n")[1])
    olds = sorted({old for old in (pinned, max(1, size // 2)) if old < (after if manifest["whole"] else size)})
    kept["consistency/000000.txt"] = b"".join(
        _proof(old, [*([subtree_root(hashes[:old])] if old & (old - 1) == 0 else []), *consistency_proof(old, size, node)])
        for old in olds
    )
    note = sign_checkpoint(Checkpoint(log.origin, size, subtree_root(hashes)), log.signers.log_keys(log.origin), seconds_of(log))
    kept[f"checkpoints/{size:016d}.note"] = note.encode().encode()
    kept = {name: content for name, content in kept.items() if content or name.startswith("leaves/")}
    return signed(log, kept, **{"size": size, "after": after, "records": len(shipped), **changes})


def _proof(number: int, hashes: Sequence[bytes]) -> bytes:
    return b" ".join([b"%d" % number, *(b64(item).encode() for item in hashes)]) + b"\n"


def seconds_of(log: Log) -> int:
    """The log's clock, in seconds since 1970."""
    return int(log.now().timestamp())


def signed_text(log: Log, members: Members, text: bytes) -> bytes:
    """A manifest of any bytes, signed."""
    key = named(f"{log.origin}/exports", log.signers.exports)
    blob = base64.b64encode(key.key.id + key.sign(text))
    return pack({**members, verify.MANIFEST: text + "\n— ".encode() + key.key.name.encode() + b" " + blob + b"\n"})


# Forgeries, by kind. Each gives a bundle, and what its auditor holds.

Forgery = Callable[[random.Random, Corpus, Source], tuple[bytes, Own]]


def _bytes(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    return dice.choice([flipped, cut_or_longer, zip_numbers])(dice, source.raw), source.own


def _members(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    members = dice.choice([members_changed, lines_changed])(dice, source.raw)
    if dice.random() < 0.2:
        return pack(members), source.own
    counted = {"records": len(lines(members)), "disclosures": len(lines(members, "disclosures"))}
    return signed(source.log, members, **counted), source.own


def _named(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """A member more, under a name that means something or nothing."""
    names = [
        "leaves/000001.txt",
        "leaves/1.txt",
        "proofs/000001.txt",
        "policy/x.json",
        "rotations/x.note",
        "checkpoints/1.note",
        "~",
        "z",
    ]
    names += [
        "__proto__",
        "constructor",
        "frontier.txt",
        "README.md",
        "é",
        "a//b",
        "checkpoints/9999999999999999999.note",
        "verify.mjs",
    ]
    content = dice.choice([b"", b"x", b"\n", b"0 x\n", *unpack(source.raw).values()])
    return signed(source.log, {**unpack(source.raw), dice.choice(names): content}), source.own


def _lie(dice: random.Random, corpus: Corpus, _source: Source) -> tuple[bytes, Own]:
    raw, _ = leaf_lie(corpus.honest, dice, dice.choice([*LIES, "a spelling"]))
    return raw, {"trust": corpus.honest.trust}


def _retold(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """A lie, a spelling or a token in a record, of whatever kind of bundle."""
    leaves = list(source.leaves)
    for _ in range(dice.choice([1, 1, 2, 60, 150])):
        at = dice.randrange(len(leaves))
        if dice.random() < 0.3:
            leaves[at] = dice.choice(SPELLINGS)(dice, source.leaves[at]).replace(b"\n", b" ")
        else:
            leaves[at] = respelled(dice, json.loads(source.leaves[at])).replace(b"\n", b" ")
    return made_up(source, leaves, disclosures=0), {name: text for name, text in source.own.items() if name != "after"}


def _rules(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """A lie of the table, in whatever kind of bundle."""
    records = [json.loads(leaf) for leaf in source.leaves]
    for name in dice.sample(sorted(LIES), dice.choice([1, 1, 2])):
        try:
            LIES[name][0](dice, records)
        except (IndexError, KeyError, StopIteration, TypeError):
            continue  # there is no such record here, or no longer
    leaves = [json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() for record in records]
    if dice.random() < 0.5:
        return made_up(source, leaves), {name: text for name, text in source.own.items() if name != "after"}
    return made_up(source, leaves, disclosures=0), source.own


def _manifest(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    members = unpack(source.raw)
    manifest = manifest_of(members)
    if dice.random() < 0.5:
        name = dice.choice([*(name for name in manifest if name != "files"), "complete_customer", "complete_conversation", *NAMES])
        token = dice.choice(TOKENS)
        text = json.dumps({**manifest, name: "@@"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        text = text.replace(b'"@@"', token, 1)
    else:
        text = respelled(dice, manifest)
    return signed_text(source.log, members, text + dice.choice([b"\n"] * 9 + [b"\n\n"])), source.own


def _trust(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """The bundle's own keys, or the auditor's."""
    text = policy_changed(dice, json.loads(unpack(source.raw)["trust.json"]))
    if dice.random() < 0.5:
        return signed(source.log, {**unpack(source.raw), "trust.json": text}), source.own
    return source.raw, {**source.own, "trust": text}


def policy_changed(dice: random.Random, policy: Mapping[str, Any]) -> bytes:
    """A trust policy with a token, or with a key that is spelt otherwise."""
    if dice.random() < 0.4:
        return respelled(dice, policy)
    role = dice.choice(["log", "exports"])
    name, key_id, material = dice.choice(policy[role]).split("+", 2)
    raw = bytearray(base64.b64decode(material))
    match dice.randrange(5):
        case 0:
            raw[0] = dice.choice([0, 1, 2, 6, 255])
        case 1:
            raw = raw[: dice.choice([0, 1, 2, 32, len(raw)])]
        case 2:
            raw[1:] = dice.choice([bytes(32), b"\x01" + bytes(31), b"\xff" * 32, dice.randbytes(32), dice.randbytes(1312)])
        case 3:
            name = dice.choice(["", "é", "a b", "x" * 255, "x" * 256, f"{name}x", "\u0000"])
        case _:
            material = dice.choice(
                [material.rstrip("="), f"{material}=", f" {material}", f"{material[:-1]}é", material.replace("+", "-")]
            )
            return canonical_bytes({**policy, role: [*policy[role][1:], f"{name}+{key_id}+{material}"]})
    key = verify.Key(name, raw[0] if raw else 0, bytes(raw[1:]))
    made = f"{name}+{key.id.hex() if dice.random() < 0.9 else key_id}+{b64(bytes(raw))}"
    return canonical_bytes({**policy, role: dice.choice([[made], [*policy[role], made], [made, *policy[role][1:]]])})


def canonical_bytes(found: object) -> bytes:
    """As `json.dumps` writes it in canonical form."""
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _checkpoint(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """Another checkpoint, signed by every key at a time of its choice; its lines in another order, or some of them."""
    members, log = unpack(source.raw), source.log
    name = dice.choice([name for name in members if name.startswith("checkpoints/")])
    origin, size, root = members[name].decode().split("\n")[:3]
    now_s = seconds_of(log)
    times = [now_s, now_s - 60, now_s - 61, now_s + 60, now_s + 61, now_s + 3600, 0, 2**63, 2**64 - 1, 253402300799, 253402300800]
    keys: list[SigningKey] = list(log.signers.log_keys(log.origin))
    dice.shuffle(keys)
    told = Checkpoint(dice.choice([origin] * 9 + ["x"]), int(size) + dice.choice([0] * 9 + [1]), base64.b64decode(root))
    note = sign_checkpoint(told, keys[: dice.choice([2] * 9 + [1])], dice.choice(times))
    text = note.encode().encode()
    if dice.random() < 0.2:
        text = flipped(dice, text)
    if dice.random() < 0.2:
        return source.raw, {**source.own, "pinned": text}
    return signed(log, {**members, name: text}), source.own


def _own_files(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """What an editor, a mail or a broken disk made of a file of the auditor's own."""
    own = {**source.own, "pinned": source.own.get("pinned", dice.choice([b"", b"x"]))}
    name = dice.choice(sorted(own))
    text = own[name]
    spelt = [
        text.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + text,
        b"\n\n" + text + b"\n\n",
        text.strip(b"\n"),
        b" " + text,
        text + b" ",
    ]
    if text.isascii() or name != "x":
        wide = text.decode(errors="replace")
        spelt += [
            wide.encode("utf-16"),
            b"\xfe\xff" + wide.encode("utf-16-be"),
            wide.encode("utf-16-be"),
            wide.encode("utf-16")[:-1],
        ]
        spelt += [b"\xff\xfe\x00\xd8" + wide.encode("utf-16-le")]
    spelt += [flipped(dice, text) if text else b"", cut_or_longer(dice, text) if text else b"", b"", b"\n", b"{}", b"[]", b"null"]
    return source.raw, {**own, name: dice.choice(spelt)}


def _disclosed(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """What is committed to is spelt as nobody should."""
    opened = respelled(dice, ["AAAAAAAAAAAAAAAAAAAAAA", "account", {"value": [1, {"x": 2}]}])
    text = b64url(opened)
    text = dice.choice([text] * 6 + [f"{text}=", f"{text}!", f"{text[:-1]}é", text.replace("-", "+"), b64(opened)])
    path = dice.choice(
        ["arguments.account"] * 8 + ["account", "sealed.account", "arguments.", ".account", "arguments.account.", "x y"]
    )
    return committed_to(source, path, text)


def committed_to(source: Source, path: str, disclosed: str) -> tuple[bytes, Own]:
    """A bundle with one disclosure, under this path, of an argument `account` that commits to it."""
    records = [json.loads(leaf) for leaf in source.leaves]
    at = max(index for index, record in enumerate(records) if record["kind"] == "read")
    records[at]["arguments"]["account"] = {"commitment": commitment(disclosed)}
    line = f"{at} {path} {disclosed}\n".encode()
    changed = replace(source, raw=signed(source.log, {**unpack(source.raw), "disclosures/000000.txt": line}))
    own = {name: item for name, item in source.own.items() if name not in ("after", "pinned")}
    return made_up(changed, [canonical_bytes(record) for record in records], disclosures=1), own


def _listed(dice: random.Random, _corpus: Corpus, source: Source) -> tuple[bytes, Own]:
    """A number or a hash of a list that is spelt otherwise."""
    members = unpack(source.raw)
    name = dice.choice([name for name in members if name.endswith(".txt")])
    rows = members[name].split(b"\n")
    at = dice.randrange(max(1, len(rows) - 1))
    parts = rows[at].split(b" ")
    spelt = [
        b"",
        b"x",
        b"+1",
        b"01",
        b" 1",
        b"-1",
        b"1_0",
        b"9" * 30,
        "١".encode(),
        b"\xff",
        b"1.0",
        b"=",
        b"AAAA",
        b"0" * 5000,
        b"1\t",
    ]
    which = dice.randrange(len(parts))
    parts[which : which + dice.choice([0, 1, 1])] = dice.choice([[dice.choice(spelt)], [parts[which], parts[-1]], []])
    rows[at] = b" ".join(parts)
    members[name] = b"\n".join(rows)
    return signed(source.log, members), source.own


def _statement(dice: random.Random, corpus: Corpus, _source: Source) -> tuple[bytes, Own]:
    """A rotation that is spelt otherwise, signed anew or not, and on record or not."""
    source = corpus.sources[3]
    members = unpack(source.raw)
    name = dice.choice([name for name in members if name.startswith("rotations/")])
    rows = members[name].decode().split("\n")
    at = dice.randrange(5)
    rows[at] = dice.choice(
        ["", "x", "0", "1", "-1", "9" * 16, "9" * 17, "a+b", "a+b+", "a+00000000+AA==", rows[3], rows[4], f"{rows[at]} "]
    )
    text = dice.choice(["\n".join(rows).encode(), flipped(dice, members[name])])
    if dice.random() < 0.5:
        return signed(source.log, {**members, name: text}), source.own
    index = int(name[10:26])
    leaf = json.loads(source.leaves[index])
    leaf["facts"]["statement"] = text.decode(errors="replace")
    leaves = [*source.leaves[:index], canonical_bytes(leaf), *source.leaves[index + 1 :]]
    return made_up(source, leaves, disclosures=0), source.own


def _succession(dice: random.Random, corpus: Corpus, _source: Source) -> tuple[bytes, Own]:
    """A log that continues others, where a record stands on the wrong side or says another thing, or the auditor knows another line."""
    source = dice.choice([item for item in corpus.sources if item.log.lineage.predecessors])
    leaves, policy = [json.loads(leaf) for leaf in source.leaves], json.loads(source.own["trust"])
    ends = [item["until"] for item in policy["predecessors"]]
    at, names = dice.choice([*ends, *(end - 1 for end in ends), dice.randrange(len(leaves))]), source.log.lineage.origins
    match dice.randrange(4):
        case 0:
            leaves[at]["log"] = dice.choice([*names, "other.example/log"])
        case 1:
            values = dice.choice([*names, "log_succeeds", at, at + 1, True, None, ["x"], "x"])
            leaves[at].setdefault("facts", {})[dice.choice(["word", "predecessor", "size"])] = values
        case 2:
            leaves[at]["kind"] = dice.choice(["log.start", "admin", "census"])
        case _:
            line = policy["predecessors"]
            other = {"origin": dice.choice([*names, "é", "", 1]), "until": dice.choice([*ends, 0, 1, at, True, -1, 1.0, "1", None])}
            line[dice.randrange(2)] |= dice.choice([{"until": other["until"]}, {"origin": other["origin"]}, {"more": 1}])
            policy["predecessors"] = dice.choice(
                [line, line[:1], line[1:], line[::-1], [*line, other], [other], [], {}, None, other]
            )
    own = {**source.own, "trust": canonical_bytes(policy)}
    if dice.random() < 0.3:
        return signed(source.log, {**unpack(source.raw), "trust.json": own.pop("trust")}), own
    raw = made_up(source, [canonical_bytes(leaf) for leaf in leaves])
    return raw, {name: text for name, text in own.items() if name != "after"}


FORGERIES: Mapping[str, Forgery] = {
    "succession": _succession,
    "bytes": _bytes,
    "members": _members,
    "names": _named,
    "lies": _lie,
    "records": _retold,
    "rules": _rules,
    "manifest": _manifest,
    "trust": _trust,
    "checkpoint": _checkpoint,
    "own files": _own_files,
    "disclosures": _disclosed,
    "lists": _listed,
    "rotations": _statement,
}
