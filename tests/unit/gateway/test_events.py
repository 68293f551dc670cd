"""Server-sent events: the same whatever the pieces in which their bytes come, and bounded."""

from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.runs.events import MAX_EVENT_BYTES, Event, Events, EventTooLong

STREAM = (
    ": a comment\n\n"
    "data: one\n\n"
    "event: named\r\ndata: two\r\ndata:  of two lines\r\n\r\n"
    "id: 7\nretry: 5\ndata:three: \u00fc\U0001f600\n\n"
    "event: of no data\n\n"
    "data\n\n"
    "data: four\n\n"
    "data: without its end\n"
).encode()
EVENTS = [
    Event("", b"one"),
    Event("named", b"two\n of two lines"),
    Event("", "three: \u00fc\U0001f600".encode()),
    Event("", b"four"),
]


@given(st.sets(st.integers(0, len(STREAM))), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_neither_pieces_nor_line_ends_matter(cuts: set[int], ending: bytes, has_mark: bool) -> None:
    begun = STREAM.removeprefix(b": a comment\n\n")  # its first line says something
    stream = (b"\xef\xbb\xbf" if has_mark else b"") + begun.replace(b"\r\n", b"\n").replace(b"\n", ending)
    events, places = Events(), sorted({cut for cut in cuts if cut < len(stream)} | {0, len(stream)})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert [event for chunk in chunks for event in events.feed(chunk)] == EVENTS
    assert list(events.end()) == [Event("", b"without its end")]


@pytest.mark.parametrize("chunk", [b"x" * 65536, b"data: " + b"x" * 65536 + b"\n", b"event: " + b"x" * 65536 + b"\n"])
def test_an_event_that_does_not_end_is_refused(chunk: bytes) -> None:
    events = Events()
    chunks = repeat(chunk, 2 * MAX_EVENT_BYTES // len(chunk))
    with pytest.raises(EventTooLong):
        assert [event for item in chunks for event in events.feed(item)] == []
