"""How often one customer's assistants may call: token buckets, bounded in number, in memory. Pure but for its own state."""

from collections import OrderedDict
from datetime import datetime

from adapters.function import BankingFunction

_BUCKETS = 100_000


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
