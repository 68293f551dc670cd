"""Kill switches on the operations listener, JSON under `/v1`: engaging at once, lifting by two officers who both signed in afresh."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response

from adapters.function import BankingFunction
from gateway.domain.duties import Duty
from gateway.domain.kill_switch import NotLifted
from gateway.doors import schemas
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.kill_switches import engaged_answer, lift_fault, shown
from gateway.doors.operations.openapi import answers
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.oversight.kill_switches import KillSwitches


@dataclass(frozen=True, slots=True)
class SwitchDesk:
    """What these routes need. `functions`: those that are served, which a switch may name."""

    switches: KillSwitches
    functions: tuple[BankingFunction, ...]

    async def list(self, _door: StaffDoor, _request: Request, _signed_in: SignedIn) -> Response:
        """Those that are engaged."""
        return json_answer({"data": [shown(item) for item in await self.switches.listed()]})

    async def engage(self, _door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """Counts within a second, everywhere."""
        wanted = await body_as(schemas.NewKillSwitch, request)
        return await engaged_answer(self.switches, self.functions, wanted, signed_in.member.subject)

    async def lift(self, _door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """One person's lift."""
        wanted = await body_as(schemas.LiftKillSwitch, request)
        return json_answer(await self.lifted(request.path_params["kill_switch_id"], wanted.reason, signed_in))

    async def lifted(self, switch: str, reason: str, signed_in: SignedIn) -> dict[str, object]:
        """The switch after it. RequestFault where this person cannot lift it."""
        try:
            return shown(await self.switches.lift(switch, reason, signed_in.member.subject))
        except NotLifted as refused:
            raise lift_fault(refused) from None


def mount(app: FastAPI, door: StaffDoor, desk: SwitchDesk) -> None:
    """Put these routes into the application."""

    @app.get("/v1/kill-switches", responses=answers(schemas.KillSwitchList))
    async def list_kill_switches(request: Request) -> Response:
        """List the kill switches that are engaged, the oldest first."""
        return await door.answer(request, Duty.LIST_SWITCHES, desk.list)

    @app.post(
        "/v1/kill-switches", responses=answers(schemas.KillSwitchEngaged), openapi_extra=schemas.body_of(schemas.NewKillSwitch)
    )
    async def engage_kill_switch(request: Request) -> Response:
        """Engage a kill switch."""
        return await door.answer(request, Duty.ENGAGE, desk.engage)

    @app.post(
        "/v1/kill-switches/{kill_switch_id}/lift",
        responses=answers(schemas.KillSwitchAnswer),
        openapi_extra=schemas.body_of(schemas.LiftKillSwitch),
    )
    async def lift_kill_switch(request: Request, kill_switch_id: schemas.KillSwitchId) -> Response:
        """Give one person's lift; it takes those of two."""
        return await door.answer(request, Duty.LIFT, desk.lift)
