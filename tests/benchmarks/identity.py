"""What authentication costs: a cached bearer token, a token seen for the first time, a DPoP proof, and its row in the table.

`python -m tests.benchmarks.identity`: microseconds, one caller, on one core.
"""

import asyncio
import hashlib
import itertools
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, OKPKey, RSAKey

from audit.keyring import KeyKind
from gateway.app.clock import utc_now
from gateway.app.development.local_issuer import LocalIssuer
from gateway.domain.principal import Credentials
from gateway.doors.credentials import CredentialReader
from gateway.identity import AccessTokens, Issuer, TokenBinding
from gateway.identity.compact import encode
from gateway.identity.dpop import DpopRules, Nonces, Proofs
from gateway.identity.jwks import FixedKeys
from gateway.identity.keys import public_key
from tests.support.databases import book_in
from tests.support.keys import one_key
from tests.support.oidc import Client, jwt

URL = "https://window.example/v1/function-calls"
ROUNDS = 2000
ISSUING = ECKey.generate_key("P-256")


class New:
    """A table in which nothing was seen before."""

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool:
        return True


async def measured(what: str, step: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> None:
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(rounds):
            await step()
        best = min(best, (time.perf_counter() - begun) / rounds * 1e6)
    print(f"{what:60} {best:8.2f} us")


def bound(key: ECKey | OKPKey | RSAKey, now: datetime) -> str:
    jkt = public_key(key.as_dict(private=False)).thumbprint  # type: ignore[arg-type]
    claims = {"iss": "i", "aud": "a", "sub": "alice", "client_id": "c", "scope": "function_calls", "cnf": {"jkt": jkt}}
    times = {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 600, "auth_time": int(now.timestamp())}
    return jwt({"typ": "at+jwt", "alg": "ES256", "kid": "k"}, {**claims, **times}, ISSUING)


def identity(proofs: Proofs | None = None) -> AccessTokens:
    keys = FixedKeys({"k": public_key(ISSUING.as_dict(private=False))})  # type: ignore[arg-type]
    return AccessTokens(Issuer("i", "a", keys, frozenset({"ES256"})), binding=TokenBinding.OPTIONAL, proofs=proofs)


async def bearer(folder: Path) -> None:
    local = LocalIssuer(folder)
    tokens, now = AccessTokens(local.issuer, binding=TokenBinding.OPTIONAL), utc_now()
    token = local.token("alice", agent="assistant")
    presented = Credentials(f"Bearer {token}", (), "POST", URL)
    await measured("bearer token, cached", lambda: tokens.authenticate(presented, now), 50_000)
    headers = [(name, b"value") for name in (b"host", b"accept", b"user-agent", b"content-type", b"content-length", b"traceparent")]
    scope = {
        "headers": [*headers, (b"authorization", f"Bearer {token}".encode())],
        "method": "POST",
        "raw_path": b"/v1/function-calls",
        "client": ("127.0.0.1", 1),
    }
    presenting = CredentialReader("https://window.example")

    async def read() -> object:
        return presenting.of(scope)

    await measured("what was presented, off the scope", read, 50_000)
    await measured("bearer token, never seen (Ed25519)", lambda: fresh(local, presented, now), 500)


async def fresh(local: LocalIssuer, presented: Credentials, now: datetime) -> object:
    return await AccessTokens(local.issuer, binding=TokenBinding.OPTIONAL).authenticate(presented, now)


async def proofs(name: str, seen: object) -> None:
    now, client = utc_now(), Client()
    nonces = Nonces(one_key(KeyKind.MAC, bytes(32)), 300)
    client.access = bound(client.key, now)
    tokens = identity(Proofs(DpopRules(seen=seen, algorithms=frozenset({"ES256"}), nonces=nonces, age_s=600)))  # type: ignore[arg-type]
    made = itertools.cycle(
        [
            Credentials(f"DPoP {client.access}", (client.proof("POST", URL, nonce=nonces.current(now.timestamp())),), "POST", URL)
            for _ in range(ROUNDS * 5)
        ]
    )
    await measured(f"bound token, cached, with a fresh proof (ES256), {name}", lambda: tokens.authenticate(next(made), now))


async def table(folder: Path) -> None:
    book = await book_in(folder, Ed25519PrivateKey.generate().public_key())
    await proofs("its row durable, one caller", book)
    begun, count, callers = time.perf_counter(), 20_000, 32

    async def caller() -> None:
        for _ in range(count // callers):
            await book.first_use(hashlib.sha256(secrets.token_bytes(16)).digest(), encode(bytes(32)), 2_000_000_000)

    await asyncio.gather(*(caller() for _ in range(callers)))
    print(f"{'a durable row, 32 callers, each':60} {(time.perf_counter() - begun) / count * 1e6:8.2f} us")
    await book.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await bearer(Path(folder))
        await proofs("without a table", New())
        await table(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
