"""What a model's answer may carry: examples of each rule."""

import pytest

from gateway.runs.identifiers import WINDOW_CHARS
from gateway.runs.links import LONG_PIECE_CHARS, MAX_HELD_CHARS
from gateway.runs.outgoing import OutgoingFilter, identifiers

HOSTS = frozenset({"bank.example", "help.bank.example"})


def said(text: str, shown: frozenset[str] = frozenset()) -> str:
    outgoing = OutgoingFilter(HOSTS, shown)
    return outgoing.feed(text) + outgoing.end()


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("see [fees](https://evil.com/x), or", "see [fees] [link removed], or"),
        ("![a](https://evil.com?q=1)", "![a] [link removed]"),
        ("[a](\nhttps://evil.com 'title')", "[a] [link removed]"),
        ("[a](/logout)", "[a] [link removed]"),
        ("[1](as said above)", "[1] (as said above)"),
        ("[x]: //evil.com\n", "[x] : [link removed]\n"),
        ("go to https://evil.com/x.", "go to [link removed]."),
        ("(www.evil.com)", "([link removed])"),
        ("mailto:x@evil.com tel:+44", "[link removed] [link removed]"),
        ("javascript&colon;x", "[link removed]"),
        ("evil%2Eexample%2Fx", "[link removed]"),
        ("evil．example/x", "[link removed]"),
        ("＜.example/x", "[link removed]"),
        ("evil\\.example/x", "[link removed]"),
        ("\\njavascript:x", "[link removed]"),
        ("<https://bank.example/onclick=x>", " [link removed]"),
        ("paid to Booking.com, thanks", "paid to Booking[.]com, thanks"),
        ("at bank.example or evil.bank.example", "at bank.example or evil[.]bank[.]example"),
        ("Mail x@evil.com", "Mail [e-mail]"),
        ("Mail x@evil.xn--p1ai", "Mail [e-mail]"),
        ("Mail x@localhost", "Mail [link removed]"),
        ("a<br>b <img src=x onerror=y>c", "a b  [link removed]c"),
        ("<!-- a -->", "‹!-- a -->"),
        ("x <y and z", "x ‹y and z"),
        ("Tom&#39;s &#64;x", "Tom&#39;s  x"),
        ("in\u200bvisi\u202eble\x00", "invisible"),
        ("https://bank.example https://bank.example/ HTTPS://Bank.Example/x", "https://bank.example https://bank.example/ HTTPS://Bank.Example/x"),
        ("http://bank.example/ https://bank.example:443/", "[link removed] [link removed]"),
        ('{"u": "a\\nhttps://bank.example/x\\nhttps://evil.com"}', '{"u": "a\\n[link removed]"}'),
    ],
)  # fmt: skip
def test_what_stands_for_it(text: str, out: str) -> None:
    assert said(text) == out


def test_what_is_decided_goes_out_at_once() -> None:
    outgoing = OutgoingFilter(HOSTS, frozenset())
    assert outgoing.feed("Hello, your new card ") == "Hello, your new card "
    assert outgoing.feed("came to-day. Look [here](ht") == "came to-day. Look "
    assert outgoing.feed("tps://bank.example/x). The ") == "[here](https://bank.example/x). The "
    assert outgoing.feed("IBAN GB29 NWBK 6016 ") == "IBAN "
    assert outgoing.feed("1331 9268 19 and then some") + outgoing.end() == "[iban] and then some"


def test_a_piece_without_end_is_replaced_at_the_bound_and_swallowed_up_to_its_end() -> None:
    assert said("a " + "x" * MAX_HELD_CHARS + "https://evil.com/secret b") == "a [link removed] b"
    assert said("好" * 5000) == "好" * 5000
    assert said("x," * 5000) == "x," * 5000
    assert said("好" * (LONG_PIECE_CHARS - 3) + "https://evil.com") == "[link removed]"


def test_what_opens_a_tag_or_a_destination_without_end_is_broken_at_the_bound() -> None:
    assert said("<a " + "x " * MAX_HELD_CHARS + "href=//evil.com>").startswith("‹a x")
    assert said("[a](" + "x " * MAX_HELD_CHARS + ")").startswith("[a] (x")
    assert "//" not in said("<a " + "x " * MAX_HELD_CHARS + "href=//evil.com>")


@pytest.mark.parametrize("shift", range(0, 64, 3))
def test_a_row_of_digits_without_end_hides_no_card(shift: int) -> None:
    row = "1," * ((WINDOW_CHARS - 56) // 2)
    out = said(f"{row}{',' * shift} 4111 1111 1111 1111, {'1,2 ' * 2000}")
    assert "[card number]" in out
    assert "1111" not in out
    assert out.count("1,2 ") > 1900


@pytest.mark.parametrize(
    "written",
    [
        "ＧＢ２９ ＮＷＢＫ ６０１６ １３３１ ９２６８ １９",
        "DE89–3704–0044–0532–0130–00",
        "DE89·3704·0044·0532·0130·00",
        "DE**89**3704`0044`0532013000",
        "DE89\\-3704\\-0044\\-0532\\-0130\\-00",
        "DE89<b></b>3704<i>0044</i>0532 0130 00",
        "DE89&nbsp;3704&thinsp;0044 0532 0130 00",
        "D\u200bE\u00ad89 3704 0044 0532 0130 00",
        "".join(f"{digit}\u0332" for digit in "4111111111111111"),
        "④①①① 1111 1111 1111",
        "[fees](https://bank.example/fees)account no. 12345678",
        "好account no. 12345678",
        "12345678GB29NWBK60161331926819",
    ],
)
def test_no_spelling_hides_an_identifier(written: str) -> None:
    out = said(f"account {written} is theirs")
    assert "[" in out
    assert not any(digit in out for digit in "0123456789")


def test_identifiers_are_known_however_they_are_written() -> None:
    shown = identifiers("My IBAN is gb29-nwbk-6016-1331-9268-19, phone +44 (0)20 7946 0958, mail Anna@Mail.example")
    text = "GB29 NWBK 6016 1331 9268 19, sort code 60-16-13 account 31926819, account 31926819, 020 7946 0958, anna@mail.example"
    assert said(text, shown) == text
    assert said("DE89 3704 0044 0532 0130 00, x@mail.example", shown) == "[iban], [e-mail]"


def test_a_punycode_address_that_was_shown_goes_out_and_another_one_does_not() -> None:
    shown = identifiers("write to anna@xn--bcher-kva.xn--p1ai")
    text = "anna@xn--bcher-kva.xn--p1ai, an_na@xn--bcher-kva.xn--p1ai, änna@xn--bcher-kva.xn--p1ai"
    assert said(text, shown) == "anna@xn--bcher-kva.xn--p1ai, [e-mail], [e-mail]"


def test_a_window_without_a_pause_ends_at_a_line_so_that_no_value_is_torn() -> None:
    rows = "".join(f"2026-{at % 12 + 1:02d}-{at % 28 + 1:02d},193.0012345678,{at * 37 % 1000}.00\n" for at in range(400))
    assert said(rows) == rows


def test_shown_may_be_asked_for() -> None:
    outgoing = OutgoingFilter(HOSTS, lambda electronic: electronic.startswith("gb"))
    assert outgoing.feed("GB29NWBK60161331926819 DE89370400440532013000") + outgoing.end() == "GB29NWBK60161331926819 [iban]"


def test_identifiers_in_addresses_that_may_stay_are_replaced_too() -> None:
    assert said("https://bank.example/pay?to=DE89370400440532013000") == "https://bank.example/pay?to=[iban]"


def test_a_marker_never_becomes_a_link() -> None:
    assert said("//evil.com(/x) DE89370400440532013000(/x)") == "[link removed] (/x) [iban] (/x)"


@pytest.mark.parametrize(
    "host", ["Bank.example", "bank", "bank.example:443", "bänk.example", "*.bank.example", "https://bank.example", "", "1.2.3.4"]
)
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        OutgoingFilter(frozenset({host}), frozenset())
