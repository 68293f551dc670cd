"""What the policies are asked and what they answer. Frozen values, no behaviour beyond their own invariants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

JSON: TypeAlias = bool | int | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""What a context may hold. No floats: Cedar has none, and amounts are minor units."""


@dataclass(frozen=True, slots=True)
class Uid:
    """A Cedar entity: `Account::"a1"`."""

    type: str
    id: str


class Assurance(IntEnum):
    """The rungs of the ladder (banking.md section 1). L3 includes L2, L4 includes L3."""

    NONE = 0
    SESSION = 1
    STRONG = 2
    CONFIRMED = 3
    APPROVED = 4


class PolicyEffect(StrEnum):
    """What becomes of a call. A challenge is a deny that says which rung would make it a permit."""

    PERMIT = "permit"
    CHALLENGE = "challenge"
    DENY = "deny"


class Reason(StrEnum):
    """Why, in one word: the `@reason` of the deciding policy. Closed: a bundle with another one is refused.

    The order is the precedence when several policies decide: what is hardest to remedy comes first, so that nobody is asked to
    confirm what would be refused all the same.
    """

    ERROR = "error"
    FROZEN = "frozen"
    RESTRICTED = "restricted"
    NOT_OWNER = "not_owner"
    NO_MANDATE = "no_mandate"
    MANDATE_EXPIRED = "mandate_expired"
    NOT_IN_MANDATE = "not_in_mandate"
    CLOSED = "closed"
    LIMIT = "limit"
    TAINTED = "tainted"
    APPROVAL = "approval"
    CONFIRMATION = "confirmation"
    LEVEL = "level"
    FORBIDDEN = "forbidden"
    NO_RULE = "no_rule"
    EMERGENCY = "emergency"
    PUBLIC = "public"
    MANDATED = "mandated"
    OWNED = "owned"
    DISCLOSED = "disclosed"


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may this principal do this to this resource, things being so?

    `context` and `entities` are Cedar JSON in the shapes of `bank.cedarschema`; what does not fit the schema is an error, and an
    error denies. `entities` holds the principal, the resource and whatever else the rules look into.
    """

    principal: Uid
    action: str
    resource: Uid
    context: Mapping[str, JSON]
    entities: Sequence[Mapping[str, JSON]]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and what an auditor needs to understand it.

    `policies` are the @ids that decided, sorted: the permits of a permit; the forbids that stand in the way now of a challenge; the
    forbids that stand even at the top rung of a deny (none: no rule permits it). `rung` is what a challenge takes. `errors` are the
    engine's own words and may quote the request: they belong in the trail, never in an answer.
    """

    effect: PolicyEffect
    reason: Reason
    policies: tuple[str, ...] = ()
    rung: Assurance | None = None
    errors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.effect is PolicyEffect.CHALLENGE) != (self.rung is not None):
            raise ValueError("a challenge, and only a challenge, names a rung")
        if self.errors and self.effect is not PolicyEffect.DENY:
            raise ValueError("a decision with errors is a deny")
