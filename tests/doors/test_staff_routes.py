"""Who of the bank's people may do what over HTTP: every route of the operations listener, with every role, fresh or not."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.operations import mount_operations
from gateway.app.people import people_of
from gateway.domain.duties import Duty, StaffRole, duty_obstacle
from gateway.domain.staff import StaffMember
from gateway.doors.operations import shell
from gateway.doors.operations.audit.shell import STATICS
from gateway.doors.operations.sessions import _csrf
from gateway.identity.compact import encode
from gateway.store.staff_sessions import SqlStaffSessions, StaffSession
from tests.support.teller import Teller, teller

ORIGIN = "http://127.0.0.1:8090"
KILL, APPROVAL = f"kill_{'0' * 32}", f"apr_{'0' * 32}"

DUTY_OF: dict[tuple[str, str], Duty | None] = {
    ("GET", "/"): None,
    ("GET", "/v1/session"): None,
    ("POST", "/sign-out"): None,
    ("GET", "/v1/kill-switches"): Duty.LIST_SWITCHES,
    ("POST", "/v1/kill-switches"): Duty.ENGAGE,
    ("POST", "/kill-switches"): Duty.ENGAGE,
    ("POST", "/v1/kill-switches/{kill_switch_id}/lift"): Duty.LIFT,
    ("POST", "/kill-switches/{kill_switch_id}/lift"): Duty.LIFT,
    ("GET", "/v1/approvals"): Duty.LIST_APPROVALS,
    ("POST", "/v1/approvals"): Duty.ASK_APPROVAL,
    ("POST", "/v1/approvals/{approval_id}/approve"): Duty.APPROVE,
    ("POST", "/approvals/{approval_id}/approve"): Duty.APPROVE,
    ("POST", "/v1/trail/reveal"): Duty.REVEAL,
    ("GET", "/v1/audit/question-words"): None,
    ("POST", "/v1/audit/questions"): Duty.QUERY,
    ("POST", "/v1/audit/looks"): Duty.QUERY,
    ("POST", "/v1/audit/calls/{call_id}"): Duty.QUERY,
    ("POST", "/v1/audit/reports"): Duty.QUERY,
    ("POST", "/v1/exports"): Duty.EXPORT,
    ("POST", "/approvals/{approval_id}/export"): Duty.EXPORT,
    ("GET", "/tlog/tile/entries/{place:path}"): Duty.FETCH_ENTRIES,
    ("POST", "/approvals/export"): Duty.ASK_APPROVAL,
    ("POST", "/v1/erasures"): Duty.ERASE,
    ("POST", "/approvals/{approval_id}/erase"): Duty.ERASE,
    ("POST", "/approvals/erase"): Duty.ASK_APPROVAL,
    ("GET", "/openapi.json"): None,
    ("GET", "/console/audit"): Duty.QUERY,
    ("GET", "/console/audit/overview"): None,
    ("POST", "/console/audit/ready/call"): Duty.QUERY,
    ("POST", "/console/audit/ready/{question}"): Duty.QUERY,
    ("POST", "/console/audit/work"): None,
    ("GET", "/console/audit/tail"): Duty.QUERY,
    ("POST", "/console/audit/tail"): Duty.QUERY,
    ("GET", "/console/audit/case"): Duty.QUERY,
    ("POST", "/console/audit/case/notes"): Duty.QUERY,
    ("POST", "/console/audit/case/questions"): Duty.QUERY,
    ("POST", "/console/audit/case/records"): Duty.QUERY,
    ("POST", "/console/audit/case/records/{record}"): Duty.QUERY,
    ("POST", "/console/audit/exports"): Duty.EXPORT,
    ("POST", "/console/audit/search/csv"): Duty.QUERY,
    ("POST", "/console/audit/case/entries/{entry_id}/take-out"): Duty.QUERY,
    ("GET", "/console/audit/charts"): Duty.QUERY,
    ("POST", "/console/audit/charts"): Duty.QUERY,
    ("GET", "/console/audit/state"): Duty.VERIFY,
    ("GET", "/console/audit/verify"): Duty.VERIFY,
    ("GET", "/console/audit/report"): Duty.QUERY,
    ("POST", "/console/audit/report"): Duty.QUERY,
    ("GET", "/console/audit/retention"): None,
    ("POST", "/console/audit/holds"): Duty.PLACE_HOLD,
    ("POST", "/console/audit/holds/release"): Duty.RELEASE_HOLD,
    ("POST", "/console/audit/search"): Duty.QUERY,
    ("GET", "/console/audit/calls/{call_id}"): Duty.QUERY,
    ("GET", "/console/audit/records/{record}"): Duty.QUERY,
    ("POST", "/console/audit/records/{record}/reveal/ask"): Duty.REVEAL,
    ("POST", "/console/audit/records/{record}/reveal"): Duty.REVEAL,
}
"""None: whoever is signed in."""

CONSOLE = {("GET", f"/console/audit/{name}") for name in STATICS}
OPEN = CONSOLE | {
    ("GET", "/operations.css"),
    ("GET", "/sign-in"),
    ("GET", "/sign-in/fresh"),
    ("POST", "/sign-in"),
    ("GET", "/signed-in"),
}
PUBLIC = ("/tlog/checkpoint", "/tlog/cosigned/{quorum:int}", "/tlog/tile/{level:int}/{place:path}")
WATCHED = {("GET", path) for path in ("/metrics", "/livez", "/readyz", "/version", *PUBLIC)}
"""For machines that watch it, where they are mounted: nobody is asked, and nothing there names a customer. Of the trail hashes alone."""


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Teller]:
    async with teller(tmp_path / "data", operations_port=8090) as found:
        yield found


def application(asked: Teller) -> FastAPI:
    app = shell.application()
    mount_operations(app, asked.gateway, people_of(asked.gateway))
    return app


def routes(app: FastAPI) -> set[tuple[str, str]]:
    return {(method, route.path) for route in app.routes for method in route.methods - {"HEAD"}}  # type: ignore[attr-defined]


async def signed_in(asked: Teller, roles: frozenset[StaffRole], *, fresh: bool) -> dict[str, str]:
    """The headers of a browser in which somebody of these roles is signed in."""
    value, now = secrets.token_bytes(32), asked.gateway.door.clock()
    member = StaffMember(f"p-{secrets.token_hex(4)}", roles, True, int(now.timestamp()) - (0 if fresh else 3000))
    session = StaffSession(sha256(value).digest(), member, now + timedelta(hours=1))
    await SqlStaffSessions(asked.gateway.book).begin(session, now)
    return {"cookie": f"session={encode(value)}", "origin": ORIGIN, "x-csrf-token": _csrf(value)}


async def test_every_route_is_decided_about_and_lets_in_whom_the_table_says_and_nobody_else(asked: Teller) -> None:
    app = application(asked)
    assert routes(app) - OPEN - WATCHED == set(DUTY_OF)
    transport = httpx.ASGITransport(app)
    token = LocalIssuer(asked.gateway.settings.data).token("alice", agent=None, client="office", scope="kill_switch")
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        for (method, path), duty in DUTY_OF.items():
            url = path.replace(":path", "").format(
                kill_switch_id=KILL,
                approval_id=APPROVAL,
                call_id="call_1",
                place="000",
                record=0,
                entry_id=f"ent_{'0' * 32}",
                question="doubt",
            )
            strangers: tuple[dict[str, str], ...] = (
                {},
                {"authorization": f"Bearer {token}"},
                {"cookie": "session=x", "origin": ORIGIN},
                {"cookie": f"session={encode(bytes(32))}", "origin": ORIGIN},
            )
            for headers in strangers:
                assert (await http.request(method, url, headers=headers)).status_code == 401, (method, path, headers)
            for role in StaffRole:
                for fresh in (True, False):
                    headers = await signed_in(asked, frozenset({role}), fresh=fresh)
                    answered = await http.request(method, url, headers=headers)
                    may = duty is None or duty_obstacle(duty, {role}, fresh=fresh) is None
                    assert (answered.status_code not in (401, 403)) == may, (method, path, role, fresh, answered.text)
                    if method == "POST":
                        del headers["x-csrf-token"]
                        assert (await http.request(method, url, headers=headers)).status_code in (401, 403), "without the token"
