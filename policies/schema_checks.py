"""The shapes that a schema gives to contexts, checked without Cedar: sound, not complete.

A check says yes only to what Cedar's own would take; where it is not sure it says no, and Cedar is asked. The schema is read as
Cedar prints it; a bundle with a schema that this does not understand is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeGuard

from policies.model import JSON, Uid

Check = Callable[[object], bool]
Slice = Mapping[tuple[str, str], Mapping[str, JSON]]
"""The attributes of each entity of a request, under type and id."""

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*|[{}<>\[\],:;=?])')
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{3})?Z)?", re.ASCII)
EXACT = len("2026-06-01T12:00:00.000Z")
"""The length of a datetime in the one form in which the order of texts is the order of times: to the millisecond, in UTC."""

_LEAST_LONG, _MOST_LONG = -(2**63), 2**63 - 1


class Unreadable(ValueError):
    """A schema in a form that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a record: whether it may be missing, the check of its value, and its text in the schema."""

    optional: bool
    check: Check
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the schema wants of the requests of one action. The record of the context stands at `start` to `end` of the text."""

    members: Mapping[str, Member]
    start: int
    end: int
    takes: Check
    principals: frozenset[str]
    resources: frozenset[str]
    kinds: Mapping[str, Check]

    def concern(self, principal: Uid, resource: Uid) -> bool:
        """Whether the action may be asked about these."""
        kinds = principal.type in self.principals and resource.type in self.resources
        return kinds and _is_text(principal.id) and _is_text(resource.id)

    def slice(self, entities: Sequence[object]) -> Slice | None:
        """The entities, if all are well-formed, without parents, and each once. None: Cedar must say."""
        found: dict[tuple[str, str], Mapping[str, JSON]] = {}
        for entity in entities:
            if type(entity) is not dict or len(entity) != 3 or entity.get("parents") != []:
                return None
            uid, attributes = entity.get("uid"), entity.get("attrs")
            if type(uid) is not dict or len(uid) != 2:
                return None
            kind, identifier = uid.get("type"), uid.get("id")
            if not _is_text(kind) or not _is_text(identifier) or (kind, identifier) in found:
                return None
            if kind not in self.kinds or not self.kinds[kind](attributes):
                return None
            found[kind, identifier] = attributes  # type: ignore[assignment]
        return found


@lru_cache(maxsize=4)  # a start reads one schema three times
def contexts(text: str) -> Mapping[str, Context]:
    """The context of each action of a schema as Cedar prints it. Unreadable if it is in another form."""
    return _Reader(text).contexts()


def narrowed(text: str, kept: Mapping[str, frozenset[str]]) -> str:
    """The schema with only these members in the contexts of these actions."""
    for action, context in sorted(contexts(text).items(), key=lambda item: item[1].start, reverse=True):
        if action in kept:
            members = ", ".join(member.text for name, member in context.members.items() if name in kept[action])
            text = f"{text[: context.start]}{{ {members} }}{text[context.end :]}"
    return text


def _is_text(value: object) -> TypeGuard[str]:
    return type(value) is str and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))


def _is_long(value: object) -> bool:
    return type(value) is int and _LEAST_LONG <= value <= _MOST_LONG


def _is_flag(value: object) -> bool:
    return value is True or value is False


def is_time(value: object) -> bool:
    """Whether it is surely a datetime. If it is `EXACT` long, the order of the texts is the order of the times."""
    inner = value.get("__extn") if type(value) is dict and len(value) == 1 else None
    if type(inner) is not dict or len(inner) != 2 or inner.get("fn") != "datetime":
        return False
    text = inner.get("arg")
    return type(text) is str and _length_of_time(text) > 0


def is_exact_time(text: str) -> bool:
    """Whether it is the text of a datetime in that one form."""
    return len(text) == EXACT and _length_of_time(text) > 0


@lru_cache(maxsize=4096)
def _length_of_time(text: str) -> int:
    """How long a text is that is surely a datetime for Cedar, which has three forms of different lengths; 0 for any other."""
    if not _TIME.fullmatch(text):
        return 0
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return 0
    return len(text)


def _entity(type_name: str) -> Check:
    def check(value: object) -> bool:
        if type(value) is not dict or len(value) != 1:
            return False
        uid = value.get("__entity")
        return type(uid) is dict and len(uid) == 2 and uid.get("type") == type_name and _is_text(uid.get("id"))

    return check


def _set_of(member: Check) -> Check:
    if member is _is_text:
        return _are_texts
    return lambda value: type(value) is list and all(map(member, value))


def _are_texts(value: object) -> bool:
    """Of a long list of names, as mandates have it, in a third of the time that it takes to look at one after the other."""
    if type(value) is not list or not {str}.issuperset(map(type, value)):
        return False
    return "".join(value).isascii() or all(map(_is_text, value))


def record(members: Mapping[str, Member]) -> Check:
    """The check of a record: every required member, no other than these, each of its shape."""
    required = frozenset(name for name, member in members.items() if not member.optional)
    checks = {name: member.check for name, member in members.items()}

    def check(value: object) -> bool:
        if type(value) is not dict or not required <= value.keys():
            return False
        try:
            for name, inner in value.items():
                if not checks[name](inner):
                    return False
        except KeyError:
            return False
        return True

    return check


def _never(value: object) -> bool:
    return False


_SCALARS: Mapping[str, Check] = {"String": _is_text, "Long": _is_long, "Bool": _is_flag, "datetime": is_time}


class _Reader:
    """Recursive descent over the tokens of a printed schema."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._named: dict[str, Check] = {}
        self._kinds: dict[str, Check] = {}
        self._contexts: dict[str, Context] = {}

    def contexts(self) -> dict[str, Context]:
        self._declare_entities()
        while self._at < len(self._tokens):
            match self._next():
                case "type":
                    name = self._next()
                    self._expect("=")
                    self._named[name] = self._type()
                    self._expect(";")
                case "entity":
                    self._entity()
                case "action":
                    self._action()
                case other:
                    raise Unreadable(f"a schema does not go on with {other}")
        return self._contexts

    def _declare_entities(self) -> None:
        """Entities first: types refer to them, and are printed before them. Those of an enumeration are left to Cedar."""
        words = [token for token, _, _ in self._tokens]
        for at, word in enumerate(words[:-2]):
            if word == "entity" and (at == 0 or words[at - 1] == ";"):
                self._named[words[at + 1]] = _never if words[at + 2] == "enum" else _entity(words[at + 1])

    def _entity(self) -> None:
        """Tags are left to Cedar, and so are the entities of an enumeration."""
        name = self._next()
        if self._peek() != "enum":
            self._skip_to("=", "tags", ";")
            self._kinds[name] = record({})
            if self._peek() == "=":
                self._expect("=")
                self._kinds[name] = self._type()
        self._skip_to(";")
        self._expect(";")

    def _action(self) -> None:
        name = self._next().strip('"')
        concerned: dict[str, frozenset[str]] = {}
        while self._peek() not in {"context", ";"}:
            word = self._next()
            if word in {"principal", "resource"}:
                self._expect(":")
                concerned[word] = self._names()
        if self._next() == "context":
            self._expect(":")
            start = self._tokens[self._at][1]
            members = self._record()
            ends = self._tokens[self._at - 1][2]
            principals, resources = concerned.get("principal", frozenset()), concerned.get("resource", frozenset())
            self._contexts[name] = Context(members, start, ends, record(members), principals, resources, self._kinds)
            self._expect("}")
            self._expect(";")

    def _record(self) -> dict[str, Member]:
        self._expect("{")
        members: dict[str, Member] = {}
        while self._peek() != "}":
            start = self._tokens[self._at][1]
            name = self._next().strip('"')
            optional = self._peek() == "?"
            if optional:
                self._next()
            self._expect(":")
            check = self._type()
            if name.startswith("__"):
                check = _never  # Cedar's own words for entities and extensions in JSON
            members[name] = Member(optional, check, self._text[start : self._tokens[self._at - 1][2]])
            if self._peek() == ",":
                self._next()
        self._expect("}")
        return members

    def _type(self) -> Check:
        if self._peek() == "{":
            return record(self._record())
        name = self._next()
        if name == "Set":
            self._expect("<")
            member = self._type()
            self._expect(">")
            return _set_of(member)
        # A schema's own types go before the built-in ones, as they do for Cedar; what is neither is left to Cedar
        return self._named.get(name) or _SCALARS.get(name, _never)

    def _names(self) -> frozenset[str]:
        """Of types: one, or several in brackets."""
        names = {self._next()}
        while "[" in names and self._peek() != "]":
            names.add(self._next())
        return frozenset(names - {"[", ","})

    def _skip_to(self, *words: str) -> None:
        while self._peek() not in words:
            self._next()

    def _peek(self) -> str:
        if self._at >= len(self._tokens):
            raise Unreadable("a schema ends in the middle")
        return self._tokens[self._at][0]

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, wanted: str) -> None:
        if self._next() != wanted:
            raise Unreadable(f"a schema has no {wanted} where it must")


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Each token with its place. Unreadable for anything else, annotations and comments included."""
    at = 0
    while text[at:].strip():
        matched = _TOKEN.match(text, at)
        if matched is None:
            raise Unreadable("a schema with what is no token of this reader")
        yield matched[1], matched.start(1), matched.end(1)
        at = matched.end()
