"""What an auditor works on: purpose and case, said once for a session of work and on record with every question asked under it.

Kept in a cookie of the person's own browser, under a code of their session: it goes with the session, and no other session takes it. It
decides nothing: whatever stands there is what the record of a question says.
"""

import hmac
import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from audit.query import Why
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.sessions import SignedIn, StaffSessions
from gateway.identity.compact import Malformed, decode, encode

COOKIE = "audit-work"
TEXT_MOST = 200
"""Characters of a purpose or a case: both stand in one cookie, which browsers bound at 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class AuditWork:
    """What for, and under which case."""

    purpose: str
    case: str

    def why(self, signed_in: SignedIn) -> Why:
        return Why(auditor=signed_in.member.subject, purpose=self.purpose, case_id=self.case)


def work_of(sessions: StaffSessions, request: Request, signed_in: SignedIn) -> AuditWork | None:
    """What this session said; None where it said nothing, or the cookie is another session's."""
    body, _, code = request.cookies.get(sessions.cookie(COOKIE), "").partition(".")
    if not hmac.compare_digest(code.encode(), _code(signed_in, body).encode()):
        return None
    try:
        purpose, case = json.loads(decode(body))
    except (Malformed, ValueError):
        return None
    return AuditWork(purpose, case)


def begin_work(sessions: StaffSessions, response: Response, signed_in: SignedIn, work: AuditWork, age_s: int) -> None:
    """From now on. RequestFault for what cannot stand in the trail."""
    for name, text in (("purpose", work.purpose), ("case", work.case)):
        if not 0 < len(text) <= TEXT_MOST or not text.isprintable():
            message = f"{name}: must have 1 to {TEXT_MOST} characters in one line; it stands in the trail for ever"
            raise RequestFault(Fault.INVALID_REQUEST, message, param=name)
    body = encode(json.dumps([work.purpose, work.case], ensure_ascii=False).encode())
    sessions.keep_strictly(response, COOKIE, f"{body}.{_code(signed_in, body)}", age_s)


def _code(signed_in: SignedIn, body: str) -> str:
    return encode(hmac.digest(signed_in.csrf.encode(), b"tellergate/audit-work/v1\0" + body.encode(), "sha256"))
