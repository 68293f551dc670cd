"""Characters that nobody sees, in one place: what is refused in arguments, removed before comparing, and dropped before showing. Pure."""

import re
import unicodedata

_RANGES = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0x200B, 0x200F),  # zero width, and marks of direction
    (0x202A, 0x202E),  # embeddings and overrides of direction (UAX 9)
    (0x2060, 0x206F),  # word joiner, invisible operators, isolates of direction
    (0x2800, 0x2800),  # Braille blank: printable, and empty
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # zero width no-break space
    (0xFFA0, 0xFFA0),  # half-width Hangul filler
    (0xFFF0, 0xFFFB),  # reserved, and interlinear annotation
    (0x1BCA0, 0x1BCA3),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical format controls
    (0xE0000, 0xE0FFF),  # tags and further variation selectors
)
"""Default_Ignorable_Code_Point of Unicode (DerivedCoreProperties.txt), the Braille blank and interlinear annotation."""

INVISIBLE = frozenset(chr(code) for first, last in _RANGES for code in range(first, last + 1))
"""What takes no place on a screen, or an empty one. Controls, separators and unassigned code points are not in it: Python's
`str.isprintable` knows those, but counts much of this as printable."""

INVISIBLE_CLASS = "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES)
"""The same for use inside the brackets of a regular expression."""

_INVISIBLE = re.compile(f"[{INVISIBLE_CLASS}]")


def without_invisible(text: str) -> str:
    """NFKC, without what cannot be seen. Two texts that differ in nothing else are equal then."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
