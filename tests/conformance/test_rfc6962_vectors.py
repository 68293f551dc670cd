"""Proof cases of transparency-dev/merkle, good and bad, against our verification and both of the auditor's."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.merkle import ProofInvalid, verify_consistency, verify_inclusion
from tests.support import peers
from tests.support.second_verifier import FOLDER as SECOND
from tests.support.second_verifier import node

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


_PROGRAM = """
const [folder] = process.argv.slice(1);
const { TreeHashes } = await import(`${folder}/tree.mjs`);
const { nodePrimitives } = await import(`${folder}/nodecrypto.mjs`);
const hashes = new TreeHashes(nodePrimitives.sha256);
const bytes = (texts) => texts.map((text) => Buffer.from(text, "base64"));
const said = (root) => (root === null ? null : Buffer.from(root).toString("base64"));
let text = "";
for await (const part of process.stdin) text += part;
const { inclusion, consistency } = JSON.parse(text);
const made = { inclusion: [], consistency: [] };
for (const [leaf, index, size, proof] of inclusion) {
  made.inclusion.push(said(await hashes.included(bytes([leaf])[0], index, size, bytes(proof))));
}
for (const [old, size, path] of consistency) made.consistency.push((await hashes.consistent(old, size, bytes(path)))?.map(said) ?? null);
console.log(JSON.stringify(made));
"""


def test_the_verifier_in_javascript() -> None:
    """It is called with sizes and indices within the tree only, and with hashes of the right length: its callers refuse the rest before."""
    inclusion, consistency = (
        [json.loads(item.values[0].read_text()) for item in cases(kind)] for kind in ("inclusion", "consistency")
    )
    inclusion = [case for case in inclusion if 0 <= case["leafIdx"] < case["treeSize"] and right(case, "leafHash")]
    consistency = [case for case in consistency if 0 < case["size1"] < case["size2"] and right(case, "root1")]
    assert min(len(inclusion), len(consistency)) > 10
    begun = [[] if case["size1"] & (case["size1"] - 1) else [case["root1"]] for case in consistency]
    asked = {
        "inclusion": [[case["leafHash"], case["leafIdx"], case["treeSize"], case["proof"] or []] for case in inclusion],
        "consistency": [
            [case["size1"], case["size2"], [*begin, *(case["proof"] or [])]] for begin, case in zip(begun, consistency, strict=True)
        ],
    }
    command = [node(), "--input-type=module", "--eval", _PROGRAM, str(SECOND)]
    done = peers.ran(command, input=json.dumps(asked))
    made = json.loads(done.stdout)
    assert [root != case["root"] for root, case in zip(made["inclusion"], inclusion, strict=True)] == [
        case["wantErr"] for case in inclusion
    ]
    assert [roots != [case["root1"], case["root2"]] for roots, case in zip(made["consistency"], consistency, strict=True)] == [
        case["wantErr"] for case in consistency
    ]


def right(case: dict[str, Any], name: str) -> bool:
    """Whether every hash of the case has its 32 bytes."""
    return all(len(item) == 32 for item in hashes([*(case["proof"] or []), case[name]]))
