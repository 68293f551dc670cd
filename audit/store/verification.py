"""Statements of the background verification. The caller owns the transaction, and checks the code over what was kept."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, or_, select, tuple_, update

from audit.store.tables import checkpoints, intents, leaves, postings, verification

ENDS = ("outcome", "unknown", "reconciled")


@dataclass(frozen=True, slots=True)
class KeptVerification:
    """How far it is, as the process that does it keeps it. `mac`: a code over `body` by a key of this installation."""

    body: str
    mac: bytes


def read_verification(connection: Connection) -> KeptVerification | None:
    """None before the first."""
    row = connection.execute(select(verification.c.body, verification.c.mac)).first()
    return None if row is None else KeptVerification(row.body, row.mac)


def take_verification(connection: Connection, holder: str, now_s: int, until_s: int, first: KeptVerification) -> bool:
    """Whether this process may verify until then: nobody else does. `first`: what is kept where nothing was."""
    free = or_(verification.c.holder == holder, verification.c.until_s <= now_s)
    taken = update(verification).where(verification.c.id == 1, free).values(holder=holder, until_s=until_s)
    if connection.execute(taken).rowcount:
        return True
    if connection.execute(select(verification.c.id)).first() is not None:
        return False
    connection.execute(insert(verification).values(id=1, holder=holder, until_s=until_s, body=first.body, mac=first.mac))
    return True


def keep_verification(connection: Connection, holder: str, until_s: int, kept: KeptVerification) -> bool:
    """Keep it, and go on until then; False where another process took over meanwhile."""
    mine = update(verification).where(verification.c.id == 1, verification.c.holder == holder)
    return connection.execute(mine.values(until_s=until_s, body=kept.body, mac=kept.mac)).rowcount == 1


@dataclass(frozen=True, slots=True)
class StoredIntent:
    """A row of `intents`. SQLite keeps in a column whatever somebody else wrote there."""

    idx: int
    hash: object
    call: object
    time: object
    end_state: object


def intents_in(connection: Connection, start: int, until: int) -> dict[int, StoredIntent]:
    """The rows of intents with an index from `start` to before `until`."""
    wanted = select(intents).where(intents.c.idx >= start, intents.c.idx < until)
    return {row.idx: StoredIntent(row.idx, row.hash, row.call, row.time, row.end_state) for row in connection.execute(wanted)}


def ends_of(connection: Connection, calls: list[str]) -> list[bytes]:
    """The leaves that say how intents of these calls ended, in order."""
    wanted = select(leaves.c.leaf).where(leaves.c.call.in_(calls), leaves.c.kind.in_(ENDS)).order_by(leaves.c.idx)
    return list(connection.execute(wanted).scalars())


def published_roots(connection: Connection, start: int, until: int) -> list[tuple[int, object]]:
    """Size and root of the checkpoints over more than `start` and at most `until` leaves, each pair once."""
    here = (checkpoints.c.size > start, checkpoints.c.size <= until)
    return [
        (row.size, row.root) for row in connection.execute(select(checkpoints.c.size, checkpoints.c.root).where(*here).distinct())
    ]


def postings_after(connection: Connection, term: int, idx: int, most: int) -> list[tuple[int, int]]:
    """Postings behind this one, at most so many, in the order of their key."""
    behind = tuple_(postings.c.term, postings.c.idx) > tuple_(term, idx)
    wanted = select(postings.c.term, postings.c.idx).where(behind).order_by(postings.c.term, postings.c.idx).limit(most)
    return [(row.term, row.idx) for row in connection.execute(wanted)]
