"""Drafts a manifest from a description in OpenAPI 3. Pure.

What such a description says is taken over: paths, parameters, schemas. What it cannot say stays `open`: what an argument means, whose
words a field holds, what a call does to the world and how sure the bank must be. Nothing that is open is served.
"""

import re
from collections.abc import Iterator, Mapping

from adapters.declared.drafting import Draft, argument_of, field_of, fields_of, line_of, listed, mapping, resolved, snake, written
from adapters.declared.paths import is_path, names_in
from adapters.declared.section import OPEN
from adapters.declared.source import Findings, Plain, parse

OPERATIONS_MOST = 500
_METHODS = ("get", "post", "put", "patch", "delete")
_BRACES = re.compile(r"\{([^{}]*)\}")


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
    return head + written(draft)


def _operations(document: Mapping[str, Plain]) -> Iterator[tuple[str, str, Mapping[str, Plain]]]:
    for path, item in mapping(document.get("paths")).items():
        shared = listed(mapping(item).get("parameters"))
        for method in _METHODS:
            operation = mapping(item).get(method)
            if isinstance(operation, Mapping):
                own = listed(operation.get("parameters"))
                yield path, method, {**operation, "parameters": [*shared, *own]}


def _function(document: Mapping[str, Plain], path: str, method: str, operation: Mapping[str, Plain]) -> Draft:
    summary = operation.get("summary") or operation.get("description") or f"{method.upper()} {path}"
    function: Draft = {
        "title": OPEN,
        "summary": line_of(summary),
        "effect": "R" if method == "get" else OPEN,
        "level": OPEN,
        "egress": OPEN,
        "request": {"method": method.upper(), "path": _BRACES.sub(lambda found: "{" + snake(found[1]) + "}", path)},
    }
    if arguments := dict(_arguments(document, path, operation)):
        function["arguments"] = arguments
    function["output"] = _output(document, operation, function) or {"open": True}
    return function


def _arguments(document: Mapping[str, Plain], path: str, operation: Mapping[str, Plain]) -> Iterator[tuple[str, Draft]]:
    for item in listed(operation.get("parameters")):
        parameter = resolved(document, item)
        name, where = str(parameter.get("name", "")), parameter.get("in")
        if where in ("path", "query") and (where == "query" or name in names_in(path)):
            required = where == "path" or parameter.get("required") is True
            schema, told = parameter.get("schema"), parameter.get("description")
            drafted_name, draft = argument_of(document, name, schema, told, required=required)
            if where == "path":
                draft.pop("as", None)
                draft["schema"] = _in_a_path(draft["schema"])
            yield drafted_name, draft
    body = _json_schema(document, resolved(document, operation.get("requestBody")))
    needed = listed(body.get("required"))
    for name, schema in mapping(body.get("properties")).items():
        yield argument_of(document, name, schema, None, required=name in needed)


def _in_a_path(schema: object) -> object:
    """A text in a path is not empty."""
    is_text = isinstance(schema, dict) and schema.get("type") == "string" and "maxLength" in schema
    return {**schema, "minLength": max(1, schema.get("minLength", 1))} if isinstance(schema, dict) and is_text else schema


def _output(document: Mapping[str, Plain], operation: Mapping[str, Plain], function: Draft) -> Draft:
    answers = mapping(operation.get("responses"))
    answer = next((answers[item] for item in ("200", "201", "2XX", "default") if item in answers), None)
    schema = _json_schema(document, resolved(document, answer))
    if schema.get("type") == "array":
        function["answer_is"] = "items"
        return {"items": {**field_of(document, schema, 1), "many": True}}
    return fields_of(document, schema, 1)


def _json_schema(document: Mapping[str, Plain], holder: Mapping[str, Plain]) -> Mapping[str, Plain]:
    media = mapping(mapping(holder.get("content")).get("application/json"))
    return resolved(document, media.get("schema"))


def _server(document: Mapping[str, Plain]) -> str:
    first = next(iter(listed(document.get("servers"))), None)
    url = mapping(first).get("url")
    return url if isinstance(url, str) and url.startswith("http") else OPEN


def _name(operation: Mapping[str, Plain], method: str, path: str, taken: Mapping[str, object]) -> str:
    name = snake(str(operation.get("operationId") or f"{method}_{path}"))
    return name if name not in taken else f"{name[:56]}_{len(taken)}"
