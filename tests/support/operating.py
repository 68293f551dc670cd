"""Somebody who types a guide's commands at a bank: its folder and settings, its core behind a proxy, its roles of PostgreSQL, and a
customer who pays through what is served then.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
from collections.abc import Iterator
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
from tests.support import databases, forks
from tests.support.certificates import Authority, Issued
from tests.support.children import ending
from tests.support.oidc import TWO_FACTORS, Oidc
from tests.support.passkeys import ORIGIN, RP_ID, Authenticator
from tests.support.postgres import server
from tests.support.production import private
from tests.support.window import Window, wait_until

FUNCTIONS = ["initiate_transfer", "list_accounts", "list_beneficiaries"]
SERVES = ("tellergate sandbox-bank ", "tellergate core-proxy ", "tellergate serve ")


class Operator:
    """Types the guide's commands in a folder; what serves is left running."""

    def __init__(self, home: Path, stack: contextlib.ExitStack) -> None:
        self.home, self._stack = home, stack
        self._running: list[tuple[str, contextlib.ExitStack]] = []
        self.urls: dict[str, str] = {}
        self.typed: list[tuple[str, str]] = []
        """Each command and what it printed."""

    def type(self, line: str, **beside: str) -> tuple[int, str]:
        """The status and what was printed. One that serves: where it listens, in `urls`. `beside`: more for its environment."""
        if not line.startswith("tellergate "):
            subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=True, cwd=self.home, env=environment() | beside)
            self.typed.append((line, ""))
            return 0, ""
        if not line.startswith(SERVES):
            return self.run(line, **beside)
        words = shlex.split(line)
        one = self._stack.enter_context(contextlib.ExitStack())
        self._running.append((words[1], one))
        said = one.enter_context(self._serving([*words[1:], "--json"], beside))
        self.urls[words[1]] = said["url"]
        if words[1] in ("sandbox-bank", "core-proxy"):
            self.urls["core"] = said["url"]
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

    def stop(self, verb: str) -> None:
        """Everything that this one serves."""
        for _, one in [item for item in self._running if item[0] == verb]:
            one.close()

    @contextlib.contextmanager
    def _serving(self, words: list[str], beside: dict[str, str]) -> Iterator[Any]:
        log = self.home / f"{words[0]}.log"
        with (
            log.open("a") as errors,
            subprocess.Popen(
                self._command(words), cwd=self.home, env=environment() | beside, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdout is not None
            with ending(process):
                first = process.stdout.readline()
                yield json.loads(first) if first else pytest.fail(log.read_text())
            assert process.returncode in (0, -signal.SIGTERM), log.read_text()

    def _command(self, words: list[str]) -> list[str]:
        return forks.command(*(re.sub(r"^(8080|9000)$", "0", word) for word in words))


def environment() -> dict[str, str]:
    """Of what is typed: no setting is in it, and `tellergate` is found."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("TELLERGATE_")}
    return {**known, "PATH": f"{forks.FOLDER}:{known['PATH']}", forks.ADDRESS: forks.address()}


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

    limits = {"payment_minor": 10_000, "day_minor": 20_000, "week_minor": 50_000, "month_minor": 90_000, "day_count": 60}
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


def behind_a_proxy(operator: Operator, permits: str = "permits.json") -> tuple[int, str]:
    """The guide's core, whose credential the proxy before it alone has. `permits`: what the proxy verifies them with."""
    if "sandbox-bank" not in operator.urls:
        operator.type("tellergate sandbox-bank --data core --port 9000 --credential-file bank.token --trust-credential")
    return operator.type(
        f"tellergate core-proxy --port 0 --credential-file bank/core.token --permit-key {permits}"
        f" --bank-url {operator.urls['sandbox-bank']} --bank-credential-file bank.token"
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


def pays_a_saved_payee_after_a_passkey(window: Window, oidc: Oidc, value: str = "12.50") -> str:
    """The bank's identity system enrols it, the customer types what they want, the assistant asks, the device signs the intent. The id of
    the call; `value` in pounds.
    """
    device = Authenticator(credential=encode(secrets.token_bytes(16)))
    enrolled = {"customer": "alice", "credential": device.credential, "public_key": encode(device.public_key), "sign_count": 0}
    identity = oidc.sign_in("app", as_client="app", scope="enrol_passkeys")
    answered = window.send(identity, "POST", "/v1/passkeys", enrolled)
    assert answered.status_code == 200, answered.text
    active = datetime.fromisoformat(answered.json()["active_from"])
    asking, typing = oidc.sign_in("alice"), oidc.sign_in("alice", as_client="app", scope="customer_words")

    def done(name: str, **arguments: object) -> Any:
        return json.loads(window.call(asking, name, arguments).json()["outputs"][0]["output"])["result"]

    debit = next(item["account"] for item in done("list_accounts")["accounts"] if item["name"] == "Everyday")
    words = {"messages": [{"text": f"Please pay Margaret Hale {value} GBP.", "origin": "typed"}]}
    said = window.send(typing, "POST", f"/v1/conversations/{window.conversations[asking.access]}/messages", words)
    assert said.status_code == 200, said.text
    saved = done("list_beneficiaries", account=debit)["beneficiaries"]
    payee = next(item["beneficiary"] for item in saved if item["name"] == "Margaret Hale")
    wanted = {"from": debit, "to": payee, "amount": {"value": value, "currency": "GBP"}}
    held = window.call(asking, "initiate_transfer", wanted).json()["results"][0]
    assert held["status"] == "held", held
    confirming, path = oidc.sign_in("alice", as_client="app", scope="confirm"), f"/v1/confirmations/{held['confirmation_id']}"
    wait_until(lambda: utc_now() > active)
    shown = window.send(confirming, "GET", path)
    assert shown.status_code == 200, shown.text
    confirmed = window.send(confirming, "POST", path, {"assertion": device.assertion(decode(shown.json()["challenge"]))})
    assert confirmed.status_code == 200, confirmed.text
    assert window.send(asking, "GET", f"/v1/calls/{held['call_id']}").json()["status"] == "done"
    return str(held["call_id"])
