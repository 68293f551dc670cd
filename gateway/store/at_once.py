"""The claims and settlements of a group in the one statement that records them, on PostgreSQL, where each statement costs a round trip.

What a claim is decided on is asked before it waits for its turn, without a lock (`ClaimCall.ahead`). The statement locks the customer and
the conversation and compares: the customer's `moves`, which whoever changes anything that a claim rests on counts up, the grant, and the
conversation's taint. If anything moved, nothing is written, and the group is written by a transaction that locks first and asks after that
(`gateway.store.book`). So is whatever is no plain claim or settlement, and every claim that may not be made.

Rows are locked in the order of that transaction: customers, conversations, proposals, calls, then the head of the log.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Connection, LargeBinary, Table

from audit.store.bulk_insert import SharedChange, SharedStatement
from gateway.domain.states import RELEASED, CallState
from gateway.store import spending
from gateway.store.calls import ClaimCall, Grounds, SettleCall
from gateway.store.tables import CALLS, SPENT, USES
from gateway.store.times import to_us
from gateway.store.webhooks import HASTENED, WAITING, soon

_IF_RECORDED = "EXISTS (SELECT FROM moved)"
_OPEN = "state IN ('pending', 'unknown')"
_SETTLED = "unnest(CAST(:settled_call AS text[]), CAST(:settled_state AS text[]), CAST(:settled_at AS bigint[]))"


def _type(column: "Column[Any]") -> str:
    for kind, name in ((LargeBinary, "bytea"), (BigInteger, "bigint"), (Boolean, "boolean")):
        if isinstance(column.type, kind):
            return name
    return "integer" if column.type.python_type is int else "text"


def _insert(table: Table, columns: Sequence[str], conflict: str = "") -> str:
    given = ", ".join(f"CAST(:{table.name}_{name} AS {_type(table.c[name])}[])" for name in columns)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT * FROM unnest({given}) WHERE {_IF_RECORDED}{conflict}"  # noqa: S608  # our own parts


_INSERTED: Mapping[Table, tuple[str, ...]] = {
    CALLS: tuple(column.name for column in CALLS.c if column.name != "settled_us"),
    SPENT: tuple(column.name for column in SPENT.c),
    USES: tuple(column.name for column in USES.c),
}

_GATES = {
    "same_customers": (
        "SELECT known.customer FROM customers AS known JOIN"
        " unnest(CAST(:claim_customer AS text[]), CAST(:claim_moves AS bigint[]), CAST(:claim_mandate AS integer[]),"
        " CAST(:claim_frozen AS boolean[])) AS wanted(customer, moves, mandate, frozen)"
        " ON known.customer = wanted.customer AND known.moves = wanted.moves AND known.mandate_version = wanted.mandate"
        " AND known.frozen = wanted.frozen ORDER BY known.customer FOR NO KEY UPDATE OF known"
    ),
    "same_conversations": (
        "SELECT known.id FROM conversations AS known JOIN"
        " unnest(CAST(:claim_conversation AS text[]), CAST(:claim_tainted AS bigint[])) AS wanted(id, tainted_us)"
        " ON known.id = wanted.id AND known.tainted_us IS NOT DISTINCT FROM wanted.tainted_us"
        " WHERE (SELECT count(*) FROM same_customers) >= 0 ORDER BY known.id FOR NO KEY UPDATE OF known"
    ),
    "unused": (
        "SELECT call_id FROM proposed_calls WHERE call_id = ANY(CAST(:confirmed AS text[])) AND NOT claimed"
        " AND (SELECT count(*) FROM same_conversations) >= 0 ORDER BY call_id FOR NO KEY UPDATE"
    ),
    "unsettled": (
        f"SELECT call_id FROM calls WHERE call_id = ANY(CAST(:settled_call AS text[])) AND {_OPEN}"  # noqa: S608  # our own parts
        " AND (SELECT count(*) FROM unused) >= 0 ORDER BY call_id FOR NO KEY UPDATE"
    ),
}
_HOLDS = (
    "(SELECT count(*) FROM same_customers) = :claims AND (SELECT count(*) FROM same_conversations) = :claims"
    " AND (SELECT count(*) FROM unused) = :confirmations AND (SELECT count(*) FROM unsettled) >= 0"
)
_HOLDS_AND_TOLD = f"{_HOLDS} AND (SELECT count(*) FROM waiting) >= 0"  # noqa: S608  # our own parts
_CHANGES = {
    "new_calls": _insert(CALLS, _INSERTED[CALLS]),
    "new_spent": _insert(SPENT, _INSERTED[SPENT], spending.ADDED),
    "new_uses": _insert(USES, _INSERTED[USES]),
    "now_used": f"UPDATE proposed_calls SET claimed = true WHERE call_id = ANY(CAST(:confirmed AS text[])) AND {_IF_RECORDED}",  # noqa: S608  # our own parts
    "counted": f"UPDATE customers SET moves = moves + 1 WHERE customer = ANY(CAST(:claim_customer AS text[])) AND {_IF_RECORDED}",  # noqa: S608  # our own parts
    "now_settled": (
        f"UPDATE calls SET state = given.state, settled_us = given.at FROM {_SETTLED} AS given(id, state, at)"  # noqa: S608  # our own parts
        f" WHERE calls.call_id = given.id AND calls.{_OPEN} AND {_IF_RECORDED}"
    ),
}
_TOLD = {"waiting": f"{WAITING} AND (SELECT count(*) FROM unsettled) >= 0 ORDER BY id FOR NO KEY UPDATE"}  # noqa: S608  # our own parts
_HASTENED = {"now_hastened": f"{HASTENED} AND {_IF_RECORDED}"}


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
    claims = [item.claim for item, _ in found]
    rows = [item.row() for item, _ in found]
    confirmed = [claim.call_id for claim in claims if claim.confirmation is not None]
    into: Mapping[Table, Sequence[Mapping[str, object]]] = {
        CALLS: rows,
        SPENT: [spending.row_of(row, 1) for row in rows if row["minor"] is not None],
        USES: [use for item, _ in found for use in item.use_rows()],
    }
    inserted = {f"{table.name}_{name}": [row[name] for row in into[table]] for table, names in _INSERTED.items() for name in names}
    return {
        **inserted,
        "claim_customer": [claim.customer for claim in claims],
        "claim_moves": [grounds.moves for _, grounds in found],
        "claim_mandate": [grounds.mandate_version for _, grounds in found],
        "claim_frozen": [grounds.frozen for _, grounds in found],
        "claim_conversation": [claim.conversation for claim in claims],
        "claim_tainted": [grounds.tainted_us for _, grounds in found],
        "claims": len(claims),
        "confirmed": confirmed,
        "confirmations": len(confirmed),
    }


def _settled(settlements: Sequence[SettleCall]) -> dict[str, object]:
    return {
        "settled_call": [item.call_id for item in settlements],
        "settled_state": [str(item.state) for item in settlements],
        "settled_at": [to_us(item.at) for item in settlements],
        **soon({item.call_id: item.at for item in settlements if item.state is not CallState.UNKNOWN}),
    }
