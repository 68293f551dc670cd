"""What a question to the model holds of a thread: in order, nothing split, the first and the newest always, within its budget or said."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.runs.model import CallTurn, ImagePart, Item, MessageTurn, TextPart, ToolCall
from gateway.runs.truncation import DroppedHistory, TokenEstimate, truncated
from tests.support.options import examples

TEXTS = st.text(max_size=60) | st.integers(0, 500).map("x".__mul__)
MESSAGES = st.builds(
    MessageTurn,
    st.sampled_from(["user", "assistant"]),
    st.lists(TEXTS.map(TextPart) | st.just(ImagePart("https://bank.example/x.png", "low")), min_size=1, max_size=2).map(tuple),
)
TURNS = st.lists(st.tuples(st.builds(ToolCall, st.just("call"), st.just("pay"), TEXTS), TEXTS), min_size=1, max_size=3).map(
    lambda calls: CallTurn(tuple(calls))
)
THREADS = st.lists(MESSAGES | TURNS, max_size=12)
COUNTER = TokenEstimate()


def messages(items: list[Item]) -> int:
    return sum(isinstance(item, MessageTurn) for item in items)


@settings(max_examples=examples(200), deadline=None)
@given(THREADS, st.none() | st.integers(0, 1500), st.none() | st.integers(1, 6))
def test_what_is_kept_is_in_order_whole_within_the_budget_and_counted(
    items: list[Item], budget: int | None, last: int | None
) -> None:
    fitting = truncated(items, last_messages=last, budget=budget, counter=COUNTER)
    newest = next(
        (at for at, item in reversed(list(enumerate(items))) if isinstance(item, MessageTurn) and item.role == "user"), None
    )
    start = 0
    if last is not None and messages(items) > last:
        start = [at for at, item in enumerate(items) if isinstance(item, MessageTurn)][-last]
    asked = items[start:]
    must = [*asked[:1], *asked[1:][-1:]]
    if newest is not None and newest >= start and newest not in (start, len(items) - 1):
        must.insert(1, items[newest])
    if fitting is None:
        assert budget is not None
        assert sum(map(COUNTER.of, must)) > budget
        return
    rest = iter(items)
    assert all(any(item is it for it in rest) for item in fitting.items)
    assert all(any(item is it for it in fitting.items) for item in must)
    assert fitting.tokens == sum(map(COUNTER.of, fitting.items))
    assert budget is None or fitting.tokens <= budget
    assert last is None or messages(list(fitting.items)) <= last
    gone = messages(items) - messages(list(fitting.items))
    assert fitting.dropped == DroppedHistory(gone, len(items) - len(fitting.items) - gone)
    assert sum(map(COUNTER.of, asked)) > (budget or 0) or len(fitting.items) == len(asked) or budget is None


@settings(max_examples=examples(150), deadline=None)
@given(THREADS, st.integers(0, 1500), st.none() | st.integers(1, 6))
def test_what_was_truncated_once_stays_as_it_is(items: list[Item], budget: int, last: int | None) -> None:
    once = truncated(items, last_messages=last, budget=budget, counter=COUNTER)
    if once is not None:
        again = truncated(once.items, last_messages=last, budget=budget, counter=COUNTER)
        assert again is not None
        assert (again.items, again.dropped, again.tokens) == (once.items, DroppedHistory(), once.tokens)


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(1, 500), st.integers(1, 4000), st.integers(20, 500))
def test_the_server_s_count_corrects_the_estimate(chars: int, counted: int, more: int) -> None:
    estimate = COUNTER.of_text("x" * chars)
    learned = COUNTER.corrected(estimate, counted)
    if 0.2 <= counted / estimate <= 4:
        assert abs(learned.of_text("x" * chars) - counted) <= 1 + learned.ratio
    assert 0.2 <= learned.ratio <= 4
    assert learned.of_text("x" * more) > 0
    assert learned.corrected(0, counted) == learned
    assert learned.corrected(estimate, 0) == learned


def test_many_calls_do_not_push_out_what_was_asked() -> None:
    asked = MessageTurn("user", (TextPart("What did I spend?"),))
    turns = [CallTurn(((ToolCall(str(at), "list_transactions", "{}"), "x" * 100),)) for at in range(20)]
    fitting = truncated([MessageTurn("user", (TextPart("Hello"),)), asked, *turns], last_messages=None, budget=300, counter=COUNTER)
    assert fitting is not None
    assert asked in fitting.items
    assert fitting.items[-1] is turns[-1]
    assert fitting.dropped.turns == 20 - (len(fitting.items) - 2)
    assert fitting.dropped.messages == 0
