"""Tokens bound to a certificate (RFC 8705), over real TLS and through a proxy that ends it (RFC 9440), of the real provider."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority, Issued
from tests.support.oidc import Client, Oidc, provider
from tests.support.window import Window, code, window

PATH = "/v1/functions?shape=mcp"


@pytest.fixture(scope="module")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oidc]:
    with provider(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Issued:
    return authority.issue("own")


@pytest.fixture(scope="module")
def other(authority: Authority) -> Issued:
    return authority.issue("other")


@pytest.fixture(scope="module")
def client(oidc: Oidc, own: Issued) -> Client:
    return oidc.sign_in(as_client="server", certificate=own.certificate.read_text())


@pytest.fixture(scope="module")
def over_tls(oidc: Oidc, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    server = authority.issue("server")
    tls = {"tls_certificate": str(server.certificate), "tls_key": str(server.key), "tls_client_ca": str(authority.file)}
    with window(tmp_path_factory.mktemp("tls"), oidc, **tls) as running:
        yield running


def showing(authority: Authority, shown: Issued | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def test_a_token_is_taken_from_the_connection_of_its_certificate_alone(
    over_tls: Window, authority: Authority, client: Client, own: Issued, other: Issued
) -> None:
    def answered(shown: Issued | None, **more: str) -> httpx.Response:
        return over_tls.send(client, "GET", PATH, scheme="Bearer", verify=showing(authority, shown), headers=more)

    assert answered(own).status_code == 200
    for wrong in (other, None):
        refused = answered(wrong)
        assert (refused.status_code, code(refused)) == (401, "invalid_token")
        told = base64.b64encode(own.der).decode()
        claimed = answered(wrong, **{"client-cert": f":{told}:"})
        assert (claimed.status_code, code(claimed)) == (401, "invalid_token"), "nobody is a trusted proxy here"
    assert answered(own, **{"client-cert": ":AAAA:"}).status_code == 200
    with_effect = over_tls.transfer(client, scheme="Bearer", verify=showing(authority, own))
    assert with_effect.json()["results"][0]["status"] == "done"


def test_a_certificate_of_another_authority_does_not_connect(
    over_tls: Window, authority: Authority, client: Client, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("own")
    with pytest.raises(httpx.TransportError):
        over_tls.send(client, "GET", PATH, scheme="Bearer", verify=showing(authority, stranger))


def test_a_bound_token_over_plain_http_is_refused(oidc: Oidc, client: Client, own: Issued, tmp_path: Path) -> None:
    with window(tmp_path, oidc) as plain:
        told = f":{base64.b64encode(own.der).decode()}:"
        for headers in ({}, {"client-cert": told}):
            refused = plain.send(client, "GET", PATH, scheme="Bearer", headers=headers)
            assert (refused.status_code, code(refused)) == (401, "invalid_token")


def test_the_proxy_s_word_counts_and_only_one_word_of_it(
    oidc: Oidc, client: Client, own: Issued, other: Issued, tmp_path: Path
) -> None:
    """The test's own client stands where the proxy would."""
    with window(tmp_path, oidc, trusted_proxies=["127.0.0.0/8"]) as behind:

        def answered(*values: str) -> httpx.Response:
            headers = [("authorization", f"Bearer {client.access}"), *(("client-cert", value) for value in values)]
            return httpx.get(behind.url + PATH, headers=headers)

        mine, theirs = (f":{base64.b64encode(item.der).decode()}:" for item in (own, other))
        assert answered(mine).status_code == 200
        for wrong in (
            (),
            (theirs,),
            (mine, mine),
            (f"{mine}, {theirs}",),
            (mine[1:-1],),
            (own.certificate.read_text()[:27],),
        ):
            refused = answered(*wrong)
            assert (refused.status_code, code(refused)) == (401, "invalid_token"), wrong


def test_the_window_behind_a_proxy_is_where_the_setting_says(oidc: Oidc, tmp_path: Path) -> None:
    with window(tmp_path, oidc, public_url="https://window.example/teller") as behind:
        bound = oidc.sign_in()
        assert behind.send(bound, "GET", PATH).status_code == 200
        proof = bound.proof("GET", behind.url + PATH, nonce=bound.nonces["window.example"])
        assert code(behind.send(bound, "GET", PATH, proofs=[proof])) == "invalid_dpop_proof"
