"""What stands behind the port: unsafe ways to reach it are refused, and a core that is not there is told and waited for."""

import json
import socket
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.core import CoreUnavailable
from adapters.cores.remote.bounds import ClientBounds
from adapters.cores.remote.client import SKEW
from adapters.cores.remote.server import CoreServer, listen
from adapters.cores.remote.wire import STATUS, CoreFault
from audit.log import PERMIT_LIFETIME
from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits, behind_http, permit_verifier, read_permit, server_tls, trust_of
from gateway.app.databases import open_log
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.settings import development
from gateway.app.key_files import credential
from gateway.app.settings_checks import checked
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.recovery import GRACE
from gateway.cli import main
from gateway.domain.alarms import Alarm
from gateway.domain.errors import Code
from tests.support.databases import places, sqlite_only
from tests.support.opening import open_gateway
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
        behind_http(url, token, clock=utc_now, bounds=ClientBounds())


async def test_https_and_loopback_are_taken_and_nothing_without_a_credential(token: Path) -> None:
    for url in ("https://bank.example", "http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:1"):
        await behind_http(url, token, clock=utc_now, bounds=ClientBounds()).close()
    with pytest.raises(UnsafeSettings, match="core_credential_file"):
        behind_http("https://bank.example", None, clock=utc_now, bounds=ClientBounds())


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
    log = await open_log(places(tmp_path / "data"), writer_id="tests", clock=utc_now)
    file = tmp_path / "permits.json"
    file.write_text(trust_of(log))
    assert json.loads(file.read_text()).keys() == {"origin", "permit_key", "permit_keys"}
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
    low: dict[str, Any] = {name: 0}
    with pytest.raises(UnsafeSettings, match=name):
        checked(replace(settings, **low))


def test_a_first_start_needs_the_core(tmp_path: Path, token: Path, nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["serve", "--dev", "--data", str(tmp_path / "data"), "--port", "0"]
    assert main([*command, "--core-url", nobody, "--core-credential-file", str(token)]) == 2
    assert "does not answer" in capsys.readouterr().err


@sqlite_only("where others may be at work, a start leaves young intents alone, and need not ask")
async def test_later_it_starts_without_the_core_and_refuses_what_needs_it(
    tmp_path: Path, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    async with sandbox_bank(folder, utc_now) as (bank, port), over_http(folder, port, bank) as asked:
        intended = asked.gateway.pipeline._intend

        async def intended_and_dead(reserved: object) -> object:
            await intended(reserved)  # type: ignore[arg-type]
            raise KeyError("the process dies here")

        asked.gateway.pipeline._intend = intended_and_dead  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyError):
            await asked.transfer("3.21")
    settings = type(development(folder))(
        **{
            name: getattr(asked.gateway.settings, name)
            for name in ("data", "database", "development", "issuer", "audience", "core_credential_file")
        },
        core_url=nobody,
    )
    gateway = await open_gateway(settings)
    try:
        assert Alarm.STARTED_WITHOUT_CORE.line()[1] in [record.getMessage() for record in caplog.records]
        answered = await Teller(gateway).ask("list_accounts")
        assert (answered.status, answered.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
        assert len(await gateway.log.open_intents()) == 1, "its end is found once the core answers"
    finally:
        await gateway.close()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own CA for this name of loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(utc_now() - timedelta(days=1)).not_valid_after(utc_now() + timedelta(days=1))
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = builder.sign(key, hashes.SHA256())
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.mark.parametrize("flaw", ["none", "not trusted", "another name"])
async def test_over_tls_the_core_is_who_its_certificate_says(
    tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch, flaw: str
) -> None:
    chain, key = certificate(tmp_path, "other.invalid" if flaw == "another name" else "localhost")
    if flaw != "not trusted":
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    bank = embedded(tmp_path / "bank.sqlite", clock=utc_now, permits=UnsafeNoPermits())
    server = CoreServer(bank.bank, credential=credential(token), permits=read_permit)
    runner, port = await listen(server, "127.0.0.1", 0, tls=server_tls("localhost", chain, key))
    core = behind_http(f"https://localhost:{port}", token, clock=utc_now, bounds=ClientBounds())
    if flaw == "none":
        assert len(await core.bank.accounts("alice")) > 0
    else:
        with pytest.raises(CoreUnavailable):
            await core.bank.accounts("alice")
    await core.close()
    await runner.cleanup()
    await bank.close()


def test_a_server_beyond_loopback_needs_tls_with_good_files(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "localhost")
    assert server_tls("127.0.0.1", None, None) is None
    assert server_tls("0.0.0.0", chain, key) is not None
    for host, given in (("0.0.0.0", (None, None)), ("127.0.0.1", (chain, None)), ("127.0.0.1", (None, key)), ("::", (key, chain))):
        with pytest.raises(UnsafeSettings, match=r"tls|certificate"):
            server_tls(host, *given)


def test_recovery_asks_for_a_key_only_when_its_client_lets_it() -> None:
    assert GRACE > PERMIT_LIFETIME + SKEW


def test_every_code_of_the_wire_is_documented() -> None:
    page = (Path(__file__).parents[3] / "adapters" / "README.md").read_text()
    assert [code for code in CoreFault if f"`{code.value}`" not in page or str(STATUS[code]) not in page] == []
