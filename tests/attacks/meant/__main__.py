"""Prints the table of the README; 0 if the marks hold, 1 if one does not."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.attacks.meant.measure import measure, table
from tests.attacks.meant.play import Customer, Mandate


def main() -> int:
    as_json = "--json" in sys.argv[1:]
    measured = []
    with tempfile.TemporaryDirectory(prefix="tellergate-") as folder:
        for number, mandate in enumerate(Mandate):
            measured.append(asyncio.run(measure(Path(folder) / str(number), mandate, lambda line: print(line, file=sys.stderr))))
    print(json.dumps([item.plain() for item in measured]) if as_json else table(measured))
    standing = measured[-1]
    held = not standing.fallen[Customer.ATTENTIVE] and len(standing.fallen[Customer.RUBBER_STAMP]) <= 0.05 * standing.attacks
    return 0 if held and not standing.missed and standing.done_confirmed <= standing.tasks / 3 else 1


if __name__ == "__main__":
    sys.exit(main())
