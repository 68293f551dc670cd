"""Proofs that whoever shows a token holds the key to which it is bound (RFC 9449)."""

import base64
import hashlib
import json
import secrets
import time

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

_BYTES = 32
"""Of a coordinate of P-256, and of each half of its signatures (RFC 7518, 3.4)."""


class DpopKey:
    """A private key to which tokens are bound: Ed25519, or of the curve P-256. ValueError for another."""

    def __init__(self, key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> None:
        self._key = key
        if isinstance(key, Ed25519PrivateKey):
            self._algorithm = "Ed25519"  # RFC 9864
            self._jwk = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(key.public_key().public_bytes_raw())}
        elif isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
            self._algorithm, point = "ES256", key.public_key().public_numbers()
            self._jwk = {"crv": "P-256", "kty": "EC", "x": _number(point.x), "y": _number(point.y)}
        else:
            raise ValueError("a key for proofs is of Ed25519 or of P-256")

    @property
    def thumbprint(self) -> str:
        """What `cnf.jkt` of a bound token says (RFC 7638), and `dpop_jkt` of a request for one."""
        return _encoded(hashlib.sha256(json.dumps(self._jwk, separators=(",", ":"), sort_keys=True).encode()).digest())

    def proof(self, method: str, url: str, *, token: str | None = None, nonce: str | None = None) -> str:
        """A proof for one request; without `token`, for the endpoint that gives them. `nonce`: the last that this server told."""
        claims: dict[str, object] = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url.partition("?")[0]}
        claims["iat"] = int(time.time())
        if token is not None:
            claims["ath"] = _encoded(hashlib.sha256(token.encode()).digest())
        if nonce is not None:
            claims["nonce"] = nonce
        header = {"typ": "dpop+jwt", "alg": self._algorithm, "jwk": self._jwk}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{_encoded(self._signature(signed.encode()))}"

    def _signature(self, over: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(over)
        r, s = decode_dss_signature(self._key.sign(over, ECDSA(SHA256())))
        return r.to_bytes(_BYTES) + s.to_bytes(_BYTES)


def _number(coordinate: int) -> str:
    return _encoded(coordinate.to_bytes(_BYTES))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
