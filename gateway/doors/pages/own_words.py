"""Why something was refused, and what came of a request that was not taken, in a customer's words."""

from collections.abc import Mapping

from gateway.domain.errors import Fault
from gateway.domain.reasons import RefusalReason

REFUSED: Mapping[str, str] = {
    "denied": "this is not allowed",
    "invalid_argument": "it was not asked for properly",
    "step_up_required": "you had to sign in again first",
    "approval_required": "a second person had to approve it",
    "confirmation_required": "you had to confirm it first",
    "limit_exceeded": "over a limit",
    "insufficient_funds": "the account did not hold enough",
    "payee_mismatch": "the payee's name and account do not belong together",
    "business_rejected": "the bank's core system rejected it",
    "duplicate_suspected": "the same was paid a short while before",
    "rate_limited": "too many calls at once",
    "request_fault": "it could not be read",
}
"""Why something was refused, by its code."""

REASONS: Mapping[str, str] = {
    RefusalReason.NOT_FOUND_NOW: "what it asked about was not there",
    RefusalReason.UNKNOWN_REFERENCE: "what it asked about was not known in this conversation",
    RefusalReason.CONFIRMATION_DECLINED: "you had declined it before",
    RefusalReason.CONFIRMATION_USED: "what you confirmed was used already",
    RefusalReason.TOO_MANY_CONFIRMATIONS: "too much waited for your confirmation already",
    RefusalReason.KILL_SWITCH: "the bank had stopped this",
    RefusalReason.FROZEN: "your assistant is stopped",
    RefusalReason.RESTRICTED: "the bank has restricted your assistant",
}
"""Why something was refused, where its reason says more than its code."""

_TRIED, _ASKED = "A confirmation was tried", "Asked for something"
FAULTS: Mapping[str, tuple[str, str]] = {
    Fault.CONFIRMATION_WAITS: (_TRIED, "something older waits for you and comes first, nothing happened"),
    Fault.CONFIRMATION_DECLINED: (_TRIED, "it had been declined, nothing happened"),
    Fault.CONFIRMATION_EXPIRED: (_TRIED, "its time was over, nothing happened"),
    Fault.CONFIRMATION_USED: (_TRIED, "it had been confirmed before"),
    Fault.CONFIRMATION_CHANGED: (_TRIED, "it was not what had been shown, nothing happened"),
    Fault.CHALLENGE_EXPIRED: (_TRIED, "the page had been open too long, nothing happened"),
    Fault.NOT_CONFIRMED: (_TRIED, "the passkey or the sign-in was not accepted, nothing happened"),
    Fault.NOT_FOUND: ("Looked for something", "it was not there"),
    Fault.INSUFFICIENT_SCOPE: (_ASKED, "refused, the app may not do this"),
    Fault.INVALID_TOKEN: (_ASKED, "refused, the sign-in was over"),
    Fault.RATE_LIMITED: (_ASKED, "refused, too many requests at once"),
    Fault.UNAVAILABLE: (_ASKED, "not possible at that moment, nothing happened"),
    Fault.AUDIT_UNAVAILABLE: (_ASKED, "not possible at that moment, nothing happened"),
}
"""Of a request that was not taken as a whole, by its fault: what was wanted, and what came of it."""

NOT_READ = (_ASKED, "refused, it could not be read")
