"""The verifier in JavaScript beside the one in Python: one process of Node for many bundles, and what both must say alike."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from audit import verify
from audit.encoding import b64
from tests.support import peers
from tests.support.postgres import absent

FOLDER = Path(verify.__file__).parent / "verifier_js"
LOOP = Path(__file__).parent / "verifier_loop.mjs"
_RULE = re.compile(r"5\. record (\d+): (\w+):")
_ALONE = {"fields": "form"}
"""Which of the two a record breaks that cannot be read is a matter of what is looked at first."""

Own = Mapping[str, bytes]
"""Files of the auditor's own: `trust`, `pinned`, `after`."""


def node() -> str:
    """The program of Node; skips the test by name where there is none."""
    found = shutil.which("node")
    if found is None:
        absent("the verifier in JavaScript (node)")
    return found


@dataclass
class SecondVerifier:
    """A process of Node that verifies what it is given."""

    process: "subprocess.Popen[bytes]"

    def verify(self, raw: bytes, own: Own, **witnessed: Any) -> dict[str, Any]:
        """The report of a bundle, or which of the auditor's own files it cannot use. `witnessed`: vkeys of witnesses, and a quorum."""
        return self._asked(witnessed, {"bundle": raw, **own})

    def verified(self, kind: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """Whether a key of this kind (of C2SP signed notes) signed this."""
        return self._asked({"kind": kind}, {"key": key, "signature": signature, "message": message})["verified"] is True

    def _asked(self, how: Mapping[str, Any], given: Mapping[str, bytes]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**how, **{name: len(content) for name, content in given.items()}}).encode() + b"\n")
        self.process.stdin.write(b"".join(given.values()))
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def second_verifier(primitives: str = "node") -> Iterator[SecondVerifier]:
    """One that calculates with Node's own functions, or with `web`, WebCrypto."""
    command = [node(), "--no-warnings", str(LOOP), str(FOLDER), primitives]
    with peers.started(command, stdin=subprocess.PIPE) as (process, _):
        yield SecondVerifier(process)


def first_verifier(raw: bytes, own: Own) -> dict[str, Any]:
    """What verify.py says, in the same form."""
    try:
        report = verify.verify(raw, trust=own.get("trust"), pinned=own.get("pinned"), after=own.get("after"))
        said: dict[str, Any] = json.loads(json.dumps(report.as_json()))
        return said
    except verify.InputUnreadable as error:
        return {"unreadable": error.args[0]}


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """What both must say alike: verdicts, facts, notes, and which record broke which rule. Other sentences are each one's own."""
    if "unreadable" in answer:
        return answer
    told = [(finding["verdict"], _RULE.match(finding["what"])) for finding in answer["findings"]]
    rules = [[verdict, match and [match[1], _ALONE.get(match[2], match[2])]] for verdict, match in told]
    return {**answer, "findings": rules, "notes": sorted(answer["notes"])}


def _vkey(key: verify.Key) -> str:
    return f"{key.name}+{key.id.hex()}+{b64(bytes([key.kind]) + key.public)}"


@pytest.fixture(scope="module")
def both_verifiers() -> Iterator[None]:
    """Whatever a test of this module gives to the verifier in Python is given to the other one too, and both must say the same."""
    if shutil.which("node") is None and not os.environ.get("REQUIRE_PEERS"):
        yield
        return
    alone = verify.verify

    def verified(source: bytes | Path, **options: Any) -> verify.Report:
        report = alone(source, **options)
        if options.get("further"):  # steps of one of them alone
            return report
        own = {name: content for name, content in options.items() if name in ("trust", "pinned", "after") and content is not None}
        told = {"witnesses": [_vkey(key) for key in options.get("witnesses") or ()], "quorum": options.get("quorum")}
        witnessed = {name: value for name, value in told.items() if value}
        answer = second.verify(source if isinstance(source, bytes) else source.read_bytes(), own, **witnessed)
        assert comparable(answer) == comparable(json.loads(json.dumps(report.as_json())))
        return report

    with second_verifier() as second, patch.object(verify, "verify", verified):
        yield


def disagreement(second: SecondVerifier, raw: bytes, own: Own) -> str | None:
    """Where they say different things, both of it."""
    one, other = first_verifier(raw, own), second.verify(raw, own)
    if comparable(one) == comparable(other):
        return None
    return f"verify.py:  {json.dumps(one)}\nverify.mjs: {json.dumps(other)}"
