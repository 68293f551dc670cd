"""The outbox of `call.settled`: which calls somebody waits to hear of, in the very transactions that change what became of them.

A row is made when a call is held, or when recovery takes it up; it is due when it may have ended. Its body is made once, then sent until
it was taken.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, text, update

from gateway.domain.ports import DueWebhook
from gateway.store.items import Consequences, Item, ItemStore
from gateway.store.tables import WEBHOOKS
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

WAITING = "SELECT id FROM webhooks WHERE call_id = ANY(CAST(:soon_call AS text[])) AND body = ''"
HASTENED = (
    "UPDATE webhooks SET next_us = soon.due, tries = 0"
    " FROM unnest(CAST(:soon_call AS text[]), CAST(:soon_due AS bigint[])) AS soon(call, due)"
    " WHERE webhooks.call_id = soon.call AND webhooks.body = '' AND webhooks.next_us > soon.due"
)
"""What `follow` does for calls that may have ended, as a part of another statement, and the rows that this changes. Parameters: `soon`."""


def soon(ended: Mapping[str, datetime]) -> dict[str, object]:
    """`ended`: when each call may have ended."""
    return {"soon_call": [*ended], "soon_due": [to_us(at + SOON) for at in ended.values()]}


@dataclass(frozen=True, slots=True)
class ExpectOutcome(Item[None]):
    """Recovery takes up a call: somebody may wait to hear of it."""

    call_id: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        _expect(connection, [self.call_id], self.at, self.at + SOON)


@dataclass(frozen=True, slots=True)
class LeaseWebhooks(Item[Sequence[DueWebhook]]):
    """Take what is due, `most` at once; whoever asks before `until` does not get it too."""

    at: datetime
    until: datetime
    most: int

    def apply(self, connection: Connection) -> Sequence[DueWebhook]:
        due = (_W.delivered_us.is_(None), _W.next_us <= to_us(self.at))
        wanted = select(_W.id, _W.call_id, _W.body, _W.tries).where(*due).order_by(_W.next_us).limit(self.most)
        rows = connection.execute(wanted.with_for_update(skip_locked=True)).all()
        if rows:
            mine = _W.id.in_([row.id for row in rows])
            connection.execute(update(WEBHOOKS).where(mine).values(next_us=to_us(self.until), tries=_W.tries + 1))
        return [DueWebhook(row.id, row.call_id, bytes(row.body), row.tries) for row in rows]


@dataclass(frozen=True, slots=True)
class StoreBody(Item[bytes]):
    """The call ended: this is said of it, by whoever composes first; the try that follows is its first. Answered with what is said."""

    id: str
    body: bytes

    def apply(self, connection: Connection) -> bytes:
        connection.execute(update(WEBHOOKS).where(_W.id == self.id, _W.body == _NOT_YET).values(body=self.body, tries=1))
        return bytes(connection.execute(select(_W.body).where(_W.id == self.id)).scalar_one())


@dataclass(frozen=True, slots=True)
class RetryLater(Item[None]):
    """Not ended, or not taken: next time."""

    id: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        connection.execute(update(WEBHOOKS).where(_W.id == self.id, _W.delivered_us.is_(None)).values(next_us=to_us(self.at)))


@dataclass(frozen=True, slots=True)
class MarkDelivered(Item[None]):
    id: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        connection.execute(update(WEBHOOKS).where(_W.id == self.id).values(delivered_us=to_us(self.at)))


@dataclass(frozen=True, slots=True)
class ForgetDelivered(Item[int]):
    """Delete what was delivered before then."""

    before: datetime

    def apply(self, connection: Connection) -> int:
        return connection.execute(delete(WEBHOOKS).where(_W.delivered_us < to_us(self.before))).rowcount


def follow(connection: Connection, what: Consequences) -> None:
    """What a change of the book means for who waits to hear of a call; inside that change's transaction."""
    _expect(connection, what.held, what.at, what.until or what.at)
    if what.ended:
        _hasten(connection, what.ended, what.at)


def _expect(connection: Connection, call_ids: Iterable[str], at: datetime, due: datetime) -> None:
    for call_id in call_ids:
        row = {"id": f"msg_{secrets.token_hex(16)}", "call_id": call_id, "body": _NOT_YET}
        connection.execute(_EXPECT, {**row, "created_us": to_us(at), "next_us": to_us(due)})


def _hasten(connection: Connection, call_ids: Iterable[str], at: datetime) -> None:
    due = to_us(at + SOON)
    waits = (_W.call_id.in_(sorted(call_ids)), _W.body == _NOT_YET, _W.next_us > due)
    connection.execute(update(WEBHOOKS).where(*waits).values(next_us=due, tries=0))


@dataclass(frozen=True, slots=True)
class SqlOutbox:
    """The `WebhookOutbox` on the gateway's database."""

    store: ItemStore

    async def lease(self, at: datetime, until: datetime, most: int) -> Sequence[DueWebhook]:
        return await self.store.write(LeaseWebhooks(at, until, most))

    async def compose(self, webhook: str, body: bytes) -> bytes:
        return await self.store.write(StoreBody(webhook, body))

    async def again(self, webhook: str, at: datetime) -> None:
        await self.store.write(RetryLater(webhook, at))

    async def delivered(self, webhook: str, at: datetime) -> None:
        await self.store.write(MarkDelivered(webhook, at))

    async def forget(self, before: datetime) -> None:
        await self.store.write(ForgetDelivered(before))
