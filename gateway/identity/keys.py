"""Public keys of issuers and of proofs: which are taken, by which algorithm they verify, and their thumbprint (RFC 7517, 7518, 7638).

Only asymmetric algorithms exist here. A key with a private part is refused: whoever sends one has lost it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.domain.strict_json import Parsed
from gateway.identity.compact import Compact, Malformed, decode, encode

ALGORITHMS: Mapping[str, tuple[str, str]] = {
    **{f"{family}{bits}": ("RSA", "") for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Every algorithm that can be configured, with the key type and curve that it needs (RFC 7518, 8037, 9864)."""

RSA_BITS_LEAST, RSA_BITS_MOST = 2048, 8192
"""RFC 7518 section 3.3, and what one verification may cost."""

_EXPONENT_LEAST = 65_537
_REQUIRED = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

_SMALL_ORDER = frozenset(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Ed25519 points of order 8 or less without their sign bit, in all encodings: under them a signature is good for many messages."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that is taken. `algorithm`: the only one that it may verify; None: any of its type and curve."""

    kid: str | None
    kty: str
    curve: str
    algorithm: str | None
    thumbprint: str
    public: RSAKey | ECKey | OKPKey

    def verifies(self, token: Compact, algorithms: frozenset[str]) -> bool:
        """Whether this key signed `token` with one of `algorithms`, each of which fits the key's own type."""
        name = token.algorithm
        if name not in algorithms or ALGORITHMS.get(name) != (self.kty, self.curve):
            return False
        if self.algorithm is not None and self.algorithm != name and {self.algorithm, name} != {"EdDSA", "Ed25519"}:
            return False
        return JWSRegistry.algorithms[name].verify(token.signed, token.signature, self.public)


def public_key(jwk: Mapping[str, Parsed]) -> PublicKey:
    """The key of a JWK, or Malformed: another type, a private part, too short, not on its curve, of small order."""
    kty = _member(jwk, "kty")
    if kty not in _REQUIRED:
        raise Malformed("a key of another type")
    if has_private_part(jwk):
        raise Malformed("a private key")
    required = {name: _member(jwk, name) for name in _REQUIRED[kty]}
    curve = required.get("crv", "")
    if curve and (kty, curve) not in ALGORITHMS.values():
        raise Malformed("a key on another curve")
    _check_strength(kty, required)
    members: dict[str, str | list[str]] = {**required}
    try:
        public = _KINDS[kty].import_key(members)
        public.get_op_key("verify")  # the import is lazy: a point that is not on its curve is found here
    except (JoseError, ValueError, UnsupportedAlgorithm):
        raise Malformed("not a key") from None
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    return PublicKey(
        kid=kid if isinstance(kid, str) else None,
        kty=kty,
        curve=curve,
        algorithm=algorithm if isinstance(algorithm, str) else None,
        thumbprint=thumbprint(jwk),
        public=public,
    )


def has_private_part(jwk: Mapping[str, Parsed]) -> bool:
    """Whether a JWK carries what only its owner may know, or is a shared secret (RFC 7518 section 6)."""
    return not _PRIVATE.isdisjoint(jwk)


def thumbprint(jwk: Mapping[str, Parsed]) -> str:
    """The SHA-256 thumbprint of a public JWK, base64url (RFC 7638 section 3)."""
    required = {name: _member(jwk, name) for name in _REQUIRED.get(_member(jwk, "kty"), ("kty",))}
    return encode(hashlib.sha256(orjson.dumps(required, option=orjson.OPT_SORT_KEYS)).digest())


def _check_strength(kty: str, required: Mapping[str, str]) -> None:
    if kty == "RSA":
        modulus, exponent = (int.from_bytes(decode(required[name])) for name in ("n", "e"))
        if not RSA_BITS_LEAST <= modulus.bit_length() <= RSA_BITS_MOST:
            raise Malformed("an RSA key that is too short or too long")
        if exponent < _EXPONENT_LEAST or exponent % 2 == 0 or exponent.bit_length() > 64:
            raise Malformed("an RSA exponent that is not taken")
    if kty == "OKP":
        point = bytearray(decode(required["x"]))
        if len(point) != 32:
            raise Malformed("not a point of Ed25519")
        point[31] &= 0x7F
        if bytes(point) in _SMALL_ORDER:
            raise Malformed("a point of small order")


def _member(jwk: Mapping[str, Parsed], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise Malformed("a member of the key is missing")
    return value
