"""The shapes that a schema gives to contexts, checked without Cedar: sound, not complete.

A check says yes only to what Cedar's own would take; where it is not sure it says no, and Cedar is asked. The schema is read as
Cedar prints it; a bundle with a schema that this does not understand is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

Check = Callable[[object], bool]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*|[{}<>\[\],:;=?])')
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z)?", re.ASCII)
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
    """The context of one action; the record stands at `start` to `end` of the text."""

    members: Mapping[str, Member]
    start: int
    end: int


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


def _is_text(value: object) -> bool:
    return type(value) is str and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))


def _is_long(value: object) -> bool:
    return type(value) is int and _LEAST_LONG <= value <= _MOST_LONG


def _is_flag(value: object) -> bool:
    return value is True or value is False


def _is_time(value: object) -> bool:
    match value:
        case {"__extn": {"fn": "datetime", "arg": str(text), **more}, **others} if not more and not others:
            if not _TIME.fullmatch(text):
                return False
            try:
                datetime.fromisoformat(text)
            except ValueError:
                return False
            return True
    return False


def _entity(type_name: str) -> Check:
    def check(value: object) -> bool:
        if type(value) is not dict or len(value) != 1:
            return False
        uid = value.get("__entity")
        return type(uid) is dict and len(uid) == 2 and uid.get("type") == type_name and _is_text(uid.get("id"))

    return check


def _set_of(member: Check) -> Check:
    return lambda value: type(value) is list and all(map(member, value))


def record(members: Mapping[str, Member]) -> Check:
    """The check of a record: every required member, no other than these, each of its shape."""
    required = tuple(name for name, member in members.items() if not member.optional)
    checks = {name: member.check for name, member in members.items()}

    def check(value: object) -> bool:
        if type(value) is not dict:
            return False
        for name in required:
            if name not in value:
                return False
        for name, inner in value.items():
            wanted = checks.get(name)
            if wanted is None or not wanted(inner):
                return False
        return True

    return check


def _never(value: object) -> bool:
    return False


_SCALARS: Mapping[str, Check] = {"String": _is_text, "Long": _is_long, "Bool": _is_flag, "datetime": _is_time}


class _Reader:
    """Recursive descent over the tokens of a printed schema."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._named: dict[str, Check] = {}
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
                    self._skip_to_semicolon()
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

    def _action(self) -> None:
        name = self._next().strip('"')
        while self._peek() not in {"context", ";"}:
            self._next()
        if self._next() == "context":
            self._expect(":")
            start = self._tokens[self._at][1]
            members = self._record()
            self._contexts[name] = Context(members, start, self._tokens[self._at - 1][2])
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

    def _skip_to_semicolon(self) -> None:
        while self._next() != ";":
            pass

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
