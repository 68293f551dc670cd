"""What stands behind the `CoreBank` port of a gateway for customers: a core behind HTTP; and what serves a core to others.

Chosen in the compositions and in the commands; nobody else asks which it is. The sandbox bank is development's.
"""

import binascii
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.core import CoreBank, ExecutionPermit, PermitRefused
from adapters.cores.remote.bounds import ClientBounds
from adapters.cores.remote.client import open_remote
from adapters.cores.remote.server import PermitReader
from adapters.tls import tls_for
from audit.checkpoint import NoteInvalid
from audit.encoding import b64, unb64
from audit.log import Log
from audit.permits import LogPermitVerifier, Permit, PermitInvalid, decode
from gateway.app.clock import Clock
from gateway.app.key_files import credential
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings

if TYPE_CHECKING:
    from adapters.cores.sandbox.bank import SandboxBank

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(slots=True)
class Core:
    """A core that is open. `sandbox` is the embedded bank, and None where the core is elsewhere."""

    bank: CoreBank
    close: Callable[[], Awaitable[None]]
    sandbox: "SandboxBank | None" = None
    breaker: Callable[[], str] | None = None
    """State of the breaker, where there is one."""


class CorePermits:
    """The core's view of permits: audit's verifier behind the protocol that the cores declare."""

    def __init__(self, verifier: LogPermitVerifier) -> None:
        self._verifier = verifier

    def verify(self, permit: ExecutionPermit, over: bytes, now: datetime) -> None:
        if not isinstance(permit, Permit):
            raise PermitRefused("not a permit of this log")
        try:
            self._verifier.verify(permit, over, now)
        except PermitInvalid as invalid:
            raise PermitRefused(str(invalid)) from None


class UnsafeNoPermits:
    """For a bank that nobody reaches but the proxy: the proxy verified, and the bank trusts the proxy's credential alone."""

    def verify(self, permit: ExecutionPermit, over: bytes, now: datetime) -> None:
        """Anything is let through."""


def core_of(settings: Settings, log: Log, clock: Clock) -> Core:
    """The core at `core_url`. UnsafeSettings where none is set, or one that a credential must not be sent to."""
    if not settings.core_url:
        raise UnsafeSettings("core_url must be set: the embedded sandbox bank exists in development mode only")
    bounds = ClientBounds(question_s=settings.core_question_ms / 1000, instruction_s=settings.core_instruction_ms / 1000)
    return behind_http(settings.core_url, settings.core_credential_file, clock=clock, bounds=bounds)


def behind_http(url: str, credential_file: Path | None, *, clock: Clock, bounds: ClientBounds) -> Core:
    """The core at this address. UnsafeSettings for one that a credential must not be sent to."""
    address = urlsplit(url)
    if address.scheme != "https" and (address.scheme != "http" or address.hostname not in LOOPBACK):
        raise UnsafeSettings("core_url is https, or http on loopback: the credential of the core would cross the network in clear")
    if credential_file is None:
        raise UnsafeSettings("core_credential_file must be set together with core_url")
    bank, remote = open_remote(url, credential=credential(credential_file), clock=clock, bounds=bounds, tls=tls_for(url))
    return Core(bank, remote.close, breaker=lambda: remote.breaker.value)


def server_tls(host: str, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS of a server on the core's side; None on loopback without a certificate. UnsafeSettings elsewhere, or for bad files."""
    if certificate is None and key is None:
        if host not in LOOPBACK:
            raise UnsafeSettings("beyond loopback a server needs --tls-cert and --tls-key: a credential would cross in clear")
        return None
    if certificate is None or key is None:
        raise UnsafeSettings("--tls-cert and --tls-key go together")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        tls.load_cert_chain(certificate, key)
    except ssl.SSLError:
        raise UnsafeSettings(f"{certificate.name} and {key.name} are no certificate with its key") from None
    return tls


# Permits over the wire


def trust_of(log: Log) -> str:
    """What another process needs to verify this log's permits: its origin, its public permit key, and those that overlap, as JSON."""
    keys = [b64(key) for key in log.permit_keys()]
    return json.dumps({"origin": log.origin, "permit_key": keys[0], "permit_keys": keys})


def permit_verifier(path: Path) -> CorePermits:
    """The verifier of a file that `trust_of` wrote. UnsafeSettings for any other."""
    try:
        content = json.loads(path.read_bytes()[:4096])
        if not isinstance(content, dict) or not isinstance(content["origin"], str):
            raise TypeError
        if content.keys() not in ({"origin", "permit_key"}, {"origin", "permit_key", "permit_keys"}):
            raise TypeError
        keys = [unb64(key) for key in content.get("permit_keys", [content["permit_key"]])]
        return CorePermits(LogPermitVerifier(lambda: keys, content["origin"]))
    except (TypeError, ValueError, KeyError, binascii.Error, NoteInvalid):
        raise UnsafeSettings(f"{path.name} is not what `tellergate keys permits` writes") from None


def read_permit(text: str, _over: bytes) -> ExecutionPermit:
    """For a server whose core verifies by itself."""
    try:
        return decode(text)
    except PermitInvalid as invalid:
        raise PermitRefused(str(invalid)) from None


def verified_permit(verifier: CorePermits, clock: Clock) -> PermitReader:
    """For the proxy: nothing goes on without a permit over exactly these bytes."""

    def read(text: str, over: bytes) -> ExecutionPermit:
        permit = read_permit(text, over)
        verifier.verify(permit, over, clock())
        return permit

    return read
