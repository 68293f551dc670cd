"""Proofs of possession: what a kept key, a nonce, an address and the table of seen proofs must and must not do."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from sqlalchemy import Connection

from audit.keyring import KeyKind
from gateway.app.databases import DatabaseName
from gateway.client import DpopKey
from gateway.domain.errors import Fault, Unavailable
from gateway.domain.principal import Credentials, NotAuthenticated
from gateway.doors.credentials import CERTIFICATE, CredentialReader
from gateway.identity import AccessTokens, Issuer, TokenBinding
from gateway.identity.certificate import thumbprint as certificate_thumbprint
from gateway.identity.dpop import DpopRules, Nonces, Proofs, normalised
from gateway.identity.jwks import FixedKeys
from gateway.identity.keys import public_key
from gateway.store import proofs as table
from tests.support.databases import book_in, on_database
from tests.support.keys import one_key
from tests.support.oidc import Client, jwt

URL = "https://window.example/v1/function-calls"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
ALGORITHMS = frozenset({"ES256", "EdDSA"})


class Table:
    """Seen proofs in memory; it may be out of order."""

    def __init__(self) -> None:
        self.rows: dict[tuple[bytes, str], int] = {}
        self.is_down = False

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool:
        if self.is_down:
            raise Unavailable("store_unavailable")
        new = (jti_hash, key) not in self.rows
        self.rows[jti_hash, key] = expires_s
        return new


def thumbprint(client: Client) -> str:
    return public_key(client.key.as_dict(private=False)).thumbprint  # type: ignore[arg-type]


async def check(proofs: Proofs, client: Client, *made: str, url: str = URL, now: datetime = NOW) -> None:
    await proofs.check(Credentials(None, made, "POST", url), client.access, thumbprint(client), now)


def proof(client: Client, **changes: Any) -> str:
    return client.proof("POST", URL, **{"iat": NOW_S, **changes})


@pytest.fixture
def client() -> Client:
    return Client(access="a.token")


def proofs(seen: Table | None = None, **rules: Any) -> Proofs:
    return Proofs(DpopRules(seen=seen or Table(), algorithms=ALGORITHMS, **rules))


async def test_a_row_is_kept_as_long_as_its_proof_could_be_taken(client: Client) -> None:
    seen = Table()
    issued = NOW_S + 5
    await check(proofs(seen, age_s=60), client, proof(client, iat=issued, jti="j"))
    ((jti_hash, key),) = seen.rows
    assert (jti_hash, key) == (hashlib.sha256(b"j").digest(), thumbprint(client))
    last_taken = issued + 60
    assert seen.rows[jti_hash, key] > last_taken


@pytest.mark.parametrize(("offset", "is_taken"), [(-61, False), (-60, True), (0, True), (5, True), (6, False)])
async def test_the_window_of_a_proof_s_age(client: Client, offset: int, is_taken: bool) -> None:
    made = proof(client, iat=NOW_S + offset)
    if is_taken:
        await check(proofs(), client, made)
    else:
        with pytest.raises(NotAuthenticated) as refused:
            await check(proofs(), client, made)
        assert refused.value.fault is Fault.INVALID_DPOP_PROOF


async def test_a_clock_ahead_is_taken_as_far_as_it_is_set(client: Client) -> None:
    await check(proofs(clock_skew_s=60), client, proof(client, iat=NOW_S + 60))
    with pytest.raises(NotAuthenticated):
        await check(proofs(clock_skew_s=60), client, proof(client, iat=NOW_S + 61))


async def test_a_token_that_is_bound_twice_needs_both(client: Client) -> None:
    issuing = ECKey.generate_key("P-256")
    claims = {"iss": "i", "aud": "a", "sub": "alice", "client_id": "c", "scope": "function_calls"}
    times = {"iat": NOW_S, "exp": NOW_S + 600, "auth_time": NOW_S}
    cnf = {"jkt": thumbprint(client), "x5t#S256": certificate_thumbprint(b"own")}
    client.access = jwt({"typ": "at+jwt", "alg": "ES256", "kid": "k"}, {**claims, **times, "cnf": cnf}, issuing)
    keys = FixedKeys({"k": public_key(issuing.as_dict(private=False))})  # type: ignore[arg-type]
    tokens = AccessTokens(Issuer("i", "a", keys, ALGORITHMS), binding=TokenBinding.CERTIFICATE, proofs=proofs())

    def shown(certificate: bytes | None, *made: str, scheme: str = "DPoP") -> Credentials:
        return Credentials(f"{scheme} {client.access}", made, "POST", URL, certificate)

    assert (await tokens.authenticate(shown(b"own", proof(client)), NOW)).scheme == "DPoP"
    for wrong in (shown(None, proof(client)), shown(b"other", proof(client)), shown(b"own"), shown(b"own", scheme="Bearer")):
        with pytest.raises(NotAuthenticated):
            await tokens.authenticate(wrong, NOW)


async def test_when_the_table_does_not_answer_nothing_is_taken(client: Client) -> None:
    seen = Table()
    seen.is_down = True
    with pytest.raises(Unavailable):
        await check(proofs(seen), client, proof(client))


async def test_a_refused_proof_leaves_no_row(client: Client) -> None:
    seen = Table()
    for wrong in ({"htm": "GET"}, {"htu": "https://x.example/"}, {"ath": "x"}, {"iat": 1}, {"header": {"typ": "JWT"}}):
        with pytest.raises(NotAuthenticated):
            await check(proofs(seen), client, proof(client, **wrong))
    with pytest.raises(NotAuthenticated) as refused:
        await check(proofs(seen, nonces=Nonces(one_key(KeyKind.MAC, bytes(32)), 300)), client, proof(client))
    assert refused.value.fault is Fault.USE_DPOP_NONCE
    assert seen.rows == {}


@pytest.mark.parametrize("member", ["d", "p", "oth", "k"])
async def test_a_private_member_is_refused_although_the_key_is_known(client: Client, member: str) -> None:
    checking = proofs()
    await check(checking, client, proof(client))
    leaked = {**client.key.as_dict(private=False), member: "AA"}
    with pytest.raises(NotAuthenticated):
        await check(checking, client, proof(client, header={"jwk": leaked}))


async def test_a_key_that_was_first_shown_for_one_algorithm_is_not_pinned_to_it(client: Client) -> None:
    checking = proofs()
    own = client.key.as_dict(private=False)
    for alg in ("ES384", "none", "ES256"):
        await check(checking, client, proof(client, header={"jwk": {**own, "alg": alg, "kid": "x"}}))


async def test_of_two_clients_each_has_ids_of_its_own(client: Client) -> None:
    checking, other = proofs(), Client(access="another.token")
    await check(checking, client, proof(client, jti="same"))
    await check(checking, other, proof(other, jti="same"))
    with pytest.raises(NotAuthenticated):
        await check(checking, other, proof(other, jti="same"))


async def test_another_key_than_the_token_s_is_refused_before_it_is_parsed(client: Client) -> None:
    thief = Client(key=ECKey.generate_key("P-256"), access=client.access)
    checking = proofs()
    with pytest.raises(NotAuthenticated):
        await checking.check(Credentials(None, (proof(thief),), "POST", URL), client.access, thumbprint(client), NOW)
    assert not checking._keys, "nobody fills the cache with keys that no token is bound to"


async def test_a_token_bound_to_something_that_is_no_thumbprint_is_refused(client: Client) -> None:
    for bound_to in ("", "ü", "x" * 43):
        with pytest.raises(NotAuthenticated):
            await proofs().check(Credentials(None, (proof(client),), "POST", URL), client.access, bound_to, NOW)


def test_a_nonce_is_good_for_its_lifetime_and_at_most_twice_that_in_every_process() -> None:
    one, other, stranger = (
        Nonces(one_key(KeyKind.MAC, bytes(32)), 300),
        Nonces(one_key(KeyKind.MAC, bytes(32)), 300),
        Nonces(one_key(KeyKind.MAC, b"x" * 32), 300),
    )
    start = 300 * 6_000_000
    nonce = one.current(start + 299)
    assert other.current(start) == nonce
    assert all(other.is_good(nonce, start + later) for later in (0, 299, 300, 599))
    assert not any(other.is_good(nonce, start + later) for later in (-1, 600, 3000))
    assert not stranger.is_good(nonce, start)
    assert not one.is_good("ü", start)


SAME = [
    "https://window.example:443/v1/function-calls",
    "HTTPS://WINDOW.EXAMPLE/v1/function-calls",
    "https://window.example/v1/function%2Dcalls?x=1#y",
    "https://window.example/./v1/x/../function-calls",
]
OTHER = [
    "http://window.example/v1/function-calls",
    "https://window.example:8443/v1/function-calls",
    "https://window.example/v1/function-calls/",
    "https://window.example/v1/Function-calls",
    "https://window.example/v1%2Ffunction-calls",
    "https://window.example.evil.example/v1/function-calls",
    "https://a@window.example/v1/function-calls",
    "https://window.example/v1/function-calls\n",
    "https://window.example /v1/function-calls",
    "//window.example/v1/function-calls",
    "/v1/function-calls",
    "https://window.example:x/v1/function-calls",
    "https://[window.example/v1/function-calls",
    "",
]


@pytest.mark.parametrize("htu", SAME)
def test_the_same_address_in_another_spelling(htu: str) -> None:
    assert normalised(htu) == URL


@pytest.mark.parametrize("htu", OTHER)
def test_another_address(htu: str) -> None:
    assert normalised(htu) != URL


@given(st.text(alphabet="/.%2eEfF aA:?#@[]~", max_size=24))
def test_normalising_twice_is_normalising_once(rest: str) -> None:
    once = normalised(f"https://window.example/{rest}")
    assert once is None or (normalised(once) == once and "/../" not in once and not once.endswith("/.."))


async def test_of_two_connections_one_is_first(tmp_path: Path) -> None:
    await (await book_in(tmp_path, Ed25519PrivateKey.generate().public_key())).close()
    seen = table.StoreProof(b"j" * 32, "k", 1000)

    def later(connection: Connection) -> None:
        assert not seen.apply(connection)
        assert table.StoreProof(b"j" * 32, "another key", 1000).apply(connection)
        assert table.ForgetProofs(1000 + table.SLACK_S).apply(connection) == 0
        assert not seen.apply(connection)
        assert table.ForgetProofs(1001 + table.SLACK_S).apply(connection) == 2
        assert seen.apply(connection)

    assert on_database(tmp_path, DatabaseName.GATEWAY, seen.apply)
    on_database(tmp_path, DatabaseName.GATEWAY, later)


async def test_the_gateway_s_store_remembers_across_a_restart_and_fails_closed(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    for is_first in (True, False):
        book = await book_in(tmp_path, key)
        assert await book.first_use(b"j" * 32, "k", NOW_S) is is_first
        await book.close()
    with pytest.raises(Unavailable):
        await book.first_use(b"i" * 32, "k", 1)
    book = await book_in(tmp_path, key)
    await book.forget_proofs(NOW + timedelta(hours=1))
    assert await book.first_use(b"j" * 32, "k", NOW_S)
    await book.close()


def scope(*headers: tuple[str, str], client: object = ("10.0.0.8", 1), **more: Any) -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"headers": raw, "method": "GET", "path": "/a b", "raw_path": b"/a%20b", "client": client, **more}


def test_what_is_presented_is_read_off_the_scope_alone() -> None:
    presenting = CredentialReader("https://window.example/teller/", ["10.0.0.0/24", "::1"])
    read = presenting.of(scope(("authorization", "DPoP x"), ("dpop", "p"), ("dpop", "q"), ("host", "evil.example")))
    assert read == Credentials("DPoP x", ("p", "q"), "GET", "https://window.example/teller/a%20b", None)
    assert presenting.of(scope(("authorization", "Bearer x"), ("authorization", "Bearer y"))).authorization == "Bearer x, Bearer y"


@pytest.mark.parametrize(
    ("client", "is_believed"),
    [
        (("10.0.0.8", 1), True),
        (("::1", 1), True),
        (("10.0.1.8", 1), False),
        (("", 0), False),
        (None, False),
        (("::ffff:10.0.0.8", 1), False),
    ],
)
def test_a_certificate_is_taken_from_our_proxies_alone(client: object, is_believed: bool) -> None:
    presenting = CredentialReader("https://window.example", ["10.0.0.0/24", "::1"])
    told = scope(("client-cert", ":AAAA:"), client=client, extensions={CERTIFICATE: b"connection"})
    assert presenting.of(told).certificate == (b"\0\0\0" if is_believed else b"connection")
    silent = scope(client=client, extensions={CERTIFICATE: b"connection"})
    assert presenting.of(silent).certificate == (None if is_believed else b"connection"), "the proxy's own is nobody's"
    twice = scope(("client-cert", ":AAAA:"), ("client-cert", ":AAAA:"), client=client)
    assert presenting.of(twice).certificate is None


def test_a_presented_certificate_is_not_printed() -> None:
    assert "secret" not in repr(Credentials(None, (), "GET", URL, b"secret"))


@pytest.mark.parametrize("key", [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())])
async def test_the_client_s_own_proofs_are_taken_once_for_their_request_and_token(
    key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    made, now = DpopKey(key), datetime.now(UTC)
    taking = Proofs(DpopRules(seen=Table(), algorithms=frozenset({"ES256", "Ed25519"})))

    async def taken(proof: str, *, token: str = "a.token", method: str = "POST", url: str = URL) -> bool:
        try:
            await taking.check(Credentials(None, (proof,), method, url), token, made.thumbprint, now)
        except NotAuthenticated:
            return False
        return True

    proof = made.proof("POST", f"{URL}?a=b", token="a.token")
    assert not await taken(proof, token="another.token")
    assert not await taken(proof, method="GET")
    assert not await taken(proof, url=f"{URL}s")
    assert await taken(proof)
    assert not await taken(proof)
    assert await taken(made.proof("POST", URL, token="a.token", nonce="n"))


def test_a_key_that_no_proof_is_made_with_is_refused() -> None:
    for wrong in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048), object()):
        with pytest.raises(ValueError, match=r"Ed25519 or of P-256"):
            DpopKey(wrong)  # type: ignore[arg-type]
