"""What auditors keep under a case: durable together with the record of it. The trail says that something was kept or taken out, and of a
text its digest: texts may name people, and are deleted with them."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol, TypeVar

from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.ports import BookChange
from gateway.domain.staff import StaffMember, StaffRecord
from gateway.store.audit_cases import ENTRIES_MOST, CaseEntry, CaseEntryKind, KeepInCase, SqlAuditCases, TakeOutOfCase

TEXT_MOST = 2000

T = TypeVar("T")


class CaseTrail(Protocol):
    """Where a change is recorded, together with itself: both are durable when it returns, or neither is. Unavailable."""

    async def staff_act(self, told: StaffRecord, change: BookChange[T]) -> T: ...


@dataclass(frozen=True, slots=True)
class AuditCases:
    """The folders of cases."""

    store: SqlAuditCases
    trail: CaseTrail
    clock: Callable[[], datetime]

    async def of_case(self, case: str) -> Sequence[CaseEntry]:
        return await self.store.of_case(case)

    async def keep(
        self,
        member: StaffMember,
        case: str,
        kind: CaseEntryKind,
        text: str,
        *,
        record: int | None = None,
        customer: str | None = None,
    ) -> CaseEntry:
        """RequestFault for a text that is empty or too long, and for a case that is full."""
        if len(text) > TEXT_MOST or (not text and kind is CaseEntryKind.NOTE):
            raise RequestFault(Fault.INVALID_REQUEST, f"text: must have 1 to {TEXT_MOST} characters", param="text")
        entry = CaseEntry(
            id=f"ent_{secrets.token_hex(16)}",
            case=case,
            kind=kind,
            record=record,
            text=text,
            customer=customer,
            by=member.subject,
            at=self.clock(),
        )
        facts: dict[str, str | int] = {
            "case": case,
            "entry": entry.id,
            "kept": kind.value,
            "text_sha256": sha256(text.encode()).hexdigest(),
        }
        if record is not None:
            facts["record"] = record
        if not await self.trail.staff_act(self._told("case_kept", member, facts), KeepInCase(entry)):
            raise RequestFault(Fault.INVALID_REQUEST, f"a case keeps {ENTRIES_MOST} entries: take one out, or begin another case")
        return entry

    async def take_out(self, member: StaffMember, case: str, entry: str) -> None:
        """RequestFault where it is not in this case."""
        if not await self.trail.staff_act(
            self._told("case_taken_out", member, {"case": case, "entry": entry}), TakeOutOfCase(entry, case)
        ):
            raise RequestFault(Fault.NOT_FOUND, "no such entry is in this case", param="entry")

    def _told(self, word: str, member: StaffMember, facts: dict[str, str | int]) -> StaffRecord:
        return StaffRecord(word=word, duty=Duty.QUERY, by=member.subject, proved_by=member.proved_by, at=self.clock(), facts=facts)
