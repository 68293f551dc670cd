"""What may be believed about the money when something goes wrong, and the closed set of codes that say it.

A message never holds input: it is built from declarations and constants only.
"""

from enum import StrEnum


class Code(StrEnum):
    """What a model may learn of a call that was not done (TC-15 of the banking requirements). Closed and stable."""

    DENIED = "denied"
    INVALID_ARGUMENT = "invalid_argument"
    CONFIRMATION_REQUIRED = "confirmation_required"
    STEP_UP_REQUIRED = "step_up_required"
    APPROVAL_REQUIRED = "approval_required"
    LIMIT_EXCEEDED = "limit_exceeded"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    PAYEE_MISMATCH = "payee_mismatch"
    BUSINESS_REJECTED = "business_rejected"
    DUPLICATE_SUSPECTED = "duplicate_suspected"
    RATE_LIMITED = "rate_limited"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"


MESSAGES: dict[Code, str] = {
    Code.DENIED: "This is not allowed for this customer.",
    Code.INVALID_ARGUMENT: "An argument is not as the function declares it.",
    Code.CONFIRMATION_REQUIRED: "The customer must confirm this outside the conversation.",
    Code.STEP_UP_REQUIRED: "The customer must sign in again with a second factor before this is possible.",
    Code.APPROVAL_REQUIRED: "A second person must approve this.",
    Code.LIMIT_EXCEEDED: "This would exceed a limit that the customer or the bank has set.",
    Code.INSUFFICIENT_FUNDS: "The account does not hold enough.",
    Code.PAYEE_MISMATCH: "The payee's name and account do not belong together.",
    Code.BUSINESS_REJECTED: "The bank's core system rejected this.",
    Code.DUPLICATE_SUSPECTED: "The same payment was made a short while ago; only the customer can say that it is meant again.",
    Code.RATE_LIMITED: "Too many calls; wait before the next one.",
    Code.TEMPORARILY_UNAVAILABLE: "This is not possible right now and nothing happened; the same call may be made again.",
    Code.OUTCOME_UNKNOWN: "It is not known yet whether this happened. Do not repeat it; ask for its status later.",
}


class Fault(StrEnum):
    """What is wrong with a whole request. Closed and stable; `wire` gives each its HTTP status and its type."""

    INVALID_JSON = "invalid_json"
    DUPLICATE_KEY = "duplicate_key"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    INVALID_REQUEST = "invalid_request"
    TOO_MANY_CALLS = "too_many_calls"
    UNKNOWN_SHAPE = "unknown_shape"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MISSING_TOKEN = "missing_token"  # noqa: S105  # a code, no secret
    INVALID_TOKEN = "invalid_token"  # noqa: S105
    INVALID_DPOP_PROOF = "invalid_dpop_proof"
    USE_DPOP_NONCE = "use_dpop_nonce"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    INSUFFICIENT_ROLE = "insufficient_role"
    FRESH_SIGN_IN = "fresh_sign_in_required"
    FOREIGN_REQUEST = "foreign_request"
    """A browser's request that another page made, or that does not carry the session's own token."""
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_GIVEN = "approval_given"
    APPROVAL_USED = "approval_used"
    APPROVAL_WAITS = "approval_waits"
    NOT_APPROVED = "not_approved"
    SAME_PERSON = "same_person"
    LEGAL_HOLD = "legal_hold"
    CALL_IN_DOUBT = "call_in_doubt"
    CUSTOMER_STOPPED = "customer_stopped"
    ERASE_BY_COMMAND = "erase_by_command"
    """The gateway's role of the database may not remove evidence; an operator's may."""
    NOT_CONFIRMED = "not_confirmed"
    CONFIRMATION_EXPIRED = "confirmation_expired"
    CONFIRMATION_DECLINED = "confirmation_declined"
    CONFIRMATION_USED = "confirmation_used"
    CONFIRMATION_WAITS = "confirmation_waits"
    CONFIRMATION_CHANGED = "confirmation_changed"
    CHALLENGE_EXPIRED = "challenge_expired"
    PASSKEY_KNOWN = "passkey_known"
    MANDATE_NOT_NEWER = "mandate_not_newer"
    SAME_OFFICER = "same_officer"
    KILL_SWITCH_LIFTED = "kill_switch_lifted"
    THREAD_HAS_ACTIVE_RUN = "thread_has_active_run"
    RUN_NOT_CANCELLABLE = "run_not_cancellable"
    OUTPUTS_NOT_EXPECTED = "outputs_not_expected"
    FILE_REFUSED = "file_refused"
    """What looks at files found something in it."""
    FILES_FULL = "files_full"
    UPLOAD_ENDED = "upload_ended"
    UNSUPPORTED = "unsupported"
    NO_MODEL = "no_model"
    RUN_FAILED = "run_failed"
    """The model, or its time, ended a run whose answer was waited for; what it has done stays done."""
    RATE_LIMITED = "rate_limit_exceeded"
    UNAVAILABLE = "temporarily_unavailable"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    BROKEN = "internal_error"


class GatewayError(Exception):
    """Base of everything that the pipeline raises."""


class Refusal(GatewayError):
    """No effect; asking differently may help. `reason` is the finer cause for the trail, never for the model."""

    def __init__(self, code: Code, reason: str, *, message: str | None = None, param: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.message = MESSAGES[code] if message is None else message
        self.param = param


class RequestFault(GatewayError):
    """The request as a whole cannot be taken; no call of it was looked at and nothing happened."""

    def __init__(self, fault: Fault, message: str, *, param: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        """Told where the request may be made again."""

    @property
    def recorded(self) -> str:
        """What the trail says of it: the code, or something finer."""
        return self.fault.value


class Unavailable(GatewayError):
    """No effect; the same call with the same ids may be made again. `reason` names the dependency, for the trail."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InDoubt(GatewayError):
    """The effect may have happened. Nothing is sent again; the status is asked for by the call id."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
