"""`tellergate approvals`: ask, see and give approvals; and the four eyes of every command that needs them.

A command that needs an approval asks for it by itself, over exactly what it would do, and does nothing. Once another person approved that,
the same command uses the approval and acts.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from audit.database import DatabaseUnavailable
from audit.keyring import KeyRefused
from audit.log import Log, LogUnavailable
from audit.store.reads import LogCorrupt
from gateway.app.clock import utc_now
from gateway.app.databases import is_trail, open_log
from gateway.calls.record import Records
from gateway.commands.locations import locations
from gateway.commands.officers import ActingOfficer, acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.commands.stores import opened_store
from gateway.domain.approvals import (
    REASON_MOST,
    SUBJECT_BYTES_MOST,
    ApprovalState,
    NotApproved,
    StaffAct,
    StaffApproval,
    canonical,
)
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.doors.approval_form import approvable, approval_fault, approval_shown
from gateway.oversight.approvals import Approvals
from gateway.store.approvals import SqlApprovals

WAIT_MS = 5_000

_Work = Callable[[Approvals, ActingOfficer], Coroutine[Any, Any, int]]


class ApprovalWaits(Exception):
    """Nothing was done: another person must approve it first."""

    def __init__(self, approval: StaffApproval) -> None:
        super().__init__(approval.id)
        self.approval = approval


async def use_approval(
    options: argparse.Namespace, log: Log, officer: ActingOfficer, duty: Duty, subject: Mapping[str, object]
) -> None:
    """The approval of exactly this is used, on record; where there is none it is asked for. ApprovalWaits, RequestFault, Unavailable: then
    nothing may be done."""
    act = StaffAct(duty, canonical(subject), officer.member.subject)
    async with _approvals(options, log, officer) as approvals:
        asked = await approvals.of_act(act)
        if asked is None:
            if len(act.subject.encode()) > SUBJECT_BYTES_MOST:
                raise ValueError(f"what is to be approved has more than {SUBJECT_BYTES_MOST} bytes; ask for less at once")
            try:
                asked = await approvals.ask(officer.member, duty, subject, options.purpose)
            except NotApproved as refused:
                raise approval_fault(refused) from None
        if asked.state(approvals.clock()) is ApprovalState.ASKED:
            raise ApprovalWaits(asked)
        try:
            await approvals.use(officer.member, asked.id, act)
        except NotApproved as refused:
            raise approval_fault(refused) from None


def waits(options: argparse.Namespace, waiting: ApprovalWaits) -> int:
    """Say what waits for whom, and what is next."""
    approval = waiting.approval
    if options.json:
        print_json({"approval": approval.id, "state": ApprovalState.ASKED.value, "expires": approval.expires.isoformat()})
    return failed(
        f"nothing was done: another person who may {approval.duty.rule.does} must approve it, until {approval.expires:%H:%M} UTC: "
        f"`tellergate approvals give {approval.id} --officer-key THEIRS --data {options.data}`; then type this again",
        FINDING,
    )


def ask(options: argparse.Namespace) -> int:
    """Ask ahead, for an act of one's own on the command line or on the operations listener."""
    duty, subject = Duty(options.duty), _subject(options.subject)
    if not duty.rule.needs_approval:
        return failed(f"DUTY needs no approval; those that do: {', '.join(approvable())}", USAGE)
    if subject is None:
        return failed("SUBJECT is a JSON object of texts, whole numbers, true, false and lists of texts, 1 to 16 of them", USAGE)
    if not 1 <= len(options.reason) <= REASON_MOST:
        return failed(f"--reason has 1 to {REASON_MOST} characters", USAGE)

    async def work(approvals: Approvals, officer: ActingOfficer) -> int:
        officer.require(options, duty)
        return _told(options, await approvals.ask(officer.member, duty, subject, options.reason))

    return _acting(options, Duty.ASK_APPROVAL, work)


def give(options: argparse.Namespace) -> int:
    """Approve what another person asked, if the duty is one's own too."""

    async def work(approvals: Approvals, officer: ActingOfficer) -> int:
        officer.require(options, (await approvals.find(options.id)).duty)
        try:
            return _told(options, await approvals.give(officer.member, options.id))
        except NotApproved as refused:
            officer.refused(options, Duty.APPROVE, approval_fault(refused))
            raise

    return _acting(options, Duty.APPROVE, work)


def list_all(options: argparse.Namespace) -> int:
    """What may still be approved or used, the oldest first."""

    async def work(approvals: Approvals, _officer: ActingOfficer) -> int:
        rows = [approval_shown(item, approvals.clock()) for item in await approvals.waiting()]
        if options.json:
            print_json({"data": rows})
        else:
            columns = ("id", "duty", "subject", "reason", "asked_by", "approved_by", "state", "expires")
            print_table(columns, ([_cell(row[column]) for column in columns] for row in rows))
        return GOOD

    return _acting(options, Duty.LIST_APPROVALS, work)


def _told(options: argparse.Namespace, approval: StaffApproval) -> int:
    shown = approval_shown(approval, utc_now())
    if options.json:
        print_json(shown)
    else:
        print(f"{approval.id} is {shown['state']}: {approval.duty.rule.does}, {approval.subject}")
    return GOOD


def _cell(value: object) -> object:
    return canonical(value) if isinstance(value, dict) else value


def _subject(text: str) -> Mapping[str, object] | None:
    try:
        subject = json.loads(text)
    except ValueError:
        return None
    if not isinstance(subject, dict) or not 1 <= len(subject) <= 16 or len(text.encode()) > SUBJECT_BYTES_MOST:
        return None
    return subject if all(_is_plain(value) for value in subject.values()) else None


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _acting(options: argparse.Namespace, duty: Duty, work: _Work) -> int:
    try:
        return asyncio.run(_run(options, duty, work))
    except RequestFault as refused:
        return failed(refused.message, FINDING)
    except NotApproved as refused:
        return failed(approval_fault(refused).message, FINDING)
    except LogCorrupt as error:
        return failed(f"the log is not what was signed: {error}; run `tellergate audit verify`", FINDING)
    except KeyRefused:
        raise
    except (LogUnavailable, Unavailable, DatabaseUnavailable):
        return failed("the databases do not answer: nothing was approved or asked that is not on record; try again", UNAVAILABLE)


async def _run(options: argparse.Namespace, duty: Duty, work: _Work) -> int:
    places = locations(options)
    if not await is_trail(places):
        return failed(f"there is no trail in {options.data}; give the folder and database of `tellergate serve`", USAGE)
    officer = acting_officer(options, duty)
    log = await open_log(places, writer_id="command", clock=utc_now, may_upgrade=False)
    try:
        async with _approvals(options, log, officer) as approvals:
            return await work(approvals, officer)
    finally:
        await log.close()


@asynccontextmanager
async def _approvals(options: argparse.Namespace, log: Log, officer: ActingOfficer) -> AsyncIterator[Approvals]:
    """Approvals of the gateway's database, each with its signed record."""
    async with AsyncExitStack() as undo:
        store = await opened_store(locations(options), undo)
        log.transactions.share(lambda connection, items: [item.apply(connection) for item in items])
        yield Approvals(SqlApprovals(store), Records(log, {}, WAIT_MS), utc_now, officer.states)
