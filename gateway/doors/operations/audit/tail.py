"""What is recorded now: the newest records, looked at again and again. The whole watch is one question on record, with its end in it.

A record for each look would be two thirds of what is watched; so the question says from which record on and until when, and nobody watches
longer without another one. Whose records these are is not shown, so that nobody need be told of it: to open one is a look on record.
What is watched stands under a code of the session, in the address.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Request, Response

from audit.leaf import Plain, RecordKind, rfc3339
from audit.log import Log
from audit.opening import StoredRecord, stored_record
from audit.query import question
from audit.store.reads import Reads
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.audit.record_view import record_view
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.identity.compact import encode

LASTS = timedelta(minutes=15)
SHOWN_MOST = 50
EVERY_S = 3


@dataclass(frozen=True, slots=True)
class TrailWatch:
    """`record`: the question's own. `since`: the first record that may be looked at. `until_s`: seconds since 1970."""

    record: int
    since: int
    until_s: int

    def token(self, signed_in: SignedIn) -> str:
        body = f"{self.record}.{self.since}.{self.until_s}"
        return f"{body}.{_code(signed_in, body)}"


def mount_tail(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/tail")
    async def audit_tail_page(request: Request) -> Response:
        """Begin to watch; or, with `watch`, the newest records of a watch that began."""
        return await answered(door, request, Duty.QUERY, lambda look: _tail(desk, look))

    @app.post(f"{HOME}/tail")
    async def audit_begin_tail_by_form(request: Request) -> Response:
        """Begin to watch. The question is on record."""

        async def begin(look: AuditLook) -> Response:
            size, _ = await desk.log.head()
            until = (door.clock() + LASTS).replace(microsecond=0)
            facts: dict[str, Plain] = {"watch_from": size, "watch_until": rfc3339(until)}
            record = await question(desk.log, RecordKind.AUDIT_QUERY, look.why, facts)
            token = TrailWatch(record, size, int(until.timestamp())).token(look.signed_in)
            return Response(status_code=303, headers={"location": f"{HOME}/tail?watch={token}"})

        return await answered(door, request, Duty.QUERY, begin)


async def _tail(desk: AuditDesk, look: AuditLook) -> Response:
    asked = look.request.query_params
    if "watch" not in asked:
        return look.page("tail.html", watch=None, pace="", minutes=int(LASTS.total_seconds() // 60))
    watch = watch_of(look.signed_in, asked["watch"])
    if look.door.clock().timestamp() >= watch.until_s:
        raise RequestFault(Fault.INVALID_REQUEST, "this watch is over: begin another, which is on record too", param="watch")
    found, size = await _newest(desk.log, watch.since)
    known = {
        "watch": asked["watch"],
        "pace": asked.get("pace", "live") if asked.get("pace") in ("still", "again") else "live",
        "found": [record_view(item) for item in found],
        "since": watch.since,
        "count": size - watch.since,
        "record": watch.record,
        "until": rfc3339(datetime.fromtimestamp(watch.until_s, UTC)),
        "every": EVERY_S,
    }
    return look.page("tail.html", **known)


async def _newest(log: Log, since: int) -> tuple[list[StoredRecord], int]:
    """The last records from `since` on, the newest first, and the size of the log. LogCorrupt, LogUnavailable."""

    def ask(reads: Reads) -> tuple[list[StoredRecord], int]:
        size = log.stored_head(reads).size
        rows = list(reads.leaves(max(since, size - SHOWN_MOST), size))
        return [stored_record(row) for row in reversed(rows)], size

    return await log.read_long(ask)


def watch_of(signed_in: SignedIn, token: str) -> TrailWatch:
    """RequestFault for what is no watch of this session."""
    body, _, code = token.rpartition(".")
    parts = body.split(".")
    if not hmac.compare_digest(code.encode(), _code(signed_in, body).encode()) or len(parts) != 3:
        raise RequestFault(Fault.INVALID_REQUEST, "this is no watch of your session: begin one", param="watch")
    return TrailWatch(*(int(part) for part in parts))


def _code(signed_in: SignedIn, body: str) -> str:
    return encode(hmac.digest(signed_in.csrf.encode(), b"tellergate/audit-watch/v1\0" + body.encode(), "sha256"))
