"""Under which names files lie in the folder of a session: plain ones, whatever a customer called them."""

from collections.abc import Iterable

from gateway.sandbox.processes import is_name

_BYTES = 100


def placed(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The name of each file by its id, from ids and names in their order: what cannot be shown or leads elsewhere becomes `_`, and where
    two have one name, the later one has its id in front."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for identifier, name in files:
        plain = _plain(name) or _plain(identifier) or "file"
        wanted, number = plain, 0
        while wanted in taken:
            wanted = _plain(f"{number or ''}{identifier}-{plain}")
            number += 1
        names[identifier] = wanted
        taken.add(wanted)
    return names


def _plain(name: str) -> str:
    """Without a dot in front, which would hide it. Of one that is too long, the end is kept, which says what it is."""
    shown = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name).strip().lstrip(".")
    if len(shown.encode(errors="replace")) > _BYTES:
        shown = shown[:20] + shown.encode(errors="replace")[-60:].decode(errors="ignore")
    return shown if is_name(shown) else ""
