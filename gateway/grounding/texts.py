"""Whether a text holds a value, whole; and what in a text could carry data out. Pure."""

import re
from collections.abc import Iterable

from gateway.grounding.lexing import holds_phrase, normal

_PLACE = re.compile(
    r"//|^www\.|[a-z0-9]/|\.(?:com|net|org|info|biz|io|co|app|dev|xyz|me|ly|link|site|online|top|shop|example|eu|uk|de|fr|ru|cn|in)\b"
)
_RUN = re.compile(r"\d(?:[ .,/-]{0,2}\d){5,}")


def says(value: str, texts: Iterable[str]) -> bool:
    wanted = _tokens(value)
    return any(holds_phrase(_tokens(text), wanted) for text in texts)


def reveals(code: str) -> bool:
    """Whether a token could carry data out: five digits, or an address of mail or web."""
    return sum(character.isdigit() for character in code) >= 5 or "@" in code or _PLACE.search(code) is not None


def long_digits(text: str) -> set[str]:
    """Runs of six digits or more, however they are grouped."""
    return {"".join(filter(str.isdigit, run)) for run in _RUN.findall(normal(text))}


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(token for piece in normal(text).split() if (token := piece.strip(".,;:!?\"'()[]")))
