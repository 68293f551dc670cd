"""Statements over what witnesses cosigned. The caller owns the transaction.

Nothing here is believed: a line counts where somebody verifies it, against a key that they have from elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from audit.checkpoint import SIGNATURES_MOST, Signature
from audit.store.tables import cosignatures

COSIGNATURES_MOST = 4096
"""Lines that are kept, the newest ones: some 14 MiB at most, by ML-DSA-44."""

LINES_MOST = SIGNATURES_MOST - 2
"""Lines of witnesses that a note holds, beside those of the log."""


@dataclass(frozen=True, slots=True)
class KeptCosignature:
    """A signature line of a witness over the head of `size` leaves under `root`. `time_s`: that it states, seconds since 1970."""

    size: int
    root: bytes
    name: str
    time_s: int
    line: str


def keep_cosignatures(connection: Connection, new: Sequence[KeptCosignature]) -> None:
    """Keep these, and forget what is older than the newest `COSIGNATURES_MOST`."""
    rows = [{"size": item.size, "root": item.root, "name": item.name, "time_s": item.time_s, "line": item.line} for item in new]
    connection.execute(insert(cosignatures), rows)
    newest = connection.execute(select(func.max(cosignatures.c.id))).scalar_one()
    connection.execute(delete(cosignatures).where(cosignatures.c.id <= newest - COSIGNATURES_MOST))


def last_of(connection: Connection, name: str) -> KeptCosignature | None:
    """What this witness cosigned last, as far as is kept."""
    wanted = select(cosignatures).where(cosignatures.c.name == name).order_by(cosignatures.c.size.desc(), cosignatures.c.id.desc())
    row = connection.execute(wanted.limit(1)).first()
    return None if row is None else KeptCosignature(row.size, row.root, row.name, row.time_s, row.line)


def last_of_each(connection: Connection) -> list[KeptCosignature]:
    """The same of every witness of whom anything is kept, by their names."""
    names = connection.execute(select(cosignatures.c.name).distinct().order_by(cosignatures.c.name)).scalars().all()
    return [found for name in names if (found := last_of(connection, name)) is not None]


def lines_over(connection: Connection, size: int, root: bytes) -> list[str]:
    """The lines over one head, the youngest by each key, oldest first, as many as a note may hold. NoteInvalid for a line that is none."""
    wanted = select(cosignatures).where(cosignatures.c.size == size, cosignatures.c.root == root).order_by(cosignatures.c.id)
    youngest: dict[tuple[str, bytes], str] = {}
    for row in connection.execute(wanted):
        signature = Signature.parse(row.line.removesuffix("\n"))
        youngest.pop(key := (signature.name, signature.key_id), None)
        youngest[key] = row.line
    return list(youngest.values())[-LINES_MOST:]


def last_cosigned_size(connection: Connection, most: int, quorum: int = 1) -> int | None:
    """The size of the newest head of at most this many leaves that so many witnesses cosigned, as far as is kept."""
    heads = select(cosignatures.c.size).where(cosignatures.c.size <= most).group_by(cosignatures.c.size, cosignatures.c.root)
    enough = heads.having(func.count(cosignatures.c.name.distinct()) >= quorum).order_by(cosignatures.c.size.desc())
    return connection.execute(enough.limit(1)).scalar()
