"""Paths at the upstream, and how values stand in them: never more than one whole segment, always encoded. Pure."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

PATH_MUST = "must begin with / and have plain segments (letters, digits, - . _ ~), or whole segments in braces such as /orders/{id}"

_PLAIN = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_BRACES = re.compile(r"\{([A-Za-z][A-Za-z0-9_]{0,63})\}", re.ASCII)
_SEGMENT = re.compile(r"[^/\\%?#;\x00-\x20\x7f]{1,512}")


class NotASegment(ValueError):
    """A value that some server could take for more than one segment of a path, or for another one. The message holds no value."""


def is_path(path: str, *, placeholders: Collection[str]) -> bool:
    """Whether it is such a path, with no other names in braces than these."""
    if not path.startswith("/") or len(path) > 1024:
        return False
    segments = path[1:].split("/")
    names = [found[1] for segment in segments if (found := _BRACES.fullmatch(segment))]
    plain = all(_BRACES.fullmatch(segment) or (_PLAIN.fullmatch(segment) and segment.strip(".")) for segment in segments)
    return plain and set(names) <= set(placeholders) and len(set(names)) == len(names)


def names_in(path: str) -> tuple[str, ...]:
    """The names in braces."""
    return tuple(_BRACES.findall(path))


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with these values in its segments, percent-encoded. NotASegment for a value that is not plainly one segment.

    Encoding alone would not do: servers decode `%2F` and `%2E%2E` before they look for the way.
    """
    segments = []
    for segment in path.split("/"):
        found = _BRACES.fullmatch(segment)
        if found is None:
            segments.append(segment)
            continue
        value = values[found[1]]
        if _SEGMENT.fullmatch(value) is None or not value.strip("."):
            raise NotASegment("not one segment of a path")
        segments.append(quote(value, safe=""))
    return "/".join(segments)
