"""Every secret key of an installation, by purpose: where it lies and what opens it. `deploy/README.md` has the same table."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from audit.key_files import FileKeys, read_passphrase, read_private
from audit.key_format import KeyMissing, Passphrase, PassphraseRefused
from audit.keyring import KeyKind, KeyPurpose, KeyRing, KeyStorage
from audit.keys import LOG_PURPOSES
from audit.log import Log
from audit.rotation_records import RotationRecords
from gateway.app.clock import Clock
from gateway.app.settings import PKCS11, Settings
from gateway.app.unsafe_settings import UnsafeSettings

MANDATES = KeyPurpose("mandates", KeyKind.ED25519, "keys/mandates.key", "no mandate is believed; each is granted anew")
REFERENCES = KeyPurpose("references", KeyKind.SIV, "keys/references.key", "references of open conversations are refused")
RUNS = KeyPurpose("runs", KeyKind.SEAL, "keys/runs.key", "runs that are under way fail")
CONFIRM_PAGE = KeyPurpose("confirm-page", KeyKind.MAC, "keys/confirm-page.key", "customers sign in to the confirm page again")
DPOP_NONCES = KeyPurpose("dpop-nonces", KeyKind.MAC, "keys/dpop-nonces.key", "clients are given another nonce")
OPERATIONS = KeyPurpose(
    "operations", KeyKind.SEAL, "keys/operations.key", "whoever signs in to the operations listener begins again"
)
WEBHOOK = KeyPurpose("webhook", KeyKind.ED25519, "keys/webhook.key", "the receiver must be given another public key")

GATEWAY_PURPOSES = (MANDATES, REFERENCES, RUNS, CONFIRM_PAGE, DPOP_NONCES, OPERATIONS, WEBHOOK)
PURPOSES = (*LOG_PURPOSES, *GATEWAY_PURPOSES)

PIN_CREDENTIAL = "tellergate-pkcs11-pin"
"""The systemd credential with the PIN of a token."""

CREDENTIAL = "tellergate-keys"
"""The systemd credential (a file of `$CREDENTIALS_DIRECTORY`) with the passphrase."""


def passphrase(file: Path | None) -> Passphrase | None:
    """From this file, from the one that TELLERGATE_KEY_PASSPHRASE_FILE names, or from the systemd credential; None without any.

    KeyMissing, KeyExposed, PassphraseRefused.
    """
    named = os.environ.get("TELLERGATE_KEY_PASSPHRASE_FILE")
    if file is None and named:
        file = Path(named)
    if file is None and (folder := os.environ.get("CREDENTIALS_DIRECTORY")) and (Path(folder) / CREDENTIAL).exists():
        file = Path(folder) / CREDENTIAL
    return None if file is None else read_passphrase(file)


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A PKCS#11 token: the library of its maker, its label, and the file of its PIN; None: the systemd credential."""

    module: Path
    label: str
    pin_file: Path | None = None

    def pin(self) -> str:
        """KeyMissing, KeyExposed, PassphraseRefused."""
        file, folder = self.pin_file, os.environ.get("CREDENTIALS_DIRECTORY")
        if file is None and folder:
            file = Path(folder) / PIN_CREDENTIAL
        if file is None:
            raise KeyMissing(
                "there is no PIN of the token: set pkcs11_pin_file, or give the systemd credential `tellergate-pkcs11-pin`"
            )
        line = read_private(file).split(b"\n")[0].rstrip(b"\r")
        try:
            pin = line.decode()
        except UnicodeDecodeError:
            pin = ""
        if not pin:
            raise PassphraseRefused(f"{file.name} does not hold a PIN in its first line")
        return pin


def token_of(settings: Settings) -> TokenPlace | None:
    """Where these settings have their keys; None for files."""
    if settings.key_storage != PKCS11:
        return None
    if settings.pkcs11_module is None or not settings.pkcs11_token:
        raise KeyMissing("the keys are in a token: set pkcs11_module and pkcs11_token")
    return TokenPlace(settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_pin_file)


def file_keys(
    data: Path,
    file: Path | None = None,
    *,
    may_be_plain: bool = True,
    random: Callable[[int], bytes] = os.urandom,
    token: TokenPlace | None = None,
) -> FileKeys:
    """The key files of a data folder, or those that go with a token. `file`: of the passphrase, as for `passphrase`. KeyRefused as there;
    of a token when it is first asked. UnsafeSettings where the extra `hsm` is not installed."""
    words = passphrase(file)
    if token is None:
        return FileKeys(data, passphrase=words, may_be_plain=may_be_plain, random=random)
    try:
        from audit.token_device import KeyToken
        from audit.token_keys import TokenKeys
    except ImportError:
        raise UnsafeSettings("key_storage is pkcs11, but the extra `hsm` is not installed") from None
    device = KeyToken(token.module, token.label, token.pin)
    return TokenKeys(data, device, passphrase=words, may_be_plain=may_be_plain, random=random)


def make_gateway_keys(storage: KeyStorage) -> None:
    """Those of a new installation; what is there stays."""
    for purpose in GATEWAY_PURPOSES:
        storage.make(purpose)


class GatewayKeys:
    """The gateway's own rings, opened together: an installation lacks none of them."""

    def __init__(self, storage: KeyStorage, clock: Clock) -> None:
        """KeyMissing with the purpose and what to do; KeyRefused as `KeyStorage.load`."""
        self.storage = storage
        self._records = RotationRecords()
        self._rings: dict[KeyPurpose, KeyRing] = {}
        for purpose in GATEWAY_PURPOSES:
            try:
                self._rings[purpose] = KeyRing(purpose, storage, lambda: clock().timestamp())
            except KeyMissing:
                raise KeyMissing(
                    f"{purpose.file} is not there, and this installation has worked with it. Restore it from where the keys are kept"
                    f" safe. Without it: {purpose.lost}. To accept that: `tellergate keys make {purpose.name} --officer-key FILE`"
                ) from None

    def __getitem__(self, purpose: KeyPurpose) -> KeyRing:
        return self._rings[purpose]

    def rings(self) -> Iterable[KeyRing]:
        """All of them."""
        return self._rings.values()

    async def take_over(self, log: Log) -> None:
        """Use what was rotated, and put it on record. KeyRefused: the keys stay what they were. LogUnavailable."""
        await self._records.take_over(log, list(self._rings.values()))
