"""What a manifest comes to: frozen declarations of an upstream, its facts and its functions. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from adapters.answers import ORDERS, OWN_ACCOUNTS
from adapters.function import Argument, Effect, Field, Level
from adapters.identity import Scheme


@dataclass(frozen=True, slots=True)
class ToolPin:
    """A tool of an MCP server and the SHA-256, in hexadecimal, of the definition under which somebody took it."""

    name: str
    digest: str


class ArgumentPlace(StrEnum):
    """Where in the request an argument stands. Never in a header, a host or the name of a parameter."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


class Written(StrEnum):
    """How the upstream writes a scalar where JSON leaves a choice."""

    NUMBER = "number"
    TEXT = "text"
    MINOR = "minor"
    OBJECT = "object"
    """Of money only: `{"value": "12.50", "currency": "GBP"}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An argument and how it is sent."""

    argument: Argument
    place: ArgumentPlace
    name: str
    """Under which name the upstream takes it."""
    written: Written = Written.NUMBER
    """Of an amount."""
    line: int = field(default=0, compare=False)
    """Where it stands in the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBy:
    """Which records hold the customer's own text: those in which the field `field` has one of the values `own`: a text, or a
    flag as `true` and `false`."""

    field: str
    own: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredField:
    """A field of the output and where in the upstream's answer it comes from. `written_by`: of a text whose label each record says."""

    field: Field
    source: str
    scalar: str = "text"
    """The type in the manifest: that of the field, or `decimal`, which leaves as exact text."""
    written: Written = Written.NUMBER
    currency: str | None = None
    currency_field: str | None = None
    written_by: WrittenBy | None = None
    members: "tuple[DeclaredField, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredAnswer:
    """How an answer is read: `at` names the field of a JSON object that holds it; `wrap`: it is no object, but the value of this field."""

    fields: tuple[DeclaredField, ...]
    at: str | None = None
    wrap: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuestion:
    """How the upstream is asked what became of a key: GET, with `{key}` in the path; or a tool, with the key in its argument `key_as`,
    whose answer says it by a word in the field `at`: `words` are the codes under which `done`, `declined` and `never` have them."""

    path: str
    tool: ToolPin | None = None
    key_as: str = "key"
    at: str = ""
    words: Mapping[str, int] = field(default_factory=dict)
    done: frozenset[int] = frozenset({200})
    declined: Mapping[int, str] = field(default_factory=dict)
    never: frozenset[int] = frozenset()
    """Answers that say: never seen, and refused from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One function: what it declares to rules and grounding, and the request that it is."""

    name: str
    title: str
    summary: str
    effect: Effect
    level: Level
    egress: bool
    resource: str | None
    retention: str
    calls_per_hour: int | None
    data_classes: frozenset[str]
    method: str
    path: str
    sent: tuple[Sent, ...]
    answer: DeclaredAnswer
    timeout_ms: int
    done: frozenset[int]
    declined: Mapping[int, str]
    gone: frozenset[int]
    """Of a read: answers that say that what was asked for is not there."""
    status: StatusQuestion | None
    tool: ToolPin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A question whose answer is a list of records, and in which of their fields what stands. Empty: they have no such field.
    Asked by a GET of `path`, or of `tool`.

    `scheme`: by which standard the records' accounts or identifiers are compared.
    """

    path: str
    at: str | None
    names: Mapping[str, str]
    scheme: Scheme = Scheme.OPAQUE
    currency: str | None = None
    written: Written = Written.NUMBER
    tool: ToolPin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactQuestions:
    """What the gateway itself asks. A question that is not declared has an empty answer: nothing is known. `owned`: by name."""

    payees: Listing | None = None
    orders: Listing | None = None
    own_accounts: Listing | None = None
    incoming: Listing | None = None
    owned: Mapping[str, Listing] = field(default_factory=dict)

    @property
    def payee_scheme(self) -> Scheme:
        """By which standard payees are compared: a key of their own is opaque."""
        return Scheme.OPAQUE if self.payees is None or "key" in self.payees.names else self.payees.scheme

    @property
    def lists(self) -> Mapping[str, Listing]:
        """Each list of owned objects that is declared, by the name by which an argument refers to it."""
        orders = {} if self.orders is None else {ORDERS: self.orders}
        accounts = {} if self.own_accounts is None else {OWN_ACCOUNTS: self.own_accounts}
        return {**orders, **accounts, **self.owned}

    def asked_for(self, lists: Collection[str], *, alone: bool) -> "FactQuestions":
        """Without the lists that no argument refers to. `alone`: these lists and nothing else, for what only compares an object."""
        owned = {name: listing for name, listing in self.owned.items() if name in lists}
        if not alone:
            return replace(self, owned=owned)
        orders, own = self.orders if ORDERS in lists else None, self.own_accounts if OWN_ACCOUNTS in lists else None
        return FactQuestions(orders=orders, own_accounts=own, owned=owned)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAddress:
    """Where the functions are served, by plain HTTP or, with `is_mcp`, as tools of the Model Context Protocol. Times in milliseconds."""

    url: str
    needs_credential: bool
    customer_header: str
    idempotency_header: str | None
    """What carries the key of an instruction: a header, or a name in `_meta` of the protocol."""
    honours_idempotency: bool
    """Whether the upstream acts once for one key, however often it is sent."""
    connect_ms: int
    question_ms: int
    instruction_ms: int
    is_mcp: bool = False
    check_s: int = 300
    """Of tools: so often their definitions are compared with those that the manifest pins, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All of it. `digest`: SHA-256 of the manifest in its canonical form, in hexadecimal: comments and the order of keys do not count."""

    digest: str
    builtin: bool
    """Whether the functions of this distribution are served beside the declared ones."""
    development_customers: tuple[str, ...]
    upstream: UpstreamAddress
    facts: FactQuestions
    functions: tuple[Declared, ...]

    @property
    def pins(self) -> tuple[ToolPin, ...]:
        """Every tool that is called, by functions, their `status` and the facts."""
        facts = self.facts
        asked = (facts.payees, facts.orders, facts.own_accounts, facts.incoming, *facts.owned.values())
        named = [
            item.tool for item in (*self.functions, *(function.status for function in self.functions), *asked) if item is not None
        ]
        return tuple(sorted({pin for pin in named if pin is not None}, key=lambda pin: (pin.name, pin.digest)))
