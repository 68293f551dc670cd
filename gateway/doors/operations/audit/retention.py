"""Holds and erasure: which holds stand and who placed them, what was erased and what is due, and what each table keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response

from audit.erasure import NothingToErase, holds, place_hold, release_hold
from audit.leaf import RecordKind
from audit.opening import StoredRecord
from audit.query import PAGE_MOST, Query, last_page
from gateway.domain.approvals import UNKNOWN_CUSTOMER
from gateway.domain.duties import Duty, duty_obstacle
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.pages.confirm_view import visible

HOLD_MOST = 100
CUSTOMER_MOST = 256


def mount_retention(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/retention")
    async def audit_retention_page(request: Request) -> Response:
        """Holds, erasures, what is due. For who may search the trail; others find the forms of what they may do."""
        return await answered(door, request, None, lambda look: _page(desk, look))

    @app.post(f"{HOME}/holds")
    async def audit_place_hold_by_form(request: Request) -> Response:
        """Place a legal hold on a customer."""

        async def place(look: AuditLook) -> Response:
            customer, hold = _named(look.form)
            return await _held(desk, look, customer, hold, releases=False)

        return await answered(door, request, Duty.PLACE_HOLD, place)

    @app.post(f"{HOME}/holds/release")
    async def audit_release_hold_by_form(request: Request) -> Response:
        """Release a legal hold: by the customer's name, or, out of the list, by their pseudonym."""

        async def release(look: AuditLook) -> Response:
            form = dict(look.form)
            if subject := form.pop("subject", ""):
                form["customer"] = await desk.log.keys.customer_of(subject) or ""
            customer, hold = _named(form)
            if hold not in await holds(desk.log, customer):
                raise RequestFault(Fault.NOT_FOUND, "no such hold is on this customer", param="hold")
            return await _held(desk, look, customer, hold, releases=True)

        return await answered(door, request, Duty.RELEASE_HOLD, release)


def _named(form: Mapping[str, str]) -> tuple[str, str]:
    """RequestFault unless both are names that can stand in the trail."""
    customer, hold = form.get("customer", "").strip(), form.get("hold", "").strip()
    for name, text, most in (("customer", customer, CUSTOMER_MOST), ("hold", hold, HOLD_MOST)):
        if not 0 < len(text) <= most or not text.isprintable():
            raise RequestFault(Fault.INVALID_REQUEST, f"{name}: must have 1 to {most} characters in one line", param=name)
    return customer, hold


async def _held(desk: AuditDesk, look: AuditLook, customer: str, hold: str, *, releases: bool) -> Response:
    try:
        await (release_hold if releases else place_hold)(desk.log, customer, hold, look.why)
    except NothingToErase:
        raise RequestFault(Fault.NOT_FOUND, UNKNOWN_CUSTOMER, param="customer") from None
    return Response(status_code=303, headers={"location": f"{HOME}/retention"})


async def _page(desk: AuditDesk, look: AuditLook) -> Response:
    may_ask = duty_obstacle(Duty.QUERY, look.signed_in.member.roles, fresh=True) is None
    known: dict[str, object] = {"holds": None, "erased": None, "due": None, "tables": desk.kept, "record": None, "more": False}
    if may_ask:
        placed = await last_page(desk.log, Query(kinds=(RecordKind.HOLD_PLACE, RecordKind.HOLD_RELEASE)), look.why, limit=PAGE_MOST)
        erased = await last_page(desk.log, Query(kinds=(RecordKind.KEY_DESTROY,)), look.why, limit=PAGE_MOST)
        known |= {
            "holds": standing(placed.found),
            "erased": [_erased(item) for item in erased.found],
            "due": len(await desk.log.keys.due(look.door.clock())),
            "record": placed.record,
            "more": placed.next_cursor is not None or erased.next_cursor is not None,
        }
    return look.page("retention.html", **known)


def standing(newest_first: Sequence[StoredRecord]) -> Sequence[Mapping[str, str | int]]:
    """The holds that were placed and not released, the newest first, by the records of both. Pure."""
    ended: set[tuple[str, str]] = set()
    found: list[Mapping[str, str | int]] = []
    for record in newest_first:
        fields: Mapping[str, Any] = record.fields
        key = (fields["customer"], fields["facts"]["hold"])
        if key in ended:
            continue
        ended.add(key)
        if fields["kind"] == RecordKind.HOLD_PLACE:
            found.append(
                {
                    "customer": key[0],
                    "hold": key[1],
                    "hold_shown": visible(key[1]),
                    "by": visible(fields["actor"]["agent"]),
                    "at": fields["time"],
                    "purpose": visible(fields["facts"]["purpose"]),
                    "case": visible(fields["facts"]["case"]),
                    "record": record.index,
                }
            )
    return found


def _erased(record: StoredRecord) -> Mapping[str, object]:
    fields: Mapping[str, Any] = record.fields
    facts = fields["facts"]
    return {
        "subject": facts["subject"],
        "destroyed": facts["destroyed"],
        "locked": facts["locked"],
        "by": visible(fields["actor"]["agent"]),
        "at": fields["time"],
        "record": record.index,
    }
