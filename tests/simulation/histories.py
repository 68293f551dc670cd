"""Plays many long histories: `python -m tests.simulation.histories [COUNT] [SEED]`; 0 if everything held. The seed plays them again."""

import sys
import time

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.test_histories import LONGER, Histories


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    number = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print(f"{count} histories of 40 steps, seed {number}", file=sys.stderr)
    run_state_machine_as_test(seed(number)(Histories), settings=settings(LONGER, max_examples=count, stateful_step_count=40))
    print("everything held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
