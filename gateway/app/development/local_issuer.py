"""The local token issuer of development mode."""

import base64
import secrets
import time
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import OKPKey

from gateway.app.key_files import private_file
from gateway.app.settings import DEV_AUDIENCE, DEV_ISSUER
from gateway.domain.principal import SCOPE_CALLS, SCOPE_WORDS
from gateway.domain.strict_json import Json
from gateway.identity import ACR_STRONG, Issuer
from gateway.identity.jwks import FixedKeys
from gateway.identity.keys import public_key

ALGORITHM = "Ed25519"
TOKEN_LIFETIME_S = 3600


class LocalIssuer:
    """Gives tokens of `DEV_ISSUER` for any customer. The key lies in the data folder; whoever reads it can be anybody."""

    def __init__(self, data: Path) -> None:
        seed = private_file(data / "dev" / "issuer.key", 32)
        x = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        jwk: dict[str, str | list[str]] = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": _b64(x),
            "d": _b64(seed),
            "kid": "dev-1",
            "alg": ALGORITHM,
            "use": "sig",
        }
        self._key = OKPKey.import_key(jwk)

    @property
    def issuer(self) -> Issuer:
        """What verifies these tokens; public keys only."""
        public = public_key({"kty": "OKP", "crv": "Ed25519", "x": str(self._key.as_dict(private=False)["x"])})
        return Issuer(DEV_ISSUER, DEV_AUDIENCE, FixedKeys({"dev-1": public}), frozenset({ALGORITHM}))

    def token(
        self,
        customer: str,
        *,
        agent: str | None,
        strong: bool = False,
        words: bool = False,
        scope: str = SCOPE_CALLS,
        client: str = "dev-app",
        details: Json = None,
        segment: str | None = None,
    ) -> str:
        """An RFC 9068 access token. `words`: the customer's own, with the scope for their words and without an agent. `details`: its
        `authorization_details` (RFC 9396). `segment`: the claim `segment`, for `segment_claim`.
        """
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": DEV_ISSUER,
            "aud": DEV_AUDIENCE,
            "sub": customer,
            "client_id": client,
            "scope": SCOPE_WORDS if words else scope,
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
            "auth_time": now,
            "jti": secrets.token_hex(8),
        }
        if strong:
            claims["acr"] = ACR_STRONG
        if details is not None:
            claims["authorization_details"] = details
        if segment is not None:
            claims["segment"] = segment
        if agent is not None and not words:
            claims["act"] = {"sub": agent}
        header = {"typ": "at+jwt", "alg": ALGORITHM, "kid": "dev-1"}
        return jws.serialize_compact(header, orjson.dumps(claims), self._key, algorithms=[ALGORITHM])


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
