"""What auditors keep under a case, in the gateway's database: records of the trail, notes and questions. The case is the id that their
looks stand under."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from gateway.store.items import Item, ItemStore
from gateway.store.staff_tables import AUDIT_CASE_ENTRIES
from gateway.store.times import from_us, to_us

ENTRIES_MOST = 500
"""Of one case."""

_E = AUDIT_CASE_ENTRIES.c


class CaseEntryKind(StrEnum):
    """What is kept."""

    RECORD = "record"
    NOTE = "note"
    QUESTION = "question"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """`record`: the index of a record. `text`: a note, a question, or what was noted of the record. `customer`: the bank's id of whom it
    is about, whose erasure takes it along."""

    id: str
    case: str
    kind: CaseEntryKind
    record: int | None
    text: str
    customer: str | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class KeepInCase(Item[bool]):
    """Answered with whether there was room."""

    entry: CaseEntry

    def apply(self, connection: Connection) -> bool:
        entry = self.entry
        count = connection.execute(select(func.count()).where(_E.case_id == entry.case)).scalar_one()
        if count >= ENTRIES_MOST:
            return False
        row = {
            "id": entry.id,
            "case_id": entry.case,
            "kind": entry.kind.value,
            "record": entry.record,
            "text": entry.text,
            "customer": entry.customer,
            "added_by": entry.by,
            "at_us": to_us(entry.at),
        }
        connection.execute(insert(AUDIT_CASE_ENTRIES), [row])
        return True


@dataclass(frozen=True, slots=True)
class TakeOutOfCase(Item[bool]):
    """Answered with whether it was there."""

    id: str
    case: str

    def apply(self, connection: Connection) -> bool:
        return connection.execute(delete(AUDIT_CASE_ENTRIES).where(_E.id == self.id, _E.case_id == self.case)).rowcount == 1


@dataclass(frozen=True, slots=True)
class SqlAuditCases:
    """What is kept. Changes are made with the record of them: `oversight.audit_cases`. Unavailable."""

    store: ItemStore

    async def of_case(self, case: str) -> Sequence[CaseEntry]:
        """The oldest first."""
        question = select(AUDIT_CASE_ENTRIES).where(_E.case_id == case).order_by(_E.at_us, _E.id).limit(ENTRIES_MOST)
        return await self.store.read(lambda connection: [_entry(row) for row in connection.execute(question)])


def _entry(row: Any) -> CaseEntry:
    return CaseEntry(
        id=row.id,
        case=row.case_id,
        kind=CaseEntryKind(row.kind),
        record=row.record,
        text=row.text,
        customer=row.customer,
        by=row.added_by,
        at=from_us(row.at_us),
    )
