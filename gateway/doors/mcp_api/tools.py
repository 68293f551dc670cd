"""Declarations of functions as tools. Pure."""

from collections.abc import Mapping, Sequence

import mcp_types as mcp

from adapters.function import BankingFunction, Effect, Field, Label, Mask
from gateway.calls.catalogue import json_schema, schema_hash
from gateway.calls.redaction import FENCE

HASH = "tellergate/schema-hash"
"""In `_meta` of a tool: SHA-256 of its whole definition, as records and policy bundles name it. A client that pins it sends it along."""

VERSION = "tellergate/version"

_SCALARS: Mapping[str, dict[str, object]] = {
    "text": {"type": "string"},
    "money": {
        "type": "object",
        "properties": {"value": {"type": "string"}, "currency": {"type": "string"}},
        "required": ["value", "currency"],
    },
    "day": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "date-time"},
    "count": {"type": "integer"},
    "flag": {"type": "boolean"},
}
_FENCED: dict[str, object] = {"type": "object", "properties": {FENCE: {"type": "string"}}, "required": [FENCE]}
"""Text of somebody else, or of the model's own program, told as such."""


def tool_of(function: BankingFunction) -> mcp.Tool:
    """The tool. Its hints follow from the declaration; to protect the customer twice does no more than once."""
    is_read = function.effect is Effect.READ
    return mcp.Tool(
        name=function.name,
        title=function.title,
        description=function.summary,
        input_schema=json_schema(function),
        output_schema=output_schema(function.output),
        annotations=mcp.ToolAnnotations(
            title=function.title,
            read_only_hint=is_read,
            destructive_hint=function.effect is Effect.IRREVERSIBLE,
            idempotent_hint=is_read or function.effect is Effect.PROTECT,
            open_world_hint=function.egress,
        ),
        _meta={HASH: schema_hash(function), VERSION: function.version},
    )


def output_schema(fields: Sequence[Field]) -> dict[str, object]:
    """JSON Schema (2020-12) of what a call answers. Nothing is required: what the policies keep back is left out."""
    return _fields(fields, Label.BANK)


def _fields(fields: Sequence[Field], within: Label) -> dict[str, object]:
    return {"type": "object", "properties": {field.name: _field(field, within) for field in fields}}


def _field(field: Field, within: Label) -> dict[str, object]:
    label = within if field.label is Label.BANK else field.label
    one = _one(field, label)
    whole = {"type": "array", "items": one} if field.many else one
    described: dict[str, object] = {"anyOf": [whole, {"type": "null"}]} if field.nullable else dict(whole)
    return {**described, "description": field.description}


def _one(field: Field, label: Label) -> dict[str, object]:
    if isinstance(field.type, tuple):
        return _fields(field.type, label)
    if field.type != "text":
        return _SCALARS.get(str(field.type), {"type": "string"})  # a reference is a text
    if field.mask is Mask.LAST4 or label in (Label.BANK, Label.OWN):
        return _SCALARS["text"]
    if label is Label.THIRD_PARTY:  # some of it is the customer's own, by its record
        return {"anyOf": [_FENCED, _SCALARS["text"]]}
    return _FENCED
