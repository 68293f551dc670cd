"""`tellergate policy build`, `sign`, `verify`, `activate`, `rollback` and `list`, as people at a terminal meet them."""

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import delete, update

from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.app.development.settings import development
from gateway.app.settings import Settings
from gateway.calls.tools import FUNCTIONS
from gateway.cli import main
from gateway.commands import policy_activations, policy_bundles, policy_line
from gateway.store.policies import Activate, NotNewer
from gateway.store.tables import POLICY_ACTIVATIONS
from policies.bundle import VERSION_MOST, Role, load
from tests.samples.bank import POLICIES
from tests.support.databases import places, url
from tests.support.officers import KEYS, a_bundle, pinned, remembered_complaints, signed
from tests.support.opening import open_gateway
from tests.support.teller import teller


class Desk:
    """Where a bank's officers work: rules and cases of their own, the file of who may sign, their keys."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys
        self.rules, self.cases, self.data = home / "rules", home / "cases", home / "data"
        shutil.copytree(POLICIES / "rules", self.rules)
        shutil.copytree(POLICIES / "cases", self.cases)
        self.officers = pinned(home)
        for name, key in KEYS.items():
            (home / f"{name}.key").write_bytes(key.private_bytes_raw())
            (home / f"{name}.key").chmod(0o600)

    def policy(self, *arguments: object) -> tuple[int, Any, str]:
        """Exit status, what was printed (as JSON where it is), and what was said on standard error."""
        status = main(["policy", *map(str, arguments)])
        printed = self.capsys.readouterr()
        try:
            return status, json.loads(printed.out), printed.err
        except ValueError:
            return status, printed.out, printed.err

    def build(self, version: int, *more: object, author: str = "ada", out: str = "rules.bundle") -> tuple[int, Any, str]:
        where = ("--rules", self.rules, "--cases", self.cases, "--out", self.home / out)
        return self.policy("build", *where, "--version", version, "--author", author, *more)

    def sign(self, role: str, name: str, *, key: str = "", out: str = "rules.bundle") -> tuple[int, Any, str]:
        signing = ("--role", role, "--name", name, "--key", self.home / f"{key or name}.key")
        return self.policy("sign", *signing, self.home / out)

    def sign_both(self, out: str = "rules.bundle", activator: str = "ben") -> None:
        assert self.sign("author", "ada", out=out)[0] == 0
        assert self.sign("activator", activator, out=out)[0] == 0

    def verify(self, out: str = "rules.bundle") -> tuple[int, Any, str]:
        return self.policy("verify", "--policy-officers", self.officers, self.home / out)

    def activate(self, *more: object, out: str = "rules.bundle") -> tuple[int, Any, str]:
        where = ("--data", self.data, "--policy-officers", self.officers)
        return self.policy("activate", self.home / out, *where, *more, "--json")

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.policy("list", "--data", self.data, "--json")[1]["data"]
        return found


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("TELLERGATE_DATABASE", url(tmp_path / "data"))
    for module in (policy_bundles, policy_activations):
        monkeypatch.setattr(module, "complaints", remembered_complaints)  # two seconds of processor each
    return Desk(tmp_path, capsys)


@pytest.fixture
async def served(desk: Desk) -> Desk:
    """Where a gateway has run."""
    async with teller(desk.data):
        pass
    return desk


def test_the_same_rules_cases_and_functions_give_the_same_bytes(desk: Desk) -> None:
    assert desk.build(3)[0] == 0
    assert desk.build(3, out="again.bundle")[0] == 0
    body = (desk.home / "rules.bundle").read_bytes()
    assert body == (desk.home / "again.bundle").read_bytes()
    bundle = load(body)
    assert (bundle.version, bundle.author) == (3, "ada")
    assert {file.name for file in bundle.cases} == {path.name for path in (POLICIES / "cases").iterdir()}
    assert {function.name for function in bundle.functions} == {function.name for function in FUNCTIONS}
    assert desk.build(4)[0] == 2, "what may have been signed is never replaced"
    assert (desk.home / "rules.bundle").read_bytes() == body
    (desk.cases / "reads.yaml").write_text((desk.cases / "reads.yaml").read_text() + "\n# a word\n")
    assert desk.build(3, out="other.bundle")[0] == 0
    assert load((desk.home / "other.bundle").read_bytes()).hash != bundle.hash, "the cases are signed with the rules"


def test_everything_that_is_wrong_is_told_at_once_with_file_and_line(desk: Desk) -> None:
    (desk.rules / "z-open.cedar").write_text(
        "// ours\n"
        "permit (principal, action, resource);\n\n"
        '@id("z.level") @reason("level") @says("x")\n'
        "permit (principal, action, resource) when { context.assurance.level == 3 };\n\n"
        '@id("z.unknown") @reason("level") @says("x")\n'
        "forbid (principal, action, resource) when { context.nonsense };\n\n"
        "forbid ("
    )
    (desk.cases / "reads.yaml").write_text("cases:\n- name: x\n  call: nobody\n")
    (desk.cases / "z.yaml").write_text("cases: [")
    status, told, _ = desk.build(1, "--json")
    assert status == 1
    found = {(finding["file"], finding["line"]): finding["message"] for finding in told["findings"]}
    assert set(found) == {("z-open.cedar", line) for line in (2, 5, 8, 10)} | {("reads.yaml", 2), ("z.yaml", 1)}
    assert "nonsense" in found["z-open.cedar", 8]
    assert not (desk.home / "rules.bundle").exists()
    status, told, _ = desk.build(1)
    assert (status, "z-open.cedar:10: not a policy" in told, "nothing was written" in told) == (1, True, True)


def test_cases_that_do_not_hold_refuse_the_bundle(desk: Desk) -> None:
    (desk.rules / "conversation.cedar").unlink()
    status, told, _ = desk.build(1, "--json")
    assert status == 1
    assert {finding["file"] for finding in told["findings"]} >= {"conversation.yaml"}
    assert all(finding["line"] for finding in told["findings"])
    shutil.rmtree(desk.cases)
    desk.cases.mkdir()
    status, told, _ = desk.build(1, "--json")
    assert [finding["message"] for finding in told["findings"]] == ["there is no world to start from"]


def test_rules_that_are_no_text_are_named(desk: Desk) -> None:
    (desk.rules / "z.cedar").write_bytes(b"// a\n\xff")
    assert desk.build(1)[::2] == (1, "tellergate: z.cedar:2: not UTF-8\n")


@pytest.mark.parametrize("version", ["0", "-1", "x", str(VERSION_MOST + 1), "9" * 5000])
def test_a_version_is_a_positive_number(desk: Desk, version: str) -> None:
    with pytest.raises(SystemExit):
        desk.policy("build", "--rules", "r", "--cases", "c", "--out", "o", "--author", "ada", "--version", version)


def test_the_command_line_knows_the_roles_and_versions_that_bundles_have() -> None:
    assert tuple(Role) == policy_line.ROLES
    assert policy_line.VERSION_MOST == VERSION_MOST


def test_two_pinned_officers_stand_for_a_bundle(desk: Desk) -> None:
    desk.build(1)
    assert "nobody signed as author and activator" in desk.verify()[2]
    desk.sign_both()
    status, told, _ = desk.policy("verify", "--policy-officers", desk.officers, desk.home / "rules.bundle", "--json")
    assert (status, told["author"], told["activator"]) == (0, "ada", "ben")
    beside = desk.home / "rules.bundle.signatures"
    before = beside.read_bytes()
    desk.sign_both()
    assert beside.read_bytes() == before, "signing again changes nothing"


def test_whoever_may_not_sign_is_refused(desk: Desk) -> None:
    desk.build(1)
    assert "another officer activates" in desk.sign("activator", "ada")[2]
    assert "is not its author" in desk.sign("author", "ben")[2]
    assert desk.sign("author", "ada", key="ben")[0] == 0
    assert desk.sign("activator", "ben")[0] == 0
    assert "a signature does not match" in desk.verify()[2], "the key is not ada's"
    desk.sign("author", "ada")
    assert desk.verify()[0] == 0
    assert "ben signed as activator already" in desk.sign("activator", "cem")[2]
    for file, named in (("dot", "dot is not among the pinned officers"), ("zoe", "zoe is not among")):
        desk.build(1, out=f"{file}.bundle")
        desk.sign("author", "ada", out=f"{file}.bundle")
        desk.sign("activator", file, key="dot", out=f"{file}.bundle")
        assert named in desk.verify(f"{file}.bundle")[2]
    desk.build(1, author="ben", out="ben.bundle")
    desk.sign("author", "ben", out="ben.bundle")
    desk.sign("activator", "cem", out="ben.bundle")
    assert "ben is not pinned as author" in desk.verify("ben.bundle")[2]


def test_one_officer_under_two_names_is_one(desk: Desk) -> None:
    entry = desk.policy("officer", "--name", "ada-too", "--role", "activator", "--key", desk.home / "ada.key")[1]
    desk.officers.write_text(desk.officers.read_text() + entry)
    desk.build(1)
    desk.sign("author", "ada")
    assert desk.sign("activator", "ada-too", key="ada")[0] == 0
    assert "share a key" in desk.verify()[2]


def test_keys_are_pem_or_raw_and_nobody_else_s(desk: Desk) -> None:
    desk.build(1)
    pem = KEYS["ada"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (desk.home / "ada.key").write_bytes(pem)
    assert desk.sign("author", "ada")[0] == 0
    (desk.home / "ada.key").chmod(0o640)
    assert "readable by its owner alone" in desk.sign("author", "ada")[2]
    (desk.home / "ada.key").chmod(0o600)
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for wrong in (b"", b"x" * 31, other, b"-----BEGIN PRIVATE KEY-----\n"):
        (desk.home / "ada.key").write_bytes(wrong)
        status, _, said = desk.sign("author", "ada")
        assert (status, "must hold an Ed25519 private key" in said) == (2, True)


def test_an_officer_s_key_is_made_once_and_never_printed(desk: Desk) -> None:
    key = desk.home / "eva.key"
    status, entry, _ = desk.policy("officer", "--name", "eva", "--role", "author", "--role", "activator", "--key", key)
    assert (status, key.stat().st_mode & 0o777) == (0, 0o600)
    assert desk.policy("officer", "--name", "eva", "--role", "author", "--role", "activator", "--key", key)[1] == entry
    desk.officers.write_text(entry)
    desk.build(1, author="eva")
    assert desk.sign("author", "eva")[0] == 0
    assert desk.policy("officer", "--name", "", "--role", "author", "--key", key)[0] == 2


@pytest.mark.parametrize(
    "text",
    ["", "x", "officer = 1", "[[officer]]\nname = 'a'", "[other]\n", "[[officer]]\nname = 'a'\nroles = ['king']\npublic_key = ''"],
)
def test_a_file_of_officers_that_is_not_understood_pins_nobody(desk: Desk, text: str) -> None:
    desk.build(1)
    desk.sign_both()
    desk.officers.write_text(text)
    assert desk.verify()[0] == 2
    desk.officers.unlink()
    assert desk.verify()[0] == 2


def test_a_file_of_officers_that_others_may_change_pins_nobody(desk: Desk) -> None:
    desk.build(1)
    desk.sign_both()
    desk.officers.chmod(0o622)
    assert "writable by its owner alone" in desk.verify()[2]


def test_a_damaged_bundle_or_signature_is_refused(desk: Desk) -> None:
    desk.build(1)
    desk.sign_both()
    path, beside = desk.home / "rules.bundle", desk.home / "rules.bundle.signatures"
    body, written = path.read_bytes(), beside.read_bytes()
    path.write_bytes(body.replace(b"10000", b"99999", 1) if b"10000" in body else body.replace(b"5", b"6", 1))
    assert "a signature does not match" in desk.verify()[2]
    path.write_bytes(body + b" ")
    assert "not a bundle" in desk.verify()[2]
    path.write_bytes(body)
    for wrong in (b"", b"[]", b"{}", b"null", written.replace(b"author", b"king"), written.replace(b"=", b"!")):
        beside.write_bytes(wrong)
        assert desk.verify()[0] == 1, wrong


def test_an_activation_is_in_force_on_record_and_listed(served: Desk) -> None:
    served.build(5)
    served.sign_both()
    status, told, _ = served.activate()
    assert (status, told["version"], told["author"], told["activator"]) == (0, 5, "ada", "ben")
    (row,) = served.list()
    assert (row["version"], row["in_force"], row["bundle"]) == (5, True, told["bundle"])
    for version, out in ((5, "rules.bundle"), (4, "older.bundle")):
        served.build(version, out=out)
        served.sign_both(out)
        status, _, said = served.activate(out=out)
        assert (status, "version 5 was activated already" in said) == (1, True)
    assert len(served.list()) == 1
    assert main(["audit", "verify", "--data", str(served.data)]) == 0
    assert "good" in served.capsys.readouterr().out


def test_a_roll_back_is_an_activation_signed_by_two(served: Desk) -> None:
    served.build(1)
    served.sign_both()
    served.activate()
    (served.rules / "z.cedar").write_text("// nothing else\n")
    served.build(2, out="second.bundle")
    served.sign_both("second.bundle")
    served.activate(out="second.bundle")
    back = ("rollback", "--to", 1, "--author", "cem", "--data", served.data, "--out", served.home / "third.bundle")
    assert served.policy(*back, "--version", 1)[0] == 2
    status, told, _ = served.policy(*back, "--version", 3, "--json")
    first, third = (load((served.home / name).read_bytes()) for name in ("rules.bundle", "third.bundle"))
    assert (status, told["from"], told["bundle"]) == (0, first.hash, third.hash)
    assert (third.rules, third.cases, third.functions, third.version) == (first.rules, first.cases, first.functions, 3)
    assert served.activate(out="third.bundle")[0] == 1, "nobody has signed it"
    assert served.sign("author", "cem", out="third.bundle")[0] == 0
    assert served.sign("activator", "ben", out="third.bundle")[0] == 0
    assert served.activate(out="third.bundle")[0] == 0
    assert [(row["version"], row["in_force"]) for row in served.list()] == [(3, True), (2, False), (1, False)]
    assert served.policy(*back, "--version", 4)[0] == 2, "the file is another bundle"
    assert "never activated" in served.policy("rollback", "--to", 9, "--version", 10, *back[3:])[2]


async def test_rows_that_somebody_put_there_are_rolled_back_to_by_nobody(served: Desk) -> None:
    forged = a_bundle(1)
    database = places(served.data).open(DatabaseName.GATEWAY, name="tests")
    await database.write(Activate(signed(forged), utc_now()).apply)
    await database.close()
    rollback = ("rollback", "--to", "1", "--version", "2", "--author", "ada")
    where = ("--data", str(served.data), "--out", str(served.home / "x.bundle"))
    assert await in_a_thread("policy", *rollback, *where) == 1
    assert "the trail has no record" in served.capsys.readouterr().err


async def in_a_thread(*arguments: str) -> int:
    """A command has an event loop of its own."""
    return await asyncio.to_thread(main, list(arguments))


def test_what_must_not_decide_is_not_activated(served: Desk) -> None:
    assert served.policy("list", "--data", served.data)[1] == "nothing was activated\n"
    bad = {
        "other.bundle": (a_bundle(1).functions[1:], "the bundle does not know"),
        "caseless.bundle": (a_bundle(1).functions, "there is no world to start from"),
    }
    for out, (functions, said) in bad.items():
        (served.home / out).write_bytes(replace(a_bundle(1), functions=functions).canonical())
        served.sign_both(out)
        status, _, told = served.activate(out=out)
        assert (status, said in told) == (1, True), told
    served.build(1)
    assert served.activate()[0] == 1
    assert served.list() == []


async def test_a_new_gateway_gets_its_policies_before_its_first_start(desk: Desk) -> None:
    desk.build(1)
    desk.sign_both()
    arguments = ["policy", "activate", str(desk.home / "rules.bundle"), "--data", str(desk.data)]
    arguments += ["--policy-officers", str(desk.officers)]
    assert await in_a_thread(*arguments) == 2
    assert await in_a_thread(*arguments, "--new") == 0
    settings: Settings = development(desk.data, database=url(desk.data))
    gateway = await open_gateway(replace(settings, policy_officers=desk.officers))
    try:
        assert gateway.policies.decider.policies.bundle.hash == load((desk.home / "rules.bundle").read_bytes()).hash
    finally:
        await gateway.close()


async def test_the_store_takes_only_greater_versions_whoever_writes(served: Desk) -> None:
    database = places(served.data).open(DatabaseName.GATEWAY, name="tests")
    try:
        assert await database.write(Activate(signed(a_bundle(3)), utc_now()).apply) == 3
        for version in (1, 3):
            answer = await database.write(Activate(signed(a_bundle(version, "// x")), utc_now()).apply)
            assert isinstance(answer, NotNewer)
        await database.write(lambda connection: connection.execute(update(POLICY_ACTIVATIONS).values(version=2)))
        assert await database.write(Activate(signed(a_bundle(3, "// y")), utc_now()).apply) == 3
    finally:
        await database.close()


def test_a_version_that_the_trail_knows_is_activated_no_second_time_whatever_the_database_says(served: Desk) -> None:
    served.build(2)
    served.sign_both()
    assert served.activate()[0] == 0
    asyncio.run(_rows_removed(served.data))
    (served.rules / "z.cedar").write_text("// nothing else\n")
    served.build(2, out="second.bundle")
    served.sign_both("second.bundle")
    status, _, said = served.activate(out="second.bundle")
    assert (status, "version 2 was activated already" in said) == (1, True)
    assert served.list() == []


async def _rows_removed(data: Path) -> None:
    database = places(data).open(DatabaseName.GATEWAY, name="tests")
    await database.write(lambda connection: connection.execute(delete(POLICY_ACTIVATIONS)))
    await database.close()
