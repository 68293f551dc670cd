"""The tree against the definition of RFC 6962 section 2.1, written as it stands there."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import verify
from audit.merkle import (
    Frontier,
    ProofInvalid,
    Tile,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    range_root,
    subtree_root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [b"leaf %d" % number for number in range(600)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
SIZES = st.integers(1, 600) | st.sampled_from([1, 2, 3, 255, 256, 257, 511, 512, 513])


def naive(leaves: list[bytes]) -> bytes:
    """MTH, RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def nodes(height: int, index: int) -> bytes:
    width = 1 << height
    return naive(LEAVES[index * width : (index + 1) * width])


@given(SIZES)
def test_frontier_and_subtrees_have_the_defined_root(size: int) -> None:
    frontier, full = Frontier(), list[Tile]()
    for item in HASHES[:size]:
        frontier.push(item, full)
    expected = naive(LEAVES[:size])
    assert frontier.root() == subtree_root(HASHES[:size]) == range_root(0, size, nodes) == expected
    if size:
        tree = verify.Tree()
        for leaf in LEAVES[:size]:
            tree.push(verify.leaf_hash(leaf))
        assert (tree.size, tree.root(), tree.peaks) == (size, expected, frontier.peaks)
    assert [(tile.level, tile.index) for tile in full] == [(0, index) for index in range(size // 256)]
    for tile in full:
        assert tile.hashes == b"".join(HASHES[tile.index * 256 : (tile.index + 1) * 256])
        assert tile.root == nodes(8, tile.index)


def test_tiles_of_the_next_level_are_made_of_tile_roots() -> None:
    frontier, full = Frontier(), list[Tile]()
    for number in range(256 * 256 + 1):
        frontier.push(HASHES[number % 600], full)
    (upper,) = [tile for tile in full if tile.level == 1]
    lower = [tile for tile in full if tile.level == 0]
    assert upper.index == 0
    assert upper.hashes == b"".join(tile.root for tile in lower)
    assert [len(open_tile) for open_tile in frontier.open_tiles] == [1, 0, 1]


@given(SIZES, st.data())
def test_inclusion_proofs_verify_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, nodes), naive(LEAVES[:size])
    verify_inclusion(HASHES[index], index, size, proof, root)
    assert verify.included(HASHES[index], index, size, proof) == root
    other = data.draw(st.integers(0, 600).filter(lambda item: item != index))
    for wrong in (
        (HASHES[index], other, size, proof, root),
        (HASHES[(index + 1) % 600], index, size, proof, root),
        (HASHES[index], index, size, [*proof, root], root),
        (HASHES[index], index, size, proof[:-1] if proof else [root], root),
        (HASHES[index], index, 0, proof, root),
        (HASHES[index], -1, size, proof, root),
        (HASHES[index], index, size, proof, HASHES[index] if proof else HASHES[(index + 1) % 600]),
        (HASHES[index][:31], index, size, proof, root),
        (HASHES[index], index, size, [item[:31] for item in proof] or [b""], root),
    ):
        with pytest.raises(ProofInvalid):
            verify_inclusion(*wrong)


@given(SIZES, st.data())
def test_consistency_proofs_verify_and_nothing_else_does(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, nodes)
    old_root, new_root = naive(LEAVES[:old]), naive(LEAVES[:new])
    verify_consistency(old, new, proof, old_root, new_root)
    if old < new:
        assert verify.consistent(old, new, [*([] if old & (old - 1) else [old_root]), *proof]) == (old_root, new_root)
    for wrong in (
        (0, new, proof, old_root, new_root),
        (new + 1, new, proof, old_root, new_root),
        (old, new, [*proof, old_root], old_root, new_root),
        (old, new, proof, new_root, old_root) if old != new else (old, new, [new_root], old_root, new_root),
        (old, new, proof[:-1] if proof else [old_root], old_root, new_root),
        (old, new, proof, old_root, HASHES[0] if new > 1 else HASHES[1]),
        (old, new, proof, HASHES[1] if old == 1 else HASHES[0], new_root),
        (old, new, proof, old_root[:31], new_root),
    ):
        with pytest.raises(ProofInvalid):
            verify_consistency(*wrong)


def test_hashes_of_other_lengths_cannot_shift_the_border_between_two() -> None:
    """left and right are hashed one behind the other: without lengths, 33 and 31 bytes would give the same root as 32 and 32."""
    left, right = HASHES[:2]
    root = naive(LEAVES[:2])
    with pytest.raises(ProofInvalid, match="32 bytes"):
        verify_inclusion(left + right[:1], 0, 2, [right[1:]], root)
    with pytest.raises(ProofInvalid, match="32 bytes"):
        verify_consistency(1, 2, [right[1:]], left + right[:1], root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(index, size, nodes)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (0, 0)])
def test_there_is_no_proof_between_trees_that_are_none(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="0 < old <= new"):
        consistency_proof(old, new, nodes)
