"""Whatever an intent holds, it is shown, nothing is left out, and nothing of it deceives the eye."""

import unicodedata
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.doors.pages.confirm_view import SOURCES, view, visible
from gateway.grounding import sources
from tests.support.options import examples
from tests.support.passkeys import intent_of

leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3))
PARTS = (
    "arguments",
    "payee",
    "amount",
    "account",
    "execute_on",
    "rail",
    "fees",
    "consequence",
    "title",
    "exactly",
    "other",
    "quoted",
    "doubts",
)


@settings(max_examples=examples(150))
@given(st.data())
def test_every_leaf_of_any_intent_is_shown(data: st.DataObject) -> None:
    intent = intent_of()
    for name in data.draw(st.lists(st.sampled_from([*intent, "unknown"]), max_size=4)):
        intent[name] = data.draw(values)
    if isinstance(intent["calls"], list) and intent["calls"] and isinstance(intent["calls"][0], dict):
        for name in data.draw(st.lists(st.sampled_from(PARTS), max_size=4)):
            intent["calls"][0][name] = data.draw(values)
    shown = view(intent)
    assert sum(1 for _ in leaves_of(intent)) == len(shown.everything)
    assert [row.value for row in shown.everything] == [words(leaf) for leaf in leaves_of(intent)]
    assert {row.label for row in shown.more} >= ({"Unknown"} if "unknown" in intent else set())


@given(st.text())
def test_what_is_shown_can_be_seen(text: str) -> None:
    shown = visible(text)
    assert not [item for item in shown if unicodedata.category(item)[0] == "C" and item not in "\n\t"]
    assert visible(shown) == shown


def test_every_source_of_the_grounding_has_its_words() -> None:
    asked = {sources.OWN, sources.KNOWN, sources.TYPED, sources.UNCHANGED, sources.CONFIRMED, *sources.ASKED}
    assert asked <= set(SOURCES)


def leaves_of(value: Any) -> Any:
    if isinstance(value, dict | list) and value:
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves_of(item)
    else:
        yield value


def words(leaf: Any) -> str:
    if leaf is None or leaf in ([], {}):
        return "(none)"
    if isinstance(leaf, bool):
        return "yes" if leaf else "no"
    return visible(str(leaf))
