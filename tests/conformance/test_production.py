"""A gateway for customers from an empty folder, as `deploy/README.md` says it: the guide's own commands, against a real OpenID provider
over TLS and a core in a process of its own.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from audit.key_format import IN_TOKEN
from gateway.app.clock import utc_now
from gateway.app.keys import PURPOSES
from gateway.commands.keys_line import PURPOSE_NAMES
from tests.attacks.test_operations_listener import free_port
from tests.conformance import transcript
from tests.support import databases
from tests.support.certificates import Authority
from tests.support.guides import Block, blocks, commands
from tests.support.nginx import nginx
from tests.support.oidc import Client, Oidc, provider
from tests.support.operating import (
    MadeRoles,
    Operator,
    behind_a_proxy,
    fill_in,
    filled,
    granted,
    made_roles,
    pays_a_saved_payee_after_a_passkey,
)
from tests.support.options import long_or
from tests.support.production import private
from tests.support.receiver import receiving_beside
from tests.support.softhsm import MODULE, PIN, new_token
from tests.support.staff import Person, person
from tests.support.waiting import WAITS_S
from tests.support.window import Window, wait_until

ROOT = Path(__file__).parents[2]


def guide(moving: bool = False) -> Block:
    """The block of the guide that this runs: how a gateway begins, or how its keys move into a token."""
    found = [item for item in blocks(ROOT / "deploy" / "README.md") if "tests/conformance/test_production.py" in item.note]
    assert len(found) == 2
    return found[moving]


@dataclass(frozen=True)
class Bank:
    """A gateway that the guide has made; it serves."""

    operator: Operator
    oidc: Oidc
    authority: Authority
    operations: str
    """Where the bank's people operate it."""

    roles: MadeRoles | None
    """Of PostgreSQL; None: it has files."""

    stack: contextlib.ExitStack

    @property
    def folder(self) -> Path:
        return self.operator.home / "bank"

    def window(self, url: str) -> Window:
        return Window(url, self.oidc.audience, self.oidc.verify)

    @contextlib.contextmanager
    def person(self, name: str) -> Iterator[Person]:
        """An officer, signed in with two factors a moment ago. Their browser ends with the block: one that stays and reads nothing holds up
        the end of a gateway for as long as that may take.
        """
        found = person(self.oidc, self.operations)
        with found.http:
            assert found.sign_in(name, "bank-officers", fresh=True).status_code == 200
            yield found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def operations() -> str:
    """Where the bank's people operate the gateway."""
    return f"https://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def oidc(authority: Authority, operations: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oidc]:
    back = f"{operations}/signed-in"
    with provider(tmp_path_factory.mktemp("oidc"), authority.issue("issuer"), authority.file, staff_redirect=back) as running:
        yield running


@pytest.fixture(scope="module")
def bank(
    request: pytest.FixtureRequest, oidc: Oidc, authority: Authority, operations: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bank]:
    """From an empty folder to a gateway that serves; `sqlite`, or `postgresql` by two roles and with a core behind a proxy."""
    home = tmp_path_factory.mktemp("home")
    is_shared = request.param == "postgresql"
    database = databases.postgresql(home) if is_shared else ""
    with contextlib.ExitStack() as stack:
        roles = stack.enter_context(made_roles(home)) if is_shared else None
        bank = Bank(Operator(home, stack), oidc, authority, operations, roles, stack)
        for name in ("rules", "cases"):
            shutil.copytree(ROOT / "policies" / name, home / name)
        typed = commands(guide())
        assert [line.split()[1] for line in typed if line.startswith("tellergate ")] == [
            "init", "database", "keys", "sandbox-bank", *["policy"] * 7, "mandates", "mandates", "settings", "serve",
        ]  # fmt: skip
        for line in typed:
            begins(bank, line, database)
        yield bank


def begins(bank: Bank, line: str, database: str) -> None:
    """Type a line of the guide, with what is decided before it and what is told after it."""
    operator, roles = bank.operator, bank.roles
    if "mandates sign" in line:
        (operator.home / "granted.jsonl").write_text(granted(operator.urls["core"], bank.folder / "core.token"))
        filled(bank.folder, core_url=operator.urls["core"])
    if roles is not None and line.startswith("tellergate serve"):
        filled(bank.folder, database=roles.address(roles.gateway))
    status, printed = behind_a_proxy(operator) if database and " sandbox-bank " in line else operator.type(line)
    assert status == 0, (line, printed)
    if roles is not None and " database upgrade " in line:
        granting = f"tellergate database roles --gateway {roles.gateway} --operator {roles.operator} --execute --data bank"
        assert operator.type(granting)[0] == 0
        filled(bank.folder, database=roles.address(roles.operator))
    if " init " in line:
        for command, expected in (("settings check", 1), ("serve", 2)):
            status, printed = operator.run(f"tellergate {command} --data bank")
            assert status == expected
            assert all(name in printed for name in ("issuer", "audience", "public_url", "core_url", "core_credential_file"))
        served = bank.authority.issue("gateway-shared" if database else "gateway")
        fill_in(bank.folder, bank.oidc, bank.authority, served, database=database, operations=bank.operations)
        status, printed = operator.run("tellergate settings check --data bank")
        assert (status, "run `tellergate database upgrade`" in printed, "policy_officers" in printed) == (1, True, True), printed
        assert not list(bank.folder.rglob("*.sqlite")), "and makes none"
    if "--role activator --key ben.key >>" in line:
        for command, expected in (("settings check", 1), ("serve", 2)):
            status, printed = operator.run(f"tellergate {command} --data bank")
            assert status == expected
            assert "no bundle is active; activate one with `tellergate policy activate`" in printed


@pytest.mark.long
@pytest.mark.parametrize("bank", long_or(["sqlite", "postgresql"], ["postgresql"]), indirect=True)
def test_the_guide_leads_from_an_empty_folder_to_a_customer_s_call(bank: Bank) -> None:
    operator, oidc, roles = bank.operator, bank.oidc, bank.roles
    urls = [operator.urls["serve"]]
    if roles is not None:
        operator.type("tellergate serve --data bank", TELLERGATE_OPERATIONS_PORT="0")
        urls.append(operator.urls["serve"])
        ports = [int(url.rsplit(":", 1)[1]) for url in urls]
        operator.typed.append(("", "nginx with deploy/front-tls.conf stands before both"))
        front = bank.stack.enter_context(nginx(operator.home, bank.authority, free_port(), *ports))
    window = bank.window(front if roles is not None else urls[0])
    alice, bob = oidc.sign_in("alice"), oidc.sign_in("bob")
    done = window.transfer(alice)
    assert (done.status_code, done.json()["results"][0]["status"]) == (200, "done"), done.text
    for client, function, reason in ((alice, "list_cards", "not_in_mandate"), (bob, "list_accounts", "no_mandate")):
        answered = window.call(client, function).json()["results"][0]
        assert (answered["status"], answered["code"], answered["reason"]) == ("denied", "denied", reason)
    pays_a_saved_payee_after_a_passkey(window, oidc)
    operator.typed.append(("", "alice types it; her assistant asks to pay a saved payee; her passkey signs the intent; done"))
    switch = stopped_by_an_officer(bank, alice, [bank.window(url) for url in urls])
    operator.typed.append(("", "ada signs in on the operations listener and stops the assistant; both gateways deny its next call"))
    status, printed = operator.type(
        "tellergate audit query --kind admin --customer alice --data bank --officer-key eve.key --purpose p --case c --json"
    )
    assert (status, '"mandate_import"' in printed) == (0, True), printed
    exported_by_two_auditors(operator, by_operator(bank))
    operator.type("python3 -c \"import zipfile; zipfile.ZipFile('evidence.zip').extract('verify.py')\"")
    verifying = ["python3", "-I", "verify.py", "evidence.zip", "--trust", "trust.json"]
    command = [sys.executable, *verifying[1:]]
    ran = subprocess.run(command, check=False, cwd=operator.home, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    operator.typed.append((" ".join(verifying), ran.stdout))
    if roles is not None:
        names = {roles.gateway: "teller", roles.operator: "officer", roles.database: "DATABASE", str(operator.home): "."}
        transcript.compared(operator.typed, names)
    lifted_by_two(bank, switch)


@pytest.mark.parametrize("bank", ["postgresql"], indirect=True)
def test_its_keys_move_into_a_token_and_two_workers_serve_by_it(bank: Bank) -> None:
    """Every key of the gateway that the guide made, while nothing is served; then customers pay as before."""
    operator, oidc = bank.operator, bank.oidc
    operator.stop("serve")
    operator.stop("core-proxy")
    before, signed = keys_of(bank), permit_keys(bank)
    with receiving_beside() as (receiver, url):
        moved_into(bank, new_token())
        after = keys_of(bank)
        assert [key["purpose"] for key in after] == [name for name in PURPOSE_NAMES for _ in range(2)]
        assert {key["id"] for key in after} > {key["id"] for key in before}
        trusts_new_permits_alone(bank, signed)
        filled(bank.folder, workers=2, metrics=True, webhook_url=url)
        begun(after)
        receiver.public_key = webhook_key(bank)
        status, printed = operator.type("tellergate settings check --data bank")
        assert status == 0, printed
        operator.type("tellergate serve --data bank", TELLERGATE_DATABASE=as_gateway(bank))
        window = bank.window(operator.urls["serve"])
        call = pays_a_saved_payee_after_a_passkey(window, oidc, "13.50")
        wait_until(lambda: any(event["call_id"] == call for event in receiver.taken))
        paid = both_workers_pay(bank, window, 1)
        rotated_while_it_serves(bank, window, paid)
    operator.stop("serve")
    status, printed = operator.type("tellergate audit verify --data bank")
    assert status == 0, printed
    assert [line for line in (operator.home / "serve.log").read_text().splitlines() if '"alarm"' in line] == []


def keys_of(bank: Bank) -> list[dict[str, str]]:
    status, printed = bank.operator.run("tellergate keys list --data bank --json")
    assert status == 0, printed
    found: list[dict[str, str]] = json.loads(printed)["keys"]
    return found


def moved_into(bank: Bank, label: str) -> None:
    """As the guide says it."""
    operator = bank.operator
    operator.type("tellergate policy officer --name ola --role operator --key ola.key >> bank/officers.toml")
    pin = private(operator.home / "pin", f"{PIN}\n")
    filled(bank.folder, key_storage="pkcs11", pkcs11_module=str(MODULE), pkcs11_token=label, pkcs11_pin_file=str(pin))
    if bank.roles is not None:
        filled(bank.folder, database=bank.roles.address(bank.roles.operator))
    status, printed = operator.run("tellergate settings check --data bank")
    assert (status, "keys rotate" in printed) == (1, True), printed
    for line in commands(guide(moving=True)):
        status, printed = operator.type(line)
        assert status == 0, (line, printed)
    for purpose in PURPOSES:
        assert (bank.folder / purpose.file).read_bytes().startswith(IN_TOKEN)


def permit_keys(bank: Bank) -> list[str]:
    """What the guide's file says now; in no order that tells which is the newest."""
    found: list[str] = json.loads((bank.operator.home / "permits.json").read_text())["permit_keys"]
    return found


def trusts_new_permits_alone(bank: Bank, before: list[str]) -> None:
    """The core's proxy: no permit that a key of `before` signed is taken."""
    told = json.loads((bank.operator.home / "permits.json").read_text())
    (new,) = {*permit_keys(bank)} - {*before}
    told["permit_key"], told["permit_keys"] = new, [new]
    (bank.operator.home / "newest.json").write_text(json.dumps(told))
    behind_a_proxy(bank.operator, "newest.json")
    filled(bank.folder, core_url=bank.operator.urls["core"])


def begun(keys: list[dict[str, str]]) -> None:
    """Every key of these has begun."""
    last = max(datetime.fromisoformat(key["begins"]) for key in keys if key["begins"])
    wait_until(lambda: utc_now() > last)


def webhook_key(bank: Bank) -> str:
    """What the receiver is told."""
    status, printed = bank.operator.run("tellergate keys webhook --data bank --json")
    assert status == 0, printed
    return str(json.loads(printed)["public_key"])


def as_gateway(bank: Bank) -> str:
    assert bank.roles is not None
    return bank.roles.address(bank.roles.gateway)


def both_workers_pay(bank: Bank, window: Window, paid: int) -> int:
    """Each by a session of its own with the token. What is counted is the sum of theirs: `paid` before, and what is answered."""
    alice, asked = bank.oidc.sign_in("alice"), Counter(counted(bank))

    def each_has_paid() -> bool:
        nonlocal paid
        answered = window.transfer(alice).json()["results"][0]
        assert answered["status"] == "done", answered
        paid += 1
        return len(Counter(counted(bank)) - asked) == 2

    wait_until(each_has_paid)
    wait_until(lambda: sum(counted(bank).values()) >= paid)
    assert sum(counted(bank).values()) == paid
    return paid


def counted(bank: Bank) -> dict[str, float]:
    """By worker, how many payments were done, as the operations listener tells it whichever of them is asked."""
    with httpx.Client(verify=bank.oidc.verify, timeout=WAITS_S) as http:
        text = http.get(f"{bank.operations}/metrics").raise_for_status().text
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert {sample.labels["worker"] for sample in families["tellergate_worker_up"]} == {"0", "1"}
    wanted = {"function": "initiate_transfer", "status": "done"}
    calls = [sample for sample in families.get("tellergate_calls", []) if wanted.items() <= sample.labels.items()]
    return {sample.labels["worker"]: sample.value for sample in calls if sample.name == "tellergate_calls_total"}


def rotated_while_it_serves(bank: Bank, window: Window, paid: int) -> int:
    """By command: no worker is started again, and each signs and seals by the new keys. `paid`, with what was paid meanwhile."""
    alice = bank.oidc.sign_in("alice")
    for purpose in ("log", "customers"):
        status, printed = bank.operator.type(f"tellergate keys rotate {purpose} --lead 3 --officer-key ola.key --data bank")
        assert status == 0, printed
    last = max(datetime.fromisoformat(key["begins"]) for key in keys_of(bank) if key["begins"])
    while utc_now() < last:
        assert window.transfer(alice).json()["results"][0]["status"] == "done"
        paid += 1
        time.sleep(0.2)
    return both_workers_pay(bank, window, paid)


def by_operator(bank: Bank) -> dict[str, str]:
    """The environment of commands that the operator's role of the database runs."""
    return {} if bank.roles is None else {"TELLERGATE_DATABASE": bank.roles.address(bank.roles.operator)}


def exported_by_two_auditors(operator: Operator, by: Mapping[str, str]) -> None:
    """One asks, another approves, and what was asked is done."""
    operator.type("tellergate policy officer --name fay --role auditor --key fay.key >> bank/officers.toml")
    exporting = (
        "tellergate audit export --data bank --out evidence.zip --trust-out trust.json --officer-key eve.key --purpose p --case c"
    )
    status, printed = operator.type(exporting, **by)
    asked = re.search(r"apr_[0-9a-f]{32}", printed)
    assert status == 1, printed
    assert asked is not None, printed
    status, printed = operator.type(f"tellergate approvals give {asked[0]} --data bank --officer-key fay.key", **by)
    assert status == 0, printed
    status, printed = operator.type(exporting, **by)
    assert status == 0, printed


def stopped_by_an_officer(bank: Bank, asking: Client, gateways: list[Window]) -> str:
    """Whichever gateway is asked next. The switch's id."""
    wanted = {"scope": "agent", "subject": "assistant", "reason": "it went wild"}
    with bank.person("ada") as ada:
        engaged = ada.post("/v1/kill-switches", wanted)
    assert (engaged.status_code, engaged.json()["engaged_by"]) == (200, "ada"), engaged.text
    for gateway in gateways:
        answered = gateway.call(asking, "list_accounts").json()
        assert answered["results"][0]["reason"] == "kill_switch", answered
    return str(engaged.json()["id"])


def lifted_by_two(bank: Bank, switch: str) -> None:
    for name, state in (("ada", "half_lifted"), ("ben", "lifted")):
        with bank.person(name) as officer:
            answered = officer.post(f"/v1/kill-switches/{switch}/lift", {"reason": "looked into"})
        assert answered.json()["state"] == state, answered.text
