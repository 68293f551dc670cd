"""How often one customer's assistants may call: a token bucket each, bounded in number, in memory. Pure but for its own state."""

from collections import OrderedDict
from datetime import datetime

_BUCKETS = 100_000


class Rates:
    """`per_minute` calls on average, and as many at once. Each process counts for itself."""

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._size = float(per_minute)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, customer: str, now: datetime) -> bool:
        """Whether one more call may go on; takes it from the bucket if so."""
        now_s = now.timestamp()
        left, at_s = self._buckets.pop(customer, (self._size, now_s))
        left = min(self._size, left + max(0.0, now_s - at_s) * self._per_second)
        allowed = left >= 1
        self._buckets[customer] = (left - 1 if allowed else left, now_s)
        if len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        return allowed
