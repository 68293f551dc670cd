"""Tools of an MCP server in a manifest: how they are named and pinned, and which of them still are what somebody took. Pure.

A pin is the SHA-256 of a tool's definition in its canonical form: JSON with sorted keys, without spaces and in ASCII, of those of the
members `name`, `description`, `inputSchema`, `outputSchema` and `annotations` that it has.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence

from adapters.declared.declarations import StatusQuestion, ToolPin
from adapters.declared.schema import WIRE_NAME, WIRE_NAME_MUST
from adapters.declared.section import Section

TOOLS_MOST = 500
DEFINITION_MOST_BYTES = 64 * 1024
ERROR = 422
"""The status that stands for a result with `isError`."""

PINNED = ("name", "description", "inputSchema", "outputSchema", "annotations")
TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_PIN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REASON = re.compile(r"[A-Z]{2}[A-Z0-9]{2}", re.ASCII)
_WORD = re.compile(r"[!-~]{1,64}", re.ASCII)
_REASON_MUST = "must be a status reason of ISO 20022, such as AM04"
_DONE, _NEVER, _DECLINED = 200, 410, 430


class NotATool(ValueError):
    """Not a definition of a tool. The message says why, and holds nothing of it."""


def digest_of(definition: Mapping[str, object]) -> str:
    """What a pin of this definition is. NotATool for one that has no name or is larger than any."""
    if not isinstance(definition.get("name"), str):
        raise NotATool("it has no name")
    pinned = {name: definition[name] for name in PINNED if definition.get(name) is not None}
    try:
        canonical = json.dumps(pinned, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise NotATool("it is no plain JSON") from None
    if len(canonical) > DEFINITION_MOST_BYTES:
        raise NotATool(f"it has more than {DEFINITION_MOST_BYTES} bytes")
    return hashlib.sha256(canonical).hexdigest()


class PinnedTools:
    """Which pinned tools may be called. What was stopped once stays so: a definition that changes back was changed all the same."""

    def __init__(self, pins: Iterable[ToolPin]) -> None:
        self._pins = {pin.name: pin.digest for pin in pins}
        self._stopped: dict[str, str] = {}
        self.compared_at: float | None = None
        """When they were last compared, on the caller's clock in seconds; None while they never were."""

    def compare(self, listed: Sequence[Mapping[str, object]], now: float) -> list[tuple[str, str]]:
        """Compare with what the upstream lists by now. The tools that are stopped from now on, each with its cause."""
        found: dict[str, list[Mapping[str, object]]] = {}
        for definition in listed:
            found.setdefault(str(definition.get("name")), []).append(definition)
        stopped = []
        for name, digest in self._pins.items():
            cause = _flaw(found.get(name, ()), digest)
            if cause is not None and name not in self._stopped:
                self._stopped[name] = cause
                stopped.append((name, cause))
        self.compared_at = now
        return stopped

    def why_not(self, name: str) -> str | None:
        """Why this tool may not be called; None where it may, as far as the last comparison says."""
        return self._stopped.get(name) if name in self._pins else "not_pinned"


def _flaw(found: Sequence[Mapping[str, object]], digest: str) -> str | None:
    if len(found) != 1:
        return "listed_twice" if found else "not_listed"
    try:
        return None if digest_of(found[0]) == digest else "changed"
    except NotATool:
        return "changed"


def read_tool(given: Section) -> ToolPin:
    """`tool` and `pin`."""
    name = given.text("tool", TOOL_NAME, "must be the name of a tool: letters, digits, `_`, `.` and `-`")
    must = "must be the SHA-256 of the tool's definition, as `functions import-mcp` writes it"
    return ToolPin(name, given.text("pin", _PIN, must))


def read_declined(given: Section) -> Mapping[int, str]:
    """`declined: {error: AM04}` says that a result with `isError` means that nothing happened, and never will under this key."""
    inside = given.section("declined", required=False)
    if inside is None:
        return {}
    declined = {ERROR: inside.text("error", _REASON, _REASON_MUST)}
    inside.end()
    return declined


def read_status(given: Section) -> StatusQuestion | None:
    """The tool that says what became of a key."""
    asked = given.section("status", required=False)
    if asked is None:
        return None
    tool = read_tool(asked)
    key_as = asked.text("key_as", WIRE_NAME, WIRE_NAME_MUST)
    at = asked.text("at", WIRE_NAME, WIRE_NAME_MUST)
    must = "a word of 1 to 64 characters of ASCII"
    words = dict.fromkeys(asked.texts("done", _WORD, must), _DONE)
    never = dict.fromkeys(asked.texts("never", _WORD, must) if asked.has("never") else (), _NEVER)
    reasons, refused = {}, {}
    inside = asked.section("declined", required=False)
    for number, reason in enumerate(() if inside is None else inside.names):
        if inside is not None and _REASON.fullmatch(reason):
            reasons[_DECLINED + number] = reason
            refused.update(dict.fromkeys(inside.texts(reason, _WORD, must), _DECLINED + number))
    if inside is not None:
        inside.end()
    if len(words | never | refused) != len(words) + len(never) + len(refused):
        asked.wrong("done", "a word says one thing", code="clash")
    asked.end()
    return StatusQuestion(
        path="",
        tool=tool,
        key_as=key_as,
        at=at,
        words={**words, **never, **refused},
        done=frozenset({_DONE}),
        declined=reasons,
        never=frozenset({_NEVER}),
    )
