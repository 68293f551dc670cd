"""Keys in a PKCS#11 token: what signs (Ed25519) and what wraps other keys (AES-256-GCM) is made in it and never leaves it.

Beside the token a purpose has its file, as with `audit.key_files`: which keys there are, since when, their public halves and statements. It
is sealed (AES-256-GCM) by a key of the token, `tellergate-files`, so that nobody without the token reads or writes it; so are in it the
keys that no token has a mechanism for (ML-DSA-44, AES-SIV), and those that are used within requests many times a second. Their bytes are
in the memory of a process that works, and in clear nowhere else. A file of before, in another form, is read on, by its passphrase; the
next rotation writes it in this one.
"""

import binascii
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from cryptography.exceptions import InvalidTag
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error, Session
from pkcs11 import GCMParams as Gcm
from pkcs11.types import DecryptMixin, EncryptMixin, SignMixin
from pkcs11.util.ec import encode_named_curve_parameters

from audit import checkpoint
from audit.encoding import b64, unb64
from audit.key_files import FileKeys, read_private
from audit.key_format import IN_TOKEN, KeptKey, KeyDamaged, Passphrase, canonical, decoded, keys_json
from audit.keyring import (
    ID_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    KeyKind,
    KeyPurpose,
    KeyRefused,
    RingKey,
    SignerUnavailable,
    signing_key_id,
)
from audit.memory_keys import FileSecret
from audit.token_device import KeyToken

T = TypeVar("T")

FILES_LABEL = "tellergate-files"
"""Label of the key in the token that seals the files."""

_OBJECT_ID_BYTES = 16
_PRIVATE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
_ED25519 = "1.3.101.112"
_SECRET_ID_LABEL = b"tellergate/token-key-id/v1\x00"


class _InToken:
    """A key of the token, by its id there."""

    def __init__(self, token: KeyToken, object_id: bytes) -> None:
        self._token = token
        self._object_id = object_id

    def _use(self, work: Callable[[KeyToken], T]) -> T:
        try:
            return self._token.run(work)
        except KeyRefused as refused:
            raise SignerUnavailable(str(refused)) from refused

    async def _use_beside(self, work: Callable[[KeyToken], T]) -> T:
        try:
            return await self._token.beside(work)
        except KeyRefused as refused:
            raise SignerUnavailable(str(refused)) from refused


class TokenSigner(_InToken):
    """A `Signer` whose private key is in the token (CKM_EDDSA)."""

    type = checkpoint.KeyType.ED25519
    waits = True

    def __init__(self, token: KeyToken, object_id: bytes, public: bytes) -> None:
        super().__init__(token, object_id)
        self.public = public

    def sign(self, message: bytes) -> bytes:
        return self._use(self._signing(message))

    async def sign_beside(self, message: bytes) -> bytes:
        return await self._use_beside(self._signing(message))

    def _signing(self, message: bytes) -> Callable[[KeyToken], bytes]:
        def sign(token: KeyToken) -> bytes:
            key = cast(SignMixin, token.find(ObjectClass.PRIVATE_KEY, self._object_id))
            return bytes(key.sign(message, mechanism=Mechanism.EDDSA))

        return sign


class TokenSecret(_InToken):
    """A `SecretKey` that wraps others, in the token (CKM_AES_GCM). Codes over heads are by a key of their own beside it (`vouching`): they
    are made within a transaction, which waits for no device.
    """

    def __init__(self, token: KeyToken, object_id: bytes, vouching: bytes) -> None:
        super().__init__(token, object_id)
        self._vouching = FileSecret(KeyKind.MAC, vouching)

    def mac(self, message: bytes) -> bytes:
        return self._vouching.mac(message)

    def encrypt(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        return self._use(lambda token: _encrypted(token, self._object_id, nonce, plain, bound))

    async def encrypt_beside(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        return await self._use_beside(lambda token: _encrypted(token, self._object_id, nonce, plain, bound))

    def decrypt(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        return self._use(lambda token: _decrypted(token, self._object_id, nonce, sealed, bound))

    async def decrypt_beside(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        return await self._use_beside(lambda token: _decrypted(token, self._object_id, nonce, sealed, bound))

    def encrypt_same(self, plain: bytes, bound: Sequence[bytes]) -> bytes:
        raise TypeError("a key of another kind")

    def decrypt_same(self, sealed: bytes, bound: Sequence[bytes]) -> bytes:
        raise TypeError("a key of another kind")


class TokenKeys(FileKeys):
    """`KeyStorage` in a token, with its files in the data folder. As `FileKeys`; KeyRefused also when the token does not answer."""

    def __init__(
        self,
        data: Path,
        token: KeyToken,
        *,
        passphrase: Passphrase | None = None,
        may_be_plain: bool = True,
        random: Callable[[int], bytes] = os.urandom,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`passphrase`, `may_be_plain`: of files of before."""
        super().__init__(data, passphrase=passphrase, may_be_plain=may_be_plain, random=random, now_s=now_s)
        self.token = token

    async def answers(self) -> None:
        await self.token.beside(_well)

    def check(self) -> None:
        self._asked(_well)

    def close(self) -> None:
        self.token.close()

    def is_inside(self, purpose: KeyPurpose) -> bool:
        return read_private(self.path(purpose)).startswith(IN_TOKEN)

    def is_sealed(self, purpose: KeyPurpose) -> bool:
        return self.is_inside(purpose) or super().is_sealed(purpose)

    def strays(self, purpose: KeyPurpose) -> list[bytes]:
        with self._locked(purpose):  # who rotates makes the key before the file names it
            return self._strays(purpose)

    def destroy_stray(self, purpose: KeyPurpose, object_id: bytes) -> None:
        with self._locked(purpose):
            if object_id not in self._strays(purpose):
                super().destroy_stray(purpose, object_id)
            self._asked(lambda token: token.change(lambda session: _destroyed(session, object_id)))

    def _strays(self, purpose: KeyPurpose) -> list[bytes]:
        if not (purpose.wraps or purpose.kind is KeyKind.ED25519):
            return []
        named = {kept.object_id for kept in self._entries(purpose)}
        return sorted(self._asked(lambda token: _held(token, purpose)) - named)

    def seal(self, purpose: KeyPurpose, passphrase: Passphrase) -> None:
        raise KeyRefused(f"{purpose.file} is sealed by the token; a passphrase is for keys in files")

    def _new(self, purpose: KeyPurpose, begins_s: int) -> KeptKey:
        made_s, object_id = int(self._now_s()), secrets.token_bytes(_OBJECT_ID_BYTES)
        if purpose.kind is KeyKind.ED25519:
            public = self._asked(lambda token: token.change(lambda session: _made_pair(session, purpose, object_id)))
            key = RingKey(signing_key_id(purpose.kind, public), made_s, begins_s, public=public)
            return KeptKey(self._usable(purpose, KeptKey(key, b"", object_id)), b"", object_id)
        if not purpose.wraps:
            return super()._new(purpose, begins_s)
        self._asked(lambda token: token.change(lambda session: _made_key(session, purpose.name, object_id)))
        vouching = self._random(purpose.kind.secret_bytes)
        key = RingKey(_secret_id(object_id), made_s, begins_s)
        return KeptKey(self._usable(purpose, KeptKey(key, vouching, object_id)), vouching, object_id)

    def _usable(self, purpose: KeyPurpose, kept: KeptKey) -> RingKey:
        """ValueError for a key that is not the one of its id."""
        key = kept.key
        if purpose.kind is KeyKind.ED25519 and key.id == signing_key_id(purpose.kind, key.public) and not kept.secret:
            return RingKey(
                key.id,
                key.made_s,
                key.begins_s,
                key.public,
                TokenSigner(self.token, kept.object_id, key.public),
                None,
                key.statement,
            )
        if purpose.wraps and key.id == _secret_id(kept.object_id) and kept.secret and not key.public:
            secret = TokenSecret(self.token, kept.object_id, kept.secret)
            return RingKey(key.id, key.made_s, key.begins_s, b"", None, secret, key.statement)
        raise ValueError("not the key of this id")

    def _destroy(self, purpose: KeyPurpose, kept: KeptKey) -> None:
        if kept.object_id:
            self._asked(lambda token: token.change(lambda session: _destroyed(session, kept.object_id)))

    def _entries(self, purpose: KeyPurpose) -> list[KeptKey]:
        path = self.path(purpose)
        content = read_private(path)
        if not content.startswith(IN_TOKEN):
            return super()._entries(purpose)
        try:
            head, body = content[len(IN_TOKEN) :].rstrip(b"\n").split(b"\n")
            found = json.loads(head)
            object_id, nonce = (bytes.fromhex(found[name]) for name in ("sealed_by", "nonce"))
            sealed, bound = unb64(body), IN_TOKEN + head + b"\n"
            plain = self._asked(lambda token: _decrypted(token, object_id, nonce, sealed, bound))
        except (ValueError, KeyError, TypeError, binascii.Error, InvalidTag) as error:
            raise KeyDamaged(
                f"{path.name}: is damaged, or of another token; restore it from where the keys are kept safe"
            ) from error
        return decoded(purpose, path.name, plain, self._usable)

    def _encoded(self, purpose: KeyPurpose, entries: Sequence[KeptKey]) -> bytes:
        object_id, nonce = self._asked(_files_key), secrets.token_bytes(NONCE_BYTES)
        head = canonical({"purpose": purpose.name, "sealed_by": object_id.hex(), "nonce": nonce.hex()})
        bound, plain = IN_TOKEN + head + b"\n", keys_json(purpose, entries)
        sealed = self._asked(lambda token: _encrypted(token, object_id, nonce, plain, bound))
        return bound + b64(sealed).encode() + b"\n"

    def _asked(self, work: Callable[[KeyToken], T]) -> T:
        try:
            return self.token.run(work)
        except SignerUnavailable as error:
            raise KeyRefused(str(error)) from error


def _well(token: KeyToken) -> None:
    """Something that only a token does that is there and logged in. PKCS11Error."""
    token.session().generate_random(64)


def _files_key(token: KeyToken) -> bytes:
    """The id of the key that seals files; made where the token has none: a copy of it, restored, is found and not followed by another."""
    wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: FILES_LABEL}
    found = [bytes(key[Attribute.ID]) for key in token.session().get_objects(wanted)]
    if len(found) > 1:
        raise KeyRefused(
            f"the token holds {len(found)} keys named {FILES_LABEL}: keep the one that the files name, and destroy the other"
        )
    if found:
        return found[0]
    object_id = secrets.token_bytes(_OBJECT_ID_BYTES)
    token.change(lambda session: _made_key(session, FILES_LABEL, object_id))
    return object_id


def _made_pair(session: Session, purpose: KeyPurpose, object_id: bytes) -> bytes:
    """The public half of a new key pair: 32 bytes."""
    parameters = session.create_domain_parameters(
        KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: encode_named_curve_parameters(_ED25519)}, local=True
    )
    public, _ = parameters.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        id=object_id,
        label=f"tellergate-{purpose.name}",
        store=True,
        capabilities=MechanismFlag.SIGN,
        public_template={Attribute.TOKEN: False, Attribute.VERIFY: True},
        private_template=_PRIVATE,
    )
    point = bytes(public[Attribute.EC_POINT])
    return point[2:] if len(point) == 34 and point.startswith(b"\x04\x20") else point  # some give it without its DER


def _made_key(session: Session, label: str, object_id: bytes) -> None:
    session.generate_key(
        KeyType.AES,
        256,
        id=object_id,
        label=label if label == FILES_LABEL else f"tellergate-{label}",
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template=_PRIVATE,
    )


def _destroyed(session: Session, object_id: bytes) -> None:
    """Whatever has this id; nothing, where a try of before got so far."""
    for found in list(session.get_objects({Attribute.ID: object_id})):
        found.destroy()


def _held(token: KeyToken, purpose: KeyPurpose) -> set[bytes]:
    """The ids of the keys of this purpose in the token."""
    kind = ObjectClass.SECRET_KEY if purpose.wraps else ObjectClass.PRIVATE_KEY
    wanted = {Attribute.CLASS: kind, Attribute.LABEL: f"tellergate-{purpose.name}"}
    return {bytes(key[Attribute.ID]) for key in token.session().get_objects(wanted)}


def _secret_id(object_id: bytes) -> bytes:
    return hashlib.sha256(_SECRET_ID_LABEL + object_id).digest()[:ID_BYTES]


def _encrypted(token: KeyToken, object_id: bytes, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
    key = cast(EncryptMixin, token.find(ObjectClass.SECRET_KEY, object_id))
    return cast(bytes, key.encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=Gcm(nonce, bound, TAG_BYTES * 8)))


def _decrypted(token: KeyToken, object_id: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    """InvalidTag. Tokens have no answer of their own for a wrong tag: SoftHSM calls it a general error. So a token that encrypts by this
    key right after it refused to decrypt is well, and the bytes are not what it sealed.
    """
    key = cast(DecryptMixin, token.find(ObjectClass.SECRET_KEY, object_id))
    try:
        return cast(bytes, key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=Gcm(nonce, bound, TAG_BYTES * 8)))
    except PKCS11Error as error:
        _encrypted(token, object_id, secrets.token_bytes(NONCE_BYTES), b"", b"tellergate/well/v1")
        raise InvalidTag from error
