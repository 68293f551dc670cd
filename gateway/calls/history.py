"""What the log has of one call, for who must know what became of it. Writes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from audit.leaf import EndState
from audit.log import Log, LogUnavailable
from gateway.domain.errors import Unavailable
from gateway.domain.stages import RecordPosition


@dataclass(frozen=True, slots=True)
class CallHistory:
    """What the log has of one call: its last record, and its intent, if it has one, with how that ended."""

    last: Mapping[str, object]
    place: RecordPosition
    intent: RecordPosition | None
    end_state: str | None

    @property
    def is_ended(self) -> bool:
        """Whether nothing is left to find out: the end is recorded, or there never was an intent."""
        return self.intent is None or self.end_state not in (None, EndState.OUTCOME_UNKNOWN.value)


async def history_of(log: Log, call_id: str) -> CallHistory | None:
    """The records of a call, read from the log; None when it has none. Unavailable when the log does not answer."""
    try:
        entries = await log.entries_of(call_id)
    except LogUnavailable as error:
        raise Unavailable("audit_unavailable") from error
    if not entries:
        return None
    leaves = [json.loads(entry.leaf) for entry in entries]
    intent = next(
        (RecordPosition(entry.idx, entry.hash) for entry, leaf in zip(entries, leaves, strict=True) if leaf["kind"] == "intent"),
        None,
    )
    ends = [leaf["end_state"] for leaf in leaves if "end_state" in leaf]
    return CallHistory(leaves[-1], RecordPosition(entries[-1].idx, entries[-1].hash), intent, ends[-1] if ends else None)
