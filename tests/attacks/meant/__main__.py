"""Prints the table of the README; 0 if the marks hold, 1 if one does not.

    python -m tests.attacks.meant [--json] [--doors] [--every N]

With `--doors`: under a standing mandate, by each door; the marks are then those of the pipeline itself.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.attacks.meant.doors import Door
from tests.attacks.meant.measure import Measured, measure, table
from tests.attacks.meant.play import Customer, Mandate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--doors", action="store_true", help="by each door, under a standing mandate")
    parser.add_argument("--every", type=int, default=1, help="one case of so many")
    options = parser.parse_args()
    asked = [(Mandate.STANDING, door) for door in Door] if options.doors else [(mandate, Door.PIPELINE) for mandate in Mandate]
    with tempfile.TemporaryDirectory(prefix="tellergate-") as folder:
        measured = [
            asyncio.run(
                measure(Path(folder) / str(number), mandate, _told, every=options.every, every_task=options.every, door=door)
            )
            for number, (mandate, door) in enumerate(asked)
        ]
    print(json.dumps([item.plain() for item in measured]) if options.json else table(measured))
    return 0 if (_is_same(measured) if options.doors else _holds(measured[-1])) else 1


def _told(line: str) -> None:
    print(line, file=sys.stderr)


def _is_same(measured: Sequence[Measured]) -> bool:
    return all(item.is_as(measured[0]) for item in measured) and _holds(measured[0])


def _holds(standing: Measured) -> bool:
    held = not standing.fallen[Customer.ATTENTIVE] and len(standing.fallen[Customer.RUBBER_STAMP]) <= 0.05 * standing.attacks
    return held and not standing.missed and standing.done_confirmed <= standing.tasks / 3


if __name__ == "__main__":
    sys.exit(main())
