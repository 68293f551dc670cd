"""C2SP tlog-tiles: one address per tile, the hashes of the published tree and nothing beyond it, and entries that lead to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.leaf import RecordKind
from audit.log import Log
from audit.merkle import TILE_WIDTH, leaf_hash, subtree_root
from audit.query import Why
from audit.store.reads import LogCorrupt
from audit.tiles import TilePlace, entries_of, entry_bundle, hash_tile
from tests.trail import a_record

PLACES = st.builds(TilePlace, st.integers(0, 10**18), st.integers(1, TILE_WIDTH))
WHY = Why(auditor="eve", purpose="a copy", case_id="C-1")


def test_places_are_spelt_as_the_specification_spells_them() -> None:
    assert TilePlace(1234067).path == "x001/x234/067"
    assert TilePlace(0).path == "000"
    assert TilePlace(999, 112).path == "999.p/112"
    assert TilePlace.parse("x001/x234/067") == TilePlace(1234067)


@given(PLACES)
def test_a_place_has_one_spelling(place: TilePlace) -> None:
    assert TilePlace.parse(place.path) == place


@pytest.mark.parametrize(
    "path",
    ["", "0", "0000", "x000/001", "001/002", "001.p/0", "001.p/256", "001.p/01", "001.p/", "x001", "00a", "٠٠١", "001\n", "001/"],
)
def test_no_other_spelling_is_a_place(path: str) -> None:
    assert TilePlace.parse(path) is None


@given(st.text("x/.p0123456789", max_size=20))
def test_whatever_parses_is_spelt_so(path: str) -> None:
    place = TilePlace.parse(path)
    assert place is None or place.path == path


async def test_tiles_are_those_of_the_published_tree_and_end_where_it_ends(log: Log) -> None:
    for _ in range(260):
        await log.append(a_record())
    assert await hash_tile(log, 0, TilePlace(0)) is None, "nothing is published yet"
    await log.publish(force=True)
    await log.append(a_record())
    full, edge, upper = [await hash_tile(log, *at) for at in ((0, TilePlace(0)), (0, TilePlace(1, 4)), (1, TilePlace(0, 1)))]
    assert full is not None and edge is not None and upper is not None  # noqa: PT018
    hashes = [tile[at : at + 32] for tile in (full, edge) for at in range(0, len(tile), 32)]
    assert subtree_root(hashes) == (await log.proof(0, 260)).root
    assert subtree_root(hashes[:256]) == upper
    assert await hash_tile(log, 0, TilePlace(1, 3)) == edge[:96], "a partial tile of an earlier checkpoint stays"
    for level, place in (
        (0, TilePlace(1, 5)),
        (0, TilePlace(2, 1)),
        (1, TilePlace(0, 2)),
        (1, TilePlace(1, 1)),
        (8, TilePlace(0, 1)),
    ):
        assert await hash_tile(log, level, place) is None, (level, place)


async def test_entries_lead_to_the_tile_s_hashes_and_each_fetch_is_on_record_first(log: Log) -> None:
    for _ in range(5):
        await log.append(a_record())
    await log.publish(force=True)
    assert await entry_bundle(log, TilePlace(0, 6), WHY) is None
    assert log.size() == 5, "what is not there was not asked for"
    bundle = await entry_bundle(log, TilePlace(0, 4), WHY)
    assert bundle is not None
    tile = await hash_tile(log, 0, TilePlace(0, 4))
    assert b"".join(leaf_hash(leaf) for leaf in entries_of(bundle)) == tile
    (look,) = await log.read(lambda reads: list(reads.leaves(5, 6)))
    assert RecordKind.AUDIT_QUERY.value.encode() in look.leaf
    assert b'"entries_until":4' in look.leaf
    for cut in (bundle[:-1], bundle + b"\0", bundle + b"\0\1"):
        with pytest.raises(LogCorrupt):
            entries_of(cut)
