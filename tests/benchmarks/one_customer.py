"""What another customer feels of one customer's flood: the median of a balance, quiet and while four connections ask as fast as they are
answered.

`python -m tests.benchmarks.one_customer [SECONDS]`. For each kind of request, three times: the median of 15 balances, quiet; then the
medians of as many in each stretch of the flood, the burst that one customer may ask at once and the time after it apart.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from tests.support.floods import CONNECTIONS, Honest, flooding, floods
from tests.support.fronts import Fronted, fronted

TIMES = 3
BALANCES = 15
CUSTOMERS = ("alice", "bruno", "carla", "david", "alice")
"""Who asks for the balances, by flood: one's calls of a minute are not enough for all."""


def felt(front: Fronted, honest: Honest, requests: list[str], seconds: float) -> tuple[float, list[float], dict[str, int]]:
    """Quiet; flooded, in the order of time, in seconds; how often each status was answered."""
    quiet_s = statistics.median(honest.median_s(BALANCES) for _ in range(3))
    with flooding(front, requests, seconds) as statuses:
        flooded_s = [honest.median_s(BALANCES) for _ in range(5)]
    return quiet_s, flooded_s, statuses


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with tempfile.TemporaryDirectory() as folder, fronted(Path(folder)) as front, front.client("127.0.0.2") as client:
        print(
            f"{CONNECTIONS} connections of one customer for {seconds:g} s; medians of {BALANCES} balances of another, {TIMES} times"
        )
        print(f"{'flood':<14} {'quiet':>9} {'at first':>9} {'later':>9}  {'ratio':>5}  answered")
        for customer, (kind, requests) in zip(CUSTOMERS, floods(front).items(), strict=True):
            honest = Honest(front, client, customer)
            honest.median_s()
            tried = [felt(front, honest, requests, seconds) for _ in range(TIMES)]
            quiet_s = statistics.median(quiet for quiet, _, _ in tried)
            first_s = statistics.median(flooded[0] for _, flooded, _ in tried)
            later_s = statistics.median(later for _, flooded, _ in tried for later in flooded[1:])
            told = ", ".join(f"{count} x {status}" for status, count in sorted(tried[0][2].items()))
            times = " ".join(f"{1000 * took_s:6.1f} ms" for took_s in (quiet_s, first_s, later_s))
            print(f"{kind:<14} {times}  {later_s / quiet_s:5.2f}  {told}", flush=True)


if __name__ == "__main__":
    main()
