"""What nobody sees is the same everywhere; what looks alike is told from nothing else."""

import sys
import unicodedata
from pathlib import Path
from time import perf_counter

import pytest

from adapters.core import KnownPayee
from adapters.function import Argument, Text
from gateway.calls.arguments import parse
from gateway.calls.redaction import cleaned
from gateway.domain.characters import INVISIBLE, INVISIBLE_CLASS, without_invisible
from gateway.domain.errors import Refusal
from gateway.grounding.confusables import skeletons
from gateway.grounding.lexing import normal
from gateway.grounding.names import alike
from tests.samples.functions import read

PING = read("ping", Argument(name="note", type=Text(40), required=True, description="A note."))
CONFUSABLES = Path(__file__).parents[2] / "samples" / "confusables.txt"

VISIBLE_FORMATS = (
    "ARABIC NUMBER|ARABIC SIGN|ARABIC FOOTNOTE|ARABIC POUND|ARABIC PIASTRE|ARABIC END|SYRIAC|KAITHI|EGYPTIAN|ARABIC DISPUTED"
)
"""Format characters (category Cf) that take a place on the screen: they enclose the digits or signs that follow."""


def pairs() -> list[tuple[str, str]]:
    lines = [line for line in CONFUSABLES.read_text().splitlines() if not line.startswith("#")]
    read = [
        [bytes.fromhex(f"{int(code, 16):08x}").decode("utf-32-be") for code in part.split()]
        for line in lines
        for part in line.split(";")
    ]
    return [("".join(source), "".join(target)) for source, target in zip(read[::2], read[1::2], strict=True)]


def named(payee: str, name: str) -> KnownPayee:
    return KnownPayee(payee, name, "", None)


def test_every_format_character_that_is_not_seen_is_invisible() -> None:
    formats = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf"}
    seen = {letter for letter in formats - INVISIBLE if not unicodedata.name(letter).startswith(tuple(VISIBLE_FORMATS.split("|")))}
    assert not seen


@pytest.mark.parametrize(
    "letter", [*sorted(INVISIBLE)[:400:7], "\u00ad", "\u061c", "\u2066", "\u2800", "\u3164", "\ufe0f", "\U000e0041"]
)
def test_an_invisible_character_is_refused_removed_and_dropped_alike(letter: str) -> None:
    with pytest.raises(Refusal, match="forbidden_character"):
        parse(PING, {"note": f"pa{letter}y"}, lambda _text, _kinds: None)
    assert normal(f"Pa{letter}y") == "pay"
    assert cleaned(f"pa{letter}y", 40) == "pay"
    assert without_invisible(f"pa{letter}y") == "pay"
    assert skeletons(f"pa{letter}y") == skeletons("pay")
    assert letter in INVISIBLE_CLASS or any(
        first <= letter <= last for first, last in zip(INVISIBLE_CLASS[::3], INVISIBLE_CLASS[2::3], strict=True)
    )


def test_every_letter_of_unicode_s_table_looks_like_what_it_says() -> None:
    apart = [pair for pair in pairs() if not skeletons(f"Ba{pair[0]}ker") & skeletons(f"Ba{pair[1]}ker")]
    assert not apart
    assert len(pairs()) > 1_000


@pytest.mark.parametrize(
    "twin", ["ΑΝΝΑ ΖΕΝΟΝ", "АNNА ZENON", "Αnna Ζenοn", "ANNA Z3NON".replace("3", "Е"), "anna zenοn", "ＡＮＮＡ ＺＥＮＯＮ"]
)
def test_capitals_and_small_letters_of_other_alphabets_look_alike(twin: str) -> None:
    assert alike("a", (named("a", "Anna Zenon"), named("b", twin)))
    assert alike("b", (named("a", "Anna Zenon"), named("b", twin)))


def test_a_name_in_another_case_is_alike_in_its_own_alphabet_too() -> None:
    assert alike("a", (named("a", "Γιωργοσ Νικου"), named("b", "ΓΙΩΡΓΟΣ ΝΙΚΟΥ")))
    assert alike("a", (named("a", "Bill's"), named("b", "BI11'S")))
    assert not alike("a", (named("a", "Anna Zenon"), named("b", "Anna Xenon")))


def test_the_work_is_linear_in_the_length() -> None:
    def took_s(length: int) -> float:
        best = 1e9
        for _ in range(5):
            began = perf_counter()
            skeletons("ΑrnΝvv\u200b" * length)
            best = min(best, perf_counter() - began)
        return best

    assert took_s(40_000) < 40 * took_s(4_000)
