"""Reads the fields of one mapping of a manifest: what is missing, wrong, unknown or open becomes a finding with its line, and reading
goes on with a harmless value. A rule about several fields is asked only where all of them are sound: one mistake is one finding. Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from adapters.declared.source import Findings, Node

OPEN = "open"
"""Stands for a value that nobody has decided yet. What is open is not served."""

WORDS = re.compile(r"[^\n]{1,500}")
_Choice = TypeVar("_Choice", bound=str)


class Section:
    """One mapping. Each field is taken once; `end` finds those that nobody took. `within`: the mapping that it is a field of."""

    def __init__(
        self, node: Node | None, where: str, findings: Findings, *, line: int = 1, within: "tuple[Section, str] | None" = None
    ) -> None:
        self.line = node.line if node is not None else line
        self.where = where
        self.findings = findings
        self._left: dict[str, Node] = {}
        self._lines: dict[str, int] = {}
        self._within = within
        self._known: list[str] = []
        self._unsound: set[str] = set()
        if node is not None and isinstance(node.value, dict):
            self._left = dict(node.value)
            self._lines = {name: item.line for name, item in node.value.items()}
        elif node is not None:
            self.wrong("", "must be a mapping of fields")
        mark = self._left.pop(OPEN, None)
        if mark is not None and mark.value is True:
            self.wrong("", "is marked as open: decide, then take the mark away", code="open", line=mark.line)
        elif mark is not None:
            self.wrong("", "open is true, or is not there", line=mark.line)

    def wrong(self, name: str, message: str, *, code: str = "wrong", line: int | None = None) -> None:
        where = f"{self.where}.{name}".strip(".")
        self._spoil(name.partition(".")[0])
        self.findings.add(line or self._lines.get(name.partition(".")[0], self.line), where, code, message)

    def _spoil(self, name: str) -> None:
        self._unsound.add(name)
        if self._within is not None:
            section, field = self._within
            section._spoil(field)

    def is_sound(self, *names: str) -> bool:
        """Whether nothing has been found in these fields, nor inside them; without names, in none."""
        return not self._unsound.intersection(names) if names else not self._unsound

    def has(self, name: str) -> bool:
        return name in self._left

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that nobody has taken."""
        return tuple(self._left)

    def is_mapping(self, name: str) -> bool:
        return name in self._left and isinstance(self._left[name].value, dict)

    def line_of(self, name: str) -> int:
        return self._lines.get(name, self.line)

    def take(self, name: str, *, required: bool = True, must: str = "") -> Node | None:
        """The field's node; None with a finding when it is missing or open. `must`: what it has to be, for who left it out."""
        node = self._left.pop(name, None)
        self._known.append(name)
        if node is None:
            if required:
                self.wrong(name, f"is missing: it {must}" if must else "is missing", code="missing")
            return None
        if node.value == OPEN:
            self.wrong(name, "is open: decide it", code="open", line=node.line)
            return None
        return node

    def text(
        self, name: str, form: re.Pattern[str] = WORDS, must: str = "must be a line of text", *, default: str | None = None
    ) -> str:
        """Text of this form; without `default` it must be there."""
        node = self.take(name, required=default is None, must=must)
        if node is None:
            return default or ""
        if not isinstance(node.value, str) or form.fullmatch(node.value) is None:
            self.wrong(name, must, line=node.line)
            return default or ""
        return node.value

    def maybe(self, name: str, form: re.Pattern[str], must: str) -> str | None:
        """Text of this form, or None where it is left out."""
        return self.text(name, form, must) or None if self.has(name) else None

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        must = "must be true or false"
        node = self.take(name, required=default is None, must=must)
        if node is not None and not isinstance(node.value, bool):
            self.wrong(name, must, line=node.line)
            node = None
        return bool(default) if node is None else bool(node.value)

    def integer(self, name: str, least: int, most: int, *, default: int | None = None) -> int:
        must = f"must be an integer from {least} to {most}"
        node = self.take(name, required=default is None, must=must)
        if node is not None and (
            not isinstance(node.value, int) or isinstance(node.value, bool) or not least <= node.value <= most
        ):
            self.wrong(name, must, line=node.line)
            node = None
        return (least if default is None else default) if node is None or not isinstance(node.value, int) else node.value

    def one_of(
        self, name: str, choices: Sequence[_Choice], *, default: _Choice | None = None, meaning: Mapping[str, str] | None = None
    ) -> _Choice:
        """One of these words; the last of them where it is missing or wrong, with a finding. `meaning`: what the words stand for."""
        told = {} if meaning is None else meaning
        must = "must be one of " + ", ".join(f"{choice} ({told[choice]})" if choice in told else choice for choice in choices)
        node = self.take(name, required=default is None, must=must)
        if node is not None:
            for choice in choices:
                if node.value == str(choice):
                    return choice
            self.wrong(name, must, line=node.line)
        return choices[-1] if default is None else default

    def texts(self, name: str, form: re.Pattern[str], must: str, *, required: bool = True) -> tuple[str, ...]:
        """A list of distinct texts of this form."""
        node = self.take(name, required=required, must=f"must be a list of distinct values, each {must}")
        if node is None:
            return ()
        given = [item.value for item in node.value] if isinstance(node.value, tuple) else []
        good = [item for item in given if isinstance(item, str) and form.fullmatch(item)]
        if not isinstance(node.value, tuple) or len(good) != len(given) or len(set(good)) != len(good) or not good:
            self.wrong(name, f"must be a list of distinct values, each {must}", line=node.line)
        return tuple(good)

    def section(self, name: str, *, required: bool = True) -> "Section | None":
        node = self.take(name, required=required)
        return None if node is None else Section(node, f"{self.where}.{name}".strip("."), self.findings, within=(self, name))

    def members(self, name: str, form: re.Pattern[str], must: str, *, required: bool = True) -> Iterator[tuple[str, "Section"]]:
        """The mappings within a mapping, by name."""
        inside = self.section(name, required=required)
        if inside is None:
            return
        for key, node in list(inside._left.items()):
            del inside._left[key]
            if form.fullmatch(key) is None:
                inside.wrong(key[:64], must, line=node.line)
                continue
            if node.value == OPEN:
                inside.wrong(key, "is open: decide it", code="open", line=node.line)
                continue
            yield key, Section(node, f"{inside.where}.{key}", self.findings, within=(inside, key))

    def end(self) -> None:
        """What is left over is unknown."""
        known = ", ".join(sorted(set(self._known)))
        for name, node in self._left.items():
            self.wrong(name[:64], f"is no field of this section, which has {known}", code="unknown_field", line=node.line)
        self._left.clear()
