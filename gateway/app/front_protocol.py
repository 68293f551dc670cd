"""What a request may be before the application sees it: bounds on its head and its pauses, in the server's protocol class.

Must never believe what a header says, nor log for each connection.
"""

import asyncio
from enum import Enum
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.app.front import Front, FrontRefusal

_STATUS = {
    FrontRefusal.MALFORMED: 400,
    FrontRefusal.URL: 414,
    FrontRefusal.FIELDS: 431,
    FrontRefusal.HEAD: 431,
    FrontRefusal.HEAD_TIME: 408,
    FrontRefusal.BODY_TIME: 408,
}
"""What is answered. Others are closed without a word: whoever sent nothing asked nothing."""


class _Reading(Enum):
    NOTHING = 0
    HEAD = 1
    BODY = 2


class _HeadRefused(Exception):
    """Ends the parser's work on what it was given."""


class FrontProtocol(HttpToolsProtocol):
    """HTTP whose heads and pauses are bounded. Made for a connection that the front admitted, from `address`."""

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], *, front: Front, address: str
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._front = front
        self._address = address
        self._reading = _Reading.NOTHING
        self._seen = 0  # bytes of a head, or since the last byte of a body
        self._since: float | None = None  # when what it waits for began, or last came
        self._was_heard = self._is_refused = False
        self.url, self.headers = b"", []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self._since = self.loop.time()
        self._front.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.forget(self)
        self._front.left(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The parser gets no more at a time than a head may have, so that none is longer when it is looked at."""
        self._unset_keepalive_if_required()
        self._was_heard = True
        most, at = self._front.settings.head_bytes, 0
        while at < len(data) and not self._is_refused:
            if self._reading is _Reading.NOTHING:
                self._reading, self._seen = _Reading.HEAD, 0
            part = data[at : at + most - self._seen]
            at += len(part)
            self._seen += len(part)
            self._parse(part)
        if self._reading is _Reading.NOTHING or self._is_refused:
            self._since = None
        elif self._reading is _Reading.BODY or self._since is None:
            self._since = self.loop.time()

    def _parse(self, part: bytes) -> None:
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            pass  # none is offered: it was taken as the plain request that it is as well (RFC 9110 section 7.8)
        except httptools.HttpParserError:
            if not self._is_refused:
                self._refuse(FrontRefusal.MALFORMED)
            return
        if self._reading is not _Reading.NOTHING and (why := self._too_much()) is not None:
            self._refuse(why)

    def _too_much(self) -> FrontRefusal | None:
        settings = self._front.settings
        if len(self.url) > settings.url_bytes:
            return FrontRefusal.URL
        if len(self.headers) > settings.head_fields:
            return FrontRefusal.FIELDS
        return FrontRefusal.HEAD if self._seen >= settings.head_bytes else None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._reading is _Reading.NOTHING:  # behind another one: what was read with that one is not counted
            self._reading, self._seen = _Reading.HEAD, 0

    def on_headers_complete(self) -> None:
        self._seen = 0
        if (why := self._too_much()) is not None:
            self._refuse(why)
            raise _HeadRefused
        self._reading = _Reading.BODY
        super().on_headers_complete()
        self.headers = []  # what follows a body in chunks is no header: nobody is to believe it

    def on_body(self, body: bytes) -> None:
        self._seen = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading, self._since = _Reading.NOTHING, None
        super().on_message_complete()

    def look(self, now: float) -> None:
        """Refuse it if it has kept us waiting too long."""
        if self._since is None:
            return
        if self.flow.read_paused:  # it is we who do not read
            self._since = now
        elif self._reading is _Reading.BODY:
            if now - self._since > self._front.settings.body_idle_s:
                self._refuse(FrontRefusal.BODY_TIME)
        elif now - self._since > self._front.settings.head_s:
            self._refuse(FrontRefusal.HEAD_TIME if self._was_heard else FrontRefusal.SILENT)

    def _refuse(self, why: FrontRefusal) -> None:
        """Answer if nothing else is being answered, and close; an earlier request's answer is finished first."""
        self._is_refused, self._since = True, None
        self._front.count(why)
        is_in_body = self._reading is _Reading.BODY
        if not is_in_body and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        if is_in_body:
            self.cycle.disconnected = True  # the application learns that its client is gone
        if (status := _STATUS.get(why)) is not None and not (is_in_body and (self.cycle.response_started or self.pipeline)):
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
