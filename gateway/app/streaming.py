"""The streams that the settings name become receivers, and the chores that send them."""

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from audit.keyring import KeyRing
from audit.log import Log
from audit.streams.formats import StreamFormat
from audit.streams.record import PseudonymForm
from audit.streams.selection import selection
from gateway.app.clock import Clock
from gateway.app.key_files import secret_of
from gateway.app.settings import Settings
from gateway.app.stream_files import StreamDefinition, definitions_of
from gateway.calls.chores import alarmed
from gateway.domain.alarms import Chore
from gateway.oversight.receivers.files import FolderReceiver
from gateway.oversight.receivers.http import HttpReceiver
from gateway.oversight.receivers.syslog import SyslogReceiver
from gateway.oversight.streams import Stream, StreamReceiver, Streams

EACH_S = 1.0
"""How often a stream that has nothing to send looks again."""


def streams_of(settings: Settings, log: Log, keys: KeyRing, clock: Clock) -> Streams | None:
    """The streams of these settings; None where there are none. `keys`: sign what goes over HTTP. UnsafeSettings."""
    definitions = definitions_of(settings)
    if not definitions:
        return None
    return Streams(
        log=log,
        streams=[stream_of(definition, receiver_of(definition, keys, clock)) for definition in definitions],
        holder=f"{log.writer_id}-{secrets.token_hex(8)}",
        version=version("tellergate"),
        clock=clock,
    )


def stream_of(definition: StreamDefinition, receiver: StreamReceiver) -> Stream:
    """The stream as the settings say it, to this receiver."""
    return Stream(
        name=definition.name,
        format=StreamFormat(definition.format),
        receiver=receiver,
        takes=selection(definition.question) if definition.question else None,
        pseudonyms=PseudonymForm(definition.pseudonyms),
        from_beginning=definition.start == "beginning",
        records_most=definition.records_most,
        bytes_most=definition.bytes_most,
        behind_alarm_s=definition.behind_alarm_s,
    )


def receiver_of(definition: StreamDefinition, keys: KeyRing, clock: Clock) -> StreamReceiver:
    """Where it goes. UnsafeSettings, OSError and ssl.SSLError where its files have changed since they were looked at."""
    if definition.folder is not None:
        return FolderReceiver(definition.folder, definition.name, clock=clock, bytes_most=definition.file_bytes_most)
    tls = definition.tls()
    if definition.is_syslog and tls is not None:
        parts = urlsplit(definition.url)
        return SyslogReceiver(parts.hostname or "", parts.port or 0, tls)
    file = definition.credential_file
    authorization = "" if file is None else f"{definition.credential_scheme} {secret_of(file)}"
    return HttpReceiver(definition.url, tls=tls, keys=keys.signers, clock=clock, authorization=authorization)


def streaming(streams: Streams | None) -> Sequence[Coroutine[object, object, None]]:
    """A chore for each stream: none waits for another."""
    return [] if streams is None else [_sent(streams, stream) for stream in streams.streams]


async def _sent(streams: Streams, stream: Stream) -> None:
    """Send what there is, then look again each second."""
    while True:
        more = False
        with alarmed(Chore.STREAMS):
            more = await streams.step(stream)
        await asyncio.sleep(0 if more else EACH_S)
