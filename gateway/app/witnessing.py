"""The witnesses that the settings name: what is wrong with that setting, the start that compares the log with them, and the chore."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from adapters.tls import client_tls
from audit.checkpoint import KeyType, NoteInvalid, VerifierKey
from audit.log import Log
from audit.store.cosignatures import LINES_MOST
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.calls.chores import alarmed
from gateway.domain.alarms import Chore
from gateway.identity.fetching import is_safe_url
from gateway.oversight.witnesses import EVERY_S, WitnessClient, Witnesses, WitnessPlace

WITNESSES_MOST = LINES_MOST // 2


class WitnessMalformed(ValueError):
    """A witness of the settings that is none. The text says why."""


def place_of(said: str) -> WitnessPlace:
    """`URL VKEY [VKEY]`, as the setting says one. WitnessMalformed."""
    url, *vkeys = said.split()
    if not vkeys or not is_safe_url(url, loopback_http=True):
        raise WitnessMalformed("give each as its https URL, a space, and its vkeys")
    try:
        keys = tuple(VerifierKey.parse(vkey) for vkey in vkeys)
    except NoteInvalid as error:
        raise WitnessMalformed(f"a vkey is malformed: {error}") from None
    if any(key.type is KeyType.ED25519 for key in keys):
        raise WitnessMalformed("a vkey is not of a witness: take them as `witness keygen` prints them")
    if len({key.name for key in keys}) != 1:
        raise WitnessMalformed("all vkeys of a witness have its name")
    return WitnessPlace(keys[0].name, url, keys)


def witness_findings(settings: Settings) -> Iterator[SettingFinding]:
    """Of the settings by themselves."""
    names: set[str] = set()
    for said in settings.witnesses:
        try:
            names.add(place_of(said).name)
        except ValueError as error:
            yield SettingFinding("witnesses", FindingCode.MALFORMED, "holds what is no witness", str(error))
            return
    if len(names) != len(settings.witnesses) or len(names) > WITNESSES_MOST:
        remedy = f"give each once, at most {WITNESSES_MOST}, with all of its vkeys"
        yield SettingFinding("witnesses", FindingCode.CONFLICT, "names a witness twice, or too many", remedy)
    if settings.witness_quorum > len(settings.witnesses):
        remedy = "name more witnesses, or ask fewer of them"
        yield SettingFinding("witness_quorum", FindingCode.CONFLICT, "is more than there are witnesses", remedy)


@contextlib.asynccontextmanager
async def witnesses_of(settings: Settings, log: Log) -> AsyncIterator[Witnesses | None]:
    """The witnesses, which the log was compared with: UnsafeSettings where one of them knows more than it, or another history. None where
    the settings name none. LogUnavailable."""
    if not settings.witnesses:
        yield None
        return
    places = [place_of(said) for said in settings.witnesses]
    client = WitnessClient(client_tls() if any(place.url.startswith("https:") for place in places) else None)
    try:
        made = Witnesses(log=log, places=places, quorum=settings.witness_quorum, asks=client.post)
        grave = [found for found in await made.compare() if found.standing.is_grave]
        if grave:
            raise UnsafeSettings(
                findings=[
                    SettingFinding(
                        "database",
                        FindingCode.LOG_BEHIND_WITNESS,
                        f"has a log that the witness {found.witness} contradicts: {found.why}. It was restored from a backup, or cut",
                        "stop every gateway and restore the newest copy of the databases; where none is left, "
                        "`tellergate audit recover` (RUNBOOK.md, witness_contradicts)",
                    )
                    for found in grave
                ]
            )
        yield made
    finally:
        await client.close()


async def cosigned(witnesses: Witnesses | None) -> None:
    """Ask them, every few seconds; nothing where there are none."""
    while witnesses is not None:
        await asyncio.sleep(EVERY_S)
        with alarmed(Chore.WITNESSES):
            await witnesses.step()
