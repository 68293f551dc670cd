"""Wycheproof cases against the verification functions that the checkpoints use, ours and the stand-alone verifier's."""

import json
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.checkpoint import NoteInvalid, verify_ed25519, verify_mldsa44

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "wycheproof"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the published Wycheproof vectors are not here")


def cases(name: str) -> list[tuple[bytes, dict[str, Any]]]:
    if not (FOLDER / name).exists():
        return []
    found = []
    for group in json.loads((FOLDER / name).read_text())["testGroups"]:
        key = group["publicKey"] if isinstance(group["publicKey"], str) else group["publicKey"]["pk"]
        found += [(bytes.fromhex(key), case) for case in group["tests"]]
    return found


def test_ed25519() -> None:
    found = cases("ed25519_test.json")
    assert len(found) > 100
    for key, case in found:
        message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
        assert _holds(lambda: verify_ed25519(key, signature, message)) == (case["result"] == "valid"), case["tcId"]
        assert _holds(lambda: verify.Key("k", 1, key).verify(signature, message)) == (case["result"] == "valid"), case["tcId"]


def test_mldsa44() -> None:
    found = cases("mldsa_44_verify_test.json")
    assert len(found) > 100
    for key, case in found:
        message, signature, context = (bytes.fromhex(case.get(name, "")) for name in ("msg", "sig", "ctx"))
        assert _holds(lambda: verify_mldsa44(key, signature, message, context)) == (case["result"] == "valid"), case["tcId"]
        if not context:
            assert _holds(lambda: verify.Key("k", 6, key).verify(signature, message)) == (case["result"] == "valid"), case["tcId"]


def _holds(check: Any) -> bool:
    try:
        check()
    except (NoteInvalid, verify.Finding):
        return False
    return True
