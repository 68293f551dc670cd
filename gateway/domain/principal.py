"""The nouns of identity: what was presented, whom it makes, and the port behind which that happens."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from adapters.function import Level
from gateway.domain.errors import Fault, RequestFault

SCOPE_CALLS = "function_calls"
SCOPE_WORDS = "customer_words"
SCOPE_THREADS = "threads"
"""Of a customer, or of an agent that acts for one: their threads and runs."""
SCOPE_ASSISTANTS = "assistants"
"""To make assistants: a client for all its customers, a customer for themselves. A token for threads reads those of its client."""
SCOPE_CONFIRM = "confirm"
"""Of the customer's own device: to see what waits for them, and to confirm or decline it."""
SCOPE_ENROL = "enrol_passkeys"
"""Of the bank's identity system alone, never of a customer or an agent."""
SCOPE_KILL = "kill_switch"
"""Of the bank's officers alone, never of a customer or an agent."""

SCOPE_MANDATES = "mandates"
"""Of the bank's system that grants and ends mandates alone, never of a customer or an agent."""

SCOPES = (SCOPE_CALLS, SCOPE_WORDS, SCOPE_THREADS, SCOPE_ASSISTANTS, SCOPE_CONFIRM, SCOPE_ENROL, SCOPE_KILL, SCOPE_MANDATES)
"""Every scope that an access token may have here."""

OF_CUSTOMERS = frozenset({SCOPE_CALLS, SCOPE_WORDS, SCOPE_THREADS, SCOPE_CONFIRM})
"""Of a customer, and of an agent that acts for one; never of a client that asks for itself."""

BEARER = "Bearer"
DPOP = "DPoP"
"""Authentication schemes (RFC 6750, RFC 9449 section 7.1)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought. Nothing of it is trusted but `url`, which is ours, and `certificate`, which TLS or our proxy proved.

    `authorization`: the header's value, several joined with a comma. `proofs`: each `DPoP` header. `url`: as the outside sees it,
    built from our own configuration, never from the Host header. `certificate`: the client's, DER.
    """

    authorization: str | None
    proofs: tuple[str, ...]
    method: str
    url: str
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `agent` is None when the customer's own device holds the token (it then speaks as the customer)."""

    customer: str
    agent: str | None
    client: str
    scopes: frozenset[str]
    strong: bool
    authenticated_at_s: int
    expires_at_s: int
    channel: str
    scheme: str = BEARER
    token: str | None = field(default=None, repr=False, compare=False)
    """Only where the issuer can be asked whether it still stands. Never printed, recorded or logged."""
    authorization_details: str | None = field(default=None, repr=False)
    """Those of the token (RFC 9396), as JSON text; None where it has none. Held against an intent, and kept nowhere else."""
    segment: str | None = None
    """Which segment of the bank's customers the issuer says this one is of; None where it does not say."""

    @property
    def is_client(self) -> bool:
        """Whether the client asks for itself (RFC 9068 section 2.2: `sub` is its own id), and no customer."""
        return self.customer == self.client and self.agent is None

    @property
    def acting(self) -> str:
        """Who acts for the customer: the agent, or the client of the customer's own device."""
        return self.agent or self.client

    def level(self, now: datetime, max_age_s: int) -> Level:
        """L2 for a two-factor session no older than `max_age_s`, else L1. A token never gives more (RTS on SCA Art. 5)."""
        fresh = now.timestamp() - self.authenticated_at_s <= max_age_s
        return Level.L2 if self.strong and fresh else Level.L1


class TokenStatus(Protocol):
    """Whether a token that was taken still stands with its issuer. Asked before effects, never cached; nothing is retried."""

    async def still_stands(self, principal: Principal) -> bool:
        """False: the issuer says that the token is not active. Unavailable: it does not say, and the effect must not happen."""


class Identity(TokenStatus, Protocol):
    """Where Principals come from. Concurrent use is safe; nothing is retried. No I/O for a token that was seen before, unless bound."""

    async def authenticate(self, presented: Credentials, now: datetime) -> Principal:
        """The Principal of a request. NotAuthenticated, the same for every cause; Unavailable: keys or proofs cannot be checked."""

    def nonce(self, now: datetime) -> str | None:
        """The nonce that the client's next proof must carry (RFC 9449 section 8.2); None where none is asked for."""


class NotAuthenticated(RequestFault):
    """A fault of authentication (401, 403), with what its challenge says: the scheme that was used, the scope that is needed."""

    def __init__(self, fault: Fault, message: str, *, scheme: str | None = None, scope: str | None = None) -> None:
        super().__init__(fault, message)
        self.scheme = scheme
        self.scope = scope


def invalid_token(scheme: str | None = None) -> NotAuthenticated:
    """One answer for every flaw of a token."""
    return NotAuthenticated(Fault.INVALID_TOKEN, "the access token is not valid here; obtain a new one", scheme=scheme)


def require_own(principal: Principal, why: str) -> None:
    """RequestFault INSUFFICIENT_SCOPE, which says `why`, unless the customer's own device holds the token: no agent acts in it."""
    if principal.agent is not None:
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, why)


def require_purpose(principal: Principal, scope: str, why: str) -> None:
    """RequestFault INSUFFICIENT_SCOPE, which says `why`, unless a client asks for itself with a token for this purpose and no other of
    ours: what decides for customers is in no token that does anything else.
    """
    if not principal.is_client or principal.scopes & frozenset(SCOPES) != {scope}:
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, why)


def require_scope(principal: Principal, scope: str, *others: str) -> None:
    """NotAuthenticated INSUFFICIENT_SCOPE unless the token carries `scope`, or one of the others (RFC 6750 section 3.1). A client that
    asks for itself has none of a customer's: its id would be taken for that of a customer.
    """
    if (principal.scopes - OF_CUSTOMERS if principal.is_client else principal.scopes).isdisjoint((scope, *others)):
        message = f"the token lacks the scope {scope}"
        if principal.is_client and scope in OF_CUSTOMERS:
            message = f"the scope {scope} is a customer's, and this token names none"
        raise NotAuthenticated(Fault.INSUFFICIENT_SCOPE, message, scheme=principal.scheme, scope=scope)
