"""What goes out is the same however the answer comes in, holds no identifier that was not shown, and keeps what is allowed."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.calls.detection import findings
from gateway.calls.redaction import cleaned
from gateway.runs.identifiers import AHEAD_CHARS, WINDOW_CHARS
from gateway.runs.links import MAX_HELD_CHARS
from gateway.runs.outgoing import OutgoingFilter, identifiers
from tests.support.options import examples

HOSTS = frozenset({"bank.example", "help.bank.example"})
IDENTIFIERS = (
    "GB29NWBK60161331926819",
    "gb29 nwbk 6016 1331 9268 19",
    "DE89 3704 0044 0532 0130 00",
    "DE89\n3704 0044 **0532** 0130 00",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "sort code 12-34-56 account number 87654321",
    "account no. 12345678",
    "+44 20 7946 0958",
    "(020) 7946 0958",
    "anna@mail.example",
    "DE89&#51;704&nbsp;0044 0532 0130 00",
    "４１１１ 1111\u200b 1111 1111",
)
WORDS = (
    *IDENTIFIERS,
    "Your balance is 1.234,56 EUR",
    "is",
    "account",
    "no",
    "[fees](https://bank.example/fees)",
    "[x](https://evil.com)",
    "https://bank.example",
    "https://help.bank.example/a?b=c",
    "<b>x</b>",
    "Für",
    "你好",
    "👩‍👧",
    "GB29",
    "NWBK",
    "12",
    "7",
    "**",
    ". ",
    "4111,1111,1111,1111",
    "2026-12-24,193.0012345678,",
    "2026-12-24,193.0012345678,-12.50\n" * 40,
    "| 24.12.2026 | 1.234,56 |\n" * 40,
    "x" * 300,
    "1 " * 400,
    "4" * 700,
    "好" * 300,
)
TEXTS = st.lists(st.sampled_from(WORDS) | st.sampled_from([" ", "\n", ", "]) | st.text(max_size=4), max_size=12).map("".join)
SHOWN = frozenset().union(*(identifiers(it) for it in IDENTIFIERS[1:6:2]))


def whole(text: str, shown: frozenset[str] = frozenset()) -> str:
    outgoing = OutgoingFilter(HOSTS, shown)
    return outgoing.feed(text) + outgoing.end()


@settings(max_examples=examples(200), deadline=None)
@given(TEXTS, st.lists(st.integers(1, 400), max_size=8))
def test_any_portions_come_to_the_same(text: str, sizes: list[int]) -> None:
    expected = whole(text, SHOWN)
    outgoing = OutgoingFilter(HOSTS, SHOWN)
    out, at = "", 0
    for size in sizes:
        out += outgoing.feed(text[at : at + size])
        at += size
        assert expected.startswith(out)
    assert out + "".join(map(outgoing.feed, text[at:])) + outgoing.end() == expected


@settings(max_examples=examples(200), deadline=None)
@given(TEXTS)
def test_no_identifier_is_left_that_was_not_shown(text: str) -> None:
    """Whole texts here, windows there: the two agree."""
    out = whole(text)
    for at in range(0, len(out), 1500):
        plain = cleaned(out[at : at + 2000].replace("*", ""), 4000)
        is_cut = at + 2000 < len(out)
        # What the cut halves is whole in the piece before or behind.
        left = [
            plain[it.start : it.end]
            for it in findings(plain)
            if not ((is_cut and it.end == len(plain)) or (at and len(plain[: it.end].split()) == 1))
        ]
        assert [it for it in left if not set(it) <= set("1 47")] == []  # pieces of rows without end


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sampled_from(IDENTIFIERS[:11]), min_size=1, max_size=5), st.sampled_from([", ", ". So: ", "\n\nand then "]))
def test_what_was_shown_stays_byte_for_byte_and_only_that(listed: list[str], between: str) -> None:
    text = between.join(listed)
    assert whole(text, identifiers(text)) == text
    assert identifiers(whole(text)) == frozenset()


PARTS = (
    "Your balance is 1.234,56 EUR.\n",
    "- **Fees** (5% p.a., 24/7): _none_\n",
    "| a | b |\n|---|---|\n| 1,00 | 2026-01-31 |\n",
    "See [fees](https://bank.example/fees?x=1&y=2#z), ",
    '![logo](https://help.bank.example/logo.png "Logo") ',
    "[1]: https://bank.example/terms\n",
    "<https://bank.example/x> and https://bank.example. ",
    "e.g. a < b, 3<5 and 4 > 2; z.B. statement.pdf `code` ",
    "Für Sie: 你好。今天 👩‍👧 می‌خواهم caf&eacute; &amp; R&D\r\n",
    '{"a": ["b", 1.5], "u": "https://bank.example/x"}\n',
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=30))
def test_what_is_allowed_stays_byte_for_byte(parts: list[str]) -> None:
    assert whole("".join(parts)) == "".join(parts)


HOSTILE = (
    *(
        "1 ",
        "1",
        "[](",
        "](",
        "<a ",
        "<",
        "a@",
        "a.",
        "&#x",
        "\\",
        "%25",
        "gb29 nwbk ",
        "https://",
        "https://bank.example/",
        "x",
        "(",
    ),
    *("@", "12-34-56, ", "好", "]: ", "www.", "\u200d", "é\u200d", "4111 1111 "),
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_little_is_held_back_and_the_work_grows_with_the_text_alone(hostile: str) -> None:
    def steps(chars: int) -> int:
        """Functions called, of Python and of C. Each looks at no more than what is held, so that they count the work."""
        text = (hostile * chars)[:chars]
        called = 0

        def count(frame: object, event: str, arg: object) -> None:
            nonlocal called
            called += event in ("call", "c_call")

        outgoing = OutgoingFilter(HOSTS, frozenset())
        portions = [text[at : at + 64] for at in range(0, chars, 64)]
        sys.setprofile(count)
        try:
            for portion in portions:
                outgoing.feed(portion)
                assert outgoing.held_chars <= MAX_HELD_CHARS + WINDOW_CHARS + AHEAD_CHARS
        finally:
            sys.setprofile(None)
        return called

    assert steps(16_000) < 2.5 * steps(8_000) + 1_000
