"""What the gateway answers, as frozen dataclasses. What a newer gateway adds is ignored; what an older one leaves out is None.

Codes and states are texts, since more may come. Times are ISO 8601 with their offset. What is a customer's own is left out of `repr`,
which ends up in logs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """`created_at`: seconds since 1970 UTC."""

    id: str
    created_at: int | None
    metadata: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class MessageCount:
    """How many messages the conversation has now."""

    count: int


@dataclass(frozen=True, slots=True)
class FunctionList:
    """Definitions in the shape that was asked for, as a model's API takes them."""

    data: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ProofOfRecord:
    """Where the trail has it: position, and the leaf's SHA-256 in hex."""

    index: int
    leaf_hash: str


@dataclass(frozen=True, slots=True)
class StepUpChallenge:
    """What the customer's next sign-in must satisfy (RFC 9470)."""

    acr_values: str
    max_age: int


@dataclass(frozen=True, slots=True)
class CallInfo:
    """One call of a request: for the back end, never for the model. `status`: done, denied, held, in_doubt or unavailable. `app`: whole
    values for the customer's eyes."""

    call_id: str
    native_id: str
    status: str
    code: str | None
    reason: str | None
    proof: ProofOfRecord | None
    confirmation_id: str | None
    challenge: StepUpChallenge | None
    app: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FunctionCallsInfo:
    """`outputs` go back to the model as they are; `results` stay in the back end. Both in the order of the calls."""

    outputs: tuple[Mapping[str, Any], ...] = field(repr=False)
    results: tuple[CallInfo, ...]

    def content(self, number: int = 0) -> Mapping[str, Any]:
        """The output of the call at this place, read: `result` of what was done, `error` of what was not. ValueError: it is no object."""
        output = self.outputs[number]
        read = json.loads(str(output.get("output", output.get("content"))))
        if not isinstance(read, dict):
            raise ValueError("the output is no JSON object")
        return read


@dataclass(frozen=True, slots=True)
class CallReport:
    """What became of a call. `output`: as the model would read it; None of a call without an effect, which is not kept."""

    call_id: str
    status: str
    code: str | None
    reason: str | None
    proof: ProofOfRecord | None
    confirmation_id: str | None
    output: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConfirmationSummary:
    """`state`: open, confirmed, approved, declined or expired. `level`: 3, or 4 where a second person must approve."""

    id: str
    state: str
    level: int
    created: str
    expires: str


@dataclass(frozen=True, slots=True)
class ConfirmationPage:
    """What waits for the customer, the oldest first."""

    data: tuple[ConfirmationSummary, ...]


@dataclass(frozen=True, slots=True)
class WaitingConfirmation(ConfirmationSummary):
    """`intent`: all that is confirmed, to be shown whole, as text. `challenge`, base64url, is what a passkey of `credentials` signs."""

    rp_id: str | None
    credentials: tuple[str, ...]
    challenge_expires: str
    intent: Mapping[str, Any] = field(repr=False)
    challenge: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConfirmationOutcome:
    """What became of each confirmed call, in their order; empty where nothing was done yet, or was declined."""

    state: str
    results: tuple[CallInfo, ...]


@dataclass(frozen=True, slots=True)
class EnrolledPasskey:
    """Nothing can be confirmed with it before `active_from`."""

    credential: str
    active_from: str


@dataclass(frozen=True, slots=True)
class RevokedPasskey:
    credential: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class MoneyText:
    """`value`: decimal digits with a point, as text. `currency`: ISO 4217."""

    value: str
    currency: str


@dataclass(frozen=True, slots=True)
class StandingMandateInfo:
    """Bounds within which the assistant pays without asking. `payees` None: all whom the customer paid before; `agent` None: any."""

    id: str
    per_payment: MoneyText
    per_day: MoneyText
    payments_per_day: int
    starts: str = field(metadata={"key": "from"})
    until: str
    agent: str | None
    account: str | None = field(repr=False)
    payees: tuple[str, ...] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class StandingMandatePage:
    data: tuple[StandingMandateInfo, ...]


@dataclass(frozen=True, slots=True)
class ProposedMandate:
    """It is in force once the customer has confirmed it."""

    confirmation_id: str
    expires: str


@dataclass(frozen=True, slots=True)
class RevokedMandate:
    id: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class CurrencyLimits:
    """Minor units of a payment, and of 24 hours, 7 and 30 days; payments of a day."""

    payment_minor: int
    day_minor: int
    week_minor: int
    month_minor: int
    day_count: int


@dataclass(frozen=True, slots=True)
class GrantedMandate:
    """What a customer's assistants may do. `state`: to_come, in_force or ended."""

    customer: str
    version: int
    state: str
    functions: tuple[str, ...]
    limits: Mapping[str, CurrencyLimits]
    starts: str
    ends: str
    restrictions: tuple[str, ...] | None
    accounts: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KillSwitchInfo:
    """`state`: engaged, half_lifted (stops the same) or lifted. `recorded` false: it counts, but is not on record; engage it again."""

    id: str
    scope: str
    subject: str | None
    reason: str
    engaged_by: str
    engaged: str
    first_lift_by: str | None
    lifted_by: str | None
    state: str
    recorded: bool | None


@dataclass(frozen=True, slots=True)
class KillSwitchPage:
    data: tuple[KillSwitchInfo, ...]


@dataclass(frozen=True, slots=True)
class ActivityItems:
    """The oldest first. `next_cursor` None: there is no more."""

    data: tuple[Mapping[str, Any], ...] = field(repr=False)
    next_cursor: str | None


def reading(kind: type[T]) -> Callable[[object], T]:
    """Reads JSON of this kind. The reader raises ValueError for anything else, and says where."""
    return lambda value: cast(T, _read(kind, value, "the answer"))


def _read(kind: Any, value: object, where: str) -> object:
    """`kind`: Any, a text, a number, a truth, one of these or None, a tuple, a mapping by text, or a dataclass of these."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None and NoneType in inner else _read(inner[0], value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inner[0], item, f"{where}[{at}]") for at, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {name: _read(inner[1], item, f"{where}.{name}") for name, item in value.items()}
    if is_dataclass(kind) and isinstance(value, dict):
        return cast(Any, kind)(
            **{name: _read(hint, value.get(key), f"{where}.{key}") for name, key, hint in _fields_of(cast(Any, kind))}
        )
    if kind is Any or type(value) is kind:
        return value
    raise ValueError(f"{where} is not what was expected")


@cache
def _fields_of(kind: type[Any]) -> tuple[tuple[str, str, Any], ...]:
    """Name, key in JSON and type of each field: looked up once, since that takes longer than an answer."""
    hints = get_type_hints(kind)
    return tuple((item.name, item.metadata.get("key", item.name), hints[item.name]) for item in fields(kind))
