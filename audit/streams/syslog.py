"""A line as a syslog message (RFC 5424), and messages as octets of a connection (RFC 5425 section 4.3: octet counting). Pure."""

import re
from collections.abc import Mapping

from audit.streams.record import StreamRecord, StreamSeverity

LOG_AUDIT = 13
"""The facility."""

SEQUENCE_MOST = 2_147_483_647
"""Of the `meta` element's sequenceId (RFC 5424 section 7.3.1), which begins anew behind it."""

_SEVERITIES: Mapping[StreamSeverity, int] = {
    StreamSeverity.INFORMATIONAL: 6,
    StreamSeverity.LOW: 5,
    StreamSeverity.MEDIUM: 4,
    StreamSeverity.HIGH: 2,
}


def message(record: StreamRecord, line: bytes) -> bytes:
    """The message; its MSG is the line, without a byte order mark, which many receivers take for text. The host is the log's."""
    host = _printable(record.log.partition("/")[0], 255)
    kind = _printable(record.kind, 32)
    priority = LOG_AUDIT * 8 + _SEVERITIES[record.severity]
    sequence = record.index % SEQUENCE_MOST + 1
    return f'<{priority}>1 {record.time} {host} tellergate - {kind} [meta sequenceId="{sequence}"] '.encode() + line


def framed(content: bytes) -> bytes:
    """With its length before it."""
    return b"%d " % len(content) + content


def _printable(text: str, most: int) -> str:
    return re.sub(r"[^!-~]", "_", text)[:most] or "-"
