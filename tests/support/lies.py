"""Lies and damages, made at random from real exports: what a bank could write and sign with every key, and what whoever has no key, or
the export key alone, could make of a bundle.
"""

import json
import random
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import verify
from audit.export import trust_policy
from audit.leaf import EndState, RecordKind, canonical
from audit.log import Log
from audit.merkle import leaf_hash
from audit.query import Query, Why
from tests.support.bundles import Members, exported, leaves_of, rewritten, unpack
from tests.trail import Clock, Random, a_record, activate_rules, an_end, an_intent, open_trail

WHY = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")


@dataclass(frozen=True)
class Honest:
    log: Log
    clock: Clock
    whole: bytes
    selection: bytes
    tail: bytes
    kept: bytes
    trust: bytes


@asynccontextmanager
async def honest_exports(folder: Path) -> AsyncIterator[Honest]:
    """A log of one of everything, and its exports."""
    clock = Clock()
    log = await open_trail(folder / "log", clock, Random())
    await activate_rules(log)
    for number in range(4):
        await log.append(a_record(call_id=f"call_{number}", customer=f"C-{number % 2}", facts={"code": "ok", "n": number}))
    clock.forward(2)
    kept = (await log.publish() or "").encode()
    ended = await log.append(an_intent(call_id="call_7"))
    await log.append(an_end(ended.index, ended.leaf_hash, call_id="call_7"))
    unknown = await log.append(an_intent(call_id="call_8"))
    await log.append(an_end(unknown.index, unknown.leaf_hash, RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN, call_id="call_8"))
    await log.append(an_end(unknown.index, unknown.leaf_hash, RecordKind.RECONCILED, call_id="call_8"))
    await log.append(an_intent(call_id="call_9"))
    whole = await exported(log, WHY, reveal=True)
    selection = await exported(log, WHY, query=Query(customer="C-0"), reveal=True)
    tail = await exported(log, WHY, after=kept, reveal=True)
    yield Honest(log, clock, whole, selection, tail, kept, trust_policy(log))
    await log.close()


# Lies: what a bank could write and sign.

Fields = dict[str, Any]
Lie = Callable[[random.Random, list[Fields]], None]


def some(dice: random.Random, records: list[Fields], *kinds: str) -> Fields:
    return dice.choice([record for record in records if not kinds or record["kind"] in kinds])


ENDS = ("outcome", "unknown", "reconciled")


def without(*names: str) -> Lie:
    def lie(dice: random.Random, records: list[Fields]) -> None:
        record = some(dice, [record for record in records if any(name in record for name in names)])
        del record[dice.choice([name for name in names if name in record])]

    return lie


def set_in(name: str, values: list[Any], *kinds: str) -> Lie:
    def lie(dice: random.Random, records: list[Fields]) -> None:
        some(dice, [record for record in records if name in record], *kinds)[name] = dice.choice(values)

    return lie


def nested(dice: random.Random, records: list[Fields]) -> None:
    """A member more, or one less, in an object with a closed set of them."""
    record = some(dice, [record for record in records if "policy" in record])
    part = record[dice.choice(["policy", "trace", "function"])]
    if dice.random() < 0.5:
        part[dice.choice(["extra", "x", "note"])] = "x"
    else:
        del part[dice.choice(sorted(part))]


def decided_otherwise(dice: random.Random, records: list[Fields]) -> None:
    some(dice, [record for record in records if "policy" in record])["policy"]["decision"] = dice.choice(
        ["allow", "permitt", "", None, 1, True]
    )


def never_activated(dice: random.Random, records: list[Fields]) -> None:
    some(dice, [record for record in records if "policy" in record])["policy"]["bundle"] = f"{dice.randrange(2**256):064x}"


def activated_later(_dice: random.Random, records: list[Fields]) -> None:
    records.append(records.pop(0))


def two_forms(dice: random.Random, records: list[Fields]) -> None:
    """Public and committed at once; in none of the known forms; or in none at all."""
    record = some(dice, [record for record in records if "arguments" in record])
    name = dice.choice(sorted(record["arguments"]))
    value = record["arguments"][name]
    more = dice.choice(sorted({"public", "masked", "open"} - value.keys()))
    record["arguments"][name] = dice.choice([{**value, more: "x"}, {**value, more: "x"}, {"neither": 1}, {}])


def swapped(dice: random.Random, records: list[Fields]) -> None:
    """An end before its intent."""
    kind = dice.choice(["outcome", "unknown"])
    at = next(number for number, record in enumerate(records) if record["kind"] == kind)
    records[at - 1], records[at] = records[at], records[at - 1]


def dropped(dice: random.Random, records: list[Fields]) -> None:
    of_customers = [number for number, record in enumerate(records[:-2]) if "customer" in record]
    at = dice.choice(of_customers)
    if dice.random() < 0.8:
        del records[at]
    else:
        records.insert(dice.choice(of_customers), dict(records[at]))


def another_intent(dice: random.Random, records: list[Fields]) -> None:
    reference = some(dice, records, *ENDS)["intent"]
    if dice.random() < 0.5:
        reference["index"] = dice.choice([0, reference["index"] + 1, 2**40, -1, True, "5"])
    else:
        reference["leaf"] = dice.choice(["A" * 43, reference["leaf"][:-1], reference["leaf"].swapcase()])


def timed(dice: random.Random, records: list[Fields]) -> None:
    record = some(dice, records[1:])
    record["time"] = dice.choice(
        [
            "2026-11-24T09:00:00.000000Z",
            "2026-11-24T10:02:00.000000Z",
            "2036-11-24T10:00:00.000000Z",
            "1970-01-01T00:00:00.000000Z",
            "2026-02-30T10:00:00.000000Z",
            "2026-11-24T24:00:00.000000Z",
            "2026-11-24T10:00:00Z",
            "2026-11-24T10:00:00.000000+00:00",
            "",
            None,
            0,
        ]
    )


def numbered(dice: random.Random, records: list[Fields]) -> None:
    name = dice.choice(["customer", "conversation"])
    record = some(dice, [record for record in records if name in record])
    record[f"{name}_seq"] = dice.choice([0, -1, record[f"{name}_seq"] + 1, True, "1", 1.0, 2**53, 10**30])


def unsealed(dice: random.Random, records: list[Fields]) -> None:
    if dice.random() < 0.5:
        without("sealed")(dice, records)
    else:
        records[0]["sealed"] = {"digest": "A" * 43, "fields": {}}


def instructed(dice: random.Random, records: list[Fields]) -> None:
    without("instruction")(dice, records)


def rotated_by_nobody(dice: random.Random, records: list[Fields]) -> None:
    """A key that follows another, says the bank alone."""
    record = some(dice, records, "audit.export")
    name = f"{record['log']}/rotation"
    said = ["", "x", "a\nb\n\n— x AAAA\n", None, 5, f"{name}\nlog-ed25519\n1\nx\ny\n\n— {name} AAAAAAAA\n"]
    record["kind"], record["facts"]["statement"] = "key.rotate", dice.choice(said)


def left_open(_dice: random.Random, records: list[Fields]) -> None:
    """So long that nobody may have left it open."""
    for record in records:
        record["time"] = "2026-11-24T09:40:00.000000Z"


LIES: dict[str, tuple[Lie, set[str]]] = {
    "an end before its intent": (swapped, {"end", "customer", "conversation", "call"}),
    "an unknown end state": (set_in("end_state", ["done", "Executed", "", None, 1, ["executed"]]), {"fields"}),
    "an end state of another kind": (set_in("end_state", ["executed", "outcome_unknown"]), {"state", "end"}),
    "an unknown decision": (decided_otherwise, {"fields"}),
    "an unknown nested field": (nested, {"fields"}),
    "an unknown field": (lambda dice, records: some(dice, records).update({dice.choice(["vv", "Kind", "note"]): 1}), {"fields"}),
    "an unknown kind": (set_in("kind", ["write", "Read", "", None, "outcome ", 1]), {"fields"}),
    "an end without a call": (lambda dice, records: some(dice, records, *ENDS).pop("call"), {"needed"}),
    "an end of another call": (set_in("call", ["call_0", "x"], *ENDS), {"call"}),
    "another intent": (another_intent, {"end", "fields"}),
    "an intent without an instruction": (instructed, {"needed"}),
    "no time, or one that cannot be": (timed, {"fields", "backwards", "ahead"}),
    "something absent": (without("time", "retention", "log", "writer", "v", "kind"), {"needed"}),
    "no retention": (set_in("retention", ["P", "", "P0Y", "7Y", "PT5M", None]), {"fields"}),
    "a value in two forms": (two_forms, {"fields"}),
    "numbers without whom they count": (without("customer", "conversation", "customer_seq", "conversation_seq"), {"needed"}),
    "numbers that do not count": (numbered, {"customer", "conversation", "fields"}),
    "a record dropped or doubled": (dropped, {"customer", "conversation", "end", "activated", "call"}),
    "rules that nobody activated": (never_activated, {"activated"}),
    "rules that were activated later": (activated_later, {"activated", "end"}),
    "another log": (set_in("log", ["other.example/log", "bank.example/Log"]), {"log"}),
    "what is committed and not sealed": (unsealed, {"sealed"}),
    "a rotation of a key that nobody signed": (rotated_by_nobody, {"rotated"}),
    "an intent left open": (left_open, {"open"}),
}
"""Each lie, and the rules by which it may be found."""

SPELLINGS: list[Callable[[random.Random, bytes], bytes]] = [
    lambda _dice, leaf: leaf.replace(b":", b": ", 1),
    lambda _dice, leaf: b" " + leaf,
    lambda _dice, leaf: leaf.replace(b'"v":1', b'"v":1,"v":1', 1),
    lambda _dice, leaf: leaf.replace(b'"kind"', b'"\\u006bind"', 1),
    lambda _dice, leaf: leaf.replace(b'"v":1', b'"v":1e0', 1),
    lambda _dice, leaf: leaf.replace(b'"v":1', b'"v":NaN', 1),
    lambda _dice, leaf: leaf.replace(b'"v":1', b'"v":' + b"9" * 5000, 1),
    lambda _dice, leaf: leaf.replace(b'"writer":"w1"', b'"writer":"\\ud800"', 1),
    lambda _dice, leaf: leaf.replace(b'"writer":"w1"', b'"writer":"\xff"', 1),
    lambda _dice, leaf: leaf.replace(b'"facts":{', b'"facts":{"x":"\\ud800",', 1).replace(b",}", b"}"),
    lambda _dice, leaf: leaf.decode().encode("utf-16"),
    lambda _dice, leaf: leaf[:-1],
    lambda dice, _leaf: b"[" * dice.choice([1, 5_000, 60_000]),
    lambda _dice, _leaf: b"[]",
    lambda _dice, _leaf: b"",
    lambda _dice, leaf: leaf[:-1] + b',"z":"' + b"x" * 66_000 + b'"}',
]


def leaf_lie(honest: Honest, dice: random.Random, name: str) -> tuple[bytes, list[bytes]]:
    """A whole bundle with this lie in it, signed by a thief of every key, and its leaves."""
    members = unpack(honest.whole)
    leaves = leaves_of(members)
    if name == "a spelling":
        at = dice.randrange(len(leaves))
        leaves[at] = dice.choice(SPELLINGS)(dice, leaves[at])
    else:
        records = [json.loads(leaf) for leaf in leaves]
        LIES[name][0](dice, records)
        leaves = [json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() for record in records]
        if name in ("an end of another call", "numbers without whom they count", "an intent left open"):
            leaves = with_true_references(leaves)
    del members["disclosures/000000.txt"]
    return rewritten(honest.log, members, leaves, disclosures=0), leaves


def with_true_references(leaves: list[bytes]) -> list[bytes]:
    """A liar who takes care: each end names the leaf that its intent has now."""
    made: list[bytes] = []
    for leaf in leaves:
        record = json.loads(leaf)
        if isinstance(record.get("intent"), dict):
            record["intent"]["leaf"] = verify.b64url(leaf_hash(made[record["intent"]["index"]]))
        made.append(canonical(record))
    return made


# Damages: without a key, or with the export key alone.

Damage = Callable[[random.Random, bytes], bytes]


def flipped(dice: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.choice([1, 1, 2, 8])):
        changed[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def cut_or_longer(dice: random.Random, raw: bytes) -> bytes:
    at, length = dice.randrange(len(raw)), dice.randrange(1, 200)
    more = dice.randbytes(length)
    return dice.choice([raw[:at], raw[at:], raw[:at] + raw[at + length :], raw[:at] + more + raw[at:], raw + more, more + raw])


def zip_numbers(dice: random.Random, raw: bytes) -> bytes:
    """A number of a header, of the directory or of its end."""
    changed = bytearray(raw)
    marks = [match.start() for match in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", raw)]
    at = min(dice.choice(marks) + dice.randrange(4, 22), len(raw) - 2)
    struct.pack_into("<H", changed, at, dice.choice([0, 1, 0xFFFF, dice.randrange(2**16)]))
    return bytes(changed)


def members_changed(dice: random.Random, raw: bytes) -> Members:
    """One member absent, renamed, doubled under another name, emptied, or with another's content."""
    members = unpack(raw)
    name, other = dice.sample(sorted(members.keys() - {verify.MANIFEST}), 2)
    match dice.randrange(5):
        case 0:
            del members[name]
        case 1:
            members[f"{name}x"] = members.pop(name)
        case 2:
            members[f"{name}x"] = members[name]
        case 3:
            members[name] = members[other]
        case _:
            members[name] = b""
    return members


def lines_changed(dice: random.Random, raw: bytes) -> Members:
    """Lines of a list dropped, doubled, swapped, or one of them changed by a byte."""
    members = unpack(raw)
    name = dice.choice([name for name in members if name.endswith(".txt") or name.startswith("checkpoints/")])
    rows = members[name].splitlines(keepends=True)
    at = dice.randrange(len(rows))
    match dice.randrange(4):
        case 0:
            del rows[at]
        case 1:
            rows.insert(at, rows[dice.randrange(len(rows))])
        case 2:
            rows[at], rows[at - 1] = rows[at - 1], rows[at]
        case _:
            rows[at] = flipped(dice, rows[at])
    members[name] = b"".join(rows)
    return members
