"""Wycheproof cases against the verification functions that the checkpoints use: ours, the stand-alone verifier's, and those of the one in
JavaScript, as Node and as a browser calculates.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.checkpoint import NoteInvalid, verify_ed25519, verify_mldsa44
from tests.support.second_verifier import second_verifier

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
        given = key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
        assert _holds(verify_ed25519, *given) == _holds(_alone, 1, *given) == (case["result"] == "valid"), case["tcId"]


def test_mldsa44() -> None:
    found = cases("mldsa_44_verify_test.json")
    assert len(found) > 100
    for key, case in found:
        given = key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
        context = bytes.fromhex(case.get("ctx", ""))
        assert _holds(verify_mldsa44, *given, context) == (case["result"] == "valid"), case["tcId"]
        if not context:
            assert _holds(_alone, 6, *given) == (case["result"] == "valid"), case["tcId"]


@pytest.mark.parametrize("primitives", ["node", "web"])
def test_the_verifier_in_javascript(primitives: str) -> None:
    with second_verifier(primitives) as second:
        for kind, name in ((1, "ed25519_test.json"), (6, "mldsa_44_verify_test.json")):
            for key, case in cases(name):
                if case.get("ctx") or (kind == 6 and primitives == "web"):
                    continue
                held = second.verified(kind, key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
                assert held == (case["result"] == "valid"), (kind, case["tcId"])


def _alone(kind: int, key: bytes, signature: bytes, message: bytes) -> None:
    verify.Key("k", kind, key).verify(signature, message)


def _holds(check: Callable[..., None], *given: Any) -> bool:
    try:
        check(*given)
    except (NoteInvalid, verify.Finding):
        return False
    return True
