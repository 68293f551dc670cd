"""How often one customer, one client and one customer's assistants may ask: token buckets, bounded in number, in memory. Pure but for its
own state."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from adapters.function import BankingFunction

_BUCKETS = 100_000

PROTECTING = 10
"""How many times as often as anything else what protects a customer may be asked."""


class _Buckets:
    """One bucket for each name. Beyond their number the one that was idle longest is forgotten: it is full again."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now: datetime, size: int, per_s: float) -> bool:
        now_s = now.timestamp()
        left, at_s = self._left.pop(name, (float(size), now_s))
        left = min(float(size), left + max(0.0, now_s - at_s) * per_s)
        allowed = left >= 1
        self._left[name] = (left - 1 if allowed else left, now_s)
        if len(self._left) > _BUCKETS:
            self._left.popitem(last=False)
        return allowed


class RequestRates:
    """What one customer and one client may ask in a minute, and as much at once, whatever the route. Each process counts for itself.

    What protects a customer (a card frozen, a payment declined, a kill switch) has `PROTECTING` times as much, apart from the rest.
    """

    def __init__(self, of_customer: int, of_client: int) -> None:
        self._sizes = (of_customer, of_client)
        self._buckets = {False: (_Buckets(), _Buckets()), True: (_Buckets(), _Buckets())}

    def wait_s(self, customer: str, client: str, now: datetime, *, protects: bool) -> int:
        """0: it may go on; else after how many seconds the next one may."""
        factor = PROTECTING if protects else 1
        for name, size, buckets in zip((customer, client), self._sizes, self._buckets[protects], strict=True):
            if not buckets.take(name, now, size * factor, size * factor / 60):
                return max(1, -(-60 // (size * factor)))
        return 0


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
    per customer. Each process counts for itself."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._of_all = _Buckets()
        # Apart from the others: the traffic of many customers must not make anybody's narrow bucket be forgotten, and so full
        self._of_functions = _Buckets()

    def take(self, customer: str, now: datetime, function: BankingFunction | None = None) -> bool:
        """Whether one more call may go on; takes it from the bucket, or from both, if so."""
        if not self._of_all.take(customer, now, self._per_minute, self._per_minute / 60):
            return False
        if function is None or function.calls_per_hour is None:
            return True
        return self._of_functions.take(f"{function.name} {customer}", now, function.calls_per_hour, function.calls_per_hour / 3600)
