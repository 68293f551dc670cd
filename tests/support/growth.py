"""What a gateway asks of its database again and again, each beside data of any size that must not matter. For tests and benchmarks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, update

from adapters.core import Money
from gateway.domain.facts import HeardMessage
from gateway.domain.mandate import Limits
from gateway.domain.ports import Claim
from gateway.domain.proposal import NewProposal, drawn_up
from gateway.domain.states import CallState
from gateway.store import calls, confirmations, conversations, spending
from gateway.store.effect_facts import effect_facts
from gateway.store.tables import (
    APPROVERS,
    CALLS,
    CONFIRMATIONS,
    CONVERSATIONS,
    CUSTOMERS,
    PROPOSED_CALLS,
    READINGS,
    SPENT,
    USES,
    WORDS,
)
from gateway.store.times import to_us

NOW = datetime(2026, 11, 24, 12, 34, 56, tzinfo=UTC)
MONTH = timedelta(days=30)

Rows = Iterator[Mapping[str, object]]


@dataclass(frozen=True)
class Growing:
    """`fill` makes rows of so many things that do not matter, by table; `question` is what is asked beside them."""

    name: str
    fill: Callable[[int], Sequence[tuple[Table, Rows]]]
    question: Callable[[Connection], object]
    becomes: str | None = None
    """State of the proposals."""


def fill(connection: Connection, growing: Growing, size: int) -> None:
    """The customer, their conversation, and what has grown beside them."""
    mandate = {"mandate_version": 1, "mandate": b"", "mandate_signature": b"", "frozen": False}
    connection.execute(insert(CUSTOMERS), [{"customer": "alice", **mandate}])
    row = {"id": "c", "customer": "alice", "created_us": to_us(NOW), "turns": size, "said": size}
    connection.execute(insert(CONVERSATIONS), [row])
    for table, rows in growing.fill(size):
        while batch := list(islice(rows, 5_000)):
            connection.execute(insert(table), batch)
    if growing.becomes is not None:  # a proposal begins open
        connection.execute(update(CONFIRMATIONS).values(state=growing.becomes))


def _messages(size: int) -> Sequence[tuple[Table, Rows]]:
    """A conversation of so many turns, all said lately."""
    said = {"conversation": "c", "origin": "typed", "text": "Pay Anna £20", "at_us": to_us(NOW) - 1, "reading": None}
    return [(WORDS, ({**said, "position": turn, "turn": turn + 1} for turn in range(size)))]


def _old_messages(size: int) -> Sequence[tuple[Table, Rows]]:
    """So many messages of one turn, too old to count."""
    said = {"conversation": "c", "origin": "typed", "text": "Pay Anna £20", "at_us": 1, "reading": None, "turn": 1}
    return [(WORDS, ({**said, "position": position} for position in range(size)))]


def _uses(size: int) -> Sequence[tuple[Table, Rows]]:
    """As many payments in the conversation, each of which used its words."""
    used = {"conversation": "c", "kind": "amount", "value": "GBP 20.00"}
    return [
        (CALLS, (_call(number, size) for number in range(size))),
        (USES, ({**used, "call_id": f"call_{number}", "turn": number} for number in range(size))),
    ]


def _readings(size: int) -> Sequence[tuple[Table, Rows]]:
    read = {"conversation": "c", "document": None, "text": "a bill"}
    return [(READINGS, ({**read, "call_id": f"call_{number}", "at_us": number} for number in range(size)))]


def _call(number: int, size: int) -> Mapping[str, object]:
    """Spread over the month."""
    return {
        "call_id": f"call_{number}",
        "customer": "alice",
        "conversation": "c",
        "turn": f"{number}",
        "native_id": "n",
        "function": "initiate_transfer",
        "arguments_hash": bytes(32),
        "channel": "app",
        "core_key": f"key-{number}",
        "trace_id": "0" * 32,
        "state": CallState.PENDING,
        "created_us": to_us(NOW) - number * (MONTH // timedelta(microseconds=1)) // size,
        "currency": "GBP",
        "minor": 1,
        "payee": f"acc:{number}",
        "standing_mandate": "std_1",
    }


def _payments(size: int) -> Sequence[tuple[Table, Rows]]:
    """So many payments in the month, with their sums by the hour."""
    by_hour: dict[int, int] = {}
    for number in range(size):
        created: Any = _call(number, size)["created_us"]
        by_hour[created // spending.HOUR_US] = by_hour.get(created // spending.HOUR_US, 0) + 1
    named = {"customer": "alice", "currency": "GBP", "standing_mandate": "std_1"}
    return [
        (CALLS, (_call(number, size) for number in range(size))),
        (SPENT, ({**named, "hour": hour, "minor": count, "payments": count} for hour, count in by_hour.items())),
    ]


def _proposal(number: int, **changes: object) -> Mapping[str, object]:
    return {
        "id": f"cnf_{number}",
        "customer": "alice",
        "agent": "agent",
        "conversation": "c",
        "turn": "t",
        "intent": b"{}",
        "principal": b"{}",
        "level": 3,
        "moves_money": True,
        "repeat_key": bytes(32),
        "state": "open",
        "created_us": 1 + number,
        "expires_us": 2 + number,
        **changes,
    }


def _ended_proposals(size: int) -> Sequence[tuple[Table, Rows]]:
    """So many that this customer was asked of before, with a call each."""
    named = {"native_id": "n", "turn": "t", "function": "f", "arguments": b"{}", "arguments_hash": bytes(32)}
    return [
        (CONFIRMATIONS, (_proposal(number) for number in range(size))),
        (
            PROPOSED_CALLS,
            (
                {**named, "call_id": f"call_{number}", "confirmation": f"cnf_{number}", "position": 0, "sources": b'{"uses": []}'}
                for number in range(size)
            ),
        ),
    ]


def _to_approve(size: int) -> Sequence[tuple[Table, Rows]]:
    """So many that wait for the second person of somebody else's account."""
    later = to_us(NOW + timedelta(hours=1))
    waiting = {"customer": "bruno", "level": 4, "expires_us": later}
    return [
        (CONFIRMATIONS, (_proposal(number, **waiting) for number in range(size))),
        (
            APPROVERS,
            ({"approver": f"other-{number}", "expires_us": later, "confirmation": f"cnf_{number}"} for number in range(size)),
        ),
    ]


def _heard(connection: Connection) -> object:
    window = (NOW - timedelta(seconds=conversations.WORDS_AGE_S), NOW)
    return effect_facts("alice", "c", "", window).of(connection)


def _hear(connection: Connection) -> object:
    return conversations.StoreMessages("alice", "c", (HeardMessage("Pay Anna £20", "typed"),), NOW).apply(connection)


def _claim(connection: Connection) -> object:
    claim = Claim(
        call_id="new",
        customer="alice",
        conversation="c",
        turn="new",
        native_id="n",
        function="initiate_transfer",
        arguments_hash=bytes(32),
        agent="agent",
        channel="app",
        core_key="new",
        trace_id="0" * 32,
        at=NOW,
        amount=Money(1, "GBP"),
        payee="acc:new",
        decided_on=(1, False, False, 0),
        set_at=NOW,
    )
    most = Limits(10**9, 10**9, 10**9, 10**9, 10**9)
    taken = calls.ClaimCall(claim, lambda *_: most, 900).apply(connection)
    if isinstance(taken, Exception):
        raise taken
    return taken


def _propose(connection: Connection) -> object:
    shown: Any = {"call_ids": [], "agent": None, "calls": [], "total": None, "warnings": []}
    proposal = drawn_up(shown, confirmation="cnf_new", customer="alice", agent=None, level=3, moves_money=False, bundle="", now=NOW)
    new = NewProposal(
        proposal=proposal,
        conversation="c",
        turn="t",
        principal=b"{}",
        repeat_key=b"\x01" * 32,
        calls=(),
        open_most=5,
        day_most=30,
    )
    return confirmations.StoreProposal(new).apply(connection)


ALL = (
    Growing("what counts of a long conversation", _messages, _heard),
    Growing("what counts beside old messages of one turn", _old_messages, _heard),
    Growing("hearing one more message", _messages, _hear),
    Growing("what was used of the words", _uses, _heard),
    Growing("documents that were read", _readings, _heard),
    Growing("proposals of the conversation that ended", _ended_proposals, _heard, "expired"),
    Growing("one more proposal", _ended_proposals, _propose, "expired"),
    Growing("what the customer spent", _payments, lambda connection: spending.totals(connection, "alice", "GBP", NOW)),
    Growing("what was paid unasked", _payments, lambda connection: spending.automatic(connection, "alice", "GBP", NOW)),
    Growing("the claim of one more payment", _payments, _claim),
    Growing(
        "what waits for an approver", _to_approve, lambda connection: confirmations.to_approve(connection, "anna", NOW), "confirmed"
    ),
    Growing(
        "what waits for a customer", _ended_proposals, lambda connection: confirmations.waiting(connection, "alice", NOW), "expired"
    ),
)
