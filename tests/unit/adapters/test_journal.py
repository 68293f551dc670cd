"""The journal of what was sent to an upstream: whose rows go with a person who is erased."""

from datetime import UTC, datetime
from pathlib import Path

from adapters.core import Done
from adapters.declared.journal import Journal, JournalRow

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_rows_of_a_customer_go_and_those_of_others_stay(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "upstream.sqlite")
    for customer in ("person-gone", "person-stays"):
        row = JournalRow(f"key-{customer}", b"d" * 32, "order_card", customer, "sent", None, NOW)
        assert journal.claim(row, NOW, may_repeat=False) is None
        journal.end(row.key, "done", NOW, Done({"for": customer}))
    assert journal.forget("person-gone") == 1
    assert journal.find("key-person-gone") is None
    assert journal.find("key-person-stays") is not None
    assert journal.forget("person-gone") == 0
    journal.close()
    assert b"person-gone" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
