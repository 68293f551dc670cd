"""Why a call was not done: the closed set of reasons that the bank's back end is told beside a code.

A code is what the model may learn, and deliberately coarse. A reason is finer and for the back end alone, so that the app can say something
useful: never in a model's output. The trail keeps the gateway's own words, which are finer still.
"""

from collections.abc import Mapping
from enum import StrEnum

from gateway.domain.errors import Code
from gateway.domain.request import CallFault


class RefusalReason(StrEnum):
    """Why a call was not done, for the back end alone. Closed and stable; no value is also a `Code`."""

    UNKNOWN_FUNCTION = "unknown_function", "No function of this name is served."
    ARGUMENT = "argument", "An argument is not as the function declares it; the model's output says which."
    UNREADABLE = (
        "unreadable",
        "The model's server wrote the call so that nobody can tell what it asks for; the model's output says why.",
    )
    UNKNOWN_REFERENCE = "unknown_reference", "A reference was not given out in this conversation, or has expired."
    ID_REUSED = "id_reused", "The id of this call was used for another call before; a new call needs a new id."
    NOT_FOUND_NOW = "not_found_now", "What the call asks about is not there any more."
    NO_WORDS = "no_words", "The customer wrote nothing in this conversation that the gateway heard; send their messages first."
    NOT_GROUNDED = "not_grounded", "A value of the call does not come from the customer's own words or from the bank."
    WITHDRAWN = "withdrawn", "The customer's own words speak against this, or took it back."
    NO_MANDATE = "no_mandate", "The customer granted the assistant nothing."
    MANDATE_EXPIRED = "mandate_expired", "What the customer granted is not valid now."
    NOT_IN_MANDATE = "not_in_mandate", "The customer did not grant this function or this account."
    NOT_OWNER = "not_owner", "The account or the object is not this customer's."
    FROZEN = "frozen", "The assistant is stopped for this customer."
    KILL_SWITCH = "kill_switch", "The bank has stopped this function, this agent, this customer's assistant, or all of them."
    CLOSED = "closed", "The account or the object is closed or blocked."
    RESTRICTED = "restricted", "The bank has restricted what this customer's assistant may do."
    LIMIT = "limit", "A limit of the customer or the bank would be exceeded."
    DUPLICATE = "duplicate", "The same payment was made a short while ago; the customer must say that it is meant again."
    TAINTED = "tainted", "Other people's text was read in this conversation; this is not done after it."
    SESSION_TOO_WEAK = "session_too_weak", "The customer must sign in again, with two factors."
    SESSION_OVER = "session_over", "The session in which the customer asked has ended or was revoked."
    NEEDS_CONFIRMATION = "needs_confirmation", "The customer must confirm this, and is asked if the call is held."
    NEEDS_APPROVAL = "needs_approval", "A second person must approve this, after the customer."
    CONFIRMATION_DECLINED = "confirmation_declined", "The customer declined this, or the same a short while ago."
    CONFIRMATION_EXPIRED = "confirmation_expired", "The customer did not confirm this in time."
    CONFIRMATION_USED = "confirmation_used", "What the customer confirmed was done already, or cannot be done any more."
    TOO_MANY_CONFIRMATIONS = (
        "too_many_confirmations",
        "Too much waits for this customer's confirmation, or was asked of them today.",
    )
    NOT_PERMITTED = "not_permitted", "The bank's rules do not permit this."
    TOO_OFTEN = "too_often", "This customer's assistant calls too often."
    NO_FUNDS = "no_funds", "The account does not hold enough."
    CORE_DECLINED = "core_declined", "The bank's core system declined this."
    CORE_UNAVAILABLE = "core_unavailable", "The bank's core system does not answer, or refused the gateway; nothing happened."
    AUDIT_UNAVAILABLE = "audit_unavailable", "The audit trail does not answer; nothing happened."
    STORE_UNAVAILABLE = "store_unavailable", "The gateway's database does not answer; nothing happened."
    ISSUER_UNAVAILABLE = "issuer_unavailable", "The identity provider does not answer; nothing happened."
    SCREENING_UNAVAILABLE = "screening_unavailable", "Payees cannot be screened now; nothing happened."
    UNAVAILABLE = "unavailable", "A part that this needs does not answer; nothing happened."
    BUSY = "busy", "The customer's facts changed again and again while this was decided; nothing happened."
    NOT_KNOWN_YET = "not_known_yet", "Nobody knows yet whether this happened; ask for the call's status."

    meaning: str
    """One sentence, for the documentation."""

    def __new__(cls, value: str, meaning: str) -> "RefusalReason":
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


_BY_CAUSE: Mapping[str, RefusalReason] = {
    # of the pipeline
    "unknown_function": RefusalReason.UNKNOWN_FUNCTION,
    "object_gone": RefusalReason.NOT_FOUND_NOW,
    "object_unlisted": RefusalReason.NOT_FOUND_NOW,  # as for one that is gone: whose it is, is told to nobody
    "native_id_conflict": RefusalReason.ID_REUSED,
    "rate_limited": RefusalReason.TOO_OFTEN,
    **dict.fromkeys((fault.value for fault in CallFault), RefusalReason.UNREADABLE),
    CallFault.TOO_MANY_CALLS.value: RefusalReason.TOO_OFTEN,
    "blocked": RefusalReason.NOT_PERMITTED,  # neutral: who is on a list is told to nobody who could pass it on
    "facts_moved": RefusalReason.BUSY,
    "new_customers_wait": RefusalReason.UNAVAILABLE,
    "ended_by_recovery": RefusalReason.NOT_KNOWN_YET,
    # of arguments (`calls.arguments`)
    "duplicate_key": RefusalReason.ARGUMENT,
    "forbidden_character": RefusalReason.ARGUMENT,
    "invalid_amount": RefusalReason.ARGUMENT,
    "invalid_day": RefusalReason.ARGUMENT,
    "invalid_identifier": RefusalReason.ARGUMENT,
    "invalid_json": RefusalReason.ARGUMENT,
    "missing_argument": RefusalReason.ARGUMENT,
    "not_a_choice": RefusalReason.ARGUMENT,
    "repeated_reference": RefusalReason.ARGUMENT,
    "too_deep": RefusalReason.ARGUMENT,
    "too_large": RefusalReason.ARGUMENT,
    "unfit_argument": RefusalReason.ARGUMENT,
    "unknown_argument": RefusalReason.ARGUMENT,
    "unresolved_reference": RefusalReason.UNKNOWN_REFERENCE,
    "wrong_form": RefusalReason.ARGUMENT,
    "wrong_length": RefusalReason.ARGUMENT,
    "wrong_type": RefusalReason.ARGUMENT,
    # of grounding
    "ungrounded_no_words": RefusalReason.NO_WORDS,
    "ungrounded_withdrawn": RefusalReason.WITHDRAWN,
    # of policies (`policies.model.Reason`)
    "error": RefusalReason.NOT_PERMITTED,
    "frozen": RefusalReason.FROZEN,
    "not_owner": RefusalReason.NOT_OWNER,
    "no_mandate": RefusalReason.NO_MANDATE,
    "mandate_expired": RefusalReason.MANDATE_EXPIRED,
    "not_in_mandate": RefusalReason.NOT_IN_MANDATE,
    "closed": RefusalReason.CLOSED,
    "restricted": RefusalReason.RESTRICTED,
    "limit": RefusalReason.LIMIT,
    "tainted": RefusalReason.TAINTED,
    "approval": RefusalReason.NEEDS_APPROVAL,
    "confirmation": RefusalReason.NEEDS_CONFIRMATION,
    "forbidden": RefusalReason.NOT_PERMITTED,
    "no_rule": RefusalReason.NOT_PERMITTED,
    # of the store
    "duplicate_suspected": RefusalReason.DUPLICATE,
    "declined_before": RefusalReason.CONFIRMATION_DECLINED,
    "too_many_proposals": RefusalReason.TOO_MANY_CONFIRMATIONS,
    "confirmation_used": RefusalReason.CONFIRMATION_USED,
    # of dependencies
    "audit_unavailable": RefusalReason.AUDIT_UNAVAILABLE,
    "core_unavailable": RefusalReason.CORE_UNAVAILABLE,
    "keys_unavailable": RefusalReason.UNAVAILABLE,
    "permit_refused": RefusalReason.CORE_UNAVAILABLE,
    "introspection_unavailable": RefusalReason.ISSUER_UNAVAILABLE,
    "issuer_unavailable": RefusalReason.ISSUER_UNAVAILABLE,
    "screening_unavailable": RefusalReason.SCREENING_UNAVAILABLE,
    "store_unavailable": RefusalReason.STORE_UNAVAILABLE,
    "code_unavailable": RefusalReason.UNAVAILABLE,
    "index_damaged": RefusalReason.UNAVAILABLE,
    "file_damaged": RefusalReason.UNAVAILABLE,
    # of runs: why none of a step's calls was taken
    "session_over": RefusalReason.SESSION_OVER,
    "invalid_token": RefusalReason.SESSION_OVER,
    "not_found": RefusalReason.NOT_FOUND_NOW,
}
_FAMILIES: Mapping[str, RefusalReason] = {
    "killed_": RefusalReason.KILL_SWITCH,
    "limit_": RefusalReason.LIMIT,
    "ungrounded_": RefusalReason.NOT_GROUNDED,
}
"""Causes that end in a name: of a scope, of a limit, of an argument's kind."""


_BY_CODE: Mapping[Code, RefusalReason] = {
    Code.DENIED: RefusalReason.NOT_PERMITTED,
    Code.INVALID_ARGUMENT: RefusalReason.ARGUMENT,
    Code.CONFIRMATION_REQUIRED: RefusalReason.NEEDS_CONFIRMATION,
    Code.STEP_UP_REQUIRED: RefusalReason.SESSION_TOO_WEAK,
    Code.APPROVAL_REQUIRED: RefusalReason.NEEDS_APPROVAL,
    Code.LIMIT_EXCEEDED: RefusalReason.LIMIT,
    Code.INSUFFICIENT_FUNDS: RefusalReason.NO_FUNDS,
    Code.PAYEE_MISMATCH: RefusalReason.CORE_DECLINED,
    Code.BUSINESS_REJECTED: RefusalReason.CORE_DECLINED,
    Code.DUPLICATE_SUSPECTED: RefusalReason.DUPLICATE,
    Code.RATE_LIMITED: RefusalReason.TOO_OFTEN,
    Code.TEMPORARILY_UNAVAILABLE: RefusalReason.UNAVAILABLE,
    Code.OUTCOME_UNKNOWN: RefusalReason.NOT_KNOWN_YET,
}
"""Where the cause says no more than the code: it is not known, or it is a policy's `level`, or the reason of a permit that still asks the
customer.
"""


def reason_of(code: Code, cause: str | None = None) -> RefusalReason:
    """The reason of what was not done, by its code and the gateway's own cause, as the trail holds it."""
    known = _BY_CAUSE.get(cause or "")
    if known is None:
        known = next((reason for prefix, reason in _FAMILIES.items() if (cause or "").startswith(prefix)), None)
    return known or _BY_CODE[code]
