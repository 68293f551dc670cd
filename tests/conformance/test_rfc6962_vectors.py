"""Proof cases of transparency-dev/merkle, good and bad, against our verification and the auditor's stand-alone one."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.merkle import ProofInvalid, verify_consistency, verify_inclusion

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "rfc6962"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the published RFC 6962 vectors are not here")


def cases(kind: str) -> list[Any]:
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in sorted((FOLDER / kind).glob("*/*.json"))]


def hashes(found: list[str] | None) -> list[bytes]:
    return [base64.b64decode(match) for match in found or []]


@pytest.mark.parametrize("path", cases("inclusion"))
def test_inclusion(path: Path) -> None:
    case = json.loads(path.read_text())
    proof, (root, leaf) = hashes(case["proof"]), hashes([case["root"], case["leafHash"]])
    given = (leaf, case["leafIdx"], case["treeSize"], proof, root)
    if case["wantErr"]:
        with pytest.raises(ProofInvalid):
            verify_inclusion(*given)
    else:
        verify_inclusion(*given)


@pytest.mark.parametrize("path", cases("consistency"))
def test_consistency(path: Path) -> None:
    case = json.loads(path.read_text())
    old_root, new_root = hashes([case["root1"], case["root2"]])
    given = (case["size1"], case["size2"], hashes(case["proof"]), old_root, new_root)
    if case["wantErr"]:
        with pytest.raises(ProofInvalid):
            verify_consistency(*given)
    else:
        verify_consistency(*given)


@pytest.mark.parametrize("path", cases("consistency"))
def test_consistency_by_the_stand_alone_verifier(path: Path) -> None:
    """It is called with sizes 0 < old < new only, and with hashes of the right length: its caller refuses the rest before."""
    case = json.loads(path.read_text())
    (old_root, new_root), proof = hashes([case["root1"], case["root2"]]), hashes(case["proof"])
    if not 0 < case["size1"] < case["size2"] or any(len(item) != 32 for item in proof):
        assert case["wantErr"] or case["size1"] == case["size2"]
        return
    begin = [] if case["size1"] & (case["size1"] - 1) else [old_root]
    led_to = verify.consistent(case["size1"], case["size2"], [*begin, *proof])
    assert (led_to != (old_root, new_root)) == case["wantErr"]


def test_there_are_vectors() -> None:
    assert len(cases("inclusion")) > 30
    assert len(cases("consistency")) > 30
