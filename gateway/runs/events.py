"""Server-sent events out of a stream of bytes (WHATWG HTML, section 9.2.6), bounded. Pure: no I/O, no clock.

A line ends with LF, CRLF or CR alone, and a byte order mark before the first is none of it. `id` and `retry` mean nothing here, since a
broken stream is never taken up again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""Of one event: the last one of the Responses API repeats the whole answer, and the schemas of its functions."""


class EventTooLong(ValueError):
    """More than `MAX_EVENT_BYTES` without the end of an event. The message holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """`name` is empty where the server gave none."""

    name: str
    content: bytes


_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Events:
    """The events of one stream, in whatever pieces its bytes come."""

    _rest: bytearray = field(default_factory=bytearray)
    _name: str = ""
    _content: list[bytes] = field(default_factory=list)
    _size: int = 0
    _is_begun: bool = False
    _after_cr: bool = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that end in this chunk; EventTooLong. To be iterated to its end."""
        if self._after_cr and chunk:
            chunk, self._after_cr = chunk.removeprefix(b"\n"), False  # the second half of a CRLF
        if not self._is_begun:
            self._rest += chunk
            if len(self._rest) < len(_MARK) and _MARK.startswith(bytes(self._rest)):
                return
            chunk, self._rest, self._is_begun = bytes(self._rest).removeprefix(_MARK), bytearray(), True
        self._after_cr = chunk.endswith(b"\r")
        for line in chunk.splitlines(keepends=True):
            self._rest += line
            if line.endswith((b"\n", b"\r")):
                event = self._line(bytes(self._rest.rstrip(b"\r\n")))
                self._rest.clear()
                if event is not None:
                    yield event
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLong("an event is too long")

    def end(self) -> Iterator[Event]:
        """The last event of a stream that ended as HTTP has it, although its empty line never came."""
        for line in (bytes(self._rest), b""):
            if (event := self._line(line)) is not None:
                yield event
        self._rest.clear()

    def _line(self, line: bytes) -> Event | None:
        if not line:
            name, content = self._name, b"\n".join(self._content)
            self._name, self._content, self._size = "", [], 0
            return Event(name, content) if content else None
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"data":
            self._content.append(value)
            self._size += len(value) + 1
        elif key == b"event":
            self._name = value.decode("utf-8", "replace")
            self._size += len(value)
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLong("an event is too long")
        return None
