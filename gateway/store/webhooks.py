"""The outbox of `call.settled`: which calls somebody waits to hear of, in the very transactions that change what became of them.

A row is made when a call is held, or when recovery takes it up; it is due when it may have ended. Its body is made once, then sent until
it was taken.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from gateway.domain.errors import Refusal
from gateway.store import calls, confirmations
from gateway.store.tables import PROPOSED_CALLS, WEBHOOKS
from gateway.store.times import to_us

SOON = timedelta(seconds=1)
"""How long what has just ended is let alone: its end is recorded after it is settled."""

_W = WEBHOOKS.c
_NOT_YET = b""
"""The body of what has not ended."""

_EXPECT = text(
    "insert into webhooks (id, call_id, body, created_us, tries, next_us) "
    "values (:id, :call_id, :body, :created_us, 0, :next_us) on conflict do nothing"
)


@dataclass(frozen=True, slots=True)
class DueWebhook:
    """A row that is ours until its lease is over. `body` is empty until the call has ended; `tries` before this one, since it ended."""

    id: str
    call_id: str
    body: bytes
    tries: int


@dataclass(frozen=True, slots=True)
class ExpectOutcome:
    """Recovery takes up a call: somebody may wait to hear of it."""

    call_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LeaseWebhooks:
    """Take what is due, `most` at once; whoever asks before `until` does not get it too."""

    at: datetime
    until: datetime
    most: int


@dataclass(frozen=True, slots=True)
class StoreBody:
    """The call ended: this is said of it, by whoever composes first; the try that follows is its first. Answered with what is said."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Not ended, or not taken: next time."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class MarkDelivered:
    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ForgetDelivered:
    """Delete what was delivered before then."""

    before: datetime


def follow(connection: Connection, item: object, answer: object) -> None:
    """What a change of the book means for who waits to hear of a call; inside that change's transaction."""
    match item:
        case confirmations.StoreProposal() if not isinstance(answer, Refusal):
            _expect(connection, [call.call_id for call in item.calls], item.proposal.created, item.proposal.expires)
        case confirmations.MoveProposal(after="declined") if answer is None:
            of_it = select(PROPOSED_CALLS.c.call_id).where(PROPOSED_CALLS.c.confirmation == item.id)
            _hasten(connection, connection.execute(of_it).scalars(), item.at)
        case confirmations.SpendCall():
            _hasten(connection, [item.call_id], item.at)
        case calls.SettleCall() if item.state != "unknown":
            _hasten(connection, [item.call_id], item.at)


def expect(connection: Connection, item: ExpectOutcome) -> None:
    _expect(connection, [item.call_id], item.at, item.at + SOON)


def _expect(connection: Connection, call_ids: Iterable[str], at: datetime, due: datetime) -> None:
    for call_id in call_ids:
        row = {"id": f"msg_{secrets.token_hex(16)}", "call_id": call_id, "body": _NOT_YET}
        connection.execute(_EXPECT, {**row, "created_us": to_us(at), "next_us": to_us(due)})


def _hasten(connection: Connection, call_ids: Iterable[str], at: datetime) -> None:
    due = to_us(at + SOON)
    waits = (_W.call_id.in_(sorted(call_ids)), _W.body == _NOT_YET, _W.next_us > due)
    connection.execute(update(WEBHOOKS).where(*waits).values(next_us=due, tries=0))


def lease(connection: Connection, item: LeaseWebhooks) -> Sequence[DueWebhook]:
    due = (_W.delivered_us.is_(None), _W.next_us <= to_us(item.at))
    wanted = select(_W.id, _W.call_id, _W.body, _W.tries).where(*due).order_by(_W.next_us).limit(item.most)
    rows = connection.execute(wanted.with_for_update(skip_locked=True)).all()
    if rows:
        mine = _W.id.in_([row.id for row in rows])
        connection.execute(update(WEBHOOKS).where(mine).values(next_us=to_us(item.until), tries=_W.tries + 1))
    return [DueWebhook(row.id, row.call_id, bytes(row.body), row.tries) for row in rows]


def compose(connection: Connection, item: StoreBody) -> bytes:
    connection.execute(update(WEBHOOKS).where(_W.id == item.id, _W.body == _NOT_YET).values(body=item.body, tries=1))
    return bytes(connection.execute(select(_W.body).where(_W.id == item.id)).scalar_one())


def again(connection: Connection, item: RetryLater) -> None:
    connection.execute(update(WEBHOOKS).where(_W.id == item.id, _W.delivered_us.is_(None)).values(next_us=to_us(item.at)))


def delivered(connection: Connection, item: MarkDelivered) -> None:
    connection.execute(update(WEBHOOKS).where(_W.id == item.id).values(delivered_us=to_us(item.at)))


def forget(connection: Connection, item: ForgetDelivered) -> int:
    return connection.execute(delete(WEBHOOKS).where(_W.delivered_us < to_us(item.before))).rowcount


WRITES: dict[type[Any], Callable[[Connection, Any], Any]] = {
    ExpectOutcome: expect,
    LeaseWebhooks: lease,
    StoreBody: compose,
    RetryLater: again,
    MarkDelivered: delivered,
    ForgetDelivered: forget,
}
"""What is done with each, inside a transaction."""
