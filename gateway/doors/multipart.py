"""Bodies of the kind `multipart/form-data` (RFC 7578), read as they come: fields are small and held, a file passes through in pieces."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from gateway.domain.errors import Fault, RequestFault

FIELDS_MOST = 32
FIELD_BYTES_MOST = 64 * 1024
_NUL = "a name, or a field, must hold no NUL"
NAME_MOST = 255
"""Characters of a file's name."""


@dataclass(frozen=True, slots=True)
class FormPart:
    """`filename` None: a field."""

    name: str
    filename: str | None


@dataclass(slots=True)
class _Head:
    fields: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""


_Event = FormPart | bytes | None
"""A part begins; bytes of it; it ends."""


class Multipart:
    """One body, part after part, each to be read to its end before the next. RequestFault for what is none."""

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise _not_valid("the body must be multipart/form-data")
        self._body = request.stream()
        self._events: deque[_Event] = deque()
        self._head = _Head()
        self._is_over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._value,
                "on_header_end": self._header,
                "on_headers_finished": self._headed,
                "on_part_data": self._data,
                "on_part_end": lambda: self._events.append(None),
                "on_end": self._end,
            },
        )

    async def parts(self) -> AsyncIterator[FormPart]:
        """Each part, as it begins."""
        count = 0
        while (event := await self._next()) is not None:
            if not isinstance(event, FormPart):
                raise _not_valid("the body is not well-formed")
            count += 1
            if count > FIELDS_MOST:
                raise _not_valid(f"the body has more than {FIELDS_MOST} parts")
            yield event

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes of the part that has begun."""
        while isinstance(event := await self._next(), bytes):
            yield event

    async def text(self) -> str:
        """The same of a field."""
        held = bytearray()
        async for part in self.content():
            held += part
            if len(held) > FIELD_BYTES_MOST:
                raise _not_valid(f"a field has more than {FIELD_BYTES_MOST} bytes")
        try:
            text = held.decode()
        except UnicodeDecodeError:
            raise _not_valid("a field is not UTF-8") from None
        if "\0" in text:
            raise _not_valid(_NUL)
        return text

    async def _next(self) -> _Event:
        while not self._events:
            if self._is_over:
                return None
            await self._feed()
        return self._events.popleft()

    async def _feed(self) -> None:
        part = await anext(self._body, b"")
        if not part:
            raise _not_valid("the body ended early")
        try:
            self._parser.write(part)
        except FormParserError:
            raise _not_valid("the body is not well-formed multipart/form-data") from None

    def _begin(self) -> None:
        self._head = _Head()

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._head.name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._head.value += data[start:end]

    def _header(self) -> None:
        self._head.fields[self._head.name.lower()] = self._head.value
        self._head.name = self._head.value = b""

    def _headed(self) -> None:
        _, options = parse_options_header(self._head.fields.get(b"content-disposition"))
        filename = options.get(b"filename")
        if any(b"\0" in value for value in options.values()):
            raise _not_valid(_NUL)  # PostgreSQL takes none
        self._events.append(FormPart(_text(options.get(b"name", b"")), None if filename is None else _text(filename)))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _end(self) -> None:
        self._is_over = True


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _not_valid(message: str) -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, message)
