"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1): hashes, frontier, proofs and their verification.

Pure: no I/O, no clock, no randomness. Hashes are 32 bytes of SHA-256. A node is named by its height above the leaves and its index
at that height; it exists once all 2**height leaves below it do. A tile (C2SP tlog-tiles) is 256 neighbouring nodes of a height
that is a multiple of 8.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
TILE_WIDTH = 256
TILE_HEIGHT = 8

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""

Node = Callable[[int, int], bytes]
"""Hash of the node at (height, index)."""


class ProofInvalid(Exception):
    """A proof does not prove what it is said to prove."""


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Tile:
    """A full tile: 256 hashes, and the root over them, which is one hash of the next level."""

    level: int
    index: int
    hashes: bytes
    root: bytes


@dataclass(slots=True)
class Frontier:
    """What must be remembered of a tree so that it can grow: roots of its perfect subtrees, largest first, and open tiles."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)
    open_tiles: list[list[bytes]] = field(default_factory=list)
    """Per tile level the hashes since its last full tile."""

    def copy(self) -> "Frontier":
        return Frontier(self.size, list(self.peaks), [list(hashes) for hashes in self.open_tiles])

    def push(self, leaf: bytes, full: list[Tile]) -> None:
        """Append one leaf hash; tiles that it fills are added to `full`."""
        peaks, node, height, size = self.peaks, leaf, 0, self.size
        self._fill(0, node, full)
        while size >> height & 1:
            node = node_hash(peaks.pop(), node)
            height += 1
            if height % TILE_HEIGHT == 0:
                self._fill(height // TILE_HEIGHT, node, full)
        peaks.append(node)
        self.size = size + 1

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        node = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            node = node_hash(left, node)
        return node

    def _fill(self, level: int, node: bytes, full: list[Tile]) -> None:
        while len(self.open_tiles) <= level:
            self.open_tiles.append([])
        hashes = self.open_tiles[level]
        hashes.append(node)
        if len(hashes) == TILE_WIDTH:
            index = ((self.size + 1) >> (TILE_HEIGHT * (level + 1))) - 1
            full.append(Tile(level, index, b"".join(hashes), subtree_root(hashes)))
            hashes.clear()


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes or over nodes of one height (RFC 6962 section 2.1)."""
    frontier: list[bytes] = []
    for size, node in enumerate(hashes):
        carried, height = node, 0
        while size >> height & 1:
            carried = node_hash(frontier.pop(), carried)
            height += 1
        frontier.append(carried)
    if not frontier:
        return EMPTY_ROOT
    root = frontier.pop()
    while frontier:
        root = node_hash(frontier.pop(), root)
    return root


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Sibling hashes from the leaf up (RFC 6962 section 2.1.1). ValueError unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in this tree")
    return _path(index, 0, size, node)


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Proof that the tree of `old` leaves is a prefix of that of `new` (RFC 6962 2.1.2). ValueError unless 0 < old <= new."""
    if not 0 < old <= new:
        raise ValueError("a consistency proof needs 0 < old <= new")
    return _subproof(old, 0, new, True, node)


def range_root(start: int, end: int, node: Node) -> bytes:
    """Root over the leaves of [start, end), which must be a subtree that RFC 6962 would split off."""
    width = end - start
    if width & (width - 1) == 0 and start % width == 0:
        height = width.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(width)
    return node_hash(range_root(start, middle, node), range_root(middle, end, node))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2. ProofInvalid unless `leaf` (its hash) is at `index` of the tree of `size` leaves under `root`."""
    _check_lengths([leaf, root, *proof])
    if size <= 0 or not 0 <= index < size:
        raise ProofInvalid("no such leaf in this tree")
    here, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the proof is too long")
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the proof is too short")
    if node != root:
        raise ProofInvalid("the proof leads to another root")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162 section 2.1.4.2. ProofInvalid unless the tree under `old_root` is a prefix of that under `new_root`."""
    _check_lengths([old_root, new_root, *proof])
    if not 0 < old <= new:
        raise ProofInvalid("a consistency proof needs 0 < old <= new")
    if old == new:
        if proof or old_root != new_root:
            raise ProofInvalid("equal sizes need equal roots and an empty proof")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofInvalid("the proof is too short")
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the proof is too long")
        if here & 1 or here == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the proof is too short")
    if first != old_root or second != new_root:
        raise ProofInvalid("the proof leads to another root")


def _path(index: int, start: int, end: int, node: Node) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, node), range_root(middle, end, node)]
    return [*_path(index, middle, end, node), range_root(start, middle, node)]


def _subproof(old: int, start: int, end: int, whole: bool, node: Node) -> list[bytes]:
    if old == end:
        return [] if whole else [range_root(start, end, node)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_subproof(old, start, middle, whole, node), range_root(middle, end, node)]
    return [*_subproof(old, middle, end, False, node), range_root(start, middle, node)]


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1


def _check_lengths(hashes: Sequence[bytes]) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise ProofInvalid("a hash has 32 bytes")
