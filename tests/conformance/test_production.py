"""A gateway for customers from an empty folder, as `deploy/README.md` says it: the guide's own commands, against a real OpenID provider
over TLS and a core in a process of its own.
"""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.cores.remote.bounds import ClientBounds
from gateway.app.clock import utc_now
from gateway.app.cores import behind_http
from gateway.app.settings_texts import toml_value
from gateway.identity.compact import decode, encode
from tests.attacks.test_operations_listener import free_port
from tests.conformance import transcript
from tests.support import databases, forks
from tests.support.certificates import Authority, Issued
from tests.support.guides import Block, blocks, commands
from tests.support.nginx import nginx
from tests.support.oidc import TWO_FACTORS, Client, Oidc, provider
from tests.support.options import long_or
from tests.support.passkeys import ORIGIN, RP_ID, Authenticator
from tests.support.postgres import server
from tests.support.production import private
from tests.support.staff import person
from tests.support.waiting import WAITS_S
from tests.support.window import Window, wait_until

ROOT = Path(__file__).parents[2]
FUNCTIONS = ["initiate_transfer", "list_accounts", "list_beneficiaries"]
SERVES = ("tellergate sandbox-bank ", "tellergate core-proxy ", "tellergate serve ")


def guide() -> Block:
    """The block of the guide that this runs."""
    (found,) = (item for item in blocks(ROOT / "deploy" / "README.md") if "tests/conformance/test_production.py" in item.note)
    return found


class Operator:
    """Types the guide's commands in a folder; what serves is left running."""

    def __init__(self, home: Path, stack: contextlib.ExitStack) -> None:
        self.home, self._stack = home, stack
        self.urls: dict[str, str] = {}
        self.typed: list[tuple[str, str]] = []
        """Each command and what it printed."""

    def type(self, line: str, **beside: str) -> tuple[int, str]:
        """The status and what was printed. One that serves: where it listens, in `urls`. `beside`: more for its environment."""
        if not line.startswith("tellergate "):
            subprocess.run(["bash", "-c", line], check=True, cwd=self.home)
            self.typed.append((line, ""))
            return 0, ""
        if not line.startswith(SERVES):
            return self.run(line, **beside)
        words = shlex.split(line)
        self.urls["core" if words[1] in ("sandbox-bank", "core-proxy") else words[1]] = self._stack.enter_context(
            self._serving([*words[1:], "--json"], beside)
        )["url"]
        self.typed.append((line, "listens\n"))
        return 0, ""

    def run(self, line: str, **beside: str) -> tuple[int, str]:
        """The same of a command that ends by itself."""
        words = shlex.split(line)
        *words, how, name = words if words[-2] in (">", ">>") else (*words, "", "")
        ran = subprocess.run(
            self._command(words[1:]), check=False, cwd=self.home, env=environment() | beside, capture_output=True, text=True
        )
        if how:
            with (self.home / name).open("a" if how == ">>" else "w") as file:
                file.write(ran.stdout)
        self.typed.append((line, ran.stderr if how else ran.stdout + ran.stderr))
        return ran.returncode, ran.stdout + ran.stderr

    @contextlib.contextmanager
    def _serving(self, words: list[str], beside: dict[str, str]) -> Iterator[Any]:
        with subprocess.Popen(
            self._command(words),
            cwd=self.home,
            env=environment() | beside,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                first = process.stdout.readline()
                yield json.loads(first) if first else pytest.fail(process.communicate(timeout=WAITS_S)[1])
            finally:
                process.terminate()
                process.communicate(timeout=WAITS_S)

    def _command(self, words: list[str]) -> list[str]:
        return forks.command(*(re.sub(r"^(8080|9000)$", "0", word) for word in words))


def environment() -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("TELLERGATE_")}
    return {**known, forks.ADDRESS: forks.address()}


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


def filled(folder: Path, **values: object) -> None:
    """The settings file with these values, each in the place of its line; what stood there as a comment is decided now."""
    file = folder / "tellergate.toml"
    text = file.read_text()
    for name, value in values.items():
        line = f"{name} = {toml_value(value)}".replace("\\", r"\\")
        text, count = re.subn(rf"^(# )?{name} = .*$", line, text, flags=re.MULTILINE)
        assert count == 1, name
    file.write_text(text)


def fill_in(folder: Path, oidc: Oidc, authority: Authority, served: Issued, *, database: str, operations: str) -> None:
    """What an operator decides, and the files that their settings name. With a database to share, a proxy ends TLS for customers."""
    private(folder / "core.token", "t" * 40)
    tls = {"tls_certificate": str(served.certificate), "tls_key": str(served.key)}
    filled(
        folder,
        **({"trusted_proxies": ["127.0.0.1"]} if database else tls),
        operations_port=int(operations.rsplit(":", 1)[1]),
        operations_url=operations,
        operations_tls_certificate=str(served.certificate),
        operations_tls_key=str(served.key),
        operations_issuer=oidc.issuer,
        operations_client="operations",
        operations_client_secret_file=str(oidc.secret_file),
        operations_roles_claim="groups",
        operations_roles=["bank-officers=officer"],
        operations_strong_acr=[TWO_FACTORS],
        relying_party=RP_ID,
        assertion_origins=[ORIGIN],
        passkey_cooling_off_s=1,
        database=database,
        log_origin="log.bank.example/window",
        issuer=oidc.issuer,
        issuer_ca=str(authority.file),
        audience=oidc.audience,
        public_url=oidc.audience,
        strong_acr=[TWO_FACTORS],
        core_url="http://127.0.0.1:9000",
        port=0,
        audit_wait_ms=20_000,
    )


def granted(url: str, token: Path) -> str:
    """What the customer granted: some functions over the accounts that the core says are theirs."""

    async def accounts() -> list[str]:
        core = behind_http(url, token, clock=utc_now, bounds=ClientBounds())
        try:
            return [account.id for account in await core.bank.accounts("alice")]
        finally:
            await core.close()

    limits = {"payment_minor": 10_000, "day_minor": 20_000, "week_minor": 50_000, "month_minor": 90_000, "day_count": 9}
    mandate = {
        "customer": "alice",
        "version": 1,
        "functions": FUNCTIONS,
        "accounts": asyncio.run(accounts()),
        "limits": {"GBP": limits},
        "starts": "2026-01-01T00:00:00+00:00",
        "ends": "2126-01-01T00:00:00+00:00",
    }
    return json.dumps({"mandate": mandate}) + "\n"


@pytest.mark.long
@pytest.mark.parametrize("on", long_or(["sqlite", "postgresql"], ["postgresql"]))
def test_the_guide_leads_from_an_empty_folder_to_a_customer_s_call(
    on: str, oidc: Oidc, authority: Authority, operations: str, tmp_path: Path
) -> None:
    database = databases.postgresql(tmp_path) if on == "postgresql" else ""
    with contextlib.ExitStack() as stack:
        roles = stack.enter_context(made_roles(tmp_path)) if database else None
        operator = Operator(tmp_path, stack)
        for name in ("rules", "cases"):
            shutil.copytree(ROOT / "policies" / name, tmp_path / name)
        typed = commands(guide())
        assert [line.split()[1] for line in typed if line.startswith("tellergate ")] == [
            "init", "database", "keys", "sandbox-bank", *["policy"] * 7, "mandates", "mandates", "settings", "serve",
        ]  # fmt: skip
        for line in typed:
            if "mandates sign" in line:
                (tmp_path / "granted.jsonl").write_text(granted(operator.urls["core"], tmp_path / "bank" / "core.token"))
                filled(tmp_path / "bank", core_url=operator.urls["core"])
            if roles is not None and line.startswith("tellergate serve"):
                filled(tmp_path / "bank", database=roles.address(roles.gateway))
            status, printed = behind_a_proxy(operator) if database and " sandbox-bank " in line else operator.type(line)
            assert status == 0, (line, printed)
            if roles is not None and " database upgrade " in line:
                granting = f"tellergate database roles --gateway {roles.gateway} --operator {roles.operator} --execute --data bank"
                assert operator.type(granting)[0] == 0
                filled(tmp_path / "bank", database=roles.address(roles.operator))
            if " init " in line:
                for command, expected in (("settings check", 1), ("serve", 2)):
                    status, printed = operator.run(f"tellergate {command} --data bank")
                    assert status == expected
                    assert all(name in printed for name in ("issuer", "audience", "public_url", "core_url", "core_credential_file"))
                fill_in(
                    tmp_path / "bank",
                    oidc,
                    authority,
                    authority.issue(f"gateway-{on}"),
                    database=database,
                    operations=operations,
                )
                status, printed = operator.run("tellergate settings check --data bank")
                assert (status, "run `tellergate database upgrade`" in printed, "policy_officers" in printed) == (1, True, True), (
                    printed
                )
                assert not list((tmp_path / "bank").rglob("*.sqlite")), "and makes none"
            if "--role activator --key ben.key >>" in line:
                for command, expected in (("settings check", 1), ("serve", 2)):
                    status, printed = operator.run(f"tellergate {command} --data bank")
                    assert status == expected
                    assert "no bundle is active; activate one with `tellergate policy activate`" in printed
        urls = [operator.urls["serve"]]
        if database:
            operator.type("tellergate serve --data bank", TELLERGATE_OPERATIONS_PORT="0")
            urls.append(operator.urls["serve"])
            ports = [int(url.rsplit(":", 1)[1]) for url in urls]
            operator.typed.append(("", "nginx with deploy/front-tls.conf stands before both"))
            front = stack.enter_context(nginx(tmp_path, authority, free_port(), *ports))
        window = Window(front if database else urls[0], oidc.audience, oidc.verify)
        alice, bob = oidc.sign_in("alice"), oidc.sign_in("bob")
        done = window.transfer(alice)
        assert (done.status_code, done.json()["results"][0]["status"]) == (200, "done"), done.text
        for client, function, reason in ((alice, "list_cards", "not_in_mandate"), (bob, "list_accounts", "no_mandate")):
            answered = window.call(client, function).json()["results"][0]
            assert (answered["status"], answered["code"], answered["reason"]) == ("denied", "denied", reason)
        pays_a_saved_payee_after_a_passkey(window, oidc)
        operator.typed.append(("", "alice types it; her assistant asks to pay a saved payee; her passkey signs the intent; done"))
        stopped_by_an_officer(operations, oidc, alice, [Window(url, oidc.audience, oidc.verify) for url in urls])
        operator.typed.append(
            ("", "ada signs in on the operations listener and stops the assistant; both gateways deny its next call")
        )
        status, printed = operator.type(
            "tellergate audit query --kind admin --customer alice --data bank --officer-key eve.key --purpose p --case c --json"
        )
        assert (status, '"mandate_import"' in printed) == (0, True), printed
        by = {"TELLERGATE_DATABASE": roles.address(roles.operator)} if roles is not None else {}
        exported_by_two_auditors(operator, by)
        alone = "python3 -c \"import zipfile; zipfile.ZipFile('evidence.zip').extract('verify.py')\""
        operator.type(alone)
        verifying = ["python3", "-I", "verify.py", "evidence.zip", "--trust", "trust.json"]
        ran = subprocess.run(
            [sys.executable, *verifying[1:]],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        operator.typed.append((" ".join(verifying), ran.stdout))
        if roles is not None:
            names = {roles.gateway: "teller", roles.operator: "officer", roles.database: "DATABASE", str(tmp_path): "."}
            transcript.compared(operator.typed, names)


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


def behind_a_proxy(operator: Operator) -> tuple[int, str]:
    """The guide's core, whose credential the proxy before it alone has."""
    operator.type("tellergate sandbox-bank --data core --port 9000 --credential-file bank.token --trust-credential")
    return operator.type(
        "tellergate core-proxy --port 0 --credential-file bank/core.token --permit-key permits.json"
        f" --bank-url {operator.urls['core']} --bank-credential-file bank.token"
    )


@dataclass(frozen=True)
class MadeRoles:
    """Two roles of the PostgreSQL server that own nothing."""

    database: str
    gateway: str
    operator: str

    def address(self, role: str) -> str:
        return f"postgresql://{role}@127.0.0.1:{server().port}/{self.database}"


@contextlib.contextmanager
def made_roles(folder: Path) -> Iterator[MadeRoles]:
    name = databases.postgresql(folder).rsplit("/", 1)[1]
    made = MadeRoles(name, f"{name}_gateway", f"{name}_operator")
    for role in (made.gateway, made.operator):
        databases.administer(f"CREATE ROLE {role} LOGIN")
    try:
        yield made
    finally:
        databases.drop(folder)
        for role in (made.gateway, made.operator):
            databases.administer(f"DROP ROLE {role}")


def pays_a_saved_payee_after_a_passkey(window: Window, oidc: Oidc) -> None:
    """The bank's identity system enrols it, the customer types what they want, the assistant asks, the device signs the intent."""
    device = Authenticator()
    enrolled = {"customer": "alice", "credential": device.credential, "public_key": encode(device.public_key), "sign_count": 0}
    identity = oidc.sign_in("app", as_client="app", scope="enrol_passkeys")
    answered = window.send(identity, "POST", "/v1/passkeys", enrolled)
    assert answered.status_code == 200, answered.text
    active = datetime.fromisoformat(answered.json()["active_from"])
    asking, typing = oidc.sign_in("alice"), oidc.sign_in("alice", as_client="app", scope="customer_words")

    def done(name: str, **arguments: object) -> Any:
        return json.loads(window.call(asking, name, arguments).json()["outputs"][0]["output"])["result"]

    debit = next(item["account"] for item in done("list_accounts")["accounts"] if item["name"] == "Everyday")
    words = {"messages": [{"text": "Please pay Margaret Hale 12.50 GBP.", "origin": "typed"}]}
    said = window.send(typing, "POST", f"/v1/conversations/{window.conversations[asking.access]}/messages", words)
    assert said.status_code == 200, said.text
    saved = done("list_beneficiaries", account=debit)["beneficiaries"]
    payee = next(item["beneficiary"] for item in saved if item["name"] == "Margaret Hale")
    wanted = {"from": debit, "to": payee, "amount": {"value": "12.50", "currency": "GBP"}}
    held = window.call(asking, "initiate_transfer", wanted).json()["results"][0]
    assert held["status"] == "held", held
    confirming, path = oidc.sign_in("alice", as_client="app", scope="confirm"), f"/v1/confirmations/{held['confirmation_id']}"
    wait_until(lambda: utc_now() > active)
    shown = window.send(confirming, "GET", path)
    assert shown.status_code == 200, shown.text
    confirmed = window.send(confirming, "POST", path, {"assertion": device.assertion(decode(shown.json()["challenge"]))})
    assert confirmed.status_code == 200, confirmed.text
    assert window.send(asking, "GET", f"/v1/calls/{held['call_id']}").json()["status"] == "done"


def stopped_by_an_officer(operations: str, oidc: Oidc, asking: Client, gateways: list[Window]) -> None:
    """Whichever gateway is asked next."""
    ada = person(oidc, operations)
    with ada.http:
        assert ada.sign_in("ada", "bank-officers", fresh=True).status_code == 200
        engaged = ada.post("/v1/kill-switches", {"scope": "agent", "subject": "assistant", "reason": "it went wild"})
        assert (engaged.status_code, engaged.json()["engaged_by"]) == (200, "ada"), engaged.text
    for gateway in gateways:
        answered = gateway.call(asking, "list_accounts").json()
        assert answered["results"][0]["reason"] == "kill_switch", answered
