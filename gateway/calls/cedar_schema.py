"""What the policies may speak of: the Cedar schema of the declared functions, and their arguments in its types. Pure."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeAlias

from adapters.core import Identified, Money, ReferenceKind
from adapters.function import (
    AccountIdentifier,
    Amount,
    Argument,
    Arguments,
    ArgumentType,
    BankingFunction,
    BareAmount,
    Choice,
    Count,
    Day,
    Effect,
    Flag,
    Number,
    Program,
    Reference,
    ReferenceList,
    Text,
    Value,
)
from gateway.domain.tools import ToolFunction
from policies.model import JSON

Functions: TypeAlias = Sequence[BankingFunction]

ENTITY_TYPES: Mapping[ReferenceKind, str] = {
    ReferenceKind.ACCOUNT: "Account",
    ReferenceKind.BENEFICIARY: "Beneficiary",
    ReferenceKind.CARD: "Card",
    ReferenceKind.DIRECT_DEBIT: "DirectDebit",
    ReferenceKind.DOCUMENT: "Document",
    ReferenceKind.PAYEE_CHECK: "PayeeCheck",
    ReferenceKind.PAYMENT: "Payment",
    ReferenceKind.QUOTE: "Quote",
    ReferenceKind.STANDING_ORDER: "StandingOrder",
    ReferenceKind.TRANSACTION: "Transaction",
}
"""What each kind of reference is to the policies."""

_GROUPS: Mapping[Effect, str] = {
    Effect.READ: "read",
    Effect.WRITE: "write",
    Effect.PROTECT: "protect",
    Effect.IRREVERSIBLE: "irreversible",
}

_PREAMBLE = """\
// What the policies may speak of. Generated from the declarations by gateway/calls/cedar_schema.py: do not edit.

type Mandate = { functions: Set<String>, accounts: Set<Account>, starts: datetime, ends: datetime, version: Long };
type Assurance = { level: Long };
type Function = { name: String, effect: String, level: Long, emergency: Bool, egress: Bool };
type Agent = { id: String };
type Conversation = { tainted: Bool, calls?: Long };
type Money = { minor: Long, currency: String };
type Payee = { own_account: Bool, same_currency: Bool, known: Bool, first_settled_hours?: Long };
type Object = { kind: String, status: String };
type Period = { oldest_days: Long };
type Totals = {
  day_minor: Long, week_minor: Long, month_minor: Long, day_count: Long,
  payment_limit_minor: Long, day_limit_minor: Long, week_limit_minor: Long, month_limit_minor: Long, day_count_limit: Long
};
type Grounding = {
  outcome?: String, scope?: String, payee?: String, amount?: String, credential?: String, profile?: String, free_text?: String,
  object?: String, document?: String, day?: String, frequency?: String
};
type Standing = { covers: Bool };

entity Customer { mandate?: Mandate, restrictions?: Set<String>, frozen: Bool };
entity Account { owners: Set<Customer>, currency: String, status: String };
entity Beneficiary, Card, DirectDebit, Document, PayeeCheck, Payment, Quote, StandingOrder, Transaction {
  owners: Set<Customer>, status: String, account?: Account
};
entity Bank;
"""

_COMMON = """\
    assurance: Assurance, function: Function, now: datetime, channel: String, agent: Agent, conversation: Conversation,
    money?: Money, payee?: Payee, object?: Object, period?: Period, totals?: Totals, grounding: Grounding,
    standing?: Standing,
"""

_EVERY_OBJECT = ", ".join(sorted(ENTITY_TYPES.values()))


def cedar_schema(functions: Functions) -> str:
    """The schema that every rule is validated against: one action per function, in the group of its effect.

    A group applies to every kind of object itself: it stands for the functions of its effect that nobody has declared yet, so that
    a rule that only fits today's functions does not validate.

    Besides these: `touch`, asked of each object that a call names beside its resource, and `reveal`, asked of each class of what a
    function may answer.
    """
    ordered = sorted(functions, key=lambda function: function.name)
    classes = sorted({name for function in functions for name in function.data_classes})
    parts = [_PREAMBLE, f"entity DataClass enum [{', '.join(map(_quoted, classes))}];\n" if classes else "entity DataClass;\n"]
    parts.append("\naction call;\n")
    parts.extend(_action(group, " in [call]", f"{_EVERY_OBJECT}, Bank", "{}") for group in _GROUPS.values())
    parts.append(_action("touch", "", _EVERY_OBJECT, "{}"))
    parts.append(_action("reveal", "", "DataClass", "{}"))
    parts.extend(_function_action(function) for function in ordered)
    return "".join(parts)


def cedar_arguments(function: BankingFunction, arguments: Arguments) -> dict[str, JSON]:
    """Canonical arguments as the `args` of a request's context, in the types that `cedar_schema` gives them."""
    return {
        argument.name: _cedar_value(argument.type, arguments[argument.name])
        for argument in function.arguments
        if argument.name in arguments
    }


def _function_action(function: BankingFunction) -> str:
    resources = "Bank"
    if function.resource is not None:
        argument = next(argument for argument in function.arguments if argument.name == function.resource)
        # Left out, an optional resource leaves the bank itself
        names = {ENTITY_TYPES[kind] for kind in _kinds(argument)} | (set() if argument.required else {"Bank"})
        resources = ", ".join(sorted(names))
    members = ", ".join(
        f"{_quoted(argument.name)}{'' if argument.required or argument.default is not None else '?'}: {_cedar_type(argument)}"
        for argument in function.arguments
    )
    if isinstance(function, ToolFunction):
        members = ", ".join([members, *(f"{_quoted(name)}: Set<String>" for name in function.facts)])
    return _action(_quoted(function.name), f" in [{_GROUPS[function.effect]}]", resources, f"{{ {members} }}" if members else "{}")


def _action(name: str, groups: str, resources: str, args: str) -> str:
    return (
        f"\naction {name}{groups} appliesTo {{\n  principal: Customer, resource: [{resources}],\n"
        f"  context: {{\n{_COMMON}    args: {args}\n  }}\n}};\n"
    )


def _kinds(argument: Argument) -> tuple[ReferenceKind, ...]:
    if isinstance(argument.type, Reference | ReferenceList):
        return argument.type.kinds
    raise TypeError(f"argument {argument.name} is no reference")


def _cedar_type(argument: Argument) -> str:
    """Cedar has no unions: a reference of several kinds is a record with one optional member per kind."""
    match argument.type:
        case Reference(kinds):
            return _by_kind(kinds, "{}")
        case ReferenceList(kinds):
            return _by_kind(kinds, "Set<{}>")
        case Amount() | BareAmount():
            return "Money"
        case Flag():
            return "Bool"
        case Day():
            return "datetime"
        case Text() | Program() | AccountIdentifier() | Choice() | Number():
            return "String"
        case Count():
            return "Long"
    raise TypeError(f"no Cedar type for {type(argument.type).__name__}")


def _by_kind(kinds: Sequence[ReferenceKind], form: str) -> str:
    names = sorted(ENTITY_TYPES[kind] for kind in kinds)
    if len(names) == 1:
        return form.format(names[0])
    return "{ " + ", ".join(f"{name}?: {form.format(name)}" for name in names) + " }"


def _quoted(text: str) -> str:
    return '"' + text + '"'


def _cedar_value(declared: ArgumentType, value: Value) -> JSON:
    match value:
        case Identified():
            entity: JSON = {"__entity": {"type": ENTITY_TYPES[value.kind], "id": value.id}}
            several = isinstance(declared, Reference) and len(declared.kinds) > 1
            return {ENTITY_TYPES[value.kind]: entity} if several else entity
        case tuple():
            return _cedar_values(declared, value)
        case Money():
            return {"minor": value.minor, "currency": value.currency}
        case str() if isinstance(declared, Program):
            return sha256(value.encode()).hexdigest()
        case str() | int():
            return value
    return {"__extn": {"fn": "datetime", "arg": value.isoformat()}}


def _cedar_values(declared: ArgumentType, values: Sequence[Identified]) -> JSON:
    if not isinstance(declared, ReferenceList) or len(declared.kinds) == 1:
        return [_cedar_value(declared, value) for value in values]
    return {
        ENTITY_TYPES[kind]: [_cedar_value(declared, value) for value in values if value.kind is kind]
        for kind in declared.kinds
        if any(value.kind is kind for value in values)
    }
