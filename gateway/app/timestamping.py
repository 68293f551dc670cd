"""The time stamp authorities that the settings name: what is wrong with that setting, the roots that are believed, and the chore."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from cryptography.x509 import Certificate

from adapters.tls import client_tls
from audit.log import Log
from audit.timestamps import ROOTS_MOST, read_roots
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.calls.chores import alarmed
from gateway.domain.alarms import Chore
from gateway.identity.fetching import is_safe_url
from gateway.oversight.timestamps import EVERY_S, QUERY_TYPE, TIMEOUT_S, Timestamps
from gateway.oversight.witnesses import WitnessClient

AUTHORITIES_MOST = 4


def timestamp_findings(settings: Settings) -> Iterator[SettingFinding]:
    """Of the settings by themselves."""
    name, authorities = "timestamp_authorities", settings.timestamp_authorities
    if not all(is_safe_url(url, loopback_http=True) for url in authorities):
        remedy = "give each as its https URL; http is for loopback"
        yield SettingFinding(name, FindingCode.MALFORMED, "holds what is no https URL", remedy)
    if len(set(authorities)) != len(authorities) or len(authorities) > AUTHORITIES_MOST:
        remedy = f"give each once, at most {AUTHORITIES_MOST}"
        yield SettingFinding(name, FindingCode.CONFLICT, "names an authority twice, or too many", remedy)
    if bool(authorities) != (settings.timestamp_roots is not None):
        remedy = "set both, or none of them"
        problem = "goes with timestamp_authorities: whom an answer must lead to"
        yield SettingFinding("timestamp_roots", FindingCode.CONFLICT, problem, remedy)


def roots_at(path: Path) -> Sequence[Certificate]:
    """The certificates of this file. UnsafeSettings."""
    try:
        with path.open("rb") as file:
            return read_roots(file.read(ROOTS_MOST + 1))
    except (OSError, ValueError):
        problem = f"is no PEM file of certificates that can be read ({path})"
        finding = SettingFinding(
            "timestamp_roots", FindingCode.UNREADABLE, problem, "give the root certificates of the authorities"
        )
        raise UnsafeSettings(findings=[finding]) from None


@contextlib.asynccontextmanager
async def timestamps_of(settings: Settings, log: Log) -> AsyncIterator[Timestamps | None]:
    """What asks the authorities; None where the settings name none. UnsafeSettings where the roots cannot be read."""
    if settings.timestamp_roots is None:
        yield None
        return
    roots = await asyncio.to_thread(roots_at, settings.timestamp_roots)
    over_tls = any(url.startswith("https:") for url in settings.timestamp_authorities)
    client = WitnessClient(client_tls() if over_tls else None, timeout_s=TIMEOUT_S, media=QUERY_TYPE)
    try:
        yield Timestamps(log=log, authorities=settings.timestamp_authorities, roots=roots, asks=client.post)
    finally:
        await client.close()


async def stamped(timestamps: Timestamps | None) -> None:
    """Look each minute whether a stamp is due; nothing where there are no authorities. Processes begin at moments of their own within the
    first minute, so that one of them asks and the others find what it kept."""
    if timestamps is None:
        return
    await asyncio.sleep(1 + secrets.randbelow(EVERY_S * 1000) / 1000)
    while True:
        with alarmed(Chore.TIMESTAMPS):
            await timestamps.step()
        await asyncio.sleep(EVERY_S)
