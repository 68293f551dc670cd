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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.cores.remote.bounds import ClientBounds
from gateway.app.clock import utc_now
from gateway.app.cores import behind_http
from gateway.app.settings_texts import toml_value
from tests.support import databases, forks
from tests.support.certificates import Authority, Issued
from tests.support.guides import Block, blocks, commands
from tests.support.oidc import TWO_FACTORS, Oidc, provider
from tests.support.options import long_or
from tests.support.production import private
from tests.support.waiting import WAITS_S
from tests.support.window import Window

ROOT = Path(__file__).parents[2]
FUNCTIONS = ["initiate_transfer", "list_accounts"]
SERVES = ("tellergate sandbox-bank ", "tellergate serve ")


def guide() -> Block:
    """The block of the guide that this runs."""
    (found,) = (item for item in blocks(ROOT / "deploy" / "README.md") if "tests/conformance/test_production.py" in item.note)
    return found


class Operator:
    """Types the guide's commands in a folder; what serves is left running."""

    def __init__(self, home: Path, stack: contextlib.ExitStack) -> None:
        self.home, self._stack = home, stack
        self.urls: dict[str, str] = {}

    def type(self, line: str) -> tuple[int, str]:
        """The status and what was printed. One that serves: where it listens, in `urls`."""
        if not line.startswith("tellergate "):
            subprocess.run(["bash", "-c", line], check=True, cwd=self.home)
            return 0, ""
        if not line.startswith(SERVES):
            return self.run(line)
        words = shlex.split(line)
        self.urls[words[1]] = self._stack.enter_context(self._serving([*words[1:], "--json"]))["url"]
        return 0, ""

    def run(self, line: str) -> tuple[int, str]:
        """The same of a command that ends by itself."""
        words = shlex.split(line)
        *words, how, name = words if words[-2] in (">", ">>") else (*words, "", "")
        ran = subprocess.run(
            self._command(words[1:]), check=False, cwd=self.home, env=environment(), capture_output=True, text=True
        )
        if how:
            with (self.home / name).open("a" if how == ">>" else "w") as file:
                file.write(ran.stdout)
        return ran.returncode, ran.stdout + ran.stderr

    @contextlib.contextmanager
    def _serving(self, words: list[str]) -> Iterator[Any]:
        with subprocess.Popen(
            self._command(words), cwd=self.home, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
def oidc(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oidc]:
    with provider(tmp_path_factory.mktemp("oidc"), authority.issue("issuer"), authority.file) as running:
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


def fill_in(folder: Path, oidc: Oidc, authority: Authority, served: Issued, database: str) -> None:
    """What an operator decides, and the files that their settings name."""
    served.key.chmod(0o600)
    private(folder / "core.token", "t" * 40)
    filled(
        folder,
        database=database,
        log_origin="log.bank.example/window",
        issuer=oidc.issuer,
        issuer_ca=str(authority.file),
        audience=oidc.audience,
        public_url=oidc.audience,
        strong_acr=[TWO_FACTORS],
        core_url="http://127.0.0.1:9000",
        tls_certificate=str(served.certificate),
        tls_key=str(served.key),
        port=0,
        workers=2 if database else 1,
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
    on: str, oidc: Oidc, authority: Authority, tmp_path: Path
) -> None:
    database = databases.postgresql(tmp_path) if on == "postgresql" else ""
    with contextlib.ExitStack() as stack:
        operator = Operator(tmp_path, stack)
        for name in ("rules", "cases"):
            shutil.copytree(ROOT / "policies" / name, tmp_path / name)
        typed = commands(guide())
        assert [line.split()[1] for line in typed if line.startswith("tellergate ")] == [
            "init", "database", "keys", "sandbox-bank", *["policy"] * 7, "mandates", "mandates", "settings", "serve",
        ]  # fmt: skip
        for line in typed:
            if "mandates sign" in line:
                (tmp_path / "granted.jsonl").write_text(granted(operator.urls["sandbox-bank"], tmp_path / "bank" / "core.token"))
                filled(tmp_path / "bank", core_url=operator.urls["sandbox-bank"])
            status, printed = operator.type(line)
            assert status == 0, (line, printed)
            if " init " in line:
                for command, expected in (("settings check", 1), ("serve", 2)):
                    status, printed = operator.run(f"tellergate {command} --data bank")
                    assert status == expected
                    assert all(name in printed for name in ("issuer", "audience", "public_url", "core_url", "core_credential_file"))
                fill_in(tmp_path / "bank", oidc, authority, authority.issue(f"gateway-{on}"), database)
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
        window = Window(operator.urls["serve"], oidc.audience, oidc.verify)
        alice, bob = oidc.sign_in("alice"), oidc.sign_in("bob")
        done = window.transfer(alice)
        assert (done.status_code, done.json()["results"][0]["status"]) == (200, "done"), done.text
        for client, function, reason in ((alice, "list_cards", "not_in_mandate"), (bob, "list_accounts", "no_mandate")):
            answered = window.call(client, function).json()["results"][0]
            assert (answered["status"], answered["code"], answered["reason"]) == ("denied", "denied", reason)
        status, printed = operator.type(
            "tellergate audit query --kind admin --customer alice --data bank --officer-key eve.key --purpose p --case c --json"
        )
        assert (status, '"mandate_import"' in printed) == (0, True), printed
