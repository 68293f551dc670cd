"""The verifier in JavaScript and the one in Python say the same of every bundle: of forged ones by the hundred, and of each on which they
once differed.
"""

import asyncio
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.checkpoint import LOW_ORDER
from audit.encoding import b64, b64url
from audit.leaf import rfc3339
from tests.fuzz_bundles import disagreements
from tests.support import peers
from tests.support.bundles import lines, manifest_of, signed, unpack
from tests.support.forged_bundles import (
    FORGERIES,
    Corpus,
    Own,
    canonical_bytes,
    committed_to,
    corpus,
    made_up,
    signed_text,
)
from tests.support.lies import LIES, leaf_lie
from tests.support.options import long_or
from tests.support.second_verifier import (
    FOLDER,
    SecondVerifier,
    comparable,
    disagreement,
    first_verifier,
    node,
    second_verifier,
)
from tests.trail import START

Forged = tuple[bytes, Own]
WHOLE, SELECTION, TAIL, ROTATED = range(4)


@pytest.fixture(scope="module")
def second() -> Iterator[SecondVerifier]:
    with second_verifier() as running:
        yield running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The logs are closed by then: what is forged takes their keys alone."""

    async def opened() -> Corpus:
        async with corpus(tmp_path_factory.mktemp("corpus")) as found:
            return found

    return asyncio.run(opened())


@pytest.mark.long
def test_both_verifiers_say_the_same_of_forged_bundles(made: Corpus, second: SecondVerifier) -> None:
    count, counts = long_or(1_000, 300, 2_000), Counter[str]()
    assert list(islice(disagreements(made, second, range(count), counts), 5)) == []
    assert counts.total() == count
    assert min(counts[outcome] for outcome in ("good", "refused", "unreadable")) > count // 50, "each outcome is among them"
    assert count > 10 * len(FORGERIES)


def test_both_say_the_same_of_each_lie(made: Corpus, second: SecondVerifier) -> None:
    broken: set[str] = set()
    for name in [*LIES, "a spelling"]:
        for seed in range(4):
            raw, _ = leaf_lie(made.honest, random.Random(seed), name)
            assert disagreement(second, raw, {"trust": made.honest.trust}) is None, (name, seed)
            broken |= set(re.findall(r"record \d+: (\w+)", str(second.verify(raw, {})["findings"])))
    assert set(verify.RULES) - broken <= {"ahead", "backwards", "state"}, "which stand below, by name"


@pytest.mark.parametrize("y", sorted(LOW_ORDER))
def test_neither_takes_a_key_of_low_order(made: Corpus, second: SecondVerifier, y: bytes) -> None:
    source = made.sources[WHOLE]
    for public in (y, y[:31] + bytes([y[31] | 0x80])):
        key = verify.Key("stranger", 1, public)
        vkey = f"stranger+{key.id.hex()}+{b64(bytes([1]) + public)}"
        policy = {**json.loads(source.own["trust"]), "exports": [vkey]}
        own = {"trust": canonical_bytes(policy)}
        assert first_verifier(source.raw, own) == second.verify(source.raw, own) == {"unreadable": "trust"}


def test_both_say_the_same_with_what_a_browser_calculates_with(made: Corpus) -> None:
    with second_verifier("web") as in_a_browser:
        assert list(disagreements(made, in_a_browser, range(2 * len(FORGERIES)), Counter())) == []
        for source in made.sources:
            assert in_a_browser.verify(source.raw, source.own)["good"] is True


# What they once differed about. The verdicts are those that the documents give; everything else is good or not claimed.


def manifest(text: Callable[[dict[str, Any]], bytes], at: int = WHOLE) -> Callable[[Corpus], Forged]:
    def forged(made: Corpus) -> Forged:
        source = made.sources[at]
        members = unpack(source.raw)
        return signed_text(source.log, members, text(manifest_of(members)) + b"\n"), source.own

    return forged


def token(written: bytes) -> Callable[[Corpus], Forged]:
    return manifest(lambda found: canonical_bytes({**found, "weight": "@"}).replace(b'"@"', written))


def created(when: str) -> Callable[[Corpus], Forged]:
    """In a log whose export key was rotated, so that the manifest's time says which key signs."""
    return manifest(lambda found: canonical_bytes({**found, "created": when}), ROTATED)


def named_key(name: str) -> Callable[[Corpus], Forged]:
    """One more key that must sign, under this name."""

    def forged(made: Corpus) -> Forged:
        source = made.sources[WHOLE]
        policy = json.loads(source.own["trust"])
        raw = verify.unb64(policy["log"][0].split("+", 2)[2])
        key = verify.Key(name, raw[0], raw[1:])
        policy["log"].append(f"{name}+{key.id.hex()}+{policy['log'][0].split('+', 2)[2]}")
        return signed(source.log, {**unpack(source.raw), "trust.json": canonical_bytes(policy)}), {}

    return forged


def record(kind: str, change: Callable[[dict[str, Any]], None], at: int = WHOLE) -> Callable[[Corpus], Forged]:
    """The first record of this kind, changed, in a bundle that is signed anew."""

    def forged(made: Corpus) -> Forged:
        source = made.sources[at]
        leaves = [json.loads(leaf) for leaf in source.leaves]
        change(next(leaf for leaf in leaves if leaf["kind"] == kind))
        return made_up(source, [canonical_bytes(leaf) for leaf in leaves], disclosures=0), {}

    return forged


def at_second(second: int) -> Callable[[dict[str, Any]], None]:
    """So many seconds after the checkpoint over it."""
    time = START + timedelta(seconds=2 + second)
    return lambda leaf: leaf.update(time=rfc3339(time))


def without_material(leaf: dict[str, Any]) -> None:
    rows = leaf["facts"]["statement"].split("\n")
    leaf["facts"]["statement"] = "\n".join([*rows[:3], "name+00000000+", *rows[4:]])


def line(folder: str, change: Callable[[bytes], bytes], at: int = WHOLE) -> Callable[[Corpus], Forged]:
    """The first line of a list, changed."""

    def forged(made: Corpus) -> Forged:
        source = made.sources[at]
        members = unpack(source.raw)
        first, *rest = lines(members, folder)
        return signed(source.log, {**members, f"{folder}/000000.txt": b"".join([change(first), *rest])}), source.own

    return forged


def disclosed(opened: bytes, spelt: Callable[[str], str] = str) -> Callable[[Corpus], Forged]:
    return lambda made: committed_to(made.sources[WHOLE], "arguments.account", spelt(b64url(opened)))


def own_version(written: bytes) -> Callable[[Corpus], Forged]:
    """A trust policy in the bundle of another version than the auditor's, which is used."""

    def forged(made: Corpus) -> Forged:
        source = made.sources[WHOLE]
        text = source.own["trust"].replace(b'"v":1', b'"v":' + written)
        return signed(source.log, {**unpack(source.raw), "trust.json": text}), source.own

    return forged


def own_trust(change: Callable[[bytes], bytes]) -> Callable[[Corpus], Forged]:
    return lambda made: (made.sources[WHOLE].raw, {"trust": change(made.sources[WHOLE].own["trust"])})


OPENED = b'["AAAAAAAAAAAAAAAAAAAAAA","account",{"a":1}]'
DIFFERED: dict[str, tuple[Callable[[Corpus], Forged], set[str]]] = {
    "a manifest with NaN": (token(b"NaN"), {"integrity"}),
    "a manifest with a fraction": (token(b"1.5"), {"integrity"}),
    "a manifest with a number beyond 2**53": (token(b"9007199254740992"), {"integrity"}),
    "names beyond the basic plane, in either order": (token('{"\ue000":2,"\U00010000":1}'.encode()), {"integrity"}),
    "a manifest nested too deep": (token(b"[" * 101 + b"]" * 101), {"integrity"}),
    "a manifest nested as deep as may be": (token(b"[" * 99 + b"]" * 99), set()),
    "a manifest of before 1970, where keys were rotated": (created("1969-12-31T23:59:59.000000Z"), {"authenticity"}),
    "a manifest of no time of day, where keys were rotated": (created("2026-11-24"), {"integrity"}),
    "a key whose name is not ASCII": (named_key("bänk"), {"authenticity"}),
    "a key whose name is too long": (named_key("x" * 256), {"authenticity"}),
    "a trust policy of the version true": (own_version(b"true"), set()),
    "a rotation from a key without material": (record("key.rotate", without_material, ROTATED), {"authenticity"}),
    "rules that are activated by a list": (
        record("policy.activate", lambda leaf: leaf["facts"].update(bundle=["x"])),
        {"integrity"},
    ),
    "a label of 255 characters beyond the basic plane": (record("read", lambda leaf: leaf.update(redaction="😀" * 255)), set()),
    "a label of 256 characters": (record("read", lambda leaf: leaf.update(redaction="😀" * 256)), {"integrity", "completeness"}),
    "a record as much younger than the checkpoint as may be": (record("audit.export", at_second(60)), set()),
    "an end state of another kind": (record("outcome", lambda leaf: leaf.update(end_state="outcome_unknown")), {"integrity"}),
    "a record as much older than one before it as may be": (record("audit.export", at_second(-900)), set()),
    "a record older than one before it": (record("audit.export", at_second(-903)), {"order"}),
    "a record younger than the checkpoint": (record("audit.export", at_second(61)), {"order"}),
    "a record whose index is no number": (line("leaves", lambda row: b"x" + row), {"order"}),
    "a record whose index has a plus": (line("leaves", lambda row: b"+" + row), {"order"}),
    "a proof from no number": (line("consistency", lambda row: b"x" + row, SELECTION), {"order"}),
    "a disclosure": (disclosed(OPENED), set()),
    "a disclosure with padding": (disclosed(OPENED, lambda text: f"{text}="), {"disclosure"}),
    "a disclosure with stray characters": (disclosed(OPENED, lambda text: f"{text}!"), {"disclosure"}),
    "a disclosure in three words": (disclosed(OPENED, lambda text: f"{text} x"), {"disclosure"}),
    "a disclosure that is no JSON": (disclosed(b"no JSON"), {"disclosure"}),
    "a disclosure with a name twice": (disclosed(OPENED.replace(b'"a":1', b'"a":1,"a":1')), {"disclosure"}),
    "a disclosure with half a character": (disclosed(OPENED.replace(b"1}", b'"\\ud800"}')), {"disclosure"}),
}


@pytest.mark.parametrize("name", DIFFERED)
def test_what_they_differed_about_has_the_verdict_of_the_documents(made: Corpus, second: SecondVerifier, name: str) -> None:
    forge, expected = DIFFERED[name]
    raw, own = forge(made)
    found = first_verifier(raw, own)
    assert {verdict for verdict, said in found["verdicts"].items() if said == "finding"} == expected, found["findings"]
    assert "malformed" not in str(found["findings"]) or expected == {"integrity"}
    assert disagreement(second, raw, own) is None


@pytest.mark.parametrize("more", [b'"x":NaN,', b'"x":1.5,', b'"v":1,', b'"\xc3\xa9":1,'])
def test_a_trust_policy_of_another_kind_of_json_is_unreadable_to_both(made: Corpus, second: SecondVerifier, more: bytes) -> None:
    raw, own = own_trust(lambda text: b"{" + more + text[1:])(made)
    assert first_verifier(raw, own) == second.verify(raw, own) == {"unreadable": "trust"}


# The program, and what it carries.


def ran(*arguments: str | Path, given: bytes = b"") -> "subprocess.CompletedProcess[str]":
    command = [node(), str(FOLDER / "verify.mjs"), *map(str, arguments)]
    return peers.ran(command, check=False, input=given.decode())


def test_the_program_says_what_the_other_one_says_with_the_same_statuses(made: Corpus, tmp_path: Path) -> None:
    source = made.sources[TAIL]
    for name, content in {**source.own, "bundle": source.raw, "cut": source.raw[:-1], "torn": source.own["trust"][:-9]}.items():
        (tmp_path / name).write_bytes(content)
    files = {name: tmp_path / name for name in ("bundle", "cut", "trust", "pinned", "after", "torn")}
    own = ("--trust", files["trust"], "--pinned", files["pinned"], "--after-checkpoint", files["after"])
    good = ran(files["bundle"], *own, "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert comparable(json.loads(good.stdout)) == comparable(first_verifier(source.raw, source.own))
    assert list(json.loads(good.stdout))[:4] == ["good", "verdicts", "findings", "notes"]
    said: list[str] = []
    assert verify.main([str(files["bundle"]), *map(str, own)], said.append) == 0
    assert ran(files["bundle"], *own).stdout == "".join(said)
    assert ran(files["cut"]).returncode == 1
    for option, value in (("--witness", "x"), ("--witness-quorum", "1")):
        assert ran(files["bundle"], *own, option, value).returncode == 2, option
    log_key = json.loads(source.own["trust"])["log"][1]
    assert ran(files["bundle"], *own, "--witness", log_key, "--witness", log_key).returncode == 0, "the log is its own witness"
    assert ran(files["bundle"], *own, "--witness", log_key, "--witness-quorum", "two").returncode == 2
    piped = ran(files["bundle"], "--trust", "/dev/stdin", *own[2:], given=source.own["trust"])
    assert (piped.returncode, piped.stderr) == (0, "")
    for option, path in (("--trust", tmp_path / "none"), ("--pinned", tmp_path)):
        assert ran(option, path, files["bundle"]).returncode == 2, option
    for wrong in ((), (files["bundle"], files["cut"]), ("--what", files["bundle"]), (tmp_path / "none",), (tmp_path,)):
        assert ran(*wrong).returncode == 2, wrong
    torn = ran(files["bundle"], "--trust", files["torn"])
    assert (torn.returncode, torn.stdout) == (2, "")
    assert f"cannot use {files['torn']}: it is damaged, or something else" in torn.stderr


def test_the_rules_are_those_of_the_other_one() -> None:
    program = f"import {{ RULES }} from {json.dumps((FOLDER / 'verifier.mjs').as_uri())}; console.log(JSON.stringify(RULES))"
    said = peers.ran([node(), "--input-type=module", "--eval", program])
    assert {name: tuple(rule) for name, rule in json.loads(said.stdout).items()} == dict(verify.RULES)


def test_what_is_carried_of_other_peoples_code_is_the_locked_package(tmp_path: Path) -> None:
    """But for the imports by a package's name, which are by path."""
    peer = peers.installed("noble", "@noble/post-quantum", "vendor.mjs")
    peers.ran([node(), peer / "vendor.mjs", tmp_path])

    def files(folder: Path) -> dict[str, bytes]:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    carried = files(FOLDER / "vendor")
    assert carried == files(tmp_path)
    assert {name for name in carried if name.endswith("LICENSE")} == {
        f"{name}/LICENSE" for name in ("curves", "hashes", "post-quantum")
    }
    assert not any(b"from '@" in line for text in carried.values() for line in text.splitlines() if line.startswith(b"import"))


def test_the_modules_need_nothing_else_and_ask_nobody() -> None:
    """Imports are by path, or Node's own in the two modules that are Node's; nothing is fetched or made at run time."""
    for path in FOLDER.glob("*.mjs"):
        text = path.read_text()
        assert max(map(len, text.splitlines())) <= 140, path.name
        imported = re.findall(r'^import .* from "(.+)";$', text, re.MULTILINE)
        assert all(
            name.startswith("./") or (name.startswith("node:") and path.name in ("verify.mjs", "nodecrypto.mjs"))
            for name in imported
        )
        assert not any(word in text for word in ("fetch(", "eval(", "import(", "Function(", "innerHTML")), path.name


def test_the_sources_are_good(made: Corpus, second: SecondVerifier) -> None:
    """What is forged from is good to both, as are the same records signed anew."""
    for source in made.sources:
        assert comparable(second.verify(source.raw, source.own)) == comparable(first_verifier(source.raw, source.own))
        assert second.verify(source.raw, source.own)["good"] is True
        own = {name: content for name, content in source.own.items() if name != "after"}
        again = made_up(source, source.leaves, disclosures=0)
        if source is not made.sources[TAIL]:
            assert first_verifier(again, own)["good"] is True, first_verifier(again, own)["findings"]
