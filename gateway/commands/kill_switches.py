"""`tellergate kill`: engage, lift and list kill switches on the databases themselves, so that it works when no gateway answers.

Whose key it is, and whether they may, is said by the pinned officers' file; what is done is signed by that key, and on record.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.keyring import KeyRefused
from audit.log import LogUnavailable
from audit.migration import HistoryUnknown
from audit.store.reads import LogCorrupt
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations, is_trail, open_log
from gateway.calls.record import Records
from gateway.calls.tools import FUNCTIONS
from gateway.commands.locations import locations
from gateway.commands.officers import ActingOfficer, acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.commands.stores import opened_store
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.domain.kill_switch import KillSwitch, NotLifted, Scope
from gateway.domain.staff import ProvedBy, StaffRecord
from gateway.domain.stages import RecordPosition
from gateway.doors.kill_switches import lift_fault, shown
from gateway.oversight.kill_switches import REASON_MOST, SUBJECT_MOST, KillSwitches
from gateway.store.kill_switches import SqlKillSwitches

WAIT_MS = 5_000

T = TypeVar("T")

_Work = Callable[[KillSwitches], Coroutine[Any, Any, int]]


def engage(options: argparse.Namespace) -> int:
    """Engage a switch. A finding when it counts, but the trail could not record it."""
    scope, subject = next((scope, getattr(options, scope)) for scope in Scope if getattr(options, scope) not in (None, False))
    subject = "" if scope is Scope.GLOBAL else subject
    if scope is not Scope.GLOBAL and not 1 <= len(subject) <= SUBJECT_MOST:
        return failed(f"--{scope} names it, in 1 to {SUBJECT_MOST} characters", USAGE)
    if scope is Scope.FUNCTION and subject not in {function.name for function in FUNCTIONS}:
        failed("note: no function of this distribution has this name; it must be one of a manifest", USAGE)

    async def work(switches: KillSwitches, officer: ActingOfficer) -> int:
        engaged = await switches.engage(scope, subject, options.reason, officer.member.subject)
        if options.json:
            print_json({**shown(engaged.switch), "recorded": engaged.recorded})
        else:
            print(f"{engaged.switch.id} is {engaged.switch.state}: {scope} {subject}".rstrip())
        if not engaged.recorded:
            return failed("it counts, but the trail does not answer; engage it again to have it recorded", FINDING)
        return GOOD

    return _acting(options, Duty.ENGAGE, work)


def lift(options: argparse.Namespace) -> int:
    """One officer's lift. A finding when it cannot be lifted by them."""

    async def work(switches: KillSwitches, officer: ActingOfficer) -> int:
        try:
            switch = await switches.lift(options.id, options.reason, officer.member.subject)
        except NotLifted as refused:
            officer.refused(options, Duty.LIFT, lift_fault(refused))
            said = {"same_officer": "this officer gave the first lift; the second is another's", "lifted": "it is lifted already"}
            return failed(said.get(refused.state, "there is no such kill switch"), FINDING)
        if options.json:
            print_json(shown(switch))
        else:
            print(f"{switch.id} is {switch.state}")
        return GOOD

    return _acting(options, Duty.LIFT, work)


def list_all(options: argparse.Namespace) -> int:
    """Those that are engaged. Reading them is no question to the trail."""

    async def work(switches: KillSwitches) -> int:
        rows = [shown(item) for item in await switches.listed()]
        if options.json:
            print_json({"data": rows})
        else:
            columns = ("id", "scope", "subject", "state", "engaged", "engaged_by", "first_lift_by", "reason")
            print_table(columns, ([row[column] for column in columns] for row in rows))
        return GOOD

    return _with_switches(options, None, work)


def _acting(
    options: argparse.Namespace, duty: Duty, work: Callable[[KillSwitches, ActingOfficer], Coroutine[Any, Any, int]]
) -> int:
    """Do it by the officer's key, if they may."""
    if not 1 <= len(options.reason) <= REASON_MOST:
        return failed(f"--reason has 1 to {REASON_MOST} characters", USAGE)
    locations(options)
    try:
        officer = acting_officer(options, duty)
    except RequestFault as refused:
        return failed(refused.message, FINDING)
    return _with_switches(options, officer, lambda switches: work(switches, officer))


def _with_switches(options: argparse.Namespace, officer: ActingOfficer | None, work: _Work) -> int:
    try:
        return asyncio.run(_run(locations(options), officer, work))
    except Unavailable as unavailable:
        return failed(f"{unavailable.reason}: nothing was lifted; whether it was engaged is told by `kill list`", UNAVAILABLE)


async def _run(places: DatabaseLocations, officer: ActingOfficer | None, work: _Work) -> int:
    async with AsyncExitStack() as undo:
        store = await opened_store(places, undo)
        trail = _LateTrail(places, undo, officer)
        switches = KillSwitches(store=SqlKillSwitches(store), trail=trail, clock=utc_now, via=ProvedBy.KEY.value)
        return await work(switches)


class _LateTrail:
    """The trail, opened when there is something to record: what protects does not wait for it. Unavailable when it cannot be."""

    def __init__(self, places: DatabaseLocations, undo: AsyncExitStack, officer: ActingOfficer | None) -> None:
        self._places, self._undo, self._officer = places, undo, officer

    async def kill_switch(self, switch: KillSwitch, word: str, by: str, via: str, at: datetime) -> RecordPosition:
        try:
            if not await is_trail(self._places):
                raise Unavailable("audit_unavailable")
            log = await open_log(self._places, writer_id="command", clock=utc_now, may_upgrade=False)
            self._undo.push_async_callback(log.close)
            is_new = switch.scope is Scope.CUSTOMER and await log.subject_of(switch.subject) is None
        except (LogUnavailable, LogCorrupt, KeyRefused, HistoryUnknown, SQLAlchemyError, DatabaseUnavailable, OSError) as error:
            raise Unavailable("audit_unavailable") from error
        if is_new:  # whoever was never seen may be stopped too; a name that was mistyped stops nobody
            failed("note: nothing is on record of this customer before now; look at the name", USAGE)
        records = Records(log, {}, WAIT_MS)
        if self._officer is not None:
            await records.staff_act(_signed(self._officer, switch, word, at), None)
        return await records.kill_switch(switch, word, by, via, at)


def _signed(officer: ActingOfficer, switch: KillSwitch, word: str, at: datetime) -> StaffRecord:
    """What the officer signs of this change. Of a customer it is kept sealed, since it names them."""
    duty = Duty.ENGAGE if word == "kill_engaged" else Duty.LIFT
    subject = {"kill_switch": switch.id, "scope": switch.scope.value, "subject": switch.subject, "reason": switch.reason}
    told = dict(officer.states(duty, subject, at))
    customer = switch.subject if switch.scope is Scope.CUSTOMER else None
    sealed = {} if customer is None else {"statement": told.pop("statement")}
    facts = {**told, "kill_switch": switch.id}
    member = officer.member
    return StaffRecord(
        word="signed",
        duty=duty,
        by=member.subject,
        proved_by=member.proved_by,
        at=at,
        facts=facts,
        customer=customer,
        sealed=sealed,
    )
