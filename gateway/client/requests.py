"""What may be asked of the gateway: one function for each operation of its OpenAPI document, under the operation's own name.

Each makes a request and sends nothing. Both clients take their methods from here, so that they cannot differ.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

from gateway.client import answers
from gateway.client.answers import reading

T = TypeVar("T")

Shape = Literal["assistants", "responses", "chat", "agents"]
Json = Mapping[str, Any]

WAIT_MOST_S = 30
_ID = re.compile(r"[A-Za-z0-9_-]{1,1400}")


@dataclass(frozen=True, slots=True)
class ClientRequest(Generic[T]):
    """A request, and how its answer is read. `is_same_again`: asked twice it is done once, so that a lost answer may be asked for again.
    `wait_s`: how long the gateway may take on purpose."""

    method: str
    path: str
    read: Callable[[object], T]
    body: Json | None = None
    is_same_again: bool = False
    wait_s: float = 0.0


def create_conversation() -> ClientRequest[answers.ConversationInfo]:
    """A new conversation; references to accounts, payees and so on live inside one. A second one that nobody uses does no harm."""
    return ClientRequest("POST", "/v1/conversations", reading(answers.ConversationInfo), {}, is_same_again=True)


def add_customer_messages(
    conversation_id: str, *texts: str, origin: Literal["typed", "pasted", "document"] = "typed"
) -> ClientRequest[answers.MessageCount]:
    """What the customer wrote, with their own token (scope `customer_words`, no agent). Never repeated: said twice is not said once."""
    body = {"messages": [{"text": text, "origin": origin} for text in texts]}
    path = f"/v1/conversations/{_id(conversation_id)}/messages"
    return ClientRequest("POST", path, reading(answers.MessageCount), body)


def list_functions(shape: Literal["assistants", "responses", "chat", "agents", "mcp"]) -> ClientRequest[answers.FunctionList]:
    """This customer's functions, as definitions for a model's API."""
    return _get(f"/v1/functions?{urlencode({'shape': shape})}", answers.FunctionList)


def execute_function_calls(
    conversation_id: str, calls: Sequence[Json], *, turn_id: str, shape: Shape = "responses", model: str | None = None
) -> ClientRequest[answers.FunctionCallsInfo]:
    """Function calls as a model wrote them, in the items of its API. Known by their native ids: what is repeated is done once."""
    named = {} if model is None else {"model": model}
    body = {"shape": shape, "conversation_id": conversation_id, "turn_id": turn_id, "calls": list(calls), **named}
    return ClientRequest("POST", "/v1/function-calls", reading(answers.FunctionCallsInfo), body, is_same_again=True)


def get_call(call_id: str, *, wait_s: int = 0) -> ClientRequest[answers.CallReport]:
    """What became of a call. Waits so many seconds, 30 at most, for one whose outcome is not known yet. ValueError for another number."""
    if not 0 <= wait_s <= WAIT_MOST_S:
        raise ValueError(f"wait_s: must be from 0 to {WAIT_MOST_S}")
    return _get(f"/v1/calls/{_id(call_id)}?{urlencode({'wait_s': wait_s})}", answers.CallReport, wait_s=wait_s)


def list_confirmations() -> ClientRequest[answers.ConfirmationPage]:
    """What waits for the customer, with their own token (scope `confirm`, no agent), as for all of confirmations, mandates and activity."""
    return _get("/v1/confirmations", answers.ConfirmationPage)


def get_confirmation(confirmation_id: str) -> ClientRequest[answers.WaitingConfirmation]:
    """What exactly is to be confirmed, with a new challenge for the customer's passkey."""
    return _get(f"/v1/confirmations/{_id(confirmation_id)}", answers.WaitingConfirmation)


def confirm(confirmation_id: str, assertion: Json) -> ClientRequest[answers.ConfirmationOutcome]:
    """Confirm by a WebAuthn AuthenticationResponseJSON over the challenge. Passed on as it is: the gateway judges it."""
    return _answer_confirmation(confirmation_id, {"assertion": assertion})


def confirm_by_token(confirmation_id: str) -> ClientRequest[answers.ConfirmationOutcome]:
    """Confirm by this request's token, whose `authorization_details` (RFC 9396) repeat the intent."""
    return _answer_confirmation(confirmation_id, {"token": True})


def decline(confirmation_id: str) -> ClientRequest[answers.ConfirmationOutcome]:
    """Decline what waits."""
    return _answer_confirmation(confirmation_id, {"decline": True})


def _answer_confirmation(confirmation_id: str, decision: Json) -> ClientRequest[answers.ConfirmationOutcome]:
    return ClientRequest("POST", f"/v1/confirmations/{_id(confirmation_id)}", reading(answers.ConfirmationOutcome), decision)


def enrol_passkey(
    customer: str, credential: str, public_key: str, *, sign_count: int = 0
) -> ClientRequest[answers.EnrolledPasskey]:
    """For the bank's identity system (scope `enrol_passkeys` alone): a credential that it registered. `public_key`: COSE_Key, base64url."""
    body = {"customer": customer, "credential": credential, "public_key": public_key, "sign_count": sign_count}
    return ClientRequest("POST", "/v1/passkeys", reading(answers.EnrolledPasskey), body)


def revoke_passkey(credential: str) -> ClientRequest[answers.RevokedPasskey]:
    """For the bank's identity system: it confirms nothing more, at once. 404 also where it was revoked before."""
    return ClientRequest("DELETE", f"/v1/passkeys/{_id(credential)}", reading(answers.RevokedPasskey))


def list_mandates() -> ClientRequest[answers.StandingMandatePage]:
    """The customer's standing mandates that were not revoked."""
    return _get("/v1/mandates", answers.StandingMandatePage)


def propose_mandate(
    *,
    per_payment: answers.MoneyText,
    per_day: answers.MoneyText,
    payments_per_day: int,
    days: int,
    payees: Sequence[str] | None,
    agent: str | None = None,
    account: str | None = None,
) -> ClientRequest[answers.ProposedMandate]:
    """Ask for a standing mandate; the customer confirms it. `payees`: account numbers, None for all whom they paid before: to be said,
    never left out. `agent`: one client alone. `account`: from which payments come that name none."""
    amounts = {
        name: {"value": amount.value, "currency": amount.currency}
        for name, amount in (("per_payment", per_payment), ("per_day", per_day))
    }
    counted = {"payments_per_day": payments_per_day, "days": days, "agent": agent, "account": account}
    body = {"payees": None if payees is None else list(payees), **amounts, **counted}
    return ClientRequest("POST", "/v1/mandates", reading(answers.ProposedMandate), body)


def revoke_mandate(mandate_id: str) -> ClientRequest[answers.RevokedMandate]:
    """It counts no more, at once. 404 also where it was revoked before."""
    return ClientRequest("DELETE", f"/v1/mandates/{_id(mandate_id)}", reading(answers.RevokedMandate))


def list_activity(cursor: str | None = None) -> ClientRequest[answers.ActivityItems]:
    """What the customer's assistants asked for, what was refused and what was done. `cursor`: a page's `next_cursor`, for the next one."""
    return _get(f"/v1/activity{_page(cursor)}", answers.ActivityItems)


def list_trail_accesses(cursor: str | None = None) -> ClientRequest[answers.ActivityItems]:
    """Who looked into the customer's records, and what for."""
    return _get(f"/v1/activity/looks{_page(cursor)}", answers.ActivityItems)


def get_customer_mandate(customer: str) -> ClientRequest[answers.GrantedMandate]:
    """What a customer's assistants may do: for the bank's own system (scope `mandates` alone)."""
    return _get(_mandate_of(customer), answers.GrantedMandate)


def put_customer_mandate(customer: str, terms: Json) -> ClientRequest[answers.GrantedMandate]:
    """Say it anew, in a greater `version`; `terms` as the schema CustomerMandate. The same once more changes nothing."""
    return ClientRequest("PUT", _mandate_of(customer), reading(answers.GrantedMandate), terms, is_same_again=True)


def end_customer_mandate(customer: str) -> ClientRequest[answers.GrantedMandate]:
    """End it, at once."""
    return ClientRequest("DELETE", _mandate_of(customer), reading(answers.GrantedMandate), is_same_again=True)


def list_kill_switches() -> ClientRequest[answers.KillSwitchPage]:
    """Those that are engaged: for a program of the bank (scope `kill_switch` alone)."""
    return _get("/v1/kill-switches", answers.KillSwitchPage)


def engage_kill_switch(
    scope: Literal["global", "customer", "client", "agent", "function"], reason: str, *, subject: str | None = None
) -> ClientRequest[answers.KillSwitchInfo]:
    """Stop everything, or one subject, within a second and in every worker. Engaged twice, it stops the same."""
    body = {"scope": scope, "reason": reason, **({} if subject is None else {"subject": subject})}
    return ClientRequest("POST", "/v1/kill-switches", reading(answers.KillSwitchInfo), body, is_same_again=True)


def _get(path: str, kind: type[T], *, wait_s: float = 0.0) -> ClientRequest[T]:
    return ClientRequest("GET", path, reading(kind), is_same_again=True, wait_s=wait_s)


def _id(text: str) -> str:
    """An id for a path. It may come from a stranger's request, and must not lead to another path under the token of who passes it on."""
    if _ID.fullmatch(text) is None:
        raise ValueError("an id has letters, digits, dashes and underscores alone")
    return text


def _mandate_of(customer: str) -> str:
    """The customer's id is the identity provider's, of any characters but a slash, which servers take for a step however it is written."""
    if customer in ("", ".", "..") or "/" in customer:
        raise ValueError("customer: must be the `sub` of their tokens; one with a slash cannot stand in a path")
    return f"/v1/customers/{quote(customer, safe='')}/mandate"


def _page(cursor: str | None) -> str:
    return "" if cursor is None else f"?{urlencode({'cursor': cursor})}"
