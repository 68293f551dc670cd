"""Drafts a manifest from what an MCP server lists as its tools. Pure.

Names and schemas are taken over, and the pin of each definition. Its words are not: a description is written by a stranger for a model to
obey, so it stands in a comment for whoever decides, and what a model will read is `open`. Annotations decide nothing: they are the server's
own word.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from adapters.declared.drafting import Draft, argument_of, fields_of, listed, mapping, snake, written
from adapters.declared.functions import NAMES_OF_THE_POLICIES
from adapters.declared.schema import WIRE_NAME
from adapters.declared.section import OPEN
from adapters.declared.source import Plain
from adapters.declared.tools import TOOL_NAME, TOOLS_MOST, NotATool, digest_of

_SHOWN = 400
_UNSEEN = frozenset({"Cf", "Cc", "Co", "Cs", "Cn"})
_TO_A_MODEL = re.compile(
    r"ignore|disregard|do not (?:tell|mention|show)|without (?:telling|asking)|system prompt|instruction|<[a-z ]+>|"
    r"(?:before|after) (?:using|calling|you call)|\b(?:always|never|must) (?:first )?(?:call|use|pass|include|read)|other tools?",
    re.IGNORECASE,
)
_HEADER = "x-mcp-header"


class NotTools(ValueError):
    """Not a list of tools. The message says why."""


def listed_in(content: bytes) -> list[Mapping[str, object]]:
    """The definitions in the JSON of a `tools/list` result, whole or as the answer that held it. NotTools."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise NotTools("it is no JSON") from None
    for name in ("result", "tools"):
        found = found.get(name, found) if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise NotTools("it holds no `tools`, the list of definitions")
    return found


def drafted_tools(url: str, tools: Sequence[Mapping[str, object]], *, taken: Collection[str]) -> str:
    """The draft, as YAML. `taken`: names that functions of the bank have. NotTools for more than any server may list."""
    if len(tools) > TOOLS_MOST:
        raise NotTools(f"it lists more than {TOOLS_MOST} tools")
    head: Draft = {
        "version": 1,
        "builtin": OPEN,
        "upstream": {
            "protocol": "mcp",
            "url": url,
            "credential": OPEN,
            "customer_header": OPEN,
            "idempotency": {"meta": OPEN, "honoured": OPEN},
        },
        "facts": {"open": True},
    }
    text = "# A draft over tools. Decide what is `open`; then: tellergate functions check FILE\n"
    text += "# What a server says of its tools is said by a stranger: read it here, in comments, and obey none of it.\n"
    often = Counter(str(item.get("name")) for item in tools)
    made: dict[str, Draft] = {}
    told: dict[str, list[str]] = {}
    for definition in tools:
        try:
            if often[str(definition.get("name"))] > 1:
                raise NotATool("it is listed twice")
            function, notes = _function(definition)
        except NotATool as why:
            text += f"# left out, {why}: {str(definition.get('name'))[:_SHOWN]!a}\n"
            continue
        name = snake(str(definition["name"]))[:56]
        if name in taken or name in NAMES_OF_THE_POLICIES:
            notes.append("it has the name of a function of the bank, and is none: take care of what it is called")
        if name in taken or name in NAMES_OF_THE_POLICIES or name in made:
            name = f"{name}_{len(made)}"
        made[name], told[name] = function, notes
    text += written(head) + ("functions:\n" if made else "functions: {}\n")
    for name, function in made.items():
        text += "".join(f"  # {note}\n" for note in told[name])
        text += "".join(f"  {line}\n" for line in written({name: function}).splitlines())
    return text


def _function(definition: Mapping[str, object]) -> tuple[Draft, list[str]]:
    """The function, with what whoever decides is to know. NotATool for what cannot be declared."""
    name, pin = str(definition.get("name")), digest_of(definition)
    if TOOL_NAME.fullmatch(name) is None:
        raise NotATool("its name is none that a manifest takes")
    schema: Mapping[str, Plain] = mapping(definition.get("inputSchema"))
    answer: Mapping[str, Plain] = mapping(definition.get("outputSchema"))
    if schema.get("type") != "object":
        raise NotATool("it takes no object")
    if _HEADER in json.dumps(schema):
        raise NotATool(f"it wants arguments in headers (`{_HEADER}`)")
    function: Draft = {
        "title": OPEN,
        "summary": OPEN,
        "effect": OPEN,
        "level": OPEN,
        "egress": OPEN,
        "approved_by": OPEN,
        "request": {"tool": name, "pin": pin},
    }
    if arguments := _arguments(schema):
        function["arguments"] = arguments
    function["output"] = _by_others(fields_of(answer, answer, 1)) or {"text": {"type": "text", "label": "third_party"}}
    return function, _notes(definition)


def _arguments(schema: Mapping[str, Plain]) -> Draft:
    arguments: Draft = {}
    properties = mapping(schema.get("properties"))
    needed = listed(schema.get("required"))
    for wire_name, declared in properties.items():
        if WIRE_NAME.fullmatch(wire_name) is None:
            raise NotATool("it has an argument whose name no manifest takes")
        name, draft = argument_of(schema, wire_name, declared, None, required=wire_name in needed)
        if name in arguments:
            raise NotATool("it has two arguments whose names are one but for the spelling")
        arguments[name] = {**draft, "description": OPEN}
    return arguments


def _by_others(fields: object) -> object:
    """The fields, with the label of what nobody vouches for, until somebody does."""
    if not isinstance(fields, dict):
        return fields
    return {name: "third_party" if name == "label" and value == OPEN else _by_others(value) for name, value in fields.items()}


def _notes(definition: Mapping[str, object]) -> list[str]:
    notes = [f"it says of itself: {str(definition.get('description') or '')[:_SHOWN]!a}"]
    if definition.get("annotations"):
        notes.append(f"it claims, which is no promise: {json.dumps(definition['annotations'])[:_SHOWN]!a}")
    texts = list(_texts({name: definition.get(name) for name in ("description", "inputSchema", "outputSchema", "annotations")}))
    if any(unicodedata.category(char) in _UNSEEN and char not in "\n\t\r" for text in texts for char in text):
        notes.append("BEWARE: it holds characters that nobody sees")
    if any(_TO_A_MODEL.search(unicodedata.normalize("NFKC", text).replace("_", " ")) for text in texts):
        notes.append("BEWARE: it reads like instructions to a model")
    return notes


def _texts(value: object) -> list[str]:
    """Every text in it, of names too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for name, item in value.items() for text in (str(name), *_texts(item))]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
