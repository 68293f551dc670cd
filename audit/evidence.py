"""Verifies what was kept of a customer's confirmation by passkey. One file: the standard library and `cryptography` alone.

    python evidence.py FILE --rp-id ID --origin ORIGIN [--origin ORIGIN ...] [--public-key B64URL] [--json]

FILE is JSON: `{"intent": {...}, "evidence": {...}}`, or what `tellergate audit reveal --json` prints of a record of kind `confirmation`.
Exit status 0: the evidence holds for exactly this intent; 1: it does not; 2: wrong usage. The steps (WebAuthn Level 3 section 7.2):

 1. The evidence is of a form that is known here, and of this intent: SHA-256 over its canonical bytes (RFC 8785).
 2. The client data is one JSON object, of an assertion (`webauthn.get`), made on an allowed origin and not inside another's page.
 3. Its challenge is SHA-256 over the domain `tellergate/confirm/v1` and the intent: another byte, another challenge.
 4. The authenticator data is for this relying party, and says that the user was present and verified.
 5. The signature over authenticator data and client data holds under the kept public key (ES256, EdDSA with Ed25519, RS256).

Whose key that is, the evidence does not say: compare it with the record of its enrolment, or give it by `--public-key`.
"""

import argparse
import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

DOMAIN = b"tellergate/confirm/v1\x00"
FIELDS = frozenset(
    "version method intent_sha256 rp_id origin credential public_key client_data authenticator_data signature".split()  # noqa: SIM905
)
USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP = 0x01, 0x04, 0x08, 0x10
ES256, EDDSA, RS256 = -7, -8, -257
RSA_BITS = range(2048, 8193)
MAX_FILE_BYTES = 1024 * 1024

PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey


class EvidenceFinding(Exception):
    """Something does not hold; the message says what."""


@dataclass(frozen=True)
class ValidEvidence:
    """Evidence that holds. `public_key_sha256`: of the COSE_Key, to compare with the record of its enrolment."""

    credential: str
    public_key_sha256: str
    intent_sha256: str
    origin: str
    sign_count: int


def verify(
    intent: bytes, evidence: Mapping[str, object], rp_id: str, origins: Collection[str], *, public_key: bytes | None = None
) -> ValidEvidence:
    """Take the steps above, or raise Finding. `public_key`: the COSE_Key that it must be."""
    # 1
    if set(evidence) != FIELDS or evidence["version"] != 1 or evidence["method"] != "passkey":
        raise EvidenceFinding("this is not evidence of a passkey in a form that is known here")
    if evidence["intent_sha256"] != hashlib.sha256(intent).hexdigest():
        raise EvidenceFinding("the evidence is of another intent")
    client_data, authenticator_data = _part(evidence, "client_data"), _part(evidence, "authenticator_data")
    # 2 and 3
    origin = _check_client_data(client_data, hashlib.sha256(DOMAIN + intent).digest(), origins)
    if (evidence["origin"], evidence["rp_id"]) != (origin, rp_id):
        raise EvidenceFinding("the evidence names another origin or relying party than was signed")
    # 4
    sign_count = _check_authenticator_data(authenticator_data, rp_id)
    # 5
    key = _part(evidence, "public_key")
    if public_key is not None and key != public_key:
        raise EvidenceFinding("the evidence holds another public key than was given")
    if not is_signed(key, authenticator_data, client_data, _part(evidence, "signature")):
        raise EvidenceFinding("the signature does not hold")
    credential = evidence["credential"]
    if not isinstance(credential, str):
        raise EvidenceFinding("the evidence names no credential")
    return ValidEvidence(credential, hashlib.sha256(key).hexdigest(), hashlib.sha256(intent).hexdigest(), origin, sign_count)


def is_signed(cose_key: bytes, authenticator_data: bytes, client_data: bytes, signature: bytes) -> bool:
    """Whether the assertion's signature holds (step 5). Finding for a key that is none of the three kinds."""
    key = public_key(cose_key)
    signed = authenticator_data + hashlib.sha256(client_data).digest()
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, signed, ec.ECDSA(SHA256()))
            case Ed25519PublicKey():
                key.verify(signature, signed)
            case _:
                key.verify(signature, signed, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def public_key(cose_key: bytes) -> PublicKey:
    """The key of a COSE_Key (RFC 9052 section 7, RFC 9053): ES256 on P-256, EdDSA with Ed25519, RS256 of 2048 bits or more. Finding."""
    values = _cose_map(cose_key)
    kind, algorithm = values.get(1), values.get(3)
    try:
        if (kind, algorithm, values.get(-1)) == (2, ES256, 1) and set(values) == {1, 3, -1, -2, -3}:
            x, y = _sized(values[-2], 32), _sized(values[-3], 32)
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
            return numbers.public_key()
        if (kind, algorithm, values.get(-1)) == (1, EDDSA, 6) and set(values) == {1, 3, -1, -2}:
            return Ed25519PublicKey.from_public_bytes(_sized(values[-2], 32))
        if (kind, algorithm) == (3, RS256) and set(values) == {1, 3, -1, -2}:
            modulus, exponent = (int.from_bytes(_sized(values[name], None), "big") for name in (-1, -2))
            if modulus.bit_length() not in RSA_BITS:
                raise EvidenceFinding("an RSA key of a size that is not taken")
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise EvidenceFinding("the public key is none: its numbers do not fit") from None
    raise EvidenceFinding("the public key is of a kind or algorithm that is not taken")


def canonical(intent: object) -> bytes:
    """RFC 8785 for what an intent holds: text, integers, booleans, null, lists and objects with ASCII keys."""
    return json.dumps(intent, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _check_client_data(client_data: bytes, challenge: bytes, origins: Collection[str]) -> str:
    said = _object(client_data, "the client data")
    if said.get("type") != "webauthn.get":
        raise EvidenceFinding("the client data is not that of an assertion")
    if said.get("challenge") != _encoded(challenge):
        raise EvidenceFinding("the challenge that was signed is not that of this intent")
    origin = said.get("origin")
    if not isinstance(origin, str) or origin not in origins:
        raise EvidenceFinding("it was signed on an origin that is not allowed")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise EvidenceFinding("it was signed inside a page of another origin")
    return origin


def _check_authenticator_data(authenticator_data: bytes, rp_id: str) -> int:
    if len(authenticator_data) < 37:
        raise EvidenceFinding("the authenticator data is too short")
    if authenticator_data[:32] != hashlib.sha256(rp_id.encode()).digest():
        raise EvidenceFinding("it was signed for another relying party")
    flags = authenticator_data[32]
    if not flags & USER_PRESENT or not flags & USER_VERIFIED:
        raise EvidenceFinding("the authenticator does not say that the user was present and verified")
    if flags & BACKED_UP and not flags & BACKUP_ELIGIBLE:
        raise EvidenceFinding("the authenticator data contradicts itself")
    return int.from_bytes(authenticator_data[33:37], "big")


def _sized(value: object, size: int | None) -> bytes:
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise EvidenceFinding("the public key holds a number of another size")
    return value


def _cose_map(raw: bytes) -> dict[int, int | bytes]:
    """A CBOR map of integers to integers and byte strings (RFC 8949), definite and in shortest form; nothing behind it. Finding."""
    major, count, position = _head(raw, 0)
    if major != 5 or count > 8:
        raise EvidenceFinding("the public key is no COSE_Key")
    values: dict[int, int | bytes] = {}
    for _ in range(count):
        name, position = _item(raw, position)
        value, position = _item(raw, position)
        if not isinstance(name, int) or name in values:
            raise EvidenceFinding("the public key is no COSE_Key")
        values[name] = value
    if position != len(raw):
        raise EvidenceFinding("something stands behind the public key")
    return values


def _item(raw: bytes, position: int) -> tuple[int | bytes, int]:
    major, argument, position = _head(raw, position)
    if major == 0:
        return argument, position
    if major == 1:
        return -1 - argument, position
    if major != 2 or position + argument > len(raw):
        raise EvidenceFinding("the public key is no COSE_Key")
    return raw[position : position + argument], position + argument


def _head(raw: bytes, position: int) -> tuple[int, int, int]:
    """Major type, argument, and where the next byte stands."""
    if position >= len(raw):
        raise EvidenceFinding("the public key ends early")
    major, short = raw[position] >> 5, raw[position] & 0x1F
    if short < 24:
        return major, short, position + 1
    size = {24: 1, 25: 2, 26: 4}.get(short, 0)
    argument = int.from_bytes(raw[position + 1 : position + 1 + size], "big")
    least = {1: 24, 2: 1 << 8, 4: 1 << 16}.get(size, 0)
    if not size or position + 1 + size > len(raw) or argument < least:
        raise EvidenceFinding("the public key is no COSE_Key in shortest form")
    return major, argument, position + 1 + size


def _part(evidence: Mapping[str, object], name: str) -> bytes:
    value = evidence[name]
    if not isinstance(value, str):
        raise EvidenceFinding(f"{name} is not base64url")
    return _decoded(value, name)


def _decoded(text: str, name: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceFinding(f"{name} is not base64url") from None
    if _encoded(raw) != text:
        raise EvidenceFinding(f"{name} is not base64url in its one spelling")
    return raw


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _object(raw: bytes, what: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise EvidenceFinding(f"{what} holds a name twice")
        return dict(pairs)

    try:
        value = json.loads(raw, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise EvidenceFinding(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise EvidenceFinding(f"{what} is not one JSON object")
    return value


def read(raw: bytes) -> tuple[bytes, Mapping[str, object]]:
    """The intent's canonical bytes and the evidence of a file: plain, or as `audit reveal --json` prints them. Finding."""
    if len(raw) > MAX_FILE_BYTES:
        raise EvidenceFinding("the file is too large for evidence")
    body = _object(raw, "the file")
    held = body.get("values", body)
    parts = {name: next((held[key] for key in held if key.split(".")[-1] == name), None) for name in ("intent", "evidence")}
    intent, evidence = parts["intent"], parts["evidence"]
    if not isinstance(intent, dict) or not isinstance(evidence, dict):
        raise EvidenceFinding("the file does not hold an intent and its evidence")
    return canonical(intent), evidence


def main(arguments: Sequence[str] | None = None, say: Callable[[str], object] = sys.stdout.write) -> int:
    """Verify one file; the exit status."""
    parser = argparse.ArgumentParser(prog="evidence", description="Verify the evidence of a confirmation by passkey.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rp-id", required=True)
    parser.add_argument("--origin", action="append", required=True)
    parser.add_argument("--public-key")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        raw = options.file.read_bytes()
    except OSError as error:
        print(f"evidence: {options.file}: {error.strerror}", file=sys.stderr)
        return 2
    found, held = "", None
    try:
        intent, evidence = read(raw)
        known = None if options.public_key is None else _decoded(options.public_key, "--public-key")
        held = verify(intent, evidence, options.rp_id, options.origin, public_key=known)
    except EvidenceFinding as finding:
        found = str(finding)
    if options.json:
        say(json.dumps({"good": held is not None, "finding": found or None, **(vars(held) if held else {})}) + "\n")
    elif held is None:
        say(f"finding: {found}\n")
    else:
        say(f"good: passkey {held.credential} confirmed intent {held.intent_sha256} on {held.origin}\n")
        say(f"compare with its enrolment: public key SHA-256 {held.public_key_sha256}\n")
    return 0 if held is not None else 1


if __name__ == "__main__":
    sys.exit(main())
