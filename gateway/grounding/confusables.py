"""Letters of Latin, Greek and Cyrillic that look like ASCII ones: the skeleton of a name (UTS 39 section 4). Pure.

Of the Unicode Consortium's confusables.txt, what NFKC does not lead to ASCII anyway. A payee's name is compared without regard to
case, but look-alikes are a matter of case: the Greek capital N looks like a Latin one, the small letter like a v. So the table is used
before case folding.
"""

from functools import lru_cache

from gateway.grounding.lexing import as_written, normal

_LOOKS_LIKE = {
    "2": "ƧꙄꝚ", "3": "ƷȜЗӠꝪꞫ𝈆", "5": "Ƽ", "6": "б", "7": "𝈒", "8": "Ȣȣ", "9": "Ꝯ", "A": "ΑА", "B": "ΒВꞴ", "C": "СϹ", "E": "ΕЕ",
    "F": "ϜꞘ𝈓", "G": "Ԍ", "H": "ΗН", "J": "ͿЈꞲ", "K": "ΚК", "L": "𝈪", "M": "ΜϺМ", "N": "Ν", "O": "ΟО", "P": "ΡР", "R": "Ʀ𝈖",
    "S": "Ѕ", "T": "ΤТ", "V": "Ѵ𝈍", "W": "Ԝ", "X": "ΧХꞳ", "Y": "ΥУҮ", "Z": "Ζ", "a": "ɑαа", "b": "ƄЬ", "c": "сᴄϲ", "d": "ԁ",
    "e": "еҽꬲ", "f": "ẝꞙꬵſ", "g": "ƍɡᶃ", "h": "һ", "i": "ıɩɪιіӏꙇ", "j": "ϳј", "l": "ƖǀΙІӀ", "o": "οσоᴏᴑꬽ", "p": "ρр", "q": "ԛ",
    "r": "гᴦꭇꭈ", "s": "ƽѕꜱ", "u": "ʋυᴜꞟꭎꭒ", "v": "νѵᴠ", "w": "ɯѡԝᴡ", "x": "х", "y": "ɣʏγуүᶌỿꭚ", "z": "ᴢ", "AA": "Ꜳ", "AE": "ÆӔ",
    "AO": "Ꜵ", "AU": "Ꜷ", "AV": "ꜸꜺ", "AY": "Ꜽ", "OE": "Œ", "OO": "ꚘꝎ", "T3": "Ꜩ", "aa": "ꜳ", "ae": "æӕ", "ao": "ꜵ", "au": "ꜷ",
    "av": "ꜹꜻ", "ay": "ꜽ", "bl": "Ы", "dz": "ʣ", "lO": "Ю", "ll": "ǁ", "ls": "ʪ", "lz": "ʫ", "oe": "œ", "oo": "ꚙꝏ", "tf": "ꝷ",
    "ts": "ʦ", "ue": "ᵫ", "uo": "ꭣ",
}  # fmt: skip
"""ASCII, and the letters that look like it."""

_SMALL_KAPPAS = "κкĸ"
"""UTS 39 leads them to each other, not to the k that a customer takes them for."""

_TO_ASCII = str.maketrans(
    {letter: ascii_ for ascii_, letters in _LOOKS_LIKE.items() for letter in letters} | dict.fromkeys(_SMALL_KAPPAS, "k")
)
_OF_ASCII = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s"})
"""After case folding: an I looks like an l, so an i must count as one too."""


@lru_cache(maxsize=4096)
def skeletons(name: str) -> frozenset[str]:
    """What a name looks like, as it is written and in small letters: two names that share one look alike. Linear in its length."""
    # The first before NFKC as well, which makes an s of the long s that looks like an f.
    return frozenset({_skeleton(as_written(name.translate(_TO_ASCII))), _skeleton(normal(name))})


def _skeleton(written: str) -> str:
    plain = written.translate(_TO_ASCII).casefold().translate(_OF_ASCII)
    return "".join(plain.replace("rn", "m").replace("vv", "w").split())
