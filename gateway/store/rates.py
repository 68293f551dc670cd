"""What each process took of token buckets, told to the others that share the database. A row is of one bucket and one process, by the
SHA-256 of the bucket's name: it says how often, and of nobody who."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, text

from gateway.store.items import Item
from gateway.store.tables import RATES
from gateway.store.times import to_us

KEPT = timedelta(minutes=10)
"""How long a row stays that nobody added to."""

HEARD = timedelta(seconds=30)
"""How far back others' rows are read each time: beyond any difference of clocks, and any pause of a process."""

_HEARD_MOST = 400_000

# The same words in both dialects
_ADD = text(
    "insert into rates (bucket, process, taken, at_us) values (:bucket, :process, :taken, :at_us)"
    " on conflict (bucket, process) do update set taken = rates.taken + excluded.taken, at_us = excluded.at_us"
)


@dataclass(frozen=True, slots=True)
class TellRates(Item[None]):
    """Add what this process took, by bucket."""

    process: str
    taken: Mapping[bytes, int]
    at: datetime

    def apply(self, connection: Connection) -> None:
        at_us = to_us(self.at)
        rows = [
            {"bucket": bucket, "process": self.process, "taken": count, "at_us": at_us}
            for bucket, count in sorted(self.taken.items())
        ]
        connection.execute(_ADD, rows)


def of_others(connection: Connection, process: str, at: datetime) -> dict[bytes, dict[str, int]]:
    """What other processes took of buckets that they added to lately, by bucket and process."""
    which = (RATES.c.at_us > to_us(at - HEARD), RATES.c.process != process)
    found: dict[bytes, dict[str, int]] = {}
    for bucket, other, count in connection.execute(select(RATES.c.bucket, RATES.c.process, RATES.c.taken).where(*which)):
        found.setdefault(bytes(bucket), {})[other] = count
    return found


@dataclass(frozen=True, slots=True)
class ForgetRates(Item[int]):
    """Delete the rows that nobody added to since `KEPT` before `at`; how many that were."""

    at: datetime

    def apply(self, connection: Connection) -> int:
        return connection.execute(delete(RATES).where(RATES.c.at_us < to_us(self.at - KEPT))).rowcount


class HeardRates:
    """What of others' counts was heard before, so that only what is new is taken from a bucket."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[bytes, str], int] = OrderedDict()
        self._is_first = True

    def new(self, found: Mapping[bytes, Mapping[str, int]]) -> dict[bytes, int]:
        """By bucket, what others took since the last time. The first time nothing: what was taken before this process began is over."""
        fresh: dict[bytes, int] = {}
        for bucket, by in found.items():
            for process, count in by.items():
                before = self._counts.pop((bucket, process), count if self._is_first else 0)
                self._counts[bucket, process] = count
                more = count - before if count >= before else count  # its row was forgotten meanwhile, and begun anew
                if more:
                    fresh[bucket] = fresh.get(bucket, 0) + more
        self._is_first = False
        while len(self._counts) > _HEARD_MOST:
            self._counts.popitem(last=False)
        return fresh
