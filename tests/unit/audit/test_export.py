"""Evidence bundles: what is in them, and the stand-alone verifier as a program."""

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from audit import export as exporting
from audit import verify
from audit.bundle_file import BundleFile
from audit.export import Contents, export, trust_policy
from audit.leaf import Committed, EndState, RecordKind
from audit.log import Log
from audit.query import NothingKnown, Query, Why, page
from audit.record_numbers import RecordNumbers
from audit.terms import LOOKS
from tests.support.bundles import bundled, leaves_of, lines, signed, unpack
from tests.support.bundles import exported as exported_bytes
from tests.trail import RULES, RULES_HASH, Clock, a_record, activate_rules, an_end, an_intent

pytestmark = pytest.mark.usefixtures("both_verifiers")

WHY = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")


@pytest.fixture
async def filled(log: Log) -> Log:
    await activate_rules(log)
    for n in range(6):
        await log.append(a_record(call_id=f"call_{n}", customer=f"C-{n % 2}"))
    entry = await log.append(an_intent(call_id="call_7"))
    await log.append(an_end(entry.index, entry.leaf_hash, call_id="call_7"))
    return log


async def test_a_whole_log_is_exported_with_the_record_of_its_export(filled: Log) -> None:
    exported = await export(filled, WHY, file := BytesIO())
    with zipfile.ZipFile(file) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        leaves = opened.read("leaves/000000.txt").splitlines()
        assert opened.read(f"policy/{RULES_HASH}.json") == RULES
        assert opened.read("verify.py") == Path(verify.__file__).read_bytes()
    assert names == [*sorted(names[:-1]), "manifest.note"]
    last = json.loads(leaves[-1].split(b" ", 1)[1])
    assert (last["kind"], len(leaves) - 1) == ("audit.export", exported.record)
    assert last["facts"]["purpose"] == "yearly review"
    report = verify.verify(file.getvalue())
    assert exported.size == len(file.getvalue())
    assert report.good
    assert report.verdict("completeness") == "good"
    assert report.verdict("disclosure") == "not claimed"


async def test_a_selection_has_proofs_and_says_that_it_is_complete_for_its_customer(filled: Log) -> None:
    pinned = await filled.publish()
    exported = await export(filled, WHY, file := BytesIO(), query=Query(customer="C-1"), reveal=True)
    report = verify.verify(file.getvalue(), pinned=None if pinned is None else pinned.encode())
    assert report.findings == []
    assert report.verdict("completeness") == report.verdict("disclosure") == "good"
    members = unpack(file.getvalue())
    assert [int(line.split(b" ")[0]) for line in lines(members, "proofs")] == [0, 2, 4, 6, exported.record], "and what decided"
    assert exported.records == 3
    other = await exported_bytes(filled, WHY, query=Query(customer="C-1", function="get_account_balance"))
    assert verify.verify(other).verdict("completeness") == "not claimed"


async def test_records_by_their_indexes_are_a_selection_which_says_whose_they_are_and_claims_nothing_else(filled: Log) -> None:
    chosen = RecordNumbers.parse("7,1-2")
    exported = await export(filled, WHY, file := BytesIO(), records=chosen, reveal=True)
    report = verify.verify(file.getvalue())
    assert (report.findings, report.verdict("completeness"), report.verdict("disclosure")) == ([], "not claimed", "good")
    members = unpack(file.getvalue())
    there = [int(line.split(b" ")[0]) for line in lines(members, "leaves")]
    assert there == [0, 1, 2, 7, exported.record], "with what decided, and the record of it"
    assert exported.records == 3
    facts = json.loads(lines(members, "leaves")[-1].split(b" ", 1)[1])["facts"]
    assert (facts["by_records"], facts["whole"], facts["records"]) == ("1-2,7", False, 3)
    assert len(facts["shown"]) == 3, "two of reads, and that of the intent"
    before = await filled.head()
    for wrong in ({"records": RecordNumbers.parse("1,99")}, {"records": chosen, "query": Query(function="x")}):
        with pytest.raises(ValueError, match=r"records"):
            await export(filled, WHY, BytesIO(), **wrong)
    assert await filled.head() == before, "what cannot be done is not on record as done"


@pytest.mark.parametrize("query", [Query(customer="nobody"), Query(conversation="never"), Query(customer="nobody", function="any")])
async def test_of_nobody_nothing_is_claimed_and_the_look_is_on_record(filled: Log, query: Query) -> None:
    found = await page(filled, query, WHY)
    assert (found.of_nobody, found.gapless, found.found) == (True, None, [])
    with pytest.raises(NothingKnown):
        await exported_bytes(filled, WHY, query=query)
    looks = [json.loads(item.leaf)["facts"] for item in await filled.read(lambda reads: list(reads.leaves(9, 11)))]
    assert [look.get("by_customer") for look in looks] == (["unknown"] * 2 if query.customer else [None] * 2)


async def test_of_a_known_customer_that_nothing_matches_is_an_answer(filled: Log) -> None:
    found = await page(filled, Query(customer="C-1", function="freeze_card"), WHY)
    assert (found.of_nobody, found.gapless, found.found) == (False, None, [])


async def test_an_honest_selection_is_good_under_every_checkpoint_that_was_published(filled: Log, clock: Clock) -> None:
    kept = []
    for number in range(12):
        clock.forward(1)
        kept.append(await filled.publish(force=True) or "")
        await filled.append(a_record(call_id=f"more_{number}"))
    raw = await exported_bytes(filled, WHY, query=Query(customer="C-1"))
    assert [verify.verify(raw, pinned=note.encode()).findings for note in kept] == [[]] * 12
    narrow = await exported_bytes(filled, WHY, query=Query(customer="C-1"), earlier=[kept[4].encode()])
    assert verify.verify(narrow, pinned=kept[4].encode()).good
    assert len(lines(unpack(narrow), "consistency")) < len(lines(unpack(raw), "consistency"))


async def test_an_export_that_cannot_be_compared_with_a_pinned_checkpoint_says_so(filled: Log, clock: Clock) -> None:
    raw = await exported_bytes(filled, WHY, query=Query(customer="C-1"))
    clock.forward(1)
    ahead = (await filled.publish(force=True) or "").encode()
    await filled.append(a_record())
    kept = (await filled.publish(force=True) or "").encode()
    assert [verdict for verdict, _ in verify.verify(raw, pinned=kept).findings] == ["order"]
    for wrong in (b"", ahead[:-9], ahead.replace(b"bank", b"Bank")):
        with pytest.raises(ValueError, match="damaged, or not of this log"):
            await exported_bytes(filled, WHY, earlier=[wrong])
    with pytest.raises(ValueError, match="exported whole"):
        await exported_bytes(filled, WHY, query=Query(customer="C-1"), after=ahead)


async def test_the_same_records_under_the_same_checkpoint_give_the_same_bytes(filled: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    note = await filled.publish()

    async def same(_log: Log, *, force: bool = False) -> str | None:
        return note

    monkeypatch.setattr(Log, "publish", same)
    assert await bundled(filled, Contents(indexes=[1, 2])) == await bundled(filled, Contents(indexes=[2, 1, 1]))


async def test_nothing_is_exported_of_an_empty_log_or_beyond_it(log: Log, filled: Log) -> None:
    for wrong in ([], [99]):
        with pytest.raises(ValueError, match="no such record"):
            await bundled(filled, Contents(indexes=wrong))


async def test_a_large_selection_and_its_lists_come_in_parts(filled: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.bundle_file.PART_BYTES", 1000)
    monkeypatch.setattr("audit.export.AT_ONCE", 2)
    raw = await exported_bytes(filled, WHY, query=Query(conversation="conv_1"), reveal=True)
    names = [name for name in unpack(raw) if name.startswith(("leaves/", "disclosures/"))]
    assert len(names) > 10
    heard: list[tuple[int, int]] = []
    assert verify.verify(raw, told=lambda done, all_of: heard.append((done, all_of))).good
    missing = {name: content for name, content in unpack(raw).items() if name != "leaves/000003.txt"}
    assert not verify.verify(signed(filled, missing)).good


async def test_what_follows_a_checkpoint_is_verified_alone(log: Log, clock: Clock) -> None:
    """With what it refers to: numbers before, intents that ended later, one of them by way of unknown, and the policy."""
    await activate_rules(log)
    for number in range(5):
        await log.append(a_record(call_id=f"call_{number}", customer=f"C-{number % 2}"))
    intents = [await log.append(an_intent(call_id=f"call_{name}")) for name in ("a", "b", "c")]
    await log.append(an_end(intents[1].index, intents[1].leaf_hash, RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN, call_id="call_b"))
    clock.forward(1)
    kept = (await log.publish() or "").encode()
    whole = await exported_bytes(log, WHY)
    await log.append(an_end(intents[0].index, intents[0].leaf_hash, call_id="call_a"))
    await log.append(an_end(intents[1].index, intents[1].leaf_hash, RecordKind.RECONCILED, call_id="call_b"))
    for number in range(5):
        await log.append(a_record(call_id=f"late_{number}", customer=f"C-{number % 3}"))
    clock.forward(1)
    raw = await exported_bytes(log, WHY, after=kept, reveal=True)
    report = verify.verify(raw, trust=trust_policy(log), after=kept)
    assert (report.findings, report.notes) == ([], [])
    assert {name: report.verdict(name) for name in verify.VERDICTS} == dict.fromkeys(verify.VERDICTS, "good")
    assert len(leaves_of(unpack(raw))) < log.size()
    assert "frontier.txt" in unpack(raw)
    assert [verdict for verdict, _ in verify.verify(raw).findings] == ["order"], "not without the checkpoint that it continues"
    other = (await log.publish(force=True) or "").encode()
    assert [verdict for verdict, _ in verify.verify(raw, after=other).findings] == ["order"]
    assert verify.verify(whole, after=kept).good
    members = unpack(raw)
    for number, line in enumerate(lines(members)):
        fewer = lines(members)
        del fewer[number]
        proofs = [each for each in lines(members, "proofs") if each.split(b" ")[0] != line.split(b" ")[0]]
        changed = {**members, "leaves/000000.txt": b"".join(fewer), "proofs/000000.txt": b"".join(proofs)}
        cut = signed(log, changed, records=len(fewer))
        assert not verify.verify(cut, after=kept).good, line


@pytest.mark.parametrize(
    "spelling",
    [
        lambda raw: raw,
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.decode().encode("utf-16"),
        lambda raw: raw + b"\n",
        lambda raw: raw.rstrip(b"\n"),
    ],
    ids=["as it was", "CRLF", "byte order mark", "UTF-16", "a line more", "no last line"],
)
async def test_files_of_ones_own_are_read_for_what_they_are(filled: Log, spelling: Callable[[bytes], bytes]) -> None:
    pinned = (await filled.publish() or "").encode()
    raw = await exported_bytes(filled, WHY)
    assert verify.verify(raw, trust=spelling(trust_policy(filled)), pinned=spelling(pinned)).notes == []
    assert len(await exported_bytes(filled, WHY, query=Query(customer="C-1"), earlier=[spelling(pinned)])) > 0


async def test_a_damaged_file_of_ones_own_is_named_and_blames_nobody(filled: Log, tmp_path: Path) -> None:
    pinned, trust = (await filled.publish() or "").encode(), trust_policy(filled)
    (tmp_path / "bundle.zip").write_bytes(await exported_bytes(filled, WHY))
    middle = len(pinned) // 2
    damaged = [b"", b"x", pinned[:-20], pinned[:middle] + pinned[middle + 4 :], pinned.replace(b"\n9\n", b"\n8\n"), bytes(70_000)]
    damaged += [pinned[:-9] + b"AAAA" + pinned[-5:], trust]
    for name, faults in (
        ("pinned", damaged),
        ("after-checkpoint", damaged),
        ("trust", [b"", b"{}", trust[:-1], trust[:40], pinned]),
    ):
        for fault in faults:
            (tmp_path / "own.txt").write_bytes(fault)
            command = [sys.executable, "-I", verify.__file__, "bundle.zip", f"--{name}", "own.txt"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert (done.returncode, "cannot use own.txt" in done.stderr, "Traceback" in done.stderr) == (2, True, False), fault[
                :80
            ]


async def test_freshness_is_said_after_its_step(filled: Log) -> None:
    members = unpack(await exported_bytes(filled, WHY))
    report = verify.verify(signed(filled, {**members, "consistency/000000.txt": b"2\n"}))
    assert [report.verdict(name) for name in ("order", "freshness")] == ["finding", "not claimed"]


async def test_what_nobody_reads_is_named(filled: Log) -> None:
    members = unpack(await exported_bytes(filled, WHY))
    report = verify.verify(signed(filled, {**members, "leaves/000007.txt": b"7 {}\n", "notes.txt": b"all is well"}))
    assert {note for note in report.notes if "nobody" in note} == {
        "nobody reads the member leaves/000007.txt",
        "nobody reads the member notes.txt",
    }


async def test_a_bundle_of_rules_is_the_one_that_decided(filled: Log) -> None:
    name = f"policy/{RULES_HASH}.json"
    members = unpack(await exported_bytes(filled, WHY, query=Query(customer="C-1")))
    assert members[name] == RULES
    changed = verify.verify(signed(filled, {**members, name: b"{}"}))
    assert changed.findings == [("integrity", f"10. {name} is not the bundle of rules of that hash")]
    without = verify.verify(signed(filled, {kept: body for kept, body in members.items() if kept != name}))
    assert f"the bundle of rules {RULES_HASH} decided and is not in policy/" in without.notes


def test_beyond_four_gibibytes_and_sixty_thousand_members_it_is_zip64(tmp_path: Path) -> None:
    """The file has a hole: what lies in it takes no place."""
    far = 5 * 2**30
    with (tmp_path / "far.zip").open("wb") as file:
        file.seek(far)
        into = BundleFile(file, far)
        into.add("a.txt", b"far away")
        into.close(lambda _: b"{}")
    with zipfile.ZipFile(tmp_path / "far.zip") as opened:
        assert opened.read("a.txt") == b"far away"
    many = BytesIO()
    into = BundleFile(many)
    for number in range(70_000):
        into.add(f"m{number:06d}", b"")
    into.close(lambda _: b"{}")
    with zipfile.ZipFile(many) as opened:
        assert len(opened.namelist()) == 70_001
    many.seek(0)
    assert len(verify.walk(many)) == 70_001


async def test_an_empty_log_has_no_bundle(log: Log) -> None:
    with pytest.raises(ValueError, match="empty"):
        await bundled(log)


async def test_the_verifier_runs_alone(filled: Log, tmp_path: Path, clock: Clock) -> None:
    raw = await exported_bytes(filled, WHY)
    (tmp_path / "bundle.zip").write_bytes(raw)
    (tmp_path / "bad.zip").write_bytes(raw[:-1])
    (tmp_path / "trust.json").write_bytes(trust_policy(filled))
    (tmp_path / "pinned").write_text((await filled.checkpoint()) or "")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "verify.py").write_bytes(unpack(raw)["verify.py"])

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


async def test_a_selection_by_what_is_sealed_has_its_matches_alone_and_claims_no_whole_sequence(log: Log, tmp_path: Path) -> None:
    await activate_rules(log)
    for number, amount in enumerate(("20", "700", "900")):
        sums = {"amount": Committed({"value": amount, "currency": "EUR"})}
        await log.append(a_record(call_id=f"call_{number}", customer="C-1", conversation=None, arguments=sums))
    with (tmp_path / "bundle.zip").open("wb") as file:
        made = await export(log, WHY, file, query=Query(customer="C-1", amount=">500"))
    assert made.records == 2
    report = verify.verify(tmp_path / "bundle.zip", trust=trust_policy(log))
    assert report.good, report.findings
    assert b"complete_customer" not in (tmp_path / "bundle.zip").read_bytes()


async def test_an_export_that_names_nobody_says_whose_records_it_holds(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await activate_rules(log)
    for number in range(4):
        await log.append(a_record(call_id=f"call_{number}", customer=f"C-{number % 2}", conversation=None))
    mine = await log.subject_of("C-1")

    async def exported_facts(query: Query) -> dict[str, object]:
        with (tmp_path / "bundle.zip").open("wb") as file:
            made = await export(log, WHY, file, query=query)
        stored = await log.read(lambda reads: reads.leaf(made.record))
        assert stored is not None
        return dict(json.loads(stored.leaf)["facts"])

    assert mine in (await exported_facts(Query(function="get_account_balance")))["shown"]  # type: ignore[operator]
    assert "shown" not in await exported_facts(Query(customer="C-1")), "it names them"
    looks = (await page(log, Query(kinds=LOOKS, shown="C-1"), WHY)).found
    assert [look.fields["kind"] for look in looks] == ["audit.export"]
    monkeypatch.setattr(exporting, "SHOWN_MOST", 1)
    facts = await exported_facts(Query(function="get_account_balance"))
    assert (facts["shown_more"], "shown" in facts) == (True, False)
