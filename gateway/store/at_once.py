"""The claims and settlements of a group in the one statement that records them, on PostgreSQL, where each statement costs a round trip.

What a claim is decided on is asked before it waits for its turn, without a lock (`ClaimCall.ahead`). The statement locks the customer and
the conversation and compares: the customer's `moves`, which whoever changes anything that a claim rests on counts up, the grant, and the
conversation's taint. If anything moved, nothing is written, and the group is written by a transaction that locks first and asks after that
(`gateway.store.book`). So is whatever is no plain claim or settlement, and every claim that may not be made.

Rows are locked in the order of that transaction: customers, conversations, proposals, calls, then the head of the log.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table

from audit.store.bulk_insert import IF_RECORDED, SharedChange, SharedStatement, as_rows, given, inserted
from gateway.domain.states import RELEASED, CallState
from gateway.store import spending
from gateway.store.calls import ClaimCall, Grounds, SettleCall
from gateway.store.tables import CALLS, SPENT, USES
from gateway.store.times import to_us
from gateway.store.webhooks import HASTENED, WAITING, soon

# ruff: noqa: S608  # every statement is made of our own parts, and every value a parameter
_OPEN = "state IN ('pending', 'unknown')"
_COLUMNS: Mapping[Table, tuple[str, ...]] = {
    CALLS: tuple(column.name for column in CALLS.c if column.name != "settled_us"),
    SPENT: tuple(column.name for column in SPENT.c),
    USES: tuple(column.name for column in USES.c),
}
_CLAIMED = given(
    "claimed",
    {
        "customer": "text",
        "conversation": "text",
        "moves": "bigint",
        "mandate_version": "integer",
        "frozen": "boolean",
        "tainted_us": "bigint",
    },
)
_SETTLED = given("settled", {"call_id": "text", "state": "text", "at": "bigint"})

_GATES = {
    "same_customers": (
        f"SELECT known.customer FROM customers AS known JOIN {_CLAIMED} ON known.customer = given.customer AND known.moves = given.moves"
        " AND known.mandate_version = given.mandate_version AND known.frozen = given.frozen"
        " ORDER BY known.customer FOR NO KEY UPDATE OF known"
    ),
    "same_conversations": (
        f"SELECT known.id FROM conversations AS known JOIN {_CLAIMED} ON known.id = given.conversation"
        " AND known.tainted_us IS NOT DISTINCT FROM given.tainted_us"
        " WHERE (SELECT count(*) FROM same_customers) >= 0 ORDER BY known.id FOR NO KEY UPDATE OF known"
    ),
    "unused": (
        "SELECT call_id FROM proposed_calls WHERE call_id = ANY(CAST(:confirmed AS text[])) AND NOT claimed"
        " AND (SELECT count(*) FROM same_conversations) >= 0 ORDER BY call_id FOR NO KEY UPDATE"
    ),
    "unsettled": (
        f"SELECT call_id FROM calls WHERE call_id IN (SELECT call_id FROM {_SETTLED}) AND {_OPEN}"
        " AND (SELECT count(*) FROM unused) >= 0 ORDER BY call_id FOR NO KEY UPDATE"
    ),
}
_HOLDS = (
    "(SELECT count(*) FROM same_customers) = :claims AND (SELECT count(*) FROM same_conversations) = :claims"
    " AND (SELECT count(*) FROM unused) = :confirmations AND (SELECT count(*) FROM unsettled) >= 0"
)
_HOLDS_AND_TOLD = f"{_HOLDS} AND (SELECT count(*) FROM waiting) >= 0"
_CHANGES = {
    "into_calls": inserted(CALLS, _COLUMNS[CALLS]),
    "into_spent": inserted(SPENT, _COLUMNS[SPENT]) + spending.ADDED,
    "into_uses": inserted(USES, _COLUMNS[USES]),
    "now_used": f"UPDATE proposed_calls SET claimed = true WHERE call_id = ANY(CAST(:confirmed AS text[])) AND {IF_RECORDED}",
    "counted": f"UPDATE customers SET moves = moves + 1 WHERE customer IN (SELECT customer FROM same_customers) AND {IF_RECORDED}",
    "now_settled": (
        f"UPDATE calls SET state = given.state, settled_us = given.at FROM {_SETTLED}"
        f" WHERE calls.call_id = given.call_id AND calls.{_OPEN} AND {IF_RECORDED}"
    ),
}
_TOLD = {"waiting": f"{WAITING} AND (SELECT count(*) FROM unsettled) >= 0 ORDER BY id FOR NO KEY UPDATE"}
_HASTENED = {"now_hastened": f"{HASTENED} AND {IF_RECORDED}"}


class ClaimsAtOnce:
    """As `audit.transactions.AtOnce`, for items of the book. `tells`: somebody waits for `call.settled`."""

    def __init__(self, tells: bool) -> None:
        self._statement = SharedStatement(
            {**_GATES, **(_TOLD if tells else {})},
            _HOLDS_AND_TOLD if tells else _HOLDS,
            {**_CHANGES, **(_HASTENED if tells else {})},
        )

    def __call__(self, connection: Connection, items: Sequence[Any]) -> SharedChange | None:
        claims = [item for item in items if isinstance(item, ClaimCall)]
        settlements = [item for item in items if isinstance(item, SettleCall) and item.state not in (RELEASED, CallState.VOIDED)]
        if len(claims) + len(settlements) != len(items) or not (_each_once(claims) and _each_once(settlements)):
            return None
        found: list[tuple[ClaimCall, Grounds]] = []
        for claim in claims:
            if claim.ahead is None or claim.obstacle(connection, claim.ahead) is not None:
                return None
            found.append((claim, claim.ahead))
        answers = [item.claimed() if isinstance(item, ClaimCall) else None for item in items]
        return SharedChange(self._statement, {**_claimed(found), **_settled(settlements)}, answers)


def _each_once(items: Sequence[ClaimCall] | Sequence[SettleCall]) -> bool:
    """Of one customer the second claim must see the first, and of one call the second settlement."""
    return len({item.claim.customer if isinstance(item, ClaimCall) else item.call_id for item in items}) == len(items)


def _claimed(found: Sequence[tuple[ClaimCall, Grounds]]) -> dict[str, object]:
    rows = [item.row() for item, _ in found]
    confirmed = [item.claim.call_id for item, _ in found if item.claim.confirmation is not None]
    return {
        "new_calls": as_rows(rows),
        "new_spent": as_rows([spending.row_of(row, 1) for row in rows if row["minor"] is not None]),
        "new_uses": as_rows([use for item, _ in found for use in item.use_rows()]),
        "claimed": as_rows(
            [
                {
                    "customer": item.claim.customer,
                    "conversation": item.claim.conversation,
                    "moves": grounds.moves,
                    "mandate_version": grounds.mandate_version,
                    "frozen": grounds.frozen,
                    "tainted_us": grounds.tainted_us,
                }
                for item, grounds in found
            ]
        ),
        "claims": len(found),
        "confirmed": confirmed,
        "confirmations": len(confirmed),
    }


def _settled(settlements: Sequence[SettleCall]) -> dict[str, object]:
    rows = [{"call_id": item.call_id, "state": str(item.state), "at": to_us(item.at)} for item in settlements]
    told = soon({item.call_id: item.at for item in settlements if item.state is not CallState.UNKNOWN})
    return {"settled": as_rows(rows), **told}
