"""The one way in for people: who is signed in, whether the table of duties lets them, and faults in the one error form."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from gateway.calls.rates import RequestRates
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.staff import require_duty
from gateway.doors.faults import fault_response, guarded, in_turn
from gateway.doors.operations.sessions import CSRF_HEADER, SignedIn, StaffSessions
from gateway.oversight.refused_acts import RefusedActs

Work = Callable[["StaffDoor", Request, SignedIn], Coroutine[object, object, Response]]
Refused = Callable[[RequestFault], Response]

FORM_BYTES_MOST = 16 * 1024
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffDoor:
    """What every route of people needs. `fresh_s`: how old a two-factor sign-in may be for what is grave."""

    sessions: StaffSessions
    clock: Callable[[], datetime]
    fresh_s: int
    rates: RequestRates
    refused_acts: RefusedActs

    async def answer(self, request: Request, duty: Duty | None, work: Work, refused: Refused = fault_response) -> Response:
        """Do this for who is signed in and may. `duty` None: anybody who is signed in. A change must come from our own page, with the
        session's token; `refused` makes the answer of a fault."""

        async def answering() -> Response:
            signed_in = None
            try:
                signed_in = await self.sessions.of(request)
                protects = duty is Duty.ENGAGE
                await in_turn(self.rates.admit(signed_in.member.subject, "people", self.clock(), protects=protects))
                if request.method not in _SAFE:
                    self.sessions.require_ours(request, signed_in, await _csrf_of(request))
                self.require(signed_in, duty)
                return await work(self, request, signed_in)
            except RequestFault as fault:
                if signed_in is not None and duty is not None:
                    await self.refused_acts.record(signed_in.member, duty, fault)
                return refused(fault)

        return await guarded(request, answering())

    def require(self, signed_in: SignedIn, duty: Duty | None) -> None:
        """RequestFault unless who is signed in may do this now."""
        if duty is not None:
            require_duty(signed_in.member, duty, self.clock(), self.fresh_s)


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields of a form that a page of ours sent, each once. RequestFault."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > FORM_BYTES_MOST:
            raise RequestFault(Fault.TOO_LARGE, f"the form has more than {FORM_BYTES_MOST} bytes")
    fields = parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)
    if any(len(values) != 1 for values in fields.values()):
        raise RequestFault(Fault.INVALID_REQUEST, "the form says a field twice")
    return {name: values[0] for name, values in fields.items()}


async def _csrf_of(request: Request) -> str | None:
    """Of a program or script the header, of a form its field; the form is kept for who reads it next."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return request.headers.get(CSRF_HEADER)
    request.state.form = await form_of(request)
    token: str | None = request.state.form.get("csrf")
    return token
