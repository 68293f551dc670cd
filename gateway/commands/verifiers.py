"""`tellergate audit verifiers`: what an auditor compares the verifier in their hands with, and both verifiers to take away."""

import argparse
from pathlib import Path

from audit.log import Log
from audit.verifiers import files, hashes, recorded
from gateway.commands.audit import with_log, written
from gateway.commands.printing import FINDING, GOOD, failed, print_json

_OTHERS = (
    "the last start on record was with other verifiers: start the gateway of this version; if one is running that is of it, "
    "its files or these were changed: ask why"
)


def verifiers(options: argparse.Namespace) -> int:
    """Print the hashes of this version's verifiers, and those on record at the last start; write their files if asked."""

    async def work(log: Log) -> int:
        size, _ = await log.head()
        found = await log.read_long(lambda reads: recorded(reads.connection, size))
        index, on_record = found if found is not None else (None, None)
        if options.out is not None:
            _write(options.out)
        if options.json:
            print_json({"verifiers": dict(hashes()), "record": index, "on_record": on_record})
        else:
            for name, digest in hashes().items():
                print(f"{name:12} {digest}")
            print("on record:", "nothing yet" if index is None else f"the record {index}, at the last start")
        if on_record != dict(hashes()):
            return FINDING if options.json else failed(_OTHERS, FINDING)
        return GOOD

    return with_log(options, work)


def _write(folder: Path) -> None:
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with written(folder / name) as file:
            file.write(content)
