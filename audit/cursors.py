"""Cursors of questions: where a page ended, in a tree of which size, of exactly which question. Opaque to who holds them. Pure."""


class CursorInvalid(Exception):
    """The cursor is not one of this question."""


def forward(cursor: str, digest: str, present_size: int) -> tuple[int, int, int]:
    """Tree size, last index given, next number of the sequence. CursorInvalid."""
    parts = cursor.split(".")
    if len(parts) != 4 or parts[3] != digest or not all(_is_number(part) for part in parts[:3]):
        raise CursorInvalid
    size, after, expected = (int(part) for part in parts[:3])
    if not after < size <= present_size:
        raise CursorInvalid
    return size, after, expected


def backward(cursor: str, digest: str, present_size: int) -> tuple[int, int]:
    """Tree size, and the index of the last one given: what follows lies before it. CursorInvalid."""
    parts = cursor.split(".")
    if len(parts) != 4 or parts[2:] != ["last", digest] or not all(_is_number(part) for part in parts[:2]):
        raise CursorInvalid
    size, before = int(parts[0]), int(parts[1])
    if not before < size <= present_size:
        raise CursorInvalid
    return size, before


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
