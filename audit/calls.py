"""What a gateway asks the log about its own calls: the last word on one, its intent, and how many there were."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, bindparam, func, select

from audit.leaf import rfc3339
from audit.store.reads import OpenIntent
from audit.store.tables import intents, leaves

_LAST = (
    select(leaves.c.idx, leaves.c.hash, leaves.c.kind, leaves.c.end_state, leaves.c.customer, leaves.c.leaf)
    .where(leaves.c.call == bindparam("call"))
    .order_by(leaves.c.idx.desc())
    .limit(1)
)
_INTENT = (
    select(intents.c.idx, intents.c.hash, intents.c.call, intents.c.time, intents.c.end_state)
    .select_from(leaves.join(intents, intents.c.idx == leaves.c.idx))
    .where(leaves.c.call == bindparam("call"))
    .limit(1)
)
_COUNTS = select(leaves.c.kind, func.count()).where(leaves.c.time >= bindparam("since")).group_by(leaves.c.kind)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """The last record of a call. `customer` is the pseudonym, `facts` what stands in clear beside the schema's own fields."""

    index: int
    leaf_hash: bytes
    kind: str
    end_state: str | None
    customer: str | None
    facts: Mapping[str, object]


class CallRecords:
    """Reads by call. Concurrency: any thread; each read sees what is committed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last(self, call_id: str) -> CallRecord | None:
        with self._engine.connect() as connection:
            row = connection.execute(_LAST, {"call": call_id}).one_or_none()
        if row is None:
            return None
        return CallRecord(row.idx, row.hash, row.kind, row.end_state, row.customer, json.loads(row.leaf).get("facts", {}))

    def intent(self, call_id: str) -> OpenIntent | None:
        """The intent of a call with the end state that it has now; None when the log has none."""
        with self._engine.connect() as connection:
            row = connection.execute(_INTENT, {"call": call_id}).one_or_none()
        return None if row is None else OpenIntent(row.idx, row.hash, row.call, row.time, row.end_state)

    def counts_since(self, since: datetime) -> Mapping[str, int]:
        """Records by kind whose time is `since` or later."""
        with self._engine.connect() as connection:
            return {kind: count for kind, count in connection.execute(_COUNTS, {"since": rfc3339(since)})}
