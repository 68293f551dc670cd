"""Orders made from the grammar go on; whatever is done to them, they do not: a word put in, a turn after, another subject."""

from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.domain.reading import ClauseKind, reading_of
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.reader import CHARACTERS_MOST, read
from gateway.grounding.tokens import tokens
from tests.attacks.meant.sentences import NAMES, NEW, Outcome, Payment, outcome

PAYEES = st.sampled_from([name for name in NAMES if name != NEW])
AMOUNTS = st.integers(1, 999_99).map(lambda minor: Decimal(minor).scaleb(-2))
BEFORE = (
    "",
    "please",
    "hi,",
    "can you",
    "could you please",
    "I'd like to",
    "let's",
    "go ahead and",
    "ok, I want you to",
    "hello! please",
)
AFTER = (
    "",
    "please",
    "thanks",
    "today",
    "now please",
    "for lunch",
    "for the cinema tickets",
    "ref flat 42",
    "right away, thank you",
)
FORMS = (
    "{before} pay {payee} {amount} {after}",
    "{before} send {amount} to {payee} {after}",
    "{before} transfer {amount} to {payee} {after}",
    "{before} give {payee} {amount} {after}",
    "{before} make a payment of {amount} to {payee} {after}",
)
WRITTEN = ("£{:.2f}", "{:.2f} pounds", "GBP {:.2f}", "{:.2f} GBP", "£ {:.2f}", "{:.2f} quid")


@st.composite
def orders(draw: st.DrawFn, after: tuple[str, ...] = AFTER) -> tuple[str, Payment]:
    """A plain order, and the payment that it orders."""
    payee, amount = draw(PAYEES), draw(AMOUNTS)
    text = draw(st.sampled_from(FORMS)).format(
        before=draw(st.sampled_from(BEFORE)),
        payee=payee,
        amount=draw(st.sampled_from(WRITTEN)).format(amount),
        after=draw(st.sampled_from(after)),
    )
    spaced = " ".join(text.split())
    return draw(st.sampled_from([spaced, spaced.capitalize(), spaced + ".", spaced + "!"])), Payment(payee, amount)


@given(orders(), st.booleans())
def test_a_plain_order_goes_on_whatever_was_read_before(order: tuple[str, Payment], is_tainted: bool) -> None:
    text, payment = order
    assert outcome([text], payment, is_tainted=is_tainted) is Outcome.GOES_ON
    assert outcome([text], Payment(payment.to, payment.amount + Decimal("0.01"))) is not Outcome.GOES_ON


KEPT = ("", "please", "thanks", "today")
"""Ends of an order without free text, which takes words of its own."""

OUTSIDE = st.one_of(
    st.sampled_from(sorted(ENGLISH.closed - ENGLISH.known)),
    st.sampled_from(
        ["purple", "wherefore", "zorkmids", "perhapsly", "nicht", "jamais", "42", "£30", "7 euros", '"', "50%", "and", "or", "ben"]
    ),
    st.from_regex(r"[a-z]{3,9}", fullmatch=True),
)


@given(orders(KEPT), OUTSIDE, st.integers(0, 20))
@example(("pay Anna Schmidt £20.00", Payment()), "not", 1)
@example(("pay Anna Schmidt £20.00", Payment()), "half", 3)
def test_a_word_outside_the_grammar_put_anywhere_into_an_order_is_never_done_unasked(
    order: tuple[str, Payment], word: str, at: int
) -> None:
    text, payment = order
    words = text.split()
    place = min(at, len(words))
    is_known = word in ENGLISH.known or word in ENGLISH.courtesy.words() | ENGLISH.answering.words() | ENGLISH.taking_back.words()
    is_joining = word in ENGLISH.joining.words() | ENGLISH.open_words.words() | ENGLISH.asking.words()
    assume(not is_known and not is_joining and word not in text.lower())
    spoilt = " ".join([*words[:place], word, *words[place:]])
    assert outcome([spoilt], payment) is not Outcome.GOES_ON, spoilt


CLOSED_IN_TEXT = st.sampled_from(sorted(ENGLISH.closed - ENGLISH.known))


@given(orders(("for the cinema tickets", "for lunch", "ref flat 42")), CLOSED_IN_TEXT, st.integers(0, 20))
def test_a_closed_class_word_is_never_swallowed_by_free_text(order: tuple[str, Payment], word: str, at: int) -> None:
    text, payment = order
    assume(word not in ENGLISH.courtesy.words() | ENGLISH.joining.words() | ENGLISH.asking.words() | ENGLISH.open_words.words())
    words = text.rstrip(".!").split()
    place = max(len(words) - at % 3, 1)
    spoilt = " ".join([*words[:place], word, *words[place:]])
    assert outcome([spoilt], payment) is not Outcome.GOES_ON, spoilt


SPOILING = (
    "if she asks, {}", "{} if it rains", "my wife will {}", "Anna said: {}", '"{}"', "I never {}", "I did not {}",
    "yesterday I told you to {}", "when I say so, {}", "what if I {}?", "tell Ben to {}", "perhaps {}", "{} or not",
    "{}, but not yet", "{} tomorrow", "{} every month", "{} on 24 December", "{} twice", "she said {}", "do not {}", "don't {}",
    "never {}", "I was going to {}", "{} unless Ben does", "remind me to {}", "he wants me to {}", "should I {}?", "did you {}?",
    "imagine you {}", "{} as soon as I am back", "why {}?",
)  # fmt: skip


@given(orders(("",)), st.sampled_from(SPOILING))
def test_an_order_that_is_spoilt_is_never_done_unasked(order: tuple[str, Payment], frame: str) -> None:
    text, payment = order
    spoilt = frame.format(text.rstrip(".!"))
    assert outcome([spoilt], payment) is not Outcome.GOES_ON, spoilt


BACK = (
    "No", "Don't", "Don't!", "Cancel that", "Never mind", "Forget it", "Stop", "Wait", "hold on, I have changed my mind", "no, leave it",
    "Actually, no", "Please don't", "Cancel the payment", "cancel everything", "I take that back", "on second thought, don't", "nope",
)  # fmt: skip


@given(orders(), st.sampled_from(BACK), st.sampled_from(["", "Thanks", "How much is left?"]))
def test_what_is_taken_back_in_a_later_turn_is_denied(order: tuple[str, Payment], back: str, between: str) -> None:
    text, payment = order
    turns = [turn for turn in (text, between, back) if turn]
    assert outcome(turns, payment) is Outcome.DENIED


@given(orders(("",)), st.sampled_from(["My sister is in town.", "It is cold here today.", "Ben called.", "We had a lovely lunch."]))
def test_words_that_are_not_understood_around_an_order_are_shown(order: tuple[str, Payment], around: str) -> None:
    text, payment = order
    for turns in ([f"{around} {text}"], [f"{text.rstrip('.!')}. {around}"], [text, around]):
        assert outcome(turns, payment) is Outcome.ASKED, turns


@given(st.text(max_size=200))
def test_any_text_is_read_whole_and_the_reading_survives_being_kept(text: str) -> None:
    reading = read(text)
    assert reading_of(reading.written()) == reading
    places = [(clause.start, clause.end) for clause in reading.clauses]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)
    covered = [any(start <= piece.start and piece.end <= end for start, end in places) for piece in tokens(text)]
    ends = [piece.text in ".!?;\n,-: and then also plus" or held for piece, held in zip(tokens(text), covered, strict=True)]
    assert all(ends)


def test_a_message_that_is_too_long_is_not_understood() -> None:
    (clause,) = read("pay Anna 20 pounds. " * (CHARACTERS_MOST // 20 + 1)).clauses
    assert clause.kind is ClauseKind.OTHER


@pytest.mark.parametrize(
    "text",
    [
        "pay " * 1000,
        "a, " * 1300,
        "and " * 1000,
        "pay Anna to to to " * 200,
        "20 pounds " * 400,
        "the " * 1000,
        "no, " * 1000,
        "pay a b c d e f g h i j k for l m n o p q ref r s t u v w x y z " * 40,
    ],
)
def test_no_text_takes_more_work_than_is_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 0
    from gateway.grounding import parts

    honest = parts.Budget.spend

    def counted(self: parts.Budget) -> bool:
        nonlocal spent
        spent += 1
        return honest(self)

    monkeypatch.setattr(parts.Budget, "spend", counted)
    read(text[:CHARACTERS_MOST])
    assert spent < 12_000
