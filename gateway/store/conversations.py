"""Conversations: what the customer said in them, who read what in them, and what was used of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, bindparam, cast, func, insert, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.store.prepared import Asked, Prepared
from gateway.domain.facts import DocumentText, HeardMessage, Use, Utterance, Utterances
from gateway.domain.reading import reading_of
from gateway.store.items import Item, Locks
from gateway.store.kill_switches import KILL_EPOCH
from gateway.store.tables import CALLS, CONFIRMATIONS, CONVERSATIONS, CUSTOMERS, PROPOSED_CALLS, READINGS, TAINTS, USES, WORDS
from gateway.store.times import from_us, to_us
from gateway.store.together import Question

TAINT_LASTS = timedelta(days=1)
"""How long an agent that has read untrusted text counts as having read it, in every conversation of that customer."""

TURNS_HEARD = 3
"""How many turns what the customer said counts, the one in which they said it included."""

WORDS_AGE_S = 1_800
"""How long words count, in seconds, unless the bank sets it otherwise."""
DELETED = "deleted"
"""Origin of what the customer said and then deleted: there is no text of it any more, and it counts as taken back."""

_READINGS_MOST = 8
_MESSAGES_MOST = 32
_CHARACTERS_MOST = 8_000
"""Of one message; and how many messages. What is beyond evidence nothing, so that no customer's call can hold up the others."""

_TAINTED = or_(
    CONVERSATIONS.c.tainted_us <= bindparam("set_us"),
    and_(TAINTS.c.since_us <= bindparam("set_us"), TAINTS.c.last_us > bindparam("day_before_us")),
)
WITH_CUSTOMER = (
    select(
        CONVERSATIONS.c.customer,
        func.coalesce(_TAINTED, literal_column("false")).label("tainted"),
        CUSTOMERS.c.mandate_version,
        CUSTOMERS.c.frozen,
        KILL_EPOCH.label("kill_epoch"),
    )
    .select_from(
        CONVERSATIONS.outerjoin(CUSTOMERS, CUSTOMERS.c.customer == CONVERSATIONS.c.customer).outerjoin(
            TAINTS, and_(TAINTS.c.customer == CONVERSATIONS.c.customer, TAINTS.c.agent == bindparam("acting"))
        )
    )
    .where(CONVERSATIONS.c.id == bindparam("conversation"))
)
"""A conversation's owner and taint, with the owner's grant and the kill epoch: the columns of `ConversationHead`. Parameters: `about`."""

_WITH_CUSTOMER = Prepared(WITH_CUSTOMER)
_OPEN = Prepared(insert(CONVERSATIONS).values({name: bindparam(name) for name in ("id", "customer", "created_us", "turns")}))
_IN_CONVERSATION = CONVERSATIONS.c.id == bindparam("conversation")
_HEAD = Prepared(select(CONVERSATIONS.c.customer, CONVERSATIONS.c.turns, CONVERSATIONS.c.said).where(_IN_CONVERSATION))
_HEAR = Prepared(insert(WORDS))
_NEXT_TURN = Prepared(update(CONVERSATIONS).where(_IN_CONVERSATION).values(turns=bindparam("turn"), said=bindparam("now_said")))
_TAINT = Prepared(
    update(CONVERSATIONS)
    .where(_IN_CONVERSATION, CONVERSATIONS.c.tainted_us.is_(literal_column("null")))
    .values(tainted_us=bindparam("at_us"))
)
_HEARD_AFTER = select(CONVERSATIONS.c.turns - literal_column(str(TURNS_HEARD))).where(_IN_CONVERSATION).scalar_subquery()
_SAID = (
    select(
        WORDS.c.turn,
        WORDS.c.origin,
        func.substr(WORDS.c.text, literal_column("1"), literal_column(str(_CHARACTERS_MOST))).label("text"),
        WORDS.c.at_us,
        WORDS.c.reading,
    )
    .where(
        WORDS.c.conversation == bindparam("conversation"),
        WORDS.c.turn > _HEARD_AFTER,
        WORDS.c.at_us > bindparam("after_us"),
    )
    .order_by(WORDS.c.turn.desc(), WORDS.c.position.desc())  # as the index has them: no message of an earlier turn is looked at
    .limit(literal_column(str(_MESSAGES_MOST)))
)
_READ = (
    select(READINGS.c.document, READINGS.c.text)
    .where(READINGS.c.conversation == bindparam("conversation"))
    .order_by(READINGS.c.at_us.desc())
    .limit(literal_column(str(_READINGS_MOST)))
)
_USED = (
    select(USES.c.kind, USES.c.value, USES.c.turn)
    .select_from(USES.join(CALLS, CALLS.c.call_id == USES.c.call_id))
    .where(
        USES.c.conversation == bindparam("conversation"),
        USES.c.turn > _HEARD_AFTER,
        CALLS.c.state != literal_column("'voided'"),
    )
)
_WAITING = (
    select(PROPOSED_CALLS.c.sources)
    .select_from(PROPOSED_CALLS.join(CONFIRMATIONS, CONFIRMATIONS.c.id == PROPOSED_CALLS.c.confirmation))
    .where(
        CONFIRMATIONS.c.conversation == bindparam("conversation"),
        # Said again beside what follows from it, for the index: what ended before any word that counts is not looked at
        CONFIRMATIONS.c.state.in_([literal_column("'open'"), literal_column("'declined'")]),
        CONFIRMATIONS.c.expires_us > bindparam("after_us"),
        or_(
            and_(CONFIRMATIONS.c.state == literal_column("'open'"), CONFIRMATIONS.c.expires_us > bindparam("now_us")),
            and_(CONFIRMATIONS.c.state == literal_column("'declined'"), CONFIRMATIONS.c.created_us > bindparam("after_us")),
        ),
    )
)
HEARD: Mapping[str, Question] = {
    "turns": (select(CONVERSATIONS.c.turns).where(_IN_CONVERSATION), None),
    "said": (_SAID, cast(WORDS.c.position, BigInteger)),  # counted through all turns
    "read": (_READ, -READINGS.c.at_us),
    "used": (_USED, None),
    "waiting": (_WAITING, None),
}
"""Of what the customer said, what counts, for `utterances`. Parameters: `hearing`."""


@dataclass(frozen=True, slots=True)
class OpenConversation(Item[None]):
    id: str
    customer: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        row = {"id": self.id, "customer": self.customer, "created_us": to_us(self.at), "turns": 0}
        _OPEN.one(connection, row)


@dataclass(frozen=True, slots=True)
class EnsureConversation(Item[None]):
    """The conversation of this id, unless it is there: several requests may say so at once."""

    id: str
    customer: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        made = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        row = {"id": self.id, "customer": self.customer, "created_us": to_us(self.at), "turns": 0}
        connection.execute(made(CONVERSATIONS).values(row).on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class TaintConversation(Item[None]):
    customer: str
    agent: str
    id: str
    at: datetime

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset({self.customer}), conversations=frozenset({self.id}))

    def apply(self, connection: Connection) -> None:
        """The conversation for good, the agent for a day. An agent that reads on stays tainted since it began."""
        at = to_us(self.at)
        taint_alone(connection, self.id, self.at)
        whose = and_(TAINTS.c.customer == self.customer, TAINTS.c.agent == self.agent)
        last = connection.execute(select(TAINTS.c.last_us).where(whose).with_for_update()).scalar_one_or_none()
        if last is None:
            row = {"customer": self.customer, "agent": self.agent, "since_us": at, "last_us": at}
            connection.execute(insert(TAINTS), [row])
        elif at > last:
            lapsed = at - last > TAINT_LASTS / timedelta(microseconds=1)
            connection.execute(update(TAINTS).where(whose).values({"last_us": at, **({"since_us": at} if lapsed else {})}))


@dataclass(frozen=True, slots=True)
class StoreMessages(Item[int | None]):
    """What the customer said in one turn; answered with how many messages there have been in the conversation."""

    customer: str
    id: str
    messages: tuple[HeardMessage, ...]
    at: datetime

    @property
    def locks(self) -> Locks:
        return Locks(conversations=frozenset({self.id}))

    def apply(self, connection: Connection) -> int | None:
        heads = _HEAD.rows(connection, {"conversation": self.id})
        if not heads or heads[0][0] != self.customer:
            return None
        ((_, turns, count),) = heads
        turn = turns + 1
        rows = [
            {
                "conversation": self.id,
                "position": count + offset,
                "origin": message.origin,
                "text": message.text,
                "reading": message.reading,
                "at_us": to_us(self.at),
                "turn": turn,
            }
            for offset, message in enumerate(self.messages)
        ]
        _HEAR.many(connection, rows)
        said: int = count + len(rows)
        _NEXT_TURN.one(connection, {"conversation": self.id, "turn": turn, "now_said": said})
        return said


@dataclass(frozen=True, slots=True)
class StoreDocumentText(Item[None]):
    """A document that was read."""

    call_id: str
    id: str
    reading: DocumentText
    at: datetime

    def apply(self, connection: Connection) -> None:
        row = {
            "call_id": self.call_id,
            "conversation": self.id,
            "document": self.reading.document,
            "text": self.reading.text,
            "at_us": to_us(self.at),
        }
        connection.execute(insert(READINGS), [row])


@dataclass(frozen=True, slots=True)
class ConversationHead:
    """A conversation's owner and taint, with the owner's grant. `mandate_version` is None for a customer without a row."""

    customer: str
    is_tainted: bool
    mandate_version: int | None
    is_frozen: bool
    kill_epoch: int


def about(conversation: str, agent: str, at: datetime) -> Mapping[str, object]:
    """The parameters of `WITH_CUSTOMER`: as this agent's conversation was at `at`."""
    return {
        "conversation": conversation,
        "acting": agent,
        "set_us": to_us(at),
        "day_before_us": to_us(at - TAINT_LASTS),
    }


def with_customer(conversation: str, agent: str, at: datetime) -> Asked[ConversationHead | None]:
    """One statement, as it is on every call's way."""
    return Asked(_WITH_CUSTOMER, about(conversation, agent, at), _conversation_of)


def _conversation_of(rows: Sequence[Any]) -> ConversationHead | None:
    """From the columns of `WITH_CUSTOMER`."""
    if not rows:
        return None
    customer, tainted, version, frozen, kill_epoch = rows[0]
    return ConversationHead(customer, bool(tainted), version, bool(frozen), kill_epoch)


def hearing(conversation: str, at: datetime, oldest: datetime) -> Mapping[str, object]:
    """The parameters of `HEARD`: the last turns of what was said since `oldest`, as it is used `at` a time."""
    return {"conversation": conversation, "after_us": to_us(oldest), "now_us": to_us(at)}


def utterances(rows: Mapping[str, Sequence[Sequence[Any]]]) -> Utterances:
    """From the rows of `HEARD`. What waits for the customer's confirmation, or was declined, is used by that."""
    waiting = (Use(*use) for (kept,) in rows["waiting"] for use in json.loads(kept)["uses"])
    return Utterances(
        rows["turns"][0][0] if rows["turns"] else 0,
        tuple(_utterance(*row) for row in rows["said"]),
        tuple(DocumentText(*row) for row in rows["read"]),
        (*(Use(*row) for row in rows["used"]), *waiting),
    )


def _utterance(turn: int, origin: str, text: str, at_us: int, reading: str | None) -> Utterance:
    return Utterance(turn, origin, text, from_us(at_us), reading_of(reading))


def take_back(connection: Connection, id_: str, position: int | None = None) -> None:
    """The customer deleted this word, or all of them: its text is gone. Its row stays, so that it counts as taken back in its turn."""
    theirs = (WORDS.c.conversation == id_, *([] if position is None else [WORDS.c.position == position]))
    connection.execute(update(WORDS).where(*theirs).values(origin=DELETED, text="", reading=None))


def opened(connection: Connection, id_: str, customer: str) -> datetime | None:
    """When this conversation of this customer began; None: there is none."""
    found = select(CONVERSATIONS.c.created_us).where(CONVERSATIONS.c.id == id_, CONVERSATIONS.c.customer == customer)
    created_us = connection.execute(found).scalar()
    return None if created_us is None else from_us(created_us)


def is_of(connection: Connection, id_: str, customer: str) -> bool:
    """Whether this is a conversation of this customer."""
    rows = _HEAD.rows(connection, {"conversation": id_})
    return bool(rows) and rows[0][0] == customer


def taint_alone(connection: Connection, id_: str, at: datetime) -> None:
    """The conversation, and no agent: for text that stays in it. It stays tainted since it first was."""
    _TAINT.one(connection, {"conversation": id_, "at_us": to_us(at)})
