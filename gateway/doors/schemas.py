"""Wire models of the REST door: what OpenAPI publishes, and what a parsed body is held against."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from gateway.domain.errors import Code, Fault
from gateway.domain.kill_switch import Scope
from gateway.domain.reasons import RefusalReason
from gateway.domain.strict_json import MAX_INTEGER
from gateway.doors.assistants_api.common_schemas import only
from gateway.doors.shapes import AgentsCallItem, NativeId, ResponsesCallItem, ToolCallItem
from gateway.oversight.kill_switches import REASON_MOST, SUBJECT_MOST

ConversationId = Annotated[str, StringConstraints(pattern=r"^conv_[0-9a-f]{24}$")]
CallId = Annotated[str, StringConstraints(pattern=r"^call_[0-9a-f]{28}$")]

ConfirmationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
CredentialId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,1364}$")]
"""Base64url of 1 to 1023 bytes (WebAuthn Level 3 section 4)."""

MAX_MESSAGES = 32
MAX_MESSAGE_CHARS = 32_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FunctionCallsHead(_Strict):
    """A request for function calls, but for its items, which each shape reads itself."""

    shape: Literal["assistants", "responses", "chat", "agents"]
    conversation_id: ConversationId
    turn_id: NativeId
    model: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[ -~]+$")] | None = None
    calls: Annotated[list[dict[str, object]], Field(min_length=1)]


class FunctionCalls(FunctionCallsHead):
    """Function calls as a model wrote them, in the items of its API."""

    calls: Annotated[list[ToolCallItem | ResponsesCallItem | AgentsCallItem], Field(min_length=1)]  # type: ignore[assignment]  # narrower


class RecordProof(_Strict):
    index: int
    leaf_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class StepUp(_Strict):
    """What the customer's next sign-in must satisfy (RFC 9470): `acr_values` and `max_age` of the authorization request."""

    acr_values: str
    max_age: int


class CallResult(_Strict):
    """For the back end, never for the model. `reason`: why the call was not done, finer than `code`. `confirmation_id`: what the customer
    is to confirm, of a held call.

    `app`: whole values of fields that the output shows masked, for the customer's eyes.
    `challenge` with `step_up_required` only.
    """

    call_id: str
    native_id: str
    status: Literal["done", "denied", "held", "in_doubt", "unavailable"]
    code: Code | None
    reason: RefusalReason | None
    proof: RecordProof | None
    app: dict[str, str] | None
    confirmation_id: str | None
    challenge: StepUp | None


class FunctionCallsAnswer(_Strict):
    """`outputs` go back to the model as they are; `results` stay in the back end. Both in the order of the calls."""

    outputs: list[dict[str, object]]
    results: list[CallResult]


class NewConversation(_Strict):
    """A new conversation needs no field. What clients of the Responses API may put into one is not kept."""

    items: Annotated[object, only([])] = None
    metadata: Annotated[object, only({})] = None


class ConversationAnswer(_Strict):
    """As the clients of the Responses API know it, too. `created_at`: seconds since 1970 UTC."""

    id: ConversationId
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class CustomerMessage(_Strict):
    """A message that the customer wrote. `origin`: typed by them, pasted, or out of a document."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_MESSAGE_CHARS)]
    origin: Literal["typed", "pasted", "document"] = "typed"


class CustomerMessages(_Strict):
    messages: Annotated[list[CustomerMessage], Field(min_length=1, max_length=MAX_MESSAGES)]


class MessagesAnswer(_Strict):
    """How many messages the conversation has now."""

    count: int


class FunctionDefinitions(_Strict):
    """This customer's functions, as definitions for one shape."""

    data: list[dict[str, object]]


class CallDetails(_Strict):
    """`output` as the model would read it; null for a call without effect, whose output is not kept."""

    call_id: str
    status: Literal["done", "denied", "held", "in_doubt", "unavailable"]
    code: Code | None
    reason: RefusalReason | None
    output: str | None
    proof: RecordProof | None
    confirmation_id: str | None


class ConfirmationListItem(_Strict):
    """`state`: open; confirmed, where a second person has still to approve; approved, declined or expired. `level`: 3, or 4 for two."""

    id: ConfirmationId
    state: Literal["open", "confirmed", "approved", "declined", "expired"]
    level: int
    created: str
    expires: str


class ConfirmationList(_Strict):
    data: list[ConfirmationListItem]


class ConfirmationAnswer(ConfirmationListItem):
    """`intent` is all that is confirmed, and is shown as text, whole. `challenge` goes into `navigator.credentials.get` as it is."""

    intent: dict[str, object]
    challenge: str
    challenge_expires: str
    rp_id: str | None
    credentials: list[CredentialId]


class ByAssertion(_Strict):
    """A WebAuthn AuthenticationResponseJSON over the challenge, with the user verified."""

    assertion: dict[str, object]


class ByDecline(_Strict):
    decline: Literal[True]


class ByToken(_Strict):
    """The access token of this request names the intent in its `authorization_details` (RFC 9396)."""

    token: Literal[True]


class ConfirmationDecision(RootModel[ByAssertion | ByDecline | ByToken]):
    """Exactly one of the three."""


class ConfirmationResult(_Strict):
    """`results` as of function calls: what became of each call, in their order; empty where a second person has still to approve."""

    state: Literal["open", "confirmed", "approved", "declined", "expired"]
    results: list[CallResult]


class NewPasskey(_Strict):
    """A credential that the bank's identity system registered. `public_key` is its COSE_Key, base64url; `customer` the `sub` of tokens."""

    customer: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    credential: CredentialId
    public_key: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    sign_count: Annotated[int, Field(ge=0, lt=2**32)] = 0


class PasskeyEnrolled(_Strict):
    """Nothing can be confirmed with it before `active_from`."""

    credential: CredentialId
    active_from: str


class PasskeyRevoked(_Strict):
    credential: CredentialId
    revoked: Literal[True]


class ErrorDetail(_Strict):
    """`code` is stable; `message` says what was wrong, for people; `param` is the path of the field or parameter, where there is one."""

    message: str
    type: str
    param: str | None
    code: Fault


class ErrorBody(_Strict):
    error: ErrorDetail


class MoneyAmount(_Strict):
    value: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class NewMandate(_Strict):
    """Bounds within which the assistant pays without asking. `payees`: account numbers of payees whom the customer has paid before, null
    for all of those. `days`: how long it holds. `agent`: one client alone, null for whichever the customer uses. `account`: number of an
    own account, from which payments come that name none; null for no default."""

    payees: (
        Annotated[list[Annotated[str, StringConstraints(min_length=4, max_length=64)]], Field(min_length=1, max_length=100)] | None
    )
    per_payment: MoneyAmount
    per_day: MoneyAmount
    payments_per_day: Annotated[int, Field(ge=1, le=1000)]
    days: int
    agent: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    account: Annotated[str, StringConstraints(min_length=4, max_length=64)] | None = None


class MandateProposed(_Strict):
    confirmation_id: ConfirmationId
    expires: str


MandateId = Annotated[str, StringConstraints(pattern=r"^std_[0-9a-f]{32}$")]


class MandateAnswer(_Strict):
    """`payees` and `account` by their keys; `account` null: no default."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    id: str
    agent: str | None
    account: str | None
    payees: list[str] | None
    per_payment: MoneyAmount
    per_day: MoneyAmount
    payments_per_day: int
    starts: Annotated[str, Field(alias="from")]
    until: str


class MandateList(_Strict):
    data: list[MandateAnswer]


class MandateRevoked(_Strict):
    id: str
    revoked: Literal[True]


Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MinorUnits = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


class MandateLimits(_Strict):
    """Of one currency: minor units of a payment, and of a rolling day, week and month of 24 hours, 7 and 30 days; payments of a day."""

    payment_minor: MinorUnits
    day_minor: MinorUnits
    week_minor: MinorUnits
    month_minor: MinorUnits
    day_count: MinorUnits


class CustomerMandate(_Strict):
    """What a customer's assistants may do: functions, accounts (the core's ids), limits by currency, from when until when. `restrictions`:
    names of rules of the policy bundle that are for this customer, which only forbid. Each `version` is greater than the one before."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    functions: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    accounts: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    limits: Annotated[dict[Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")], MandateLimits], Field(max_length=200)]
    starts: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    ends: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    restrictions: Annotated[list[Name], Field(max_length=32)] = []


class CustomerMandateAnswer(CustomerMandate):
    """`state`: whether it is in force now."""

    customer: str
    state: Literal["to_come", "in_force", "ended"]


class NewKillSwitch(_Strict):
    """What to stop, and why.

    `subject` is the customer's `sub`, the client (`client_id`), the agent (`act.sub`, or an assistant), or the function; left out for
    the scope `global`.
    """

    scope: Literal["global", "customer", "client", "agent", "function"]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=SUBJECT_MOST)] | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=REASON_MOST)]


class LiftKillSwitch(_Strict):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=REASON_MOST)]


KillSwitchId = Annotated[str, StringConstraints(pattern=r"^kill_[0-9a-f]{32}$")]


class KillSwitchAnswer(_Strict):
    """`half_lifted` stops the same: the second officer's lift is missing. `subject` is null for the scope `global`."""

    id: str
    scope: Scope
    subject: str | None
    reason: str
    engaged_by: str
    engaged: str
    first_lift_by: str | None
    lifted_by: str | None
    state: Literal["engaged", "half_lifted", "lifted"]


class KillSwitchEngaged(KillSwitchAnswer):
    """`recorded` is false while the trail does not answer; it counts all the same. Engage it again to have it recorded."""

    recorded: bool


class KillSwitchList(_Strict):
    data: list[KillSwitchAnswer]


class ActivityPage(_Strict):
    """`what` is the kind of a record: read, deny (also of what waits for a confirmation), intent, outcome, unknown, confirmation, admin.

    `amount` and `payee` (a key) of what was sent to the core, `reason` of what was not done: of a call as beside a result's `code`, of a
    whole request its error code. `tool` is null but of a call of `file_search` or `code_interpreter`: how code ended (`ending`), and ids of
    the files that were `read` to the assistant, `given` to code and `made` by it; an `admin` record with the `word` `begins` says that code
    was about to run. `file` is the id of one that was kept, read or deleted, as `word` says.
    """

    data: list[dict[str, object]]
    next_cursor: str | None


REF = "#/components/schemas/{model}"


def multipart_body_of(model: type[BaseModel], file: str) -> dict[str, object]:
    """The same of a route that takes `multipart/form-data`: a part of this name with a file, and the model's fields."""
    fields = model.model_json_schema(ref_template=REF)
    form = {
        "type": "object",
        "properties": {file: {"type": "string", "format": "binary"}, **fields["properties"]},
        "required": [file, *fields.get("required", [])],
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def body_of(model: type[BaseModel]) -> dict[str, object]:
    """The `openapi_extra` of a route that reads its body raw. It may be left out where the model needs no field."""
    schema = {"$ref": REF.format(model=model.__name__)}
    required = any(field.is_required() for field in model.model_fields.values())
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
