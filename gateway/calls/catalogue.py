"""Declarations to JSON Schema, OpenAI and MCP definitions, Cedar schema, bundle manifest and reference page.

Knows no single function. Pure, save for the command: `python -m gateway.catalogue --write` regenerates `policies/bank.cedarschema`.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from adapters.core import MAX_MINOR
from adapters.function import (
    AccountIdentifier,
    Amount,
    Argument,
    ArgumentType,
    BankingFunction,
    BareAmount,
    Choice,
    Count,
    Day,
    Effect,
    Field,
    Flag,
    Form,
    Number,
    Program,
    Reference,
    ReferenceList,
    Text,
)
from gateway.calls.cedar_schema import cedar_arguments, cedar_schema
from gateway.calls.tools import FUNCTIONS
from policies.bundle import FunctionEntry

Functions: TypeAlias = Sequence[BankingFunction]
Definition: TypeAlias = dict[str, object]

__all__ = [
    "DefinitionShape",
    "cedar_arguments",
    "cedar_schema",
    "definitions",
    "json_schema",
    "manifest",
    "reference_page",
    "schema_hash",
]


class DefinitionShape(StrEnum):
    """In which form a client wants its definitions (and sends its calls)."""

    ASSISTANTS = "assistants"
    RESPONSES = "responses"
    CHAT = "chat"
    AGENTS = "agents"
    MCP = "mcp"


def json_schema(function: BankingFunction) -> Definition:
    """JSON Schema (2020-12) of the arguments: closed, with what is required listed as such.

    It says what the gateway takes, no more: optional arguments are left out, never null, so that each call has one canonical form.
    """
    return {
        "type": "object",
        "properties": {argument.name: _property(argument) for argument in function.arguments},
        "required": [argument.name for argument in function.arguments if argument.required],
        "additionalProperties": False,
    }


def definitions(functions: Functions, shape: str) -> list[Definition]:
    """The definitions of these functions for one shape, sorted by name. ValueError for a shape that is none.

    `strict` is false wherever it can be said: OpenAI's strict mode knows no optional arguments, and the gateway checks every call
    itself.
    """
    define = _SHAPES[DefinitionShape(shape)]
    return [define(function) for function in sorted(functions, key=lambda function: function.name)]


def schema_hash(function: BankingFunction) -> str:
    """SHA-256, in hexadecimal, of all that a model is told of a function, all that it can be answered, what rules and grounding know of
    it, and its title, under which the customer confirms it. Of a declared function also where it is and what is sent there: its origin is
    the hash of the whole manifest."""
    body = {
        "arguments": json_schema(function),
        "egress": function.egress,
        "kinds": {argument.name: argument.kind.value if argument.kind else None for argument in function.arguments},
        "name": function.name,
        "origin": function.origin,
        "output": [_field(field) for field in function.output],
        "summary": function.summary,
        "title": function.title,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def manifest(functions: Functions) -> tuple[FunctionEntry, ...]:
    """What a policy bundle says of the functions that it was written for."""
    return tuple(
        FunctionEntry(
            name=function.name,
            version=function.version,
            effect=function.effect.value,
            level=function.level.value,
            emergency=function.emergency,
            egress=function.egress,
            resource=function.resource,
            data_classes=tuple(sorted(function.data_classes)),
            schema_hash=schema_hash(function),
        )
        for function in sorted(functions, key=lambda function: function.name)
    )


def _property(argument: Argument) -> Definition:
    described: Definition = {**_json_type(argument.type), "description": argument.description}
    if argument.default is not None:
        described["default"] = argument.default
    return described


def _json_type(declared: ArgumentType) -> Definition:
    match declared:
        case Reference(kinds):
            return {"type": "string", "pattern": f"^({'|'.join(kind.value for kind in kinds)})_[A-Za-z0-9_-]+$"}
        case ReferenceList(kinds, most):
            return {"type": "array", "items": _json_type(Reference(kinds)), "minItems": 1, "maxItems": most, "uniqueItems": True}
        case Amount():
            return _AMOUNT
        case BareAmount(form):
            return dict(_BARE_AMOUNTS[form])
        case Flag():
            return {"type": "boolean"}
        case Day():
            return {"type": "string", "format": "date"}
        case Text(most, least, alphabet, pattern):
            text: Definition = {"type": "string", "minLength": least, "maxLength": most}
            whole = f"[{alphabet}]*" if alphabet is not None else pattern
            return text if whole is None else {**text, "pattern": f"^(?:{whole})$" if alphabet is None else f"^{whole}$"}
        case Program(most):
            return {"type": "string", "minLength": 1, "maxLength": most}
        case AccountIdentifier():
            return {"type": "string", "pattern": "^(?:[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}|[0-9]{14})$"}
        case Choice(values):
            return {"type": "string", "enum": list(values)}
        case Count(least, most):
            return {"type": "integer", "minimum": least, "maximum": most}
        case Number(least, most):
            return {"type": "number", "minimum": least, "maximum": most}
    raise TypeError(f"no JSON type for {type(declared).__name__}")


_AMOUNT: Definition = {
    "type": "object",
    "properties": {
        "value": {
            "type": "string",
            "pattern": r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,6})?$",
            "description": "A decimal, such as 12.50.",
        },
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "The ISO 4217 code."},
    },
    "required": ["value", "currency"],
    "additionalProperties": False,
}


_DECIMAL_PATTERN = r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,6})?$"

_BARE_AMOUNTS: Mapping[Form, Definition] = {
    Form.NUMBER: {"type": "number", "exclusiveMinimum": 0},
    Form.TEXT: {"type": "string", "pattern": _DECIMAL_PATTERN},
    Form.MINOR: {"type": "integer", "minimum": 1, "maximum": MAX_MINOR},
}


def _plain(function: BankingFunction) -> Definition:
    return {"name": function.name, "description": function.summary, "parameters": json_schema(function)}


def _nested(function: BankingFunction) -> Definition:
    return {"type": "function", "function": {**_plain(function), "strict": False}}


def _flat(function: BankingFunction) -> Definition:
    return {"type": "function", **_plain(function), "strict": False}


def _agent(function: BankingFunction) -> Definition:
    return {"type": "function", **_plain(function)}


def _mcp(function: BankingFunction) -> Definition:
    reads = function.effect is Effect.READ
    hints = {"readOnlyHint": reads, "destructiveHint": function.effect is Effect.IRREVERSIBLE, "openWorldHint": function.egress}
    return {
        "name": function.name,
        "description": function.summary,
        "inputSchema": json_schema(function),
        "annotations": hints,
    }


_SHAPES: Mapping[DefinitionShape, Callable[[BankingFunction], Definition]] = {
    DefinitionShape.ASSISTANTS: _nested,
    DefinitionShape.CHAT: _nested,
    DefinitionShape.RESPONSES: _flat,
    DefinitionShape.AGENTS: _agent,
    DefinitionShape.MCP: _mcp,
}


def _field(field: Field) -> Definition:
    nested = [_field(member) for member in field.type] if isinstance(field.type, tuple) else str(field.type)
    return {
        "name": field.name,
        "type": nested,
        "description": field.description,
        "label": field.label.value,
        "mask": field.mask.value if field.mask else None,
        "data_class": field.data_class,
        "app_class": field.app_class,
        "many": field.many,
        "nullable": field.nullable,
    }


_EFFECTS: Mapping[Effect, str] = {
    Effect.READ: "reads",
    Effect.WRITE: "changes something, reversibly",
    Effect.PROTECT: "protects",
    Effect.IRREVERSIBLE: "cannot be undone",
}


def reference_page(functions: Functions) -> str:
    """The reference of these functions in Markdown, sorted by name."""
    parts = ["# Functions\n\nGenerated from the declarations: do not edit.\n"]
    parts.extend(_section(function) for function in sorted(functions, key=lambda function: function.name))
    return "\n".join(parts)


def _section(function: BankingFunction) -> str:
    marks = [f"Effect {function.effect.value} ({_EFFECTS[function.effect]})", f"level {function.level.name} at least"]
    marks += ["never refused by kill switches"] if function.emergency else []
    marks += ["carries text outside the bank"] if function.egress else []
    marks += [f"{function.calls_per_hour} calls an hour at most"] if function.calls_per_hour else []
    lines = [f"## {function.name}\n", f"{function.summary}\n", f"{', '.join(marks)}; version {function.version}.\n"]
    if function.arguments:
        lines += ["| argument | type | required | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{argument.name}` | {_cell(_type_words(argument.type))} | {'yes' if argument.required else 'no'} "
            f"| {_cell(argument.description)} |"
            for argument in function.arguments
        ]
        lines.append("")
    lines += ["| answer | type | class | source | meaning |", "|---|---|---|---|---|"]
    lines += list(_rows(function.output, ""))
    return "\n".join(lines) + "\n"


def _rows(fields: Sequence[Field], prefix: str) -> Iterator[str]:
    for field in fields:
        nested = field.type if isinstance(field.type, tuple) else ()
        kind = ("list of " if field.many else "") + ("records" if nested else str(field.type))
        name = f"{prefix}{field.name}"
        classes = field.data_class if field.app_class is None else f"{field.data_class}; whole to the app: {field.app_class}"
        yield f"| `{name}` | {kind} | {classes} | {field.label.value} | {_cell(field.description)} |"
        yield from _rows(nested, f"{name}.")


def _type_words(declared: ArgumentType) -> str:
    match declared:
        case Reference(kinds):
            return "reference: " + " or ".join(f"`{kind.value}_...`" for kind in kinds)
        case ReferenceList(kinds, most):
            return f"1 to {most} references: " + " or ".join(f"`{kind.value}_...`" for kind in kinds)
        case Amount():
            return '`{"value": "12.50", "currency": "GBP"}`'
        case BareAmount(form, currency, argument):
            where = currency if argument is None else f"the currency of `{argument}`"
            return {Form.NUMBER: "number", Form.TEXT: "decimal text", Form.MINOR: "integer of minor units"}[form] + f", in {where}"
        case Flag():
            return "true or false"
        case Day():
            return "day, YYYY-MM-DD"
        case Text(most, least):
            return f"text of {least} to {most} characters"
        case Program(most):
            return f"source code of 1 to {most} characters"
        case AccountIdentifier():
            return "IBAN, or sort code and account number"
        case Choice(values):
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case Count(least, most):
            return f"integer from {least} to {most}"
        case Number(least, most, decimals):
            return f"number from {least} to {most} with at most {decimals} decimals"
    raise TypeError(f"no words for {type(declared).__name__}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


_SCHEMA_FILE = Path(__file__).parents[2] / "policies" / "bank.cedarschema"


def main(arguments: Sequence[str]) -> int:
    """Without arguments, 1 if the schema file is stale; with `--write`, make it current."""
    current = cedar_schema(FUNCTIONS)
    if arguments == ["--write"]:
        _SCHEMA_FILE.write_text(current)
        return 0
    if arguments:
        return 2
    return 0 if _SCHEMA_FILE.exists() and _SCHEMA_FILE.read_text() == current else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
