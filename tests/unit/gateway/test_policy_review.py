"""`tellergate policy check`, `test` and `diff` over bundle files: an officer reviews exactly what their signature will be over."""

import asyncio
import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app.development.settings import development
from gateway.cli import main
from gateway.commands.policy import cases_of
from gateway.commands.policy_bundles import write_bundle
from gateway.store.policies import Activate
from policies.bundle import Bundle, RuleFile
from policies.review.cases import CasesRefused
from policies.review.difference import questions
from tests.samples import bank
from tests.support.databases import url
from tests.support.officers import signed
from tests.support.opening import open_gateway


def told(*words: str) -> tuple[int, Any]:
    """The status, and what was printed: as JSON where it is, else with what was said."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as said:
        status = main(list(words))
    text = printed.getvalue()
    return status, json.loads(text) if text.startswith("{") else text + said.getvalue()


def whole(version: int = 1) -> Bundle:
    """The shipped rules with their cases, as a bank would build them."""
    return replace(bank.bundle(), version=version, author="ada", cases=tuple(cases_of(None)))


def laxer(bundle: Bundle, version: int = 2) -> Bundle:
    """A level less is asked of money; and a case that would show it is gone."""
    rules = tuple(RuleFile(file.name, file.text.replace("level < 3", "level < 2")) for file in bundle.rules)
    cases = tuple(file for file in bundle.cases if file.name != "conversation.yaml")
    return replace(bundle, version=version, rules=rules, cases=cases)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for name, bundle in (("old", whole()), ("new", laxer(whole())), ("bare", replace(whole(), cases=()))):
        assert write_bundle(folder / f"{name}.bundle", bundle)
    (folder / "torn.bundle").write_bytes((folder / "old.bundle").read_bytes()[:-1])
    return folder


def test_what_is_checked_and_tried_is_what_the_file_holds(files: Path) -> None:
    status, report = told("policy", "check", str(files / "new.bundle"), "--json")
    assert (status, report["bundle"], report["good"]) == (0, laxer(whole()).hash, True)
    status, printed = told("policy", "check", str(files / "new.bundle"))
    assert (status, "version 2 by ada:" in printed, laxer(whole()).hash in printed) == (0, True, True)
    status, report = told("policy", "test", str(files / "old.bundle"), "--json")
    assert (status, report["bundle"], report["good"]) == (0, whole().hash, True)
    status, report = told("policy", "test", str(files / "new.bundle"), "--json")
    broken = [result["name"] for result in report["results"] if not result["good"]]
    assert (status, report["bundle"]) == (1, laxer(whole()).hash)
    assert broken, "its own cases show what its rules let through"
    assert not any(result["place"]["file"] == "conversation.yaml" for result in report["results"]), "its own, and no others"


def test_a_difference_counts_whose_answer_changes_and_asks_what_the_new_cases_leave_out(files: Path) -> None:
    status, report = told("policy", "diff", str(files / "old.bundle"), str(files / "new.bundle"), "--json")
    assert (status, report["good"], report["before"], report["after"]) == (1, False, whole().hash, laxer(whole()).hash)
    assert report["cases"] == {"added": [], "removed": ["conversation.yaml"], "changed": []}
    assert report["functions"] == {"added": [], "removed": [], "changed": []}
    changes = report["changes"]
    assert report["gains"] == sum(change["gains"] for change in changes) >= 5
    assert report["asked"] > len(changes)
    assert any(change["name"] == "a payment after untrusted text" for change in changes), "of a file that is gone"
    status, printed = told("policy", "diff", str(files / "new.bundle"), str(files / "old.bundle"))
    assert (status, "from version 2 by ada to version 1 by ada" in printed) == (0, True)
    assert f"{report['asked']} cases asked of both" in printed
    assert f"in 0 the customer gains, in {report['gains']} loses" in printed


def test_the_other_may_be_what_is_in_force(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("TELLERGATE_DATABASE", url(data))
    active = ("policy", "diff", str(files / "new.bundle"), "--active", "--data", str(data), "--json")
    asyncio.run(_gateway(data))
    status, said = told(*active)
    assert (status, "nothing was activated" in str(said)) == (1, True)
    asyncio.run(_forged(data))
    status, said = told(*active)
    assert (status, "the trail has no record" in str(said)) == (1, True), "a row that somebody put there is not in force"


async def _gateway(data: Path) -> None:
    await (await open_gateway(development(data, database=url(data)))).close()


async def _forged(data: Path) -> None:
    gateway = await open_gateway(development(data, database=url(data)))
    try:
        await gateway.book.write(Activate(signed(whole()), gateway.door.clock()))
    finally:
        await gateway.close()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("check", "torn.bundle"), 1, "torn.bundle: "),
        (("test", "bare.bundle"), 1, "there is no world"),
        (("diff", "bare.bundle", "bare.bundle"), 1, "neither bundle has cases"),
        (("check", "old.bundle", "--rules", "."), 2, "not both"),
        (("diff", "old.bundle"), 2, "give OLD and NEW"),
        (("diff", "old.bundle", "--active"), 2, "give OLD and NEW"),
        (("diff", "old.bundle", "new.bundle", "--active"), 2, "give OLD and NEW"),
        (("diff", "old.bundle", "--rules", "."), 2, "not both"),
        (("check", "none.bundle"), 2, "none.bundle"),
    ],
)
def test_what_cannot_be_reviewed_is_told(files: Path, words: tuple[str, ...], status: int, said: str) -> None:
    found, text = told("policy", *(str(files / word) if word.endswith(".bundle") else word for word in words))
    assert (found, said in str(text)) == (status, True), text


def test_a_function_that_only_one_bundle_knows_is_asked_of_both() -> None:
    one = whole()
    gone = replace(one, functions=tuple(item for item in one.functions if item.name != "freeze_card"))
    asked = questions(gone, one, one.cases)
    assert len(asked) > 50
    assert any(question.after.action == "freeze_card" for question in asked.values())
    with pytest.raises(CasesRefused):
        questions(gone, gone, one.cases)
