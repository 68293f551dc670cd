"""What a stranger's program printed, as a text that can be kept and read."""


def readable(printed: bytes) -> str:
    """UTF-8, with a mark for what is none, and for NUL, which PostgreSQL keeps in no text."""
    return printed.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
