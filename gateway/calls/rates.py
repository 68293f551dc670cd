"""How often one customer, one client and one customer's assistants may ask: token buckets, bounded in number, in memory. Pure but for its
own state.

Where several processes serve, each counts for itself and they tell each other, once a second, what was taken of buckets that are being
emptied (`Buckets.told`, `Buckets.hear`): together they let through what one would, and at most what was taken in that second more.
"""

import hashlib
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from adapters.function import BankingFunction
from gateway.domain.errors import Fault, RequestFault

_BUCKETS = 100_000
_DAY_S = 86_400

PROTECTING = 10
"""How many times as often as anything else what protects a customer may be asked."""

TOLD_FROM = 16
"""A bucket is told to other processes once a sixteenth of it was taken: whoever asks now and then costs nobody a row."""


class RateKind(IntEnum):
    """What is counted: buckets of one kind are told to those of the same kind in other processes. The numbers stand in the database."""

    CUSTOMER = 1
    CLIENT = 2
    PROTECTED_CUSTOMER = 3
    PROTECTED_CLIENT = 4
    CALLS = 5
    FUNCTIONS = 6
    WRITES = 7
    ROWS_OF_A_DAY = 8
    BYTES_OF_A_DAY = 9


@dataclass(slots=True)
class _Bucket:
    """`left` of it at `at_s`; `untold`: what was taken here and no other process knows yet."""

    digest: bytes
    size: int
    left: float
    at_s: float
    untold: int = 0


class Buckets:
    """One bucket for each name. Beyond their number the one that was idle longest is forgotten: it is full again."""

    def __init__(self, kind: RateKind) -> None:
        self.kind = kind
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._names: dict[bytes, str] = {}
        self._others: OrderedDict[bytes, int] = OrderedDict()
        """What others took of buckets that nobody asked for here yet."""
        self._to_tell: dict[bytes, _Bucket] | None = None

    def take(self, name: str, now: datetime, size: int, per_s: float, count: int = 1) -> bool:
        """Whether `count` more may go on; they are taken if so."""
        now_s = now.timestamp()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._made(name, now_s, size)
        else:
            self._buckets.move_to_end(name)
            bucket.left = min(float(size), bucket.left + max(0.0, now_s - bucket.at_s) * per_s)
            bucket.at_s = now_s
        if bucket.left < count:
            return False
        bucket.left -= count
        if self._to_tell is not None:
            bucket.untold += count
            if (bucket.size - bucket.left) * TOLD_FROM >= bucket.size:
                self._to_tell[bucket.digest] = bucket
        return True

    def _made(self, name: str, now_s: float, size: int) -> _Bucket:
        digest = bytes([self.kind]) + hashlib.sha256(name.encode()).digest()[1:]
        left = max(-float(size), size - float(self._others.pop(digest, 0)))
        bucket = _Bucket(digest, size, left, now_s)
        self._buckets[name], self._names[digest] = bucket, name
        if len(self._buckets) > _BUCKETS:
            _, forgotten = self._buckets.popitem(last=False)
            del self._names[forgotten.digest]
        return bucket

    def told(self) -> dict[bytes, int]:
        """What is to be told now: of each bucket that is being emptied, how much more was taken of it, by the digest of its name. From the
        first time on what is taken is kept for the next one."""
        waiting, self._to_tell = self._to_tell or {}, {}
        found: dict[bytes, int] = {}
        for digest, bucket in waiting.items():
            # what was taken long ago and has run in again since is nobody's loss
            found[digest] = min(bucket.untold, math.ceil(bucket.size - min(0.0, bucket.left)))
            bucket.untold = 0
        return found

    def hear(self, taken: Mapping[bytes, int]) -> None:
        """What other processes took. A bucket owes no more than its size, so that nobody waits longer than for two full ones."""
        for digest, count in taken.items():
            if digest[0] != self.kind:
                continue
            name = self._names.get(digest)
            if name is None:
                self._others[digest] = self._others.pop(digest, 0) + count
                if len(self._others) > _BUCKETS:
                    self._others.popitem(last=False)
            else:
                bucket = self._buckets[name]
                bucket.left = max(-float(bucket.size), bucket.left - count)


class RequestRates:
    """What one customer and one client may ask in a minute, and as much at once, whatever the route.

    What protects a customer (a card frozen, a payment declined, a kill switch) has `PROTECTING` times as much, apart from the rest.
    """

    def __init__(self, of_customer: int, of_client: int) -> None:
        self._sizes = (of_customer, of_client)
        self._buckets = {
            False: (Buckets(RateKind.CUSTOMER), Buckets(RateKind.CLIENT)),
            True: (Buckets(RateKind.PROTECTED_CUSTOMER), Buckets(RateKind.PROTECTED_CLIENT)),
        }

    @property
    def buckets(self) -> tuple[Buckets, ...]:
        """All of them, to be told to other processes."""
        return (*self._buckets[False], *self._buckets[True])

    def wait_s(self, customer: str, client: str, now: datetime, *, protects: bool) -> int:
        """0: it may go on; else after how many seconds the next one may."""
        factor = PROTECTING if protects else 1
        for name, size, buckets in zip((customer, client), self._sizes, self._buckets[protects], strict=True):
            if not buckets.take(name, now, size * factor, size * factor / 60):
                return max(1, -(-60 // (size * factor)))
        return 0


class Quotas:
    """What one customer may have stored in a day: requests that write, and the bytes of their bodies. What is kept for a number of days is
    thereby bounded, without counting rows."""

    def __init__(self, rows: int, size: int) -> None:
        self._rows, self._size = rows, size
        self.buckets = (Buckets(RateKind.ROWS_OF_A_DAY), Buckets(RateKind.BYTES_OF_A_DAY))

    def spend(self, customer: str, now: datetime, size: int) -> None:
        """One more request of so many bytes. RequestFault RATE_LIMITED where that is too much, with when it may be."""
        rows, sizes = self.buckets
        wait_s = 0
        if not sizes.take(customer, now, self._size, self._size / _DAY_S, max(1, size)):
            wait_s = -(-size * _DAY_S // self._size)
        elif not rows.take(customer, now, self._rows, self._rows / _DAY_S):
            wait_s = -(-_DAY_S // self._rows)
        if wait_s:
            message = "more than one customer may write in a day; wait before the next"
            raise RequestFault(Fault.RATE_LIMITED, message, retry_after_s=wait_s)


class AtOnce:
    """How much of what stays open (a stream, a wait) one customer may have at once in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def one(self, customer: str) -> Iterator[bool]:
        """Whether there is room for one more; it is taken until the end."""
        if self._open[customer] >= self._most:
            yield False
            return
        self._open[customer] += 1
        try:
            yield True
        finally:
            self._open[customer] -= 1
            if not self._open[customer]:
                del self._open[customer]


class Rates:
    """`per_minute` calls on average, and as many at once; and of a function that declares it, `calls_per_hour`, in a bucket of its own
    per customer."""

    def __init__(self, per_minute: int, kind: RateKind = RateKind.CALLS) -> None:
        self._per_minute = per_minute
        self._of_all = Buckets(kind)
        # Apart from the others: the traffic of many customers must not make anybody's narrow bucket be forgotten, and so full
        self._of_functions = Buckets(RateKind.FUNCTIONS)

    @property
    def buckets(self) -> tuple[Buckets, ...]:
        """All of them, to be told to other processes."""
        return (self._of_all, self._of_functions) if self._of_all.kind is RateKind.CALLS else (self._of_all,)

    def take(self, customer: str, now: datetime, function: BankingFunction | None = None) -> bool:
        """Whether one more call may go on; takes it from the bucket, or from both, if so."""
        if not self._of_all.take(customer, now, self._per_minute, self._per_minute / 60):
            return False
        if function is None or function.calls_per_hour is None:
            return True
        return self._of_functions.take(f"{function.name} {customer}", now, function.calls_per_hour, function.calls_per_hour / 3600)
