"""Whatever stands between the groups of an identifier, it is found on the way to the model and on the way to the customer; and what is
not an identifier stays as it was."""

import re
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.calls.detection import findings, masked
from gateway.calls.folding import PLAIN, folded, folded_letter
from gateway.calls.redaction import cleaned
from gateway.runs.outgoing import OutgoingFilter
from tests.support.identifiers import DIGITS, a_card, an_iban, luhn_digit
from tests.support.options import examples
from tests.support.statements import LOCALES, SHAPES, rows

SEPARATORS = (
    *("-", "‐", "‑", "‒", "–", "—", "―", "−", "－", "﹣"),
    *(".", "·", "•", "∙", "⋅", "․", "．"),
    *(",", "，", "،", "‚", "٬"),
    *(":", "：", "∶", "꞉"),
    *("/", "／", "⁄", "∕"),
    *("_", "__", "＿", "*", "**", "~~", "`"),
    *(" ", "  ", "\u00a0", "\u2003", "\u2009", "\u202f", "\u3000"),
    *("\u200b", "\u200d", "\u2060", "\u00ad", "\ufe0f", "\u0332", "\u0301"),
)
AROUND = [
    (before, after)
    for before in ("", "please pay ", "On 2026-12-24 you paid 1.234,56 EUR to ", "| 12.50 | ")
    for after in ("", " now", ", 24.12.2026 12,50", " | 1,234.56 |", "\nand then")
]
DIGIT_SETS = ("0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")


def a_phone(random: Random) -> str:
    return random.choice(["+44 20 7946 ", "020 7946 ", "+49 30 1234 ", "07700 90", "+1 202 555 "]) + "".join(
        random.choices(DIGITS, k=4)
    )


def an_account(random: Random) -> str:
    pair, four = ("".join(random.choices(DIGITS, k=2)) for _ in range(2)), ("".join(random.choices(DIGITS, k=4)) for _ in range(2))
    return f"account number {' '.join(four)}" if random.random() < 0.5 else f"sort code 60 16 {next(pair)} account {''.join(four)}"


def a_card_in_fours(random: Random) -> str:
    body = random.choice(["4", "51", "2221", "6011", "3530", "2200", "9792", "6500"])
    body += "".join(random.choices(DIGITS, k=15 - len(body)))
    return " ".join(re.findall("....", body + luhn_digit(body)))


def an_iban_in_fours(random: Random) -> str:
    return " ".join(re.findall(".{1,4}", an_iban(random).replace(" ", "").replace("-", "")))


def answered(text: str, size: int) -> str:
    outgoing = OutgoingFilter(frozenset(), frozenset())
    return "".join(outgoing.feed(text[at : at + size]) for at in range(0, len(text), size)) + outgoing.end()


def digits_of(text: str) -> str:
    return "".join(letter for letter in folded(text)[0] if letter.isdigit())


@settings(max_examples=examples(600), deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([a_card_in_fours, an_iban_in_fours, a_phone, an_account]),
    st.sampled_from(SEPARATORS),
    st.sampled_from(DIGIT_SETS),
    st.sampled_from(AROUND),
)
def test_no_separator_hides_an_identifier(
    seed: int, make: Callable[[Random], str], separator: str, digit_set: str, around: tuple[str, str]
) -> None:
    before, after = around
    core = re.sub("(?<=[0-9A-Z]) (?=[0-9A-Z])", separator, make(Random(seed)))
    core = core.translate({ord(digit): digit_set[at] for at, digit in enumerate(DIGITS)})
    left = digits_of(before + after)
    for out in (masked(cleaned(before + core + after, 4000))[0], answered(before + core + after, 1 + seed % 40)):
        assert "[" in out
        assert digits_of(out) == left, out


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(LOCALES)), st.sampled_from(sorted(SHAPES)), st.integers(1, 12))
def test_a_statement_without_identifiers_stays_as_it_is(seed: int, locale: str, shape: str, count: int) -> None:
    text = SHAPES[shape](LOCALES[locale], rows(Random(seed), LOCALES[locale], count))
    assert findings(text) == []
    assert masked(cleaned(text, 4000))[0] == cleaned(text, 4000)


@given(st.text(max_size=200))
def test_places_lead_back_to_the_original(text: str) -> None:
    plain, places = folded(text)
    assert len(plain) == len(places)
    assert list(places) == sorted(places)
    for letter, place in zip(plain, places, strict=True):
        assert letter in folded_letter(text[place]) or letter == "\n"


@given(st.text(st.sampled_from("4111 -.*_\u200b\u0332é\n１")), st.sampled_from(["4111 1111 1111 1111", a_card(Random(1))]))
def test_all_else_stays_as_it_was(around: str, core: str) -> None:
    text = f"{around}x {core} x{around[::-1]}"
    at = 0
    for it in findings(text):
        assert it.start >= at
        at = it.end
    kept = masked(text)[0]
    assert kept.startswith(around[:1]) or text.startswith(around[:1])
    assert re.sub(r"\[[a-z -]+\]", "", kept) == without(text)


def without(text: str) -> str:
    for it in reversed(findings(text)):
        text = text[: it.start] + text[it.end :]
    return text


def test_what_is_called_plain_is_not_folded() -> None:
    letters = re.findall(f"[{PLAIN}]", "".join(map(chr, range(0x10000))))
    assert [it for it in letters if folded_letter(it) != it] == []


@pytest.mark.parametrize("text", ["GB29 NWBK 6016 1331 9268 19", "anna@xn--bcher-kva.xn--p1ai"])
def test_addresses_in_punycode_are_addresses(text: str) -> None:
    assert masked(f"to {text}.")[0] in ("to [iban].", "to [e-mail].")
