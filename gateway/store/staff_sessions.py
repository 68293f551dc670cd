"""Sessions of the bank's people. A row is found by the hash of what the browser holds, so that who reads the table has no session."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from gateway.domain.duties import StaffRole
from gateway.domain.staff import StaffMember
from gateway.store.items import Item, ItemStore
from gateway.store.staff_tables import STAFF_SESSIONS
from gateway.store.times import from_us, to_us

SESSIONS_MOST = 10
"""Of one person. A further one ends the oldest."""

_S = STAFF_SESSIONS.c


@dataclass(frozen=True, slots=True)
class StaffSession:
    """Who signed in, and until when that counts."""

    id: bytes
    member: StaffMember
    expires: datetime


@dataclass(frozen=True, slots=True)
class BeginSession(Item[None]):
    """A person signed in. `replaces`: the session in which they did it again, which ends."""

    session: StaffSession
    at: datetime
    replaces: bytes | None = None

    def apply(self, connection: Connection) -> None:
        member = self.session.member
        of_them = select(_S.id).where(_S.subject == member.subject).order_by(_S.created_us.desc()).offset(SESSIONS_MOST - 1)
        older = [row.id for row in connection.execute(of_them)]
        if self.replaces is not None:
            older.append(self.replaces)
        if older:
            connection.execute(delete(STAFF_SESSIONS).where(_S.id.in_(older)))
        row = {
            "id": self.session.id,
            "subject": member.subject,
            "roles": " ".join(role.value for role in StaffRole if role in member.roles),
            "strong": member.strong,
            "authenticated_s": member.authenticated_at_s,
            "created_us": to_us(self.at),
            "expires_us": to_us(self.session.expires),
        }
        connection.execute(insert(STAFF_SESSIONS), [row])


@dataclass(frozen=True, slots=True)
class EndSessions(Item[int]):
    """A person signed out. Answered with how many sessions ended: all of theirs where `everywhere`."""

    id: bytes
    everywhere: bool = False

    def apply(self, connection: Connection) -> int:
        of = _S.id == self.id
        if self.everywhere:
            of = _S.subject.in_([row.subject for row in connection.execute(select(_S.subject).where(of))])
        return connection.execute(delete(STAFF_SESSIONS).where(of)).rowcount


@dataclass(frozen=True, slots=True)
class SqlStaffSessions:
    """Sessions on the gateway's database. What was written is durable and counts in every process at once. Unavailable."""

    store: ItemStore

    async def begin(self, session: StaffSession, at: datetime, replaces: bytes | None = None) -> None:
        await self.store.write(BeginSession(session, at, replaces))

    async def end(self, session: bytes, *, everywhere: bool = False) -> int:
        """How many ended."""
        return await self.store.write(EndSessions(session, everywhere))

    async def find(self, session: bytes, now: datetime) -> StaffSession | None:
        """None for one that there is not, or that is over."""
        row = await self.store.read(
            lambda connection: connection.execute(select(STAFF_SESSIONS).where(_S.id == session)).one_or_none()
        )
        found = None if row is None else _session(row)
        return found if found is not None and now < found.expires else None


def _session(row: Any) -> StaffSession:
    roles = frozenset(map(StaffRole, row.roles.split()))
    return StaffSession(bytes(row.id), StaffMember(row.subject, roles, row.strong, row.authenticated_s), from_us(row.expires_us))
