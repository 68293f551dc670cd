"""Every verb of the command line, by the parser itself: whose key it takes; each that acts is tried by every role and by no one's key."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.app.development.officers import STAFF
from gateway.domain.duties import DUTIES, Duty, StaffRole
from policies.officers import Officer, officer_entry
from tests.support.command_duties import COMMANDS, NOBODYS
from tests.support.command_reference import GRANTED, verbs
from tests.support.databases import Kept
from tests.support.officers import KEYS, key_file
from tests.unit.gateway.test_officer_keys import told

PEOPLE = dict(zip(StaffRole, ("ada", "ben", "cem", "eve"), strict=True))
"""One person of each role, and of no other. `dot` is pinned by nobody."""
WHY = ["--purpose", "p", "--case", "c"]

TRIED: tuple[tuple[list[str], tuple[Duty, ...]], ...] = (
    (["audit", "query", *WHY], (Duty.QUERY,)),
    (["audit", "query", "amount:>500", *WHY], (Duty.SEARCH_SEALED,)),
    (["audit", "agent", "a-robot", *WHY], (Duty.QUERY,)),
    (["audit", "agent", "a-robot", "new_payee:yes", *WHY], (Duty.SEARCH_SEALED,)),
    (["audit", "who-looked", "--customer", "x", *WHY], (Duty.QUERY,)),
    (["audit", "life", "call_1", *WHY], (Duty.QUERY,)),
    (["audit", "report", "2026", *WHY], (Duty.QUERY,)),
    (["audit", "reveal", "0", *WHY], (Duty.REVEAL,)),
    (["audit", "export", "--out", "OUT", *WHY], (Duty.EXPORT,)),
    (["audit", "hold", "--hold", "h", "--customer", "x", *WHY], (Duty.PLACE_HOLD,)),
    (["audit", "hold", "--hold", "h", "--release", "--customer", "x", *WHY], (Duty.RELEASE_HOLD,)),
    (["audit", "erase", "--customer", "x", *WHY], (Duty.ERASE,)),
    (["audit", "erase", "--due", *WHY], (Duty.ERASE_DUE,)),
    (["audit", "reconcile", "--core-url", "http://127.0.0.1:9", "--core-credential-file", "TOKEN", *WHY], (Duty.RECONCILE,)),
    (["policy", "explain", "--record", "0"], (Duty.REVEAL,)),
    (["approvals", "list"], (Duty.LIST_APPROVALS,)),
    (["approvals", "ask", "trail.export", '{"purpose": "p"}', "--reason", "r"], (Duty.ASK_APPROVAL, Duty.EXPORT)),
    (["approvals", "give", "ASKED"], (Duty.APPROVE, Duty.EXPORT)),
    (["kill", "engage", "--agent", "rogue", "--reason", "r"], (Duty.ENGAGE,)),
    (["kill", "lift", "kill_x", "--reason", "r"], (Duty.LIFT,)),
    (["keys", "rotate", "runs"], (Duty.ROTATE_KEY,)),
    (["keys", "retire", "runs", "0011223344556677"], (Duty.RETIRE_KEY,)),
    (["keys", "make", "runs"], (Duty.MAKE_KEY,)),
    (["mandates", "import", "SIGNED"], (Duty.IMPORT_MANDATES,)),
    (["database", "recover"], (Duty.RECOVER,)),
    (["audit", "recover", "--approve", "TOKEN"], (Duty.SUCCEED,)),
    (["audit", "streams", "skip", "soc", "3", *WHY], (Duty.SKIP_RECORD,)),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with databases and keys, a person of each role, and what the tried commands name."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "data").mkdir(mode=0o700)
    data = folder / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kept, "kind", "sqlite")
        assert told("keys", "permits", "--data", str(data), "--json")[0] == 0
        assert told("database", "upgrade", "--data", str(data), "--json")[0] == 0
        (data / "dev").mkdir(mode=0o700)
        pinned = [Officer(name, frozenset(), KEYS[name].public_key(), frozenset({role.value})) for role, name in PEOPLE.items()]
        (data / "dev" / "officers.toml").write_text("\n".join(map(officer_entry, pinned)))
        (data / "dev" / "officers.toml").chmod(0o600)
        (folder / "granted.jsonl").write_text(json.dumps({"mandate": GRANTED}) + "\n")
        status, signed = told("mandates", "sign", str(folder / "granted.jsonl"), "--data", str(data))
        assert status == 0
        (folder / "signed.jsonl").write_text(json.dumps(signed) + "\n")
        (folder / "token").write_text("x" * 40)
        (folder / "token").chmod(0o600)
        yield data


def acting(data: Path, name: str, words: Sequence[str], asked: str) -> tuple[int, str]:
    folder = data.parent
    values = {
        "OUT": str(folder / "out.zip"),
        "TOKEN": str(folder / "token"),
        "SIGNED": str(folder / "signed.jsonl"),
        "ASKED": asked,
    }
    key = ["--officer-key", str(key_file(folder, name))]
    status, said = told(*[values.get(word, word) for word in words], *key, "--data", str(data), "--json")
    return status, str(said)


def size(data: Path) -> int:
    found: int = told("audit", "verify", "--data", str(data), "--json")[1]["size"]
    return found


def test_each_verb_stands_in_the_table_and_takes_a_key_if_and_only_if_it_says_whose() -> None:
    found = verbs()
    assert sorted(found) == sorted(COMMANDS)
    for name, parser in found.items():
        takes = "--officer-key" in parser._option_string_actions
        assert takes is not isinstance(COMMANDS[name], str), name
        if takes and name != "policy explain":
            assert parser._option_string_actions["--officer-key"].required, name
    taken = {duty for duties in COMMANDS.values() if not isinstance(duties, str) for duty in duties}
    assert taken | set(NOBODYS) | {Duty.FETCH_ENTRIES} == set(DUTIES), "each duty is done somewhere"
    assert all(isinstance(COMMANDS[verb], str) for verb in NOBODYS.values())
    assert {duty for _, duties in TRIED for duty in duties} == taken, "each that acts is tried below"
    assert set(STAFF) == {"ada", "ben", "eve"}


@pytest.mark.parametrize(("words", "duties"), TRIED, ids=[" ".join(words[:4]) for words, _ in TRIED])
def test_who_has_the_role_may_and_nobody_else(data: Path, words: list[str], duties: tuple[Duty, ...]) -> None:
    asked = ""
    if "ASKED" in words:
        asker = ["--officer-key", str(key_file(data.parent, PEOPLE[StaffRole.AUDITOR]))]
        told_ = told("approvals", "ask", "trail.export", '{"case": "c"}', "--reason", "r", *asker, "--data", str(data), "--json")
        asked = told_[1]["id"]
    before = size(data)
    allowed = frozenset.intersection(*(DUTIES[duty].roles for duty in duties))
    status, said = acting(data, "dot", words, asked)
    assert (status, "is not the key of an officer" in said) == (2, True), said
    refused = [name for role, name in PEOPLE.items() if role not in allowed]
    for name in refused:
        status, said = acting(data, name, words, asked)
        assert (status, "none of your roles may" in said) == (1, True), (name, said)
    assert size(data) == before + len(refused), "nothing was done, and each attempt is on record"
    if refused:
        auditor = ["--officer-key", str(key_file(data.parent, PEOPLE[StaffRole.AUDITOR])), *WHY, "--limit", "500"]
        found = told("audit", "query", "--kind", "admin", *auditor, "--data", str(data), "--json")[1]["records"]
        attempts = [item["leaf"]["facts"] for item in found if item["index"] >= before]
        assert [(item["word"], item["by"], item["code"]) for item in attempts] == [
            ("refused", name, "insufficient_role") for name in refused
        ]
        assert {item["duty"] for item in attempts} <= set(duties)
    for role in allowed:
        status, said = acting(data, PEOPLE[role], words, asked)
        assert "none of your roles may" not in said, (role, said)
        assert "is not the key of" not in said, (role, said)
