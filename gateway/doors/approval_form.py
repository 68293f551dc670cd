"""How an approval is told to people, over HTTP and by commands, and why one was not asked, given or used."""

import json
from datetime import datetime

from gateway.domain.approvals import UNKNOWN_CUSTOMER, ApprovalState, NotApproved, StaffApproval
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault


def approvable() -> list[str]:
    """The duties that need an approval."""
    return [duty.value for duty in Duty if duty.rule.needs_approval]


def approval_shown(approval: StaffApproval, now: datetime) -> dict[str, object]:
    """An approval as people are told it."""
    return {
        "id": approval.id,
        "duty": approval.duty.value,
        "subject": json.loads(approval.subject),
        "reason": approval.reason,
        "asked_by": approval.asked_by,
        "asked": approval.asked.isoformat(),
        "expires": approval.expires.isoformat(),
        "approved_by": approval.approved_by,
        "state": approval.state(now).value,
    }


def approval_fault(refused: NotApproved) -> RequestFault:
    """What a person is told of an approval that was not given or not asked."""
    match refused.state:
        case "same_person":
            return RequestFault(Fault.SAME_PERSON, "you asked for it; another person must approve it")
        case ApprovalState.EXPIRED:
            return RequestFault(Fault.APPROVAL_EXPIRED, "it was asked more than an hour ago; ask for it anew")
        case ApprovalState.APPROVED:
            return RequestFault(Fault.APPROVAL_GIVEN, "somebody approved it already")
        case ApprovalState.USED:
            return RequestFault(Fault.APPROVAL_USED, "it was used already; ask for another one")
        case ApprovalState.ASKED:
            return RequestFault(Fault.APPROVAL_WAITS, "nobody approved it yet")
        case "another":
            message = "it was asked by another person, or for something else: the subject must be the same to the letter"
            return RequestFault(Fault.NOT_APPROVED, message, param="approval")
        case "unknown_customer":
            return RequestFault(Fault.NOT_FOUND, UNKNOWN_CUSTOMER, param="subject")
        case "not_needed":
            return RequestFault(
                Fault.INVALID_REQUEST, f"duty: needs no approval; those that do: {', '.join(approvable())}", param="duty"
            )
    return RequestFault(Fault.NOT_FOUND, "no such approval", param="approval_id")
