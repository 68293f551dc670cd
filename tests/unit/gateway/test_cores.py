"""What stands behind the port: unsafe ways to reach it are refused, and a core that is not there is told and waited for."""

import json
import socket
import stat
from pathlib import Path

import pytest

from adapters.cores.remote.client import Bounds
from gateway.cli import main
from gateway.cores import behind_http, permit_verifier, trust_of
from gateway.errors import Code
from gateway.main import open_gateway, open_log, utc_now
from gateway.settings import UnsafeSettings, development
from gateway.vault import credential
from tests.support.teller import Teller, over_http, sandbox_bank


@pytest.fixture
def token(tmp_path: Path) -> Path:
    credential(tmp_path / "core.token", make=True)
    return tmp_path / "core.token"


@pytest.fixture
def nobody() -> str:
    """An address of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("url", ["http://bank.example/", "ftp://127.0.0.1", "127.0.0.1:8081", "http://127.0.0.1.bank.example", ""])
def test_a_credential_does_not_cross_a_network_in_clear(url: str, token: Path) -> None:
    with pytest.raises(UnsafeSettings, match="core_url"):
        behind_http(url, token, clock=utc_now, bounds=Bounds())


async def test_https_and_loopback_are_taken_and_nothing_without_a_credential(token: Path) -> None:
    for url in ("https://bank.example", "http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:1"):
        await behind_http(url, token, clock=utc_now, bounds=Bounds()).close()
    with pytest.raises(UnsafeSettings, match="core_credential_file"):
        behind_http("https://bank.example", None, clock=utc_now, bounds=Bounds())


def test_a_credential_is_made_once_private_and_unguessable(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    made = credential(path, make=True)
    assert len(made) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert credential(path) == credential(path, make=True) == made


@pytest.mark.parametrize("flaw", ["absent", "short", "two lines", "readable by others", "not text"])
def test_a_bad_credential_file_is_refused(tmp_path: Path, flaw: str) -> None:
    path = tmp_path / "token"
    if flaw != "absent":
        path.touch(0o644 if flaw == "readable by others" else 0o600)
        path.write_bytes(
            {"short": b"abc", "two lines": b"a" * 40 + b"\n" + b"b" * 40, "not text": b"\xff" * 40}.get(flaw, b"a" * 40)
        )
    with pytest.raises(UnsafeSettings, match="token") as refused:
        credential(path)
    assert "aaa" not in str(refused.value)


async def test_the_trust_of_a_log_is_its_origin_and_its_public_key_alone(tmp_path: Path) -> None:
    log = open_log(tmp_path / "data", writer_id="tests")
    file = tmp_path / "permits.json"
    file.write_text(trust_of(log))
    assert json.loads(file.read_text()).keys() == {"origin", "permit_key"}
    permit_verifier(file)
    await log.close()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"origin": "a", "permit_key": "AAAA"}', '{"origin": 1, "permit_key": ""}', "x" * 5000]
)
def test_what_is_no_trust_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "permits.json"
    file.write_text(content)
    with pytest.raises(UnsafeSettings, match="keys permits"):
        permit_verifier(file)


def test_keys_permits_prints_one_thing_for_one_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for _ in range(2):
        assert main(["keys", "permits", "--data", str(tmp_path / "data")]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_the_proxy_takes_another_credential_than_the_bank(tmp_path: Path, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "permits", "--data", str(tmp_path / "data")]) == 0
    trust = tmp_path / "permits.json"
    trust.write_text(capsys.readouterr().out)
    command = ["core-proxy", "--port", "0", "--credential-file", str(token), "--permit-key", str(trust)]
    assert main([*command, "--bank-url", "http://127.0.0.1:1", "--bank-credential-file", str(token)]) == 2
    assert "another credential" in capsys.readouterr().err


def test_the_sandbox_bank_says_whom_it_trusts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox-bank", "--data", str(tmp_path), "--credential-file", str(tmp_path / "token")])
    assert ended.value.code == 2
    assert "--trust-credential" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["core_question_ms", "core_instruction_ms"])
def test_a_deadline_is_at_least_a_millisecond(tmp_path: Path, name: str) -> None:
    settings = development(tmp_path)
    with pytest.raises(UnsafeSettings, match=name):
        type(settings)(data=tmp_path, development=True, issuer="a", audience="b", **{name: 0}).checked()


def test_a_first_start_needs_the_core(tmp_path: Path, token: Path, nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["serve", "--dev", "--data", str(tmp_path / "data"), "--port", "0"]
    assert main([*command, "--core-url", nobody, "--core-credential-file", str(token)]) == 2
    assert "does not answer" in capsys.readouterr().err


async def test_later_it_starts_without_the_core_and_refuses_what_needs_it(
    tmp_path: Path, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    async with sandbox_bank(folder, utc_now) as (bank, port), over_http(folder, port, bank) as asked:
        intended = asked.gateway.way._intend

        async def intended_and_dead(reserved: object) -> object:
            await intended(reserved)  # type: ignore[arg-type]
            raise KeyError("the process dies here")

        asked.gateway.way._intend = intended_and_dead  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyError):
            await asked.transfer("3.21")
    settings = type(development(folder))(
        **{
            name: getattr(asked.gateway.settings, name)
            for name in ("data", "development", "issuer", "audience", "core_credential_file")
        },
        core_url=nobody,
    )
    gateway = await open_gateway(settings)
    try:
        assert '{"alarm": "started_without_core"}' in [each.getMessage() for each in caplog.records]
        answered = await Teller(gateway).ask("list_accounts")
        assert (answered.status, answered.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
        assert len(gateway.log.open_intents()) == 1, "its end is found once the core answers"
    finally:
        await gateway.close()
