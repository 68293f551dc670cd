"""Evidence bundles: what is in them, and the stand-alone verifier as a program."""

import ast
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from audit import verify
from audit.export import Contents, bundle, export, trust_policy
from audit.log import Log
from audit.query import NothingKnown, Query, Why, page
from tests.trail import Clock, a_record, an_end, an_intent

WHY = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")


@pytest.fixture
async def filled(log: Log) -> Log:
    for n in range(6):
        await log.append(a_record(call_id=f"call_{n}", customer=f"C-{n % 2}"))
    entry = await log.append(an_intent(call_id="call_7"))
    await log.append(an_end(entry.index, entry.leaf_hash))
    return log


async def test_a_whole_log_is_exported_with_the_record_of_its_export(filled: Log) -> None:
    exported = await export(filled, WHY, policy_files={"rules.cedar": b"permit;"})
    with zipfile.ZipFile(BytesIO(exported.raw)) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        leaves = opened.read("leaves.txt").splitlines()
        assert opened.read("policy/rules.cedar") == b"permit;"
        assert opened.read("disclosures.txt") == b""
        assert opened.read("verify.py") == Path(verify.__file__).read_bytes()
    assert names == sorted(names)
    last = json.loads(leaves[-1].split(b" ", 1)[1])
    assert (last["kind"], len(leaves) - 1) == ("audit.export", exported.record)
    assert last["facts"]["purpose"] == "yearly review"
    report = verify.verify(exported.raw)
    assert report.good
    assert report.verdict("completeness") == "good"
    assert report.verdict("disclosure") == "not claimed"


async def test_a_selection_has_proofs_and_says_that_it_is_complete_for_its_customer(filled: Log) -> None:
    pinned = await filled.publish()
    exported = await export(filled, WHY, query=Query(customer="C-1"), reveal=True)
    report = verify.verify(exported.raw, pinned=None if pinned is None else pinned.encode())
    assert report.findings == []
    assert report.verdict("completeness") == report.verdict("disclosure") == "good"
    members = verify.unpack(exported.raw)
    assert sum(name.startswith("proofs/") for name in members) == exported.records + 1 == 4
    other = await export(filled, WHY, query=Query(customer="C-1", function="get_account_balance"))
    assert verify.verify(other.raw).verdict("completeness") == "not claimed"


@pytest.mark.parametrize("query", [Query(customer="nobody"), Query(conversation="never"), Query(customer="nobody", function="any")])
async def test_of_nobody_nothing_is_claimed_and_the_look_is_on_record(filled: Log, query: Query) -> None:
    found = await page(filled, query, WHY)
    assert (found.of_nobody, found.gapless, found.found) == (True, None, [])
    with pytest.raises(NothingKnown):
        await export(filled, WHY, query=query)
    looks = [json.loads(item.leaf)["facts"] for item in await filled.read(lambda reads: list(reads.leaves(8, 10)))]
    assert [look.get("by_customer") for look in looks] == (["unknown"] * 2 if query.customer else [None] * 2)


async def test_of_a_known_customer_that_nothing_matches_is_an_answer(filled: Log) -> None:
    found = await page(filled, Query(customer="C-1", function="freeze_card"), WHY)
    assert (found.of_nobody, found.gapless, found.found) == (False, None, [])


async def test_an_export_that_cannot_be_compared_with_a_pinned_checkpoint_says_so(filled: Log) -> None:
    exported = await export(filled, WHY, query=Query(customer="C-1"))
    await filled.publish(force=True)
    later = await export(filled, WHY, query=Query(customer="C-0"), pinned_sizes=[2])
    assert verify.verify(later.raw).good
    ahead = await filled.checkpoint()
    assert ahead is not None
    found = verify.verify(exported.raw, pinned=ahead.encode()).findings
    assert [verdict for verdict, _ in found] == ["order"]
    for wrong in (0, 1000):
        with pytest.raises(ValueError, match="ahead"):
            await export(filled, WHY, pinned_sizes=[wrong])


async def test_the_same_records_under_the_same_checkpoint_give_the_same_bytes(filled: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    note = await filled.publish()

    async def same(_log: Log, *, force: bool = False) -> str | None:
        return note

    monkeypatch.setattr(Log, "publish", same)
    assert await bundle(filled, Contents(indexes=[1, 2])) == await bundle(filled, Contents(indexes=[2, 1, 1]))


async def test_nothing_is_exported_of_an_empty_log_or_beyond_it(log: Log, filled: Log) -> None:
    for wrong in ([], [99]):
        with pytest.raises(ValueError, match="no such record"):
            await bundle(filled, Contents(indexes=wrong))


async def test_a_bundle_has_a_bound(filled: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.export.BUNDLE_MOST", 10_000)
    with pytest.raises(ValueError, match="export selections"):
        await bundle(filled, Contents())
    monkeypatch.setattr("audit.export.SELECTED_MOST", 3)
    for query in (Query(), Query(customer="C-0")):
        with pytest.raises(ValueError, match="a selection has fewer"):
            await export(filled, WHY, query=query)


async def test_an_empty_log_has_no_bundle(log: Log) -> None:
    with pytest.raises(ValueError, match="empty"):
        await bundle(log, Contents())


async def test_the_verifier_runs_alone(filled: Log, tmp_path: Path, clock: Clock) -> None:
    raw = (await export(filled, WHY)).raw
    (tmp_path / "bundle.zip").write_bytes(raw)
    (tmp_path / "bad.zip").write_bytes(raw[:-1])
    (tmp_path / "trust.json").write_bytes(trust_policy(filled))
    (tmp_path / "pinned").write_text((await filled.checkpoint()) or "")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "verify.py").write_bytes(verify.unpack(raw)["verify.py"])

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-I", str(alone / "verify.py"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run("bundle.zip")[0] == 0
    code, printed = run("bundle.zip", "--json", "--trust", "trust.json", "--pinned", "pinned")
    assert (code, json.loads(printed)["good"], json.loads(printed)["notes"]) == (0, True, [])
    code, printed = run("bad.zip")
    assert code == 1
    assert "finding: integrity" in printed
    assert run("absent.zip")[0] == run()[0] == 2


def test_the_verifier_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(verify.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}
