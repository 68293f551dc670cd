"""Settings from a file: strict, documented names only, and nothing unsafe starts."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app.development.settings import development
from gateway.app.key_files import private_file, secret_of
from gateway.app.settings import DEV_ISSUER, Settings
from gateway.app.settings_checks import checked
from gateway.app.settings_sources import gathered
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main

PRODUCTION = Settings(
    data=Path("data"),
    development=False,
    log_origin="log.bank.example/window",
    issuer="https://issuer.example",
    audience="tellergate",
    public_url="https://window.example",
    strong_acr=("urn:bank:two-factor",),
    core_url="https://core.example",
    core_credential_file=Path("core.token"),
    policy_officers=Path("officers.toml"),
)

WHOLE = """
data = "d"
port = 0
issuer = "https://issuer.example"
audience = "tellergate"
token_algorithms = ["ES256"]
trace_share = 1
introspection_secret_file = "secret"
"""


def test_a_file_is_read_by_the_types_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(WHOLE)
    found = {name: said.value for name, said in gathered({}, {}, file).items()}
    assert found == {
        "data": tmp_path / "d",
        "port": 0,
        "issuer": "https://issuer.example",
        "audience": "tellergate",
        "token_algorithms": ("ES256",),
        "trace_share": 1.0,
        "introspection_secret_file": tmp_path / "secret",
    }
    assert Settings(development=True, **found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "isuer = 'x'",
        "development = true",
        "port = '8080'",
        "port = true",
        "port = 1.0",
        "issuer = 1",
        "data = ''",
        "token_algorithms = 'ES256'",
        "token_algorithms = [1]",
        "trace_share = true",
        "[issuer]\nx = 1",
        "port = 1\nport = 2",
        "not toml",
    ],
)
def test_what_is_not_a_setting_or_of_another_type_is_wrong_use(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(UnsafeSettings):
        gathered({}, {}, file)
    assert main(["serve", "--dev", "--data", str(tmp_path / "data"), "--port", "0", "--config", str(file)]) == 2
    assert "settings.toml" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--dev", "--config", str(tmp_path / "none.toml")]) == 2
    assert main(["serve", "--dev"]) == 2
    assert "data: must be set" in capsys.readouterr().err


UNSAFE: dict[str, dict[str, Any]] = {
    "no issuer": {"issuer": ""},
    "no audience": {"audience": ""},
    "the issuer of development mode": {"issuer": DEV_ISSUER},
    "an issuer without TLS": {"issuer": "http://issuer.example"},
    "an issuer without TLS on loopback": {"issuer": "http://127.0.0.1:1"},
    "an issuer that is no URL": {"issuer": "issuer"},
    "an issuer with a query": {"issuer": "https://issuer.example/?a=b"},
    "an issuer with a user": {"issuer": "https://a:b@issuer.example"},
    "keys without TLS": {"jwks_uri": "http://issuer.example/jwks"},
    "keys from a file": {"jwks_uri": "file:///etc/passwd"},
    "introspection without TLS": {"introspection_endpoint": "http://issuer.example/i"},
    "introspection without a secret": {"introspection_endpoint": "https://issuer.example/i", "introspection_client": "c"},
    "a secret without introspection": {"introspection_client": "c", "introspection_secret_file": Path("x")},
    "no signature": {"token_algorithms": ("none",)},
    "a shared secret": {"token_algorithms": ("ES256", "HS256")},
    "no algorithm": {"token_algorithms": ()},
    "proofs by a shared secret": {"dpop_algorithms": ("HS256",)},
    "webhooks in clear": {"webhook_url": "http://app.bank.example/hook"},
    "another document": {"issuer_metadata": "openid"},
    "a binding that is none": {"binding": "no"},
    "no public URL": {"public_url": ""},
    "a public URL without TLS": {"public_url": "http://window.example"},
    "a public URL with a query": {"public_url": "https://window.example/?a"},
    "a certificate without its key": {"tls_certificate": Path("x")},
    "clients' certificates without TLS": {"tls_client_ca": Path("x")},
    "a proxy by its name": {"trusted_proxies": ("proxy.example",)},
    "a network with host bits": {"trusted_proxies": ("10.0.0.1/8",)},
    "everybody as a proxy": {"trusted_proxies": ("10.0.0.8", "0.0.0.0/0")},
    "a binding to certificates that nobody can show": {"binding": "certificate"},
    "clocks that may differ by an hour": {"clock_skew_s": 3600},
    "keys that are refreshed after they are too old": {"keys_refresh_s": 7200},
    "proofs of a day": {"dpop_proof_s": 86_400},
    "a confirm page without TLS": {"confirm_origin": "http://confirm.example"},
    "a confirm page on loopback": {"confirm_origin": "http://localhost:1"},
    "a confirm page with a path": {"confirm_origin": "https://confirm.example/"},
    "a confirm page in capitals": {"confirm_origin": "https://Confirm.example"},
    "a confirm page with a user": {"confirm_origin": "https://a@confirm.example"},
    "a confirm page on the API's host": {"confirm_origin": PRODUCTION.public_url},
    "another bank's relying party": {"confirm_origin": "https://confirm.example", "relying_party": "bank.example"},
    "a part of a name as relying party": {"confirm_origin": "https://confirm.example", "relying_party": "firm.example"},
    "everybody's relying party": {"confirm_origin": "https://confirm.example", "relying_party": "example"},
    "assertions for nobody": {"assertion_origins": ("https://app.example",)},
    "nothing that confirms": {"confirm_by_token": False},
    "a log with a scheme": {"log_origin": "https://log.bank.example"},
    "a log of no domain": {"log_origin": "log"},
    "a log that spells two ways": {"log_origin": "log.bank.example/a b"},
    "a log without a name": {"log_origin": ""},
    "assertions without TLS": {"relying_party": "bank.example", "assertion_origins": ("http://app.example",)},
    "a passkey that cools off for a year": {"passkey_cooling_off_s": 365 * 86_400},
}


def test_the_settings_of_a_bank_are_good() -> None:
    assert checked(PRODUCTION) is PRODUCTION


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_settings_do_not_start(name: str) -> None:
    with pytest.raises(UnsafeSettings):
        checked(replace(PRODUCTION, **UNSAFE[name]))


def test_a_confirm_page_has_a_host_of_its_own_and_in_development_mode_localhost(tmp_path: Path) -> None:
    page = replace(PRODUCTION, confirm_origin="https://confirm.bank.example", relying_party="bank.example")
    assert checked(replace(page, assertion_origins=("https://app.bank.example", "android:apk-key-hash:x"))).confirming_origin == (
        "https://confirm.bank.example"
    )
    assert checked(PRODUCTION).confirming_origin == ""
    served = replace(development(tmp_path), public_url="http://127.0.0.1:8123")
    assert checked(served).confirming_origin == "http://localhost:8123"
    assert checked(replace(served, host="localhost")).confirming_origin == "", "nowhere is left for it"


def test_in_development_an_issuer_may_be_on_loopback_without_tls(tmp_path: Path) -> None:
    settings = replace(development(tmp_path), issuer="http://127.0.0.1:1", binding="any")
    assert checked(settings).has_external_issuer
    with pytest.raises(UnsafeSettings):
        checked(replace(settings, issuer="http://issuer.example"))


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_a_secret_is_one_line_of_its_owner(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"s3cret\n")
    file.chmod(0o640)
    with pytest.raises(UnsafeSettings, match="chmod 600"):
        secret_of(file)
    file.chmod(0o600)
    assert secret_of(file) == "s3cret"
    file.write_bytes(content)
    with pytest.raises(UnsafeSettings, match="one line"):
        secret_of(file)


def test_workers_that_start_at_once_read_one_key(tmp_path: Path) -> None:
    at_once = threading.Barrier(16, timeout=20)

    def start(_number: int) -> list[bytes]:
        read = []
        for round_number in range(50):
            at_once.wait()
            read.append(private_file(tmp_path / "keys" / f"{round_number}.key", 32))
        return read

    with ThreadPoolExecutor(16) as workers:
        first, *others = workers.map(start, range(16))
    assert all(other == first for other in others)
    assert len(set(first)) == len(list((tmp_path / "keys").iterdir())) == 50
