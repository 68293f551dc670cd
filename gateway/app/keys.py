"""Every secret key of an installation, by purpose: where it lies and what opens it. `deploy/README.md` has the same table."""

import os
from collections.abc import Callable
from pathlib import Path

from audit.key_files import FileKeys, read_passphrase
from audit.key_format import KeyMissing, Passphrase
from audit.keyring import KeyKind, KeyPurpose, KeyRing, KeyStorage
from audit.keys import LOG_PURPOSES
from audit.log import Log
from audit.rotation_records import RotationRecords
from gateway.app.clock import Clock

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


def file_keys(
    data: Path,
    file: Path | None = None,
    *,
    may_be_plain: bool = True,
    random: Callable[[int], bytes] = os.urandom,
) -> FileKeys:
    """The key files of a data folder. `file`: of the passphrase, as for `passphrase`. KeyRefused as there."""
    return FileKeys(data, passphrase=passphrase(file), may_be_plain=may_be_plain, random=random)


def make_gateway_keys(storage: KeyStorage) -> None:
    """Those of a new installation; what is there stays."""
    for purpose in GATEWAY_PURPOSES:
        storage.make(purpose)


class GatewayKeys:
    """The gateway's own rings, opened together: an installation lacks none of them."""

    def __init__(self, storage: KeyStorage, clock: Clock) -> None:
        """KeyMissing with the purpose and what to do; KeyRefused as `KeyStorage.load`."""
        self._records = RotationRecords()
        self._rings: dict[KeyPurpose, KeyRing] = {}
        for purpose in GATEWAY_PURPOSES:
            try:
                self._rings[purpose] = KeyRing(purpose, storage, lambda: clock().timestamp())
            except KeyMissing:
                raise KeyMissing(
                    f"{purpose.file} is not there, and this installation has worked with it. Restore it from where the keys are kept"
                    f" safe. Without it: {purpose.lost}. To accept that: `tellergate keys make {purpose.name}`"
                ) from None

    def __getitem__(self, purpose: KeyPurpose) -> KeyRing:
        return self._rings[purpose]

    async def take_over(self, log: Log) -> None:
        """Use what was rotated, and put it on record. KeyRefused: the keys stay what they were. LogUnavailable."""
        await self._records.take_over(log, list(self._rings.values()))
