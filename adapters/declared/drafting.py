"""What drafts of manifests share: arguments and fields from a JSON Schema, with what it cannot say left `open`. Pure."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

from adapters.declared.fields import DEPTH_MOST, FIELDS_MOST
from adapters.declared.section import OPEN
from adapters.declared.source import Plain

_REFERENCES_MOST = 16
_OBJECTS_MOST = 32
_WORD = re.compile(r"[A-Za-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Draft = dict[str, object]


class _Plain(yaml.SafeDumper):
    """Without aliases: a manifest has none."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def written(draft: Draft) -> str:
    """The draft, as YAML."""
    return yaml.dump(draft, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def argument_of(
    document: Mapping[str, Plain], wire_name: str, schema: Plain, description: Plain, *, required: bool
) -> tuple[str, Draft]:
    """The name and the declaration of an argument that is sent as `wire_name`. `document`: in which the schema's references lead."""
    found = resolved(document, schema)
    name = snake(wire_name)
    draft: Draft = {"schema": _schema(found), "kind": OPEN, "description": line_of(description or found.get("description") or OPEN)}
    if name != wire_name:
        draft["as"] = wire_name
    if not required:
        draft["required"] = False
    return name, draft


def _schema(found: Mapping[str, Plain]) -> object:
    type_ = found.get("type")
    if type_ in {"boolean", "number"}:
        return {"type": type_}
    if type_ == "integer":
        return {"type": "integer", "minimum": _integer(found.get("minimum")), "maximum": _integer(found.get("maximum"))}
    if type_ != "string":
        return OPEN
    if isinstance(found.get("enum"), Sequence):
        return {"type": "string", "enum": [str(item) for item in listed(found.get("enum"))]}
    if found.get("format") == "date":
        return {"type": "string", "format": "date"}
    kept = {name: found[name] for name in ("minLength", "pattern") if name in found}
    return {"type": "string", **kept, "maxLength": _integer(found.get("maxLength"))}


def fields_of(document: Mapping[str, Plain], schema: Mapping[str, Plain], depth: int, left: Iterator[int] | None = None) -> Draft:
    """The fields of an object, one more than any manifest may have at most. `left`: so many objects may still be gone into, since by
    references a small schema is a huge one; what is not gone into is `open`."""
    left = iter(range(_OBJECTS_MOST)) if left is None else left
    fields: Draft = {}
    for wire_name, item in itertools.islice(mapping(schema.get("properties")).items(), FIELDS_MOST + 1):
        field = field_of(document, resolved(document, item), depth, left)
        name = snake(wire_name)
        fields[name] = field if name == wire_name else {**field, "from": wire_name}
    return fields


def field_of(document: Mapping[str, Plain], schema: Mapping[str, Plain], depth: int, left: Iterator[int] | None = None) -> Draft:
    """One field, whose own fields are drafted to the depth that a manifest may have."""
    many = schema.get("type") == "array"
    inner = resolved(document, schema.get("items")) if many else schema
    field: Draft = {
        "type": {"integer": "count", "boolean": "flag", "number": OPEN}.get(str(inner.get("type")), "text"),
        "label": OPEN,
    }
    if inner.get("format") in ("date", "date-time"):
        field["type"] = "day" if inner.get("format") == "date" else "time"
    if "properties" in inner and depth < DEPTH_MOST and (left is None or next(left, None) is not None):
        field |= {"type": "fields", "fields": fields_of(document, inner, depth + 1, left)}
    elif "properties" in inner or inner.get("type") in ("object", "array"):
        field["type"] = OPEN
    return {**field, "many": True} if many else field


def resolved(document: Mapping[str, Plain], value: Plain) -> Mapping[str, Plain]:
    """The value, or what its reference within the document leads to. Empty for what leads nowhere, or elsewhere."""
    for _ in range(_REFERENCES_MOST):
        found = mapping(value)
        reference = found.get("$ref")
        if not isinstance(reference, str):
            return found
        value = document
        for step in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ["no such"]:
            value = mapping(value).get(step.replace("~1", "/").replace("~0", "~"))
    return {}


def snake(text: str) -> str:
    """A name of ours for one of somebody else's."""
    name = "_".join(_WORD.findall(_CAMEL.sub("_", text))).lower()[:64]
    return name if name[:1].isalpha() else f"a_{name}"[:64].rstrip("_")


def line_of(text: object) -> str:
    """The text in one line, `open` where there is none."""
    return " ".join(str(text).split())[:500] or OPEN


def _integer(value: Plain) -> object:
    return value if isinstance(value, int) and not isinstance(value, bool) else OPEN


def mapping(value: object) -> Mapping[str, Plain]:
    """The value if it is one, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Plain) -> Sequence[Plain]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
