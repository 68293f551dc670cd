"""What a banking function declares. From one declaration come its JSON Schema, the OpenAI and MCP definitions, the Cedar schema,
the strict parsing of its arguments, the redaction of its output and its page in the reference. Pure."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Any, TypeVar

from adapters.answers import ORDERS, OWN_ACCOUNTS
from adapters.core import Acquaintance, CoreBank, Identified, Money, Order, ReferenceKind
from adapters.identity import Scheme
from adapters.questions import Question


class Effect(StrEnum):
    """What a call does to the world (banking.md section 2)."""

    READ = "R"
    WRITE = "W"
    PROTECT = "P"
    IRREVERSIBLE = "I"


class Level(IntEnum):
    """The least assurance for a function; policies may ask for more, never for less (banking.md section 1)."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3
    L4 = 4


class Kind(StrEnum):
    """What an argument means, so that rules and grounding hold for functions they never saw."""

    PAYEE = "payee"
    AMOUNT = "amount"
    CREDENTIAL = "credential"
    PROFILE = "profile"
    FREE_TEXT = "free_text"
    OBJECT = "object"
    DOCUMENT = "document"
    """Names a document that the function reads: what is in it counts only if the customer named it."""
    DAY = "day"
    """When something is done, first or last."""
    FREQUENCY = "frequency"
    """How often something is done."""


# Types of arguments. Each is closed and strict; what a type does not allow is refused, never repaired.


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that the gateway issued, of one of these kinds. Parses to Identified."""

    kinds: tuple[ReferenceKind, ...]


@dataclass(frozen=True, slots=True)
class ReferenceList:
    """One to `most` distinct references. Parses to a tuple of Identified."""

    kinds: tuple[ReferenceKind, ...]
    most: int = 20


@dataclass(frozen=True, slots=True)
class Amount:
    """`{"value": "12.50", "currency": "GBP"}`. Parses to Money."""


@dataclass(frozen=True, slots=True)
class Day:
    """An ISO 8601 calendar date, YYYY-MM-DD. Parses to date."""


@dataclass(frozen=True, slots=True)
class Text:
    """`least` to `most` characters after NFC, without control and bidirectional characters; one of `alphabet` if given."""

    most: int
    least: int = 0
    alphabet: str | None = None
    """An RE2 character class body, for example `A-Za-z0-9 /?:().,+-` (the rail's character set)."""
    pattern: str | None = None
    """An RE2 expression that the whole text must match, instead of an alphabet."""
    scheme: Scheme = Scheme.OPAQUE
    """By which standard it is compared, where it is an identifier. It parses to what was written, whatever the scheme."""


@dataclass(frozen=True, slots=True)
class AccountIdentifier:
    """An account at any bank: an IBAN in its electronic form (ISO 13616), or a UK sort code and account number as 14 digits.

    The check digits, the length and the structure of an IBAN must be right. A UK number has none that can be checked without the
    schemes' table. Parses to str. Data of the customer, of the kind payee: never how a function names an own object.
    """


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these strings."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """An integer from `least` to `most`; a JSON number without fraction or exponent."""

    least: int
    most: int


class Form(StrEnum):
    """How an amount is written where no currency stands beside it."""

    NUMBER = "number"
    """A JSON number in major units, such as 12.5: read digit by digit, never through binary fractions."""
    TEXT = "text"
    """A decimal string in major units, such as "12.50"."""
    MINOR = "minor"
    """A JSON integer of minor units."""


@dataclass(frozen=True, slots=True)
class BareAmount:
    """An amount whose currency is fixed, or is the value of another argument (a Choice). Parses to Money; exactly one of the two."""

    form: Form
    currency: str | None = None
    currency_argument: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false. Parses to bool."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is no amount, such as a rate: from `least` to `most`, with at most `decimals` digits after the point.

    Read digit by digit from a JSON number, never through binary fractions. Parses to str: the shortest decimal, such as 2.5.
    """

    least: int
    most: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Program:
    """Source code of 1 to `most` characters, as it is written. Parses to str; to policies it is its SHA-256."""

    most: int


ArgumentType = (
    Program | Reference | ReferenceList | Amount | BareAmount | Day | Text | AccountIdentifier | Choice | Count | Number | Flag
)


def scheme_of(declared: ArgumentType) -> Scheme:
    """By which standard identifiers of this type are compared: as opaque ones, unless the type says otherwise."""
    match declared:
        case AccountIdentifier():
            return Scheme.ACCOUNT
        case Text(scheme=scheme):
            return scheme
    return Scheme.OPAQUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument: its strict type, what it means to rules and grounding (`kind`), and what a model is told of it.

    An argument of an effect has a kind, or somebody said that it is `harmless`. `lists`: of an upstream's object, which lists of
    `Acquaintance` may hold it; empty: see `lists_of`.
    """

    name: str
    type: ArgumentType
    description: str
    kind: Kind | None = None
    required: bool = True
    default: str | int | None = None
    """Of an optional Choice, Count, Flag or Text only: the value that stands in the canonical arguments when it is left out."""
    harmless: bool = False
    lists: tuple[str, ...] = ()


# Types of output fields. Only declared fields leave the gateway.


class Label(StrEnum):
    """Where the text of an output field comes from; decides how it is fenced and what taint it carries."""

    BANK = "bank"
    OWN = "own"
    """The customer's own: what they saved or wrote themselves, as the bank keeps it."""
    DOCUMENT = "document"
    THIRD_PARTY = "third_party"
    COMPUTED = "computed"  # what code of the model's printed, over no document


class OwnText(str):
    """Text of a field that is labelled as third parties', where its record says that the customer wrote it: the memo of a payment that
    they made. Where the mark gets lost, the text is third parties' again."""

    __slots__ = ()


class Mask(StrEnum):
    """How a value is shown to a model: account numbers and IBANs by their last four characters."""

    LAST4 = "last4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an output. `type` is a scalar name, a reference kind, or nested fields (`many`: a list of them).

    Scalars: text (str), money (Money), day (date), time (aware datetime), count (int), flag (bool).
    A reference field holds an Identified and leaves as a reference. `data_class` names what a policy may keep back as a whole.

    `app_class`, of a masked text in the first rank of a read's output only: the data class under which the whole value is told beside
    the output, to the back end of the app that holds the token, and never to the model. None: to nobody.
    """

    name: str
    type: "str | ReferenceKind | tuple[Field, ...]"
    description: str
    label: Label = Label.BANK
    mask: Mask | None = None
    data_class: str = "basic"
    app_class: str | None = None
    many: bool = False
    nullable: bool = False

    def __post_init__(self) -> None:
        if self.app_class is not None and (self.type != "text" or self.mask is None or self.many):
            raise ValueError(f"{self.name}: only a single masked text is told whole to the app")
        if isinstance(self.type, tuple) and any(member.app_class for member in self.type):
            raise ValueError(f"{self.name}: what is told whole to the app stands in the first rank of an output")


class Unfit(Exception):
    """An argument that is well formed and does not fit what it is asked of: a read raises it, and nothing was read or told.

    `must` says what the argument must be, in words of the declaration alone: never a value, nor anything about the object.
    """

    def __init__(self, argument: str, must: str) -> None:
        super().__init__(argument)
        self.argument = argument
        self.must = must


Value = Identified | tuple[Identified, ...] | Money | date | str | int | bool

_T = TypeVar("_T")


class Arguments(Mapping[str, Value]):
    """Canonical arguments of one call: parsed, frozen, references resolved, defaults filled in, absent ones left out."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def must(self, name: str, kind: type[_T]) -> _T:
        """The value of a required argument. TypeError if it is of another type: a defect of the declaration."""
        value = self._values[name]
        if not isinstance(value, kind):
            raise TypeError(f"argument {name} is not {kind.__name__}")
        return value

    def may(self, name: str, kind: type[_T]) -> _T | None:
        """The value of an optional argument, None when absent."""
        return self.must(name, kind) if name in self._values else None

    def amount(self) -> Money | None:
        """The amount that the call moves: the sum of its amounts, which are in one currency. ValueError beyond what any amount may be."""
        return self._amount

    @cached_property
    def _amount(self) -> Money | None:
        amounts = [value for value in self._values.values() if isinstance(value, Money)]
        if len({amount.currency for amount in amounts}) > 1:
            raise ValueError("amounts of several currencies have no sum")
        return Money(sum(amount.minor for amount in amounts), amounts[0].currency) if amounts else None


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit of the customer's mandate, as it stands: `window` is payment, day, week or month."""

    window: str
    most: Money
    left: Money


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a read is done, the bank's calendar date on which it is asked, and the limits that the gateway holds for them."""

    customer: str
    today: date
    allowances: tuple[Allowance, ...] = ()


async def known_to_core(core: CoreBank, customer: str) -> Acquaintance:
    """What the core knows of the customer's payees and orders. CoreUnavailable."""
    return await core.acquaintance(customer)


KEPT_EFFECTS, KEPT_READS = "P7Y", "P13M"
"""How long records are kept where a function says nothing: of what changed something, as commercial law and the law on money laundering ask
of a bank; of what was looked at, as long as a payment may be disputed (PSD2 Art. 71)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankingFunction:
    """What every function declares. `resource` names the argument that the policies see as the resource, None: the bank itself."""

    name: str
    title: str
    """What it is to the customer, on the bank's pages: a few words such as "Make a payment", never its name."""
    summary: str
    """What it does, for a model."""
    arguments: tuple[Argument, ...] = ()
    output: tuple[Field, ...]
    effect: Effect
    level: Level
    resource: str | None = None
    version: int = 1
    retention: str = KEPT_EFFECTS
    """Retention class of its records: an ISO 8601 duration."""
    emergency: bool = False
    """Never refused for kill switches or bespoke rules: the door to protection and to a human."""
    egress: bool = False
    """It carries the model's text outside the bank: a sink whatever its effect."""
    calls_per_hour: int | None = None
    """Of one customer, for what could be used to guess: a rate of its own, within the general one."""
    data_classes: frozenset[str] = frozenset({"basic"})
    tells_limits: bool = False
    """It is asked with the customer's allowances."""
    acquaintance: Callable[[CoreBank, str], Awaitable[Acquaintance]] = known_to_core
    """Where the facts come from on which its arguments are grounded; asked by the gateway itself, before each call that needs them."""
    origin: str = ""
    """SHA-256, in hexadecimal, of the manifest that declares it. Empty: it is part of this distribution."""


def lists_of(effect: Effect, argument: Argument) -> tuple[str, ...]:
    """The lists of `Acquaintance`, one of which must hold the object that this argument names; none where nothing is compared: no object,
    a reference that the gateway issued, or a protection that does not say which lists, since protection never waits for a list."""
    if argument.kind is not Kind.OBJECT or isinstance(argument.type, Reference | ReferenceList):
        return ()
    return argument.lists or (() if effect is Effect.PROTECT else (ORDERS, OWN_ACCOUNTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFunction(BankingFunction):
    """A function without effect. `read` asks the core and returns the raw output; None: the object is gone. Unfit may be raised.

    `ahead`: the question of the core that `read` begins with, where it may be asked together with the facts on which the call will be
    decided; None: nothing is asked before the decision. Pure; Unfit may be raised.
    """

    retention: str = KEPT_READS
    read: Callable[[CoreBank, Asker, Arguments], Awaitable[Mapping[str, object] | None]]
    ahead: Callable[[Asker, Arguments], Question[Any]] | None = None

    def __post_init__(self) -> None:
        if self.ahead is not None and (self.effect is not Effect.READ or self.tells_limits):
            raise ValueError(f"{self.name}: only a read that does not tell what the gateway decides on is asked ahead")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFunction(BankingFunction):
    """A function with an effect. `order` is pure: canonical arguments to what the core is told."""

    order: Callable[[Arguments], Order]

    def __post_init__(self) -> None:
        if any(member.app_class for member in self.output):
            raise ValueError(f"{self.name}: an effect's answer is told again, so it tells nothing whole to the app")
