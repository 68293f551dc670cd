"""Cases: what must be permitted, challenged and denied, and why. From YAML text to requests. Pure.

A file is a list of cases under `cases`; one file, `world.yaml`, holds under `world` what all start from: the moment, the context,
the customers and the objects. A case names a call and what differs. `Account::current` is an entity; YAML dates are datetimes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TypeAlias

import yaml

from policies.bundle import Bundle, FunctionEntry
from policies.model import JSON, Assurance, PolicyEffect, Reason, Request, Uid
from policies.source import SourceLine

WORLD_FILE = "world.yaml"

Node: TypeAlias = Mapping[str, object]

_ENTITY = re.compile(
    r"(Customer|Account|Beneficiary|Card|DirectDebit|Document|PayeeCheck|Payment|Quote|StandingOrder|Transaction|Bank|DataClass)::(.+)"
)
_LINE = "\0line"
_CASE_MEMBERS = frozenset(
    {"name", "call", "principal", "resource", "args", "level", "with", "customer", "objects", "absent", "reveal"}
    | {"expect", "rung", "reason", "policies"}
)


class CasesRefused(Exception):
    """A file of cases that cannot be used, and where."""

    def __init__(self, message: str, place: SourceLine) -> None:
        super().__init__(f"{place.file}:{place.line}: {message}")
        self.message = message
        self.place = place


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case demands. `policies` None: whichever."""

    effect: PolicyEffect
    reason: Reason
    rung: Assurance | None = None
    policies: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    place: SourceLine
    request: Request
    expected: Expected
    data_class: str | None = None
    """Of a question of disclosure: the data class that is asked for."""


@dataclass(frozen=True, slots=True)
class _World:
    now: object
    context: Node
    customers: Mapping[str, Node]
    objects: Mapping[str, Node]


def parse(files: Mapping[str, str], bundle: Bundle) -> tuple[Case, ...]:
    """The cases of these files (name to text) for this bundle's functions. CasesRefused for what is malformed or unknown."""
    if WORLD_FILE not in files:
        raise CasesRefused("there is no world to start from", SourceLine(WORLD_FILE, 1))
    world = _world(_load(WORLD_FILE, files[WORLD_FILE]))
    functions = {function.name: function for function in bundle.functions}
    cases: list[Case] = []
    for file in sorted(set(files) - {WORLD_FILE}):
        cases.extend(_cases(file, _load(file, files[file]), world, functions))
    names: dict[str, Case] = {}
    for case in cases:
        if names.setdefault(case.name, case) is not case:
            raise CasesRefused(f"two cases are called {case.name!r}", case.place)
    return tuple(cases)


class _Loader(yaml.SafeLoader):
    """Safe YAML whose mappings know their line."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[object, object]:
    body: dict[object, object] = dict(loader.construct_mapping(node, deep=True))
    body[_LINE] = node.start_mark.line + 1
    return body


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


@lru_cache(maxsize=32)
def _load(file: str, text: str) -> Node:
    """Nobody changes it. Kept, since files are read alone, together and for the trial, and reading YAML takes longer than a trial."""
    try:
        return _node(yaml.load(text, _Loader))  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CasesRefused(f"not YAML: {error.problem}", SourceLine(file, line)) from error
    except ValueError as error:
        raise CasesRefused(str(error), SourceLine(file, 1)) from error


def _world(body: Node) -> _World:
    try:
        world = _node(body.get("world"))
        customers = {name: _node(one) for name, one in _members(_node(world.get("customers")))}
        objects = {name: _node(one) for name, one in _members(_node(world.get("objects")))}
        return _World(world["now"], _node(world.get("context")), customers, objects)
    except (KeyError, ValueError) as error:
        raise CasesRefused(f"the world cannot be read: {error}", SourceLine(WORLD_FILE, 1)) from error


def _cases(file: str, body: Node, world: _World, functions: Mapping[str, FunctionEntry]) -> Iterator[Case]:
    listed = body.get("cases")
    if not isinstance(listed, list):
        raise CasesRefused("a file of cases is a list under `cases`", SourceLine(file, 1))
    for one in listed:
        place = _place(one, file)
        try:
            node = _node(one)
            unknown = {name for name, _ in _members(node)} - _CASE_MEMBERS
            if unknown:
                raise ValueError(f"a case has no {', '.join(sorted(unknown))}")
            yield _case(node, place, world, functions[str(node["call"])])
        except KeyError as error:
            raise CasesRefused(f"the case lacks, or the bundle does not know, {error}", place) from error
        except ValueError as error:
            raise CasesRefused(f"the case cannot be read: {error}", place) from error


def _case(node: Node, place: SourceLine, world: _World, function: FunctionEntry) -> Case:
    principal = str(node.get("principal", "anna"))
    resource = _uid(str(node.get("resource", "Bank::bank")))
    entities = tuple(_entities(node, world, principal))
    request = Request(Uid("Customer", principal), function.name, resource, _context(node, world, function), entities)
    shown = node.get("reveal")
    return Case(str(node["name"]), place, request, _expected(node), None if shown is None else str(shown))


def _context(node: Node, world: _World, function: FunctionEntry) -> Mapping[str, JSON]:
    facts = ("name", "effect", "level", "emergency", "egress")
    base: dict[str, object] = {
        **world.context,
        "now": world.now,
        "assurance": {"level": node.get("level", 1)},
        "function": {fact: getattr(function, fact) for fact in facts},
        "args": node.get("args", {}),
    }
    return _record(_merged(base, _node(node.get("with"))))


def _entities(node: Node, world: _World, principal: str) -> Iterator[Mapping[str, JSON]]:
    absent = node.get("absent")
    left_out = set(map(str, absent)) if isinstance(absent, list) else set()
    changes = {f"Customer::{principal}": _node(node.get("customer")), **dict(_members(_node(node.get("objects"))))}
    everything = {**{f"Customer::{name}": one for name, one in world.customers.items()}, **world.objects}
    unknown = (left_out | set(changes)) - set(everything)
    if unknown:
        raise ValueError(f"the world has no {', '.join(sorted(unknown))}")
    for name, one in everything.items():
        if name not in left_out:
            uid = _uid(name)
            attributes = _record(_merged(one, _node(changes.get(name))))
            yield {"uid": {"type": uid.type, "id": uid.id}, "attrs": attributes, "parents": []}


def _expected(node: Node) -> Expected:
    policies = node.get("policies")
    rung = node.get("rung")
    return Expected(
        effect=PolicyEffect(str(node["expect"])),
        reason=Reason(str(node["reason"])),
        rung=None if rung is None else Assurance(int(str(rung))),
        policies=tuple(sorted(map(str, policies))) if isinstance(policies, list) else None,
    )


def _merged(base: Node, changes: Node) -> dict[str, object]:
    """`base` with `changes` laid over it, member by member; null takes a member away."""
    merged = dict(_members(base))
    for name, value in _members(changes):
        before = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def _record(node: Node) -> Mapping[str, JSON]:
    return {name: _value(value) for name, value in _members(node)}


def _value(value: object) -> JSON:
    match value:
        case bool() | int():
            return value
        case str():
            matched = _ENTITY.fullmatch(value)
            return {"__entity": {"type": matched[1], "id": matched[2]}} if matched else value
        case datetime():
            moment = value.astimezone(UTC)
            return _datetime(f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z")
        case date():
            return _datetime(value.isoformat())
        case Mapping():
            return _record(value)
        case list():
            return [_value(member) for member in value]
    raise ValueError(f"{value!r} has no place in a request")


def _datetime(text: str) -> JSON:
    return {"__extn": {"fn": "datetime", "arg": text}}


def _uid(name: str) -> Uid:
    matched = _ENTITY.fullmatch(name)
    if matched is None:
        raise ValueError(f"{name!r} is no entity")
    return Uid(matched[1], matched[2])


def _node(value: object) -> Node:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("a mapping is wanted where something else stands")
    return value


def _members(node: Node) -> Iterator[tuple[str, object]]:
    return ((str(name), value) for name, value in node.items() if name != _LINE)


def _place(node: object, file: str) -> SourceLine:
    line = node.get(_LINE) if isinstance(node, Mapping) else None
    return SourceLine(file, line if isinstance(line, int) else 1)
