"""What the console says of what watches the log, and of the verifiers that it serves to browsers."""

import hashlib
from dataclasses import replace

import httpx
import pytest

from audit.checkpoint import Checkpoint, Note, Signature
from audit.cosigning import keep
from audit.verifiers import files, hashes
from gateway.doors.operations.audit.desk import HOME, AuditDesk
from gateway.doors.operations.audit.shell import STATICS
from gateway.doors.operations.audit.state import _witnesses
from tests.doors import test_audit_console
from tests.doors.test_audit_console import browser
from tests.support.teller import Teller

asked = test_audit_console.asked


async def test_how_far_witnesses_cosigned_and_which_verifiers_are_on_record_is_told(asked: Teller) -> None:
    log = asked.gateway.log
    note = Note.parse(str(await log.publish(force=True)).encode())
    async with browser(asked) as eve:
        told = (await eve.get(f"{HOME}/state")).text
        for digest in hashes().values():
            assert str(digest) in told
        assert "are the ones that this gateway hands out" in told
        assert told.count("none configured") == 2
        now_s = int(asked.gateway.door.clock().timestamp())
        for name, age_s in (("witness.example/a", 400), ("witness.example/a", 7), ("witness.example/gone", 900)):
            blob = (now_s - age_s).to_bytes(8) + bytes(64)
            await keep(log, note, [Signature(name, bytes(4), blob)])
        told = (await eve.get(f"{HOME}/state")).text
        assert "no witness of the settings any more" in told
    size = Checkpoint.parse(note.text).size
    desk = AuditDesk(log=log, approvals=None, cases=None, kept=(), witnesses=("witness.example/a", "witness.example/new"))  # type: ignore[arg-type]
    shown = await _witnesses(desk, asked.gateway.door.clock())
    assert [tone for _, _, tone in shown] == ["good", "", "bad"]
    assert f"witness.example/a: {size} records" in shown[0][1]
    late = await _witnesses(replace(desk, witnesses=("witness.example/gone",)), asked.gateway.door.clock())
    assert [tone for _, _, tone in late] == ["", "bad"]


async def test_other_verifiers_than_those_on_record_are_said_aloud(asked: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.doors.operations.audit.state.hashes", lambda: {"verifier_py": "0", "verifier_js": "0"})
    async with browser(asked) as eve:
        assert "ARE NOT THE ONES" in (await eve.get(f"{HOME}/state")).text


async def test_browsers_get_the_very_files_whose_hashes_are_on_record(asked: Teller) -> None:
    lines = [line.split("  ") for line in files()["SHA256SUMS"].decode().splitlines()]
    sums = {name: digest for digest, name in lines}
    served = [name for name in STATICS if name.startswith("verifier/")]
    assert {"verifier/verifier.mjs", "verifier/vendor/post-quantum/ml-dsa.js"} <= set(served)
    async with browser(asked) as eve:
        for name in served:
            answered: httpx.Response = await eve.http.get(f"{HOME}/{name}")
            assert answered.headers["content-type"].startswith("text/javascript"), name
            assert hashlib.sha256(answered.content).hexdigest() == sums[name.replace("verifier/", "verifier_js/", 1)], name
