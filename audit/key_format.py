"""The form of a key file, and the passphrase that seals it. Pure, but for the randomness of salts and nonces.

The form, version 1. Plain: the line `tellergate keys 1 plain`, then a line of canonical JSON with the purpose and its keys. Sealed: the
line `tellergate keys 1 sealed`, a line of JSON with the purpose, scrypt's parameters and salt, a check value of the passphrase and a
nonce, then the base64 of AES-256-GCM over that same JSON of keys, with both lines before it as associated data. A file that holds
nothing but 32 or 64 bytes, or a PEM private key, is the one key of an installation from before this form.
"""

import binascii
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from audit.encoding import b64, unb64
from audit.keyring import KeyKind, KeyPurpose, KeyRefused, RingKey, secret_key_id, signing_key_id
from audit.memory_keys import FileSecret, FileSigner

PASSPHRASE_LEAST = 16
"""Characters of a passphrase: fewer are guessed, whatever scrypt costs."""

SCRYPT_LOG2_N = 17
"""128 MiB and about 0.4 s of processor time for a guess, with r = 8 and p = 1; once for a start, since the files share a salt."""

_LOG2_N_BOUNDS = range(10, 19)
PLAIN, SEALED = b"tellergate keys 1 plain\n", b"tellergate keys 1 sealed\n"
IN_TOKEN = b"tellergate keys 1 token\n"
"""The first line of a file whose keys are in a token, or sealed by it (`audit.token_keys`)."""
_CHECK_LABEL = b"tellergate/passphrase-check/v1"


class KeptKey(NamedTuple):
    """A key, and what is kept of it: its bytes, or where in a device it is; of a retired one neither. A key that `wraps` has both: what
    is kept beside the device vouches for heads alone.
    """

    key: RingKey
    secret: bytes = b""
    object_id: bytes = b""


ObjectKey = Callable[[KeyPurpose, KeptKey], RingKey]
"""Gives a key that is kept in a device what signs or seals by it."""


class KeyMissing(KeyRefused):
    """There is no file of this purpose."""


class KeyDamaged(KeyRefused):
    """The file is not what was written, or not of this purpose."""


class KeyExposed(KeyRefused):
    """Others may read or write the file, or its folder, or it is somebody else's."""


class PassphraseRefused(KeyRefused):
    """The passphrase is absent, too short, or another than the file was sealed under."""


class KeyUnsealed(KeyRefused):
    """The file is plain where only sealed ones are taken."""


class Passphrase:
    """What key files are sealed under. Keeps what it derived, so that a start pays once for all files."""

    def __init__(self, text: bytes, *, log2_n: int = SCRYPT_LOG2_N) -> None:
        """PassphraseRefused when it is shorter than `PASSPHRASE_LEAST`."""
        if len(text) < PASSPHRASE_LEAST:
            raise PassphraseRefused(f"the passphrase of the keys has fewer than {PASSPHRASE_LEAST} characters")
        self._text = text
        self._log2_n = log2_n
        self._derived: dict[tuple[bytes, int], bytes] = {}

    def derive(self, salt: bytes, log2_n: int) -> bytes:
        """The key for these parameters; 32 bytes."""
        known = self._derived.get((salt, log2_n))
        if known is None:
            known = Scrypt(salt=salt, length=32, n=2**log2_n, r=8, p=1).derive(self._text)
            self._derived[salt, log2_n] = known
        return known

    def chosen(self) -> tuple[bytes, int]:
        """Salt and cost for what is sealed now: those of a file that was opened, if its cost is today's."""
        found = next((salt for salt, log2_n in self._derived if log2_n == self._log2_n), None)
        return found or secrets.token_bytes(16), self._log2_n


def key_of(purpose: KeyPurpose, secret: bytes, *, made_s: int, begins_s: int) -> RingKey:
    """KeyRefused for a wrong length."""
    kind = purpose.kind
    if not kind.signs:
        return RingKey(secret_key_id(kind, secret), made_s, begins_s, secret=FileSecret(kind, secret))
    try:
        made = Ed25519PrivateKey.from_private_bytes if kind is KeyKind.ED25519 else MLDSA44PrivateKey.from_seed_bytes
        signer = FileSigner(made(secret))
    except ValueError:
        raise KeyRefused(f"a key of {kind.value} has {kind.secret_bytes} bytes") from None
    return RingKey(signing_key_id(kind, signer.public), made_s, begins_s, public=signer.public, signer=signer)


def keys_json(purpose: KeyPurpose, entries: Sequence[KeptKey]) -> bytes:
    keys = [
        {
            "id": kept.key.id.hex(),
            "made": kept.key.made_s,
            "begins": kept.key.begins_s,
            "public": b64(kept.key.public),
            "secret": b64(kept.secret),
            "statement": kept.key.statement,
            **({"object": kept.object_id.hex()} if kept.object_id else {}),
        }
        for kept in entries
    ]
    return canonical({"purpose": purpose.name, "kind": purpose.kind.value, "keys": keys}) + b"\n"


def decoded(purpose: KeyPurpose, name: str, content: bytes, object_key: ObjectKey | None = None) -> list[KeptKey]:
    """`object_key`: for keys in a device; without it there may be none. KeyDamaged."""
    try:
        found = json.loads(content)
        if (found["purpose"], found["kind"]) != (purpose.name, purpose.kind.value):
            raise KeyDamaged(f"{name}: holds keys of {found['purpose']!s:.64}, and belongs elsewhere")
        entries = [_entry(purpose, item, object_key) for item in found["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise KeyDamaged(f"{name}: is damaged; restore it from where the keys are kept safe") from error
    begins = [kept.key.begins_s for kept in entries]
    if not entries or begins != sorted(set(begins)):
        raise KeyDamaged(f"{name}: is damaged; restore it from where the keys are kept safe")
    return entries


def _entry(purpose: KeyPurpose, item: dict[str, object], object_key: ObjectKey | None) -> KeptKey:
    """ValueError for a key that is not the one of its id."""
    secret, public = (unb64(str(item[name])) for name in ("secret", "public"))
    made_s, begins_s, statement = item["made"], item["begins"], item["statement"]
    object_id = bytes.fromhex(str(item.get("object", "")))
    if not isinstance(made_s, int) or not isinstance(begins_s, int) or not isinstance(statement, str):
        raise ValueError("malformed")
    if secret and len(secret) != purpose.kind.secret_bytes:
        raise ValueError("of another length")
    if object_id:
        if object_key is None:
            raise ValueError("in a device, which files know nothing of")
        key = object_key(purpose, KeptKey(RingKey(bytes.fromhex(str(item["id"])), made_s, begins_s, public), secret, object_id))
    elif secret:
        key = key_of(purpose, secret, made_s=made_s, begins_s=begins_s)
    else:
        key = RingKey(signing_key_id(purpose.kind, public), made_s, begins_s, public=public)
    if key.id.hex() != item["id"] or key.public != public or not (secret or object_id or purpose.kind.signs):
        raise ValueError("not the key of this id")
    return KeptKey(replace(key, statement=statement), secret, object_id)


def older_secret(purpose: KeyPurpose, name: str, content: bytes) -> bytes:
    """Of a file from before this form. KeyDamaged."""
    if not content.startswith(b"-----BEGIN"):
        if len(content) == purpose.kind.secret_bytes:
            return content
        raise KeyDamaged(f"{name}: is damaged, or not a key of {purpose.name}; restore it from where the keys are kept safe")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise KeyDamaged(f"{name}: not a private key") from error
    if isinstance(key, Ed25519PrivateKey if purpose.kind is KeyKind.ED25519 else MLDSA44PrivateKey) and purpose.kind.signs:
        return key.private_bytes_raw()
    raise KeyDamaged(f"{name}: a key of another type")


def sealed(purpose: KeyPurpose, plain: bytes, passphrase: Passphrase) -> bytes:
    salt, log2_n = passphrase.chosen()
    key, nonce = passphrase.derive(salt, log2_n), secrets.token_bytes(12)
    head = canonical(
        {
            "purpose": purpose.name,
            "kdf": "scrypt",
            "log2_n": log2_n,
            "salt": b64(salt),
            "check": b64(hmac.digest(key, _CHECK_LABEL, "sha256")[:8]),
            "nonce": b64(nonce),
        }
    )
    bound = SEALED + head + b"\n"
    return bound + b64(AESGCM(key).encrypt(nonce, plain, bound)).encode() + b"\n"


def opened(purpose: KeyPurpose, name: str, content: bytes, passphrase: Passphrase | None) -> bytes:
    """The JSON of a sealed file. PassphraseRefused, KeyDamaged."""
    if passphrase is None:
        raise PassphraseRefused(
            f"{name} is sealed: give its passphrase, by `key_passphrase_file` (TELLERGATE_KEY_PASSPHRASE_FILE)"
            " or the systemd credential `tellergate-keys`"
        )
    try:
        head, body = content[len(SEALED) :].rstrip(b"\n").split(b"\n")
        found = json.loads(head)
        salt, check, nonce = (unb64(found[field]) for field in ("salt", "check", "nonce"))
        cost = found["log2_n"]
        if found["kdf"] != "scrypt" or cost not in _LOG2_N_BOUNDS:
            raise ValueError("parameters that are not used here")
        key = passphrase.derive(salt, cost)
        if not hmac.compare_digest(check, hmac.digest(key, _CHECK_LABEL, "sha256")[:8]):
            raise PassphraseRefused(f"{name} was sealed under another passphrase than the one that was given")
        return AESGCM(key).decrypt(nonce, unb64(body), SEALED + head + b"\n")
    except (ValueError, KeyError, TypeError, binascii.Error, InvalidTag) as error:
        raise KeyDamaged(f"{name}: is damaged; restore it from where the keys are kept safe") from error


def canonical(found: object) -> bytes:
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()
