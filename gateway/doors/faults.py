"""What a request gets that is not answered: the one error form, its headers, and a door's outermost line."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Mapping

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from gateway.calls.rates import Admission
from gateway.domain.alarms import Alarm
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.access_log import entry_of
from gateway.doors.bodies import UNKEPT
from gateway.doors.wire import Challenges, fault_body, fault_headers, fault_status

_LOG = logging.getLogger("tellergate.door")
_NO_CHALLENGES = Challenges()


async def guarded(request: Request, answering: Awaitable[Response]) -> Response:
    """The answer, or what a request gets whose answering failed: a door's outermost line."""
    try:
        return await answering
    except Unavailable as unavailable:
        cause = Fault.AUDIT_UNAVAILABLE if unavailable.reason == "audit_unavailable" else Fault.UNAVAILABLE
        told = {"dependency": unavailable.reason, "request_id": entry_of(request.scope).id}
        _LOG.log(*Alarm.DEPENDENCY_UNAVAILABLE.line(**told))
        return fault_response(RequestFault(cause, "a part that this needs does not answer; nothing happened, try again"))
    except ClientDisconnect:  # before its body was whole: nothing was looked at, and nobody hears the answer
        return fault_response(RequestFault(Fault.INVALID_REQUEST, "the body ended early"))
    except Exception as error:  # noqa: BLE001  # what it logs and says must hold no input
        return fault_response(defect(request, error))


def defect(request: Request, error: Exception) -> RequestFault:
    """Of what the gateway itself did wrong: logged by its place alone, and told without it."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    line = {"error": type(error).__name__, "at": f"{where.name}:{where.lineno or 0}", "request_id": entry_of(request.scope).id}
    _LOG.log(*Alarm.DEFECT.line(**line))
    return RequestFault(Fault.BROKEN, "an internal error of the gateway; GET /v1/calls/{call_id} tells what became of a call")


async def in_turn(admission: Admission) -> None:
    """Wait until this request may be handled. RequestFault where it may not."""
    if admission.wait_s:
        await asyncio.sleep(admission.wait_s)
    if admission.retry_after_s:
        raise too_often(admission.retry_after_s)


def too_often(wait_s: int = 1) -> RequestFault:
    """The one answer for what is beyond a rate, or beyond what may be open at once."""
    return RequestFault(Fault.RATE_LIMITED, "too many requests; wait before the next one", retry_after_s=wait_s)


def fault_response(
    fault: RequestFault, headers: Mapping[str, str] | None = None, *, challenges: Challenges = _NO_CHALLENGES
) -> Response:
    """The error body of a fault, with the headers that its status asks for."""
    return Response(
        fault_body(fault),
        status_code=fault_status(fault),
        headers={**UNKEPT, **(headers or {}), **fault_headers(fault, challenges)},
        media_type="application/json",
    )
