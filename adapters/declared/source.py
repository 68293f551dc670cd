"""YAML, strictly, with the line of everything: no aliases, no tags, no duplicate keys, bounded size and depth. Pure.

Plain words are text, except integers (`12`), `true`, `false` and `null`. What YAML 1.1 would read as something else (`no`, `1.5`,
`2026-03-17`, `0x10`) must be quoted, so that nobody is surprised.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_NODES = 20_000
MAX_FINDINGS = 100

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})", re.ASCII)
_STR = "tag:yaml.org,2002:str"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True, order=True)
class ManifestFinding:
    """What is wrong, or open, at a line of the manifest; `note`: what to know, and no obstacle."""

    line: int
    where: str
    code: str
    message: str
    note: bool = False


@dataclass(slots=True)
class Findings:
    """All that is found, up to a bound."""

    found: list[ManifestFinding] = field(default_factory=list)

    def add(self, line: int, where: str, code: str, message: str, *, note: bool = False) -> None:
        if len(self.found) < MAX_FINDINGS:
            self.found.append(ManifestFinding(line, where, code, message, note))

    @property
    def errors(self) -> int:
        return sum(not match.note for match in self.found)


Plain: TypeAlias = "bool | int | str | Sequence[Plain] | Mapping[str, Plain] | None"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its line. `value`: a scalar, a tuple of nodes, or a dict of nodes by their keys."""

    line: int
    value: "bool | int | str | tuple[Node, ...] | dict[str, Node] | None"

    def plain(self) -> Plain:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {name: item.plain() for name, item in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value


def parse(content: bytes, findings: Findings, *, lenient: bool = False) -> Node | None:
    """The tree of one document, or None with a finding. `lenient`: other people's documents, in which any plain word is text."""
    if len(content) > MAX_BYTES * (16 if lenient else 1):
        findings.add(1, "", "too_large", f"a manifest has at most {MAX_BYTES} bytes")
        return None
    try:
        text = content.decode("utf-8", "strict")
        if not _is_bounded(text, findings, lenient=lenient):
            return None
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        findings.add(1, "", "not_yaml", "it is not UTF-8")
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        findings.add(mark.line + 1 if mark else 1, "", "not_yaml", f"not YAML: {error.problem or 'malformed'}")
        return None
    except (yaml.YAMLError, ValueError, OverflowError):  # the last two: escapes beyond Unicode
        findings.add(1, "", "not_yaml", "not YAML: a character that it does not allow")
        return None
    if root is None:
        findings.add(1, "", "not_yaml", "it is empty")
        return None
    before = findings.errors
    read = _node(root, "", findings, lenient)
    return read if findings.errors == before else None


def _is_bounded(text: str, findings: Findings, *, lenient: bool) -> bool:
    depth, most = 0, MAX_NODES * (16 if lenient else 1)
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if getattr(event, "tag", None) is not None and not lenient:
            findings.add(line, "", "tag", "tags are not taken")
            return False
        if isinstance(event, yaml.AliasEvent):
            findings.add(line, "", "alias", "aliases are not taken: write it out")
            return False
        if depth > MAX_DEPTH * (4 if lenient else 1) or nodes > most:
            findings.add(
                line, "", "too_deep" if nodes <= most else "too_large", f"deeper than {MAX_DEPTH}, or more than {most} parts"
            )
            return False
    return True


def _node(node: yaml.Node, where: str, findings: Findings, lenient: bool) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        members: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            at = key.start_mark.line + 1
            if name is None or _CONTROLS.search(name):
                findings.add(at, where, "wrong", "a key is a word")
                continue
            if name in members:
                findings.add(at, f"{where}.{name}".lstrip("."), "duplicate", f"{name} stands twice")
                continue
            read = _node(value, f"{where}.{name}".lstrip("."), findings, lenient)
            members[name] = Node(at, read.value)
        return Node(line, members)
    if isinstance(node, yaml.SequenceNode):
        return Node(line, tuple(_node(item, f"{where}[{at}]", findings, lenient) for at, item in enumerate(node.value)))
    return Node(line, _scalar(node, where, findings, lenient))


def _scalar(node: yaml.Node, where: str, findings: Findings, lenient: bool) -> bool | int | str | None:
    line, text = node.start_mark.line + 1, str(node.value)
    if _CONTROLS.search(text):
        if not lenient:
            findings.add(line, where, "wrong", "holds a control or invisible character")
        return ""
    if node.tag == _STR or getattr(node, "style", None) is not None:
        return text
    if lenient:
        return _plain_word(text)
    value = _plain_word(text)
    if isinstance(value, str):
        findings.add(line, where, "ambiguous", "put it in quotes: YAML would read it as something else")
    return value


def _plain_word(text: str) -> bool | int | str | None:
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None
    return int(text) if _INTEGER.fullmatch(text) else text
