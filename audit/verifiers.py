"""The verifiers of this version, and their hashes as the log publishes them: what an auditor was handed can be compared with what the bank
put on record when a gateway began with it. Files are read once; pure besides.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from audit import verify
from audit.leaf import Plain, RecordKind
from audit.store.find import Filter, find_last

IN_PYTHON = "verify.py"
FOLDER = "verifier_js"
SUMS = "SHA256SUMS"
_FACTS = {"verifier_py": IN_PYTHON, "verifier_js": SUMS}


@cache
def files() -> Mapping[str, bytes]:
    """Each file by its name: the verifier in Python, those of the one in JavaScript, and SUMS, which lists the latter with their SHA-256 as
    `sha256sum` writes it.
    """
    here = Path(verify.__file__).parent
    parts = {path.relative_to(here).as_posix(): path.read_bytes() for path in (here / FOLDER).rglob("*") if path.is_file()}
    sums = "".join(f"{hashlib.sha256(parts[name]).hexdigest()}  {name}\n" for name in sorted(parts))
    return {IN_PYTHON: Path(verify.__file__).read_bytes(), SUMS: sums.encode(), **parts}


@cache
def hashes() -> Mapping[str, Plain]:
    """The facts of a start of the log: SHA-256 of the verifier that bundles carry, and of the list of the other one's files."""
    return {fact: hashlib.sha256(files()[name]).hexdigest() for fact, name in _FACTS.items()}


def recorded(connection: Connection, size: int) -> tuple[int, Mapping[str, object]] | None:
    """Index and hashes of the last start before the record `size`; None where there is none, or one that says nothing. LogCorrupt."""
    found = find_last(connection, Filter(kinds=(RecordKind.LOG_START,)), size, 1)
    facts = json.loads(found[0].leaf).get("facts", {}) if found else {}
    return (found[0].idx, {name: facts[name] for name in _FACTS}) if facts.keys() >= _FACTS.keys() else None
