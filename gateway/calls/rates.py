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
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from adapters.function import BankingFunction
from gateway.domain.errors import Fault, RequestFault

_BUCKETS = 100_000
_DAY_S = 86_400

PROTECTING = 10
"""How many times as often as anything else what protects a customer may be asked."""

AT_ONCE = 60
"""Requests that one customer may ask at once, or a tenth of a minute's where that is more; those beyond wait for their turn."""

WAITS_MOST_S = 5
"""How long a request waits for its turn at most. One that would wait longer is refused, as late as the last one that was taken: who asks
as fast as they are answered is slowed by their refusals too."""

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

    def gone(self, name: str) -> float:
        """How much was gone of this bucket when it was last taken from; more than its size where others took too."""
        bucket = self._buckets[name]
        return bucket.size - bucket.left

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


@dataclass(frozen=True, slots=True)
class Admission:
    """What the rates say of one request."""

    wait_s: float
    """To wait before it is handled, or before it is refused."""

    retry_after_s: int
    """0: it may be handled. Else it is refused, and the next one may be asked after so many seconds."""

    policy: str
    per_minute: int
    left: int
    """How many more may be asked now without waiting."""

    full_after_s: int
    """When as many as ever may be, if none is asked until then."""


class RequestRates:
    """What one customer and one client may ask in a minute, whatever the route.

    A customer may ask a tenth of that at once (`AT_ONCE`, if that is more); beyond it their requests wait for each other, and are handled
    at the rate, so that a burst of one customer is spread over time and no other customer stands behind it. What protects a customer (a
    card frozen, a payment declined, a kill switch) has `PROTECTING` times as much, apart from the rest, and never waits.
    """

    def __init__(self, of_customer: int, of_client: int) -> None:
        at_once = min(of_customer, max(AT_ONCE, of_customer // 10))
        wide = PROTECTING * of_customer
        per_s = of_customer / 60
        self._customers = {
            False: _Shape("customer", of_customer, at_once, at_once + int(per_s * WAITS_MOST_S), Buckets(RateKind.CUSTOMER)),
            True: _Shape("protection", wide, wide, wide, Buckets(RateKind.PROTECTED_CUSTOMER)),
        }
        self._of_client = of_client
        self._clients = {False: Buckets(RateKind.CLIENT), True: Buckets(RateKind.PROTECTED_CLIENT)}

    @property
    def buckets(self) -> tuple[Buckets, ...]:
        """All of them, to be told to other processes."""
        return (*(shape.buckets for shape in self._customers.values()), *self._clients.values())

    def admit(self, customer: str, client: str, now: datetime, *, protects: bool) -> Admission:
        """Count one more request, and say whether and when it may be handled."""
        admission = self._customers[protects].admit(customer, now)
        if not admission.retry_after_s:
            size = self._of_client * (PROTECTING if protects else 1)
            if not self._clients[protects].take(client, now, size, size / 60):
                return replace(admission, wait_s=0.0, retry_after_s=_after_s(size))
        return admission


@dataclass(frozen=True, slots=True)
class _Shape:
    """`per_minute` of one customer, `at_once` without waiting, and `size` with those that wait."""

    policy: str
    per_minute: int
    at_once: int
    size: int
    buckets: Buckets

    def admit(self, customer: str, now: datetime) -> Admission:
        per_s = self.per_minute / 60
        taken = self.buckets.take(customer, now, self.size, per_s)
        gone = self.buckets.gone(customer)
        wait_s = (gone - self.at_once if taken else self.size - self.at_once) / per_s
        return Admission(
            wait_s=min(float(WAITS_MOST_S), max(0.0, wait_s)),
            retry_after_s=0 if taken else _after_s(self.per_minute),
            policy=self.policy,
            per_minute=self.per_minute,
            left=max(0, self.at_once - math.ceil(gone)),
            full_after_s=math.ceil(gone / per_s),
        )


def _after_s(per_minute: int) -> int:
    return max(1, -(-60 // per_minute))


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
