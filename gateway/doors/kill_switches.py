"""Kill switches, JSON under `/v1`: for the bank's back end and its programs, with tokens that can do nothing else.

A program stops, and never lets go on: people lift on the operations listener, or by command.
"""

from collections.abc import Sequence
from functools import partial

from fastapi import FastAPI, Request, Response

from adapters.function import BankingFunction
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.kill_switch import KillSwitch, NotLifted, Scope
from gateway.domain.principal import SCOPE_KILL, SCOPES, Principal
from gateway.doors import schemas
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.rest import Door, answers
from gateway.oversight.kill_switches import KillSwitches

_OTHERS_SCOPES = frozenset(SCOPES) - {SCOPE_KILL}


def mount(app: FastAPI, door: Door, switches: KillSwitches) -> None:
    """Put these routes into the application."""

    @app.get("/v1/kill-switches", responses=answers(schemas.KillSwitchList))
    async def list_kill_switches(request: Request) -> Response:
        """List the kill switches that are engaged.

        The oldest first.
        """
        return await door.answer(request, partial(_list, switches), SCOPE_KILL, protects=True)

    @app.post(
        "/v1/kill-switches", responses=answers(schemas.KillSwitchEngaged), openapi_extra=schemas.body_of(schemas.NewKillSwitch)
    )
    async def engage_kill_switch(request: Request) -> Response:
        """Engage a kill switch.

        Stops everything, one customer, one client, one agent or one function: within a second, in every worker.
        """
        return await door.answer(request, partial(_engage, switches), SCOPE_KILL, protects=True)


async def _list(switches: KillSwitches, _door: Door, _request: Request, principal: Principal) -> Response:
    _officer(principal)
    return json_answer({"data": [shown(item) for item in await switches.listed()]})


async def _engage(switches: KillSwitches, door: Door, request: Request, principal: Principal) -> Response:
    officer = _officer(principal)
    return await engaged_answer(switches, door.functions, await body_as(schemas.NewKillSwitch, request), officer)


async def engaged_answer(
    switches: KillSwitches, functions: Sequence[BankingFunction], wanted: schemas.NewKillSwitch, by: str
) -> Response:
    """Engage what is wanted, and tell it. RequestFault for a subject that is none."""
    scope = Scope(wanted.scope)
    if (wanted.subject is None) != (scope is Scope.GLOBAL):
        raise RequestFault(
            Fault.INVALID_REQUEST, "subject: is required, except with the scope global, which takes none", param="subject"
        )
    if scope is Scope.FUNCTION and wanted.subject not in {function.name for function in functions}:
        raise RequestFault(Fault.INVALID_REQUEST, "subject: no function of this name is served", param="subject")
    engaged = await switches.engage(scope, wanted.subject or "", wanted.reason, by)
    return json_answer({**shown(engaged.switch), "recorded": engaged.recorded})


def shown(switch: KillSwitch) -> dict[str, object]:
    return {
        "id": switch.id,
        "scope": switch.scope.value,
        "subject": switch.subject or None,
        "reason": switch.reason,
        "engaged_by": switch.engaged_by,
        "engaged": switch.engaged.isoformat(),
        "first_lift_by": switch.first_lift_by,
        "lifted_by": switch.lifted_by,
        "state": switch.state,
    }


def lift_fault(refused: NotLifted) -> RequestFault:
    if refused.state == "same_officer":
        return RequestFault(Fault.SAME_OFFICER, "you gave the first lift; another officer must give the second")
    if refused.state == "lifted":
        return RequestFault(Fault.KILL_SWITCH_LIFTED, "this kill switch is lifted already")
    return RequestFault(Fault.NOT_FOUND, "no such kill switch", param="kill_switch_id")


def _officer(principal: Principal) -> str:
    """Who it is: `sub`. Whoever stops the bank's assistants, or lets them go on, has a token for that alone, and no agent."""
    if principal.agent is not None or principal.scopes & _OTHERS_SCOPES:
        raise RequestFault(
            Fault.INSUFFICIENT_SCOPE,
            "kill switches need an officer's own token, with the scope kill_switch and no other of this gateway",
        )
    return principal.customer
