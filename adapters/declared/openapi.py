"""Drafts a manifest from a description in OpenAPI 3. Pure.

What such a description says is taken over: paths, parameters, schemas. What it cannot say stays `open`: what an argument means, whose
words a field holds, what a call does to the world and how sure the bank must be. Nothing that is open is served.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

from adapters.declared.fields import DEPTH_MOST
from adapters.declared.paths import is_path, names_in
from adapters.declared.section import OPEN
from adapters.declared.source import Findings, Plain, parse

OPERATIONS_MOST = 500
_METHODS = ("get", "post", "put", "patch", "delete")
_REFERENCES_MOST = 16
_WORD = re.compile(r"[A-Za-z0-9]+")
_BRACES = re.compile(r"\{([^{}]*)\}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Draft = dict[str, object]


class _Plain(yaml.SafeDumper):
    """Without aliases: a manifest has none."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class NotOpenApi(ValueError):
    """Not a description in OpenAPI 3. The message says why."""


def drafted(content: bytes) -> str:
    """The draft, as YAML."""
    findings = Findings()
    root = parse(content, findings, lenient=True)
    document = None if root is None else root.plain()
    if findings.found or not isinstance(document, Mapping):
        raise NotOpenApi(findings.found[0].message if findings.found else "it is no mapping")
    if not str(document.get("openapi", "")).startswith("3."):
        raise NotOpenApi("it does not say `openapi: 3`")
    functions: Draft = {}
    left_out = []
    for number, (path, method, operation) in enumerate(_operations(document)):
        if number >= OPERATIONS_MOST:
            raise NotOpenApi(f"it has more than {OPERATIONS_MOST} operations")
        if not is_path(path, placeholders=names_in(path)):
            left_out.append(f"{method.upper()} {path}")
            continue
        functions[_name(operation, method, path, functions)] = _function(document, path, method, operation)
    draft: Draft = {
        "version": 1,
        "builtin": OPEN,
        "upstream": {
            "url": _server(document),
            "credential": OPEN,
            "customer_header": OPEN,
            "idempotency": {"header": OPEN, "honoured": OPEN},
        },
        "facts": {"open": True},
        "functions": functions,
    }
    head = "# A draft from OpenAPI. Decide what is `open`; then: tellergate functions check FILE\n"
    head += "".join(f"# left out, its path cannot be written safely: {item!a}\n" for item in left_out)
    return head + yaml.dump(draft, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def _operations(document: Mapping[str, Plain]) -> Iterator[tuple[str, str, Mapping[str, Plain]]]:
    for path, item in _mapping(document.get("paths")).items():
        shared = _listed(_mapping(item).get("parameters"))
        for method in _METHODS:
            operation = _mapping(item).get(method)
            if isinstance(operation, Mapping):
                own = _listed(operation.get("parameters"))
                yield path, method, {**operation, "parameters": [*shared, *own]}


def _function(document: Mapping[str, Plain], path: str, method: str, operation: Mapping[str, Plain]) -> Draft:
    summary = operation.get("summary") or operation.get("description") or f"{method.upper()} {path}"
    function: Draft = {
        "title": OPEN,
        "summary": _line(summary),
        "effect": "R" if method == "get" else OPEN,
        "level": OPEN,
        "egress": OPEN,
        "request": {"method": method.upper(), "path": _BRACES.sub(lambda found: "{" + _snake(found[1]) + "}", path)},
    }
    if arguments := dict(_arguments(document, path, operation)):
        function["arguments"] = arguments
    function["output"] = _output(document, operation, function) or {"open": True}
    return function


def _arguments(document: Mapping[str, Plain], path: str, operation: Mapping[str, Plain]) -> Iterator[tuple[str, Draft]]:
    for item in _listed(operation.get("parameters")):
        parameter = _resolved(document, item)
        name, where = str(parameter.get("name", "")), parameter.get("in")
        if where in ("path", "query") and (where == "query" or name in names_in(path)):
            required = where == "path" or parameter.get("required") is True
            schema, told = parameter.get("schema"), parameter.get("description")
            drafted_name, draft = _argument(document, name, schema, told, required=required)
            if where == "path":
                draft.pop("as", None)
                draft["schema"] = _in_a_path(draft["schema"])
            yield drafted_name, draft
    body = _json_schema(document, _resolved(document, operation.get("requestBody")))
    needed = _listed(body.get("required"))
    for name, schema in _mapping(body.get("properties")).items():
        yield _argument(document, name, schema, None, required=name in needed)


def _argument(
    document: Mapping[str, Plain], wire_name: str, schema: Plain, description: Plain, *, required: bool
) -> tuple[str, Draft]:
    found = _resolved(document, schema)
    name = _snake(wire_name)
    draft: Draft = {"schema": _schema(found), "kind": OPEN, "description": _line(description or found.get("description") or OPEN)}
    if name != wire_name:
        draft["as"] = wire_name
    if not required:
        draft["required"] = False
    return name, draft


def _in_a_path(schema: object) -> object:
    """A text in a path is not empty."""
    is_text = isinstance(schema, dict) and schema.get("type") == "string" and "maxLength" in schema
    return {**schema, "minLength": max(1, schema.get("minLength", 1))} if isinstance(schema, dict) and is_text else schema


def _schema(found: Mapping[str, Plain]) -> object:
    type_ = found.get("type")
    if type_ in {"boolean", "number"}:
        return {"type": type_}
    if type_ == "integer":
        return {"type": "integer", "minimum": _integer(found.get("minimum")), "maximum": _integer(found.get("maximum"))}
    if type_ != "string":
        return OPEN
    if isinstance(found.get("enum"), Sequence):
        return {"type": "string", "enum": [str(item) for item in _listed(found.get("enum"))]}
    if found.get("format") == "date":
        return {"type": "string", "format": "date"}
    kept = {name: found[name] for name in ("minLength", "pattern") if name in found}
    return {"type": "string", **kept, "maxLength": _integer(found.get("maxLength"))}


def _output(document: Mapping[str, Plain], operation: Mapping[str, Plain], function: Draft) -> Draft:
    answers = _mapping(operation.get("responses"))
    answer = next((answers[item] for item in ("200", "201", "2XX", "default") if item in answers), None)
    schema = _json_schema(document, _resolved(document, answer))
    if schema.get("type") == "array":
        function["answer_is"] = "items"
        return {"items": {**_field(document, schema, 1), "many": True}}
    return _fields(document, schema, 1)


def _fields(document: Mapping[str, Plain], schema: Mapping[str, Plain], depth: int) -> Draft:
    fields: Draft = {}
    for wire_name, item in _mapping(schema.get("properties")).items():
        field = _field(document, _resolved(document, item), depth)
        name = _snake(wire_name)
        fields[name] = field if name == wire_name else {**field, "from": wire_name}
    return fields


def _field(document: Mapping[str, Plain], schema: Mapping[str, Plain], depth: int) -> Draft:
    many = schema.get("type") == "array"
    inner = _resolved(document, schema.get("items")) if many else schema
    field: Draft = {
        "type": {"integer": "count", "boolean": "flag", "number": OPEN}.get(str(inner.get("type")), "text"),
        "label": OPEN,
    }
    if inner.get("format") in ("date", "date-time"):
        field["type"] = "day" if inner.get("format") == "date" else "time"
    if "properties" in inner and depth < DEPTH_MOST:
        field |= {"type": "fields", "fields": _fields(document, inner, depth + 1)}
    elif "properties" in inner or inner.get("type") in ("object", "array"):
        field["type"] = OPEN
    return {**field, "many": True} if many else field


def _json_schema(document: Mapping[str, Plain], holder: Mapping[str, Plain]) -> Mapping[str, Plain]:
    media = _mapping(_mapping(holder.get("content")).get("application/json"))
    return _resolved(document, media.get("schema"))


def _resolved(document: Mapping[str, Plain], value: Plain) -> Mapping[str, Plain]:
    """The value, or what its reference within the document leads to. Empty for what leads nowhere, or elsewhere."""
    for _ in range(_REFERENCES_MOST):
        found = _mapping(value)
        reference = found.get("$ref")
        if not isinstance(reference, str):
            return found
        value = document
        for step in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ["no such"]:
            value = _mapping(value).get(step.replace("~1", "/").replace("~0", "~"))
    return {}


def _server(document: Mapping[str, Plain]) -> str:
    first = next(iter(_listed(document.get("servers"))), None)
    url = _mapping(first).get("url")
    return url if isinstance(url, str) and url.startswith("http") else OPEN


def _name(operation: Mapping[str, Plain], method: str, path: str, taken: Mapping[str, object]) -> str:
    name = _snake(str(operation.get("operationId") or f"{method}_{path}"))
    return name if name not in taken else f"{name[:56]}_{len(taken)}"


def _snake(text: str) -> str:
    name = "_".join(_WORD.findall(_CAMEL.sub("_", text))).lower()[:64]
    return name if name[:1].isalpha() else f"a_{name}"[:64].rstrip("_")


def _line(text: object) -> str:
    return " ".join(str(text).split())[:500] or OPEN


def _integer(value: Plain) -> object:
    return value if isinstance(value, int) and not isinstance(value, bool) else OPEN


def _mapping(value: Plain) -> Mapping[str, Plain]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Plain) -> Sequence[Plain]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
