"""A monitor outside: it computes the tree from the tiles, and whatever is not one history, signed, cosigned and fresh is a finding."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint, KeyType, Note, SigningKey, VerifierKey, sign_text
from audit.merkle import leaf_hash
from audit.monitor import FRESH_S, LogMonitor, MonitorTrust, TilesUnavailable
from audit.tiles import TilePlace
from tests.support.options import examples
from tests.support.witnessing import NOW_S, HashLog, log_keys

LEAVES = [leaf_hash(b"%d" % number) for number in range(66_500)]


@dataclass
class Host:
    """A host of a log that serves what it likes. `changed`: other bytes of some resources, None for none."""

    log: HashLog
    cosigners: list[SigningKey] = field(default_factory=list)
    cosigned_size: int | None = None
    cosigned_s: int = NOW_S
    changed: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def fetch(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path in self.changed:
            return self.changed[path]
        return await asyncio.to_thread(self.served, path)  # another host's work

    def served(self, path: str) -> bytes | None:
        kind, _, rest = path.partition("/")
        if kind == "checkpoint":
            return self.log.note().encode().encode()
        if kind == "cosigned":
            return self.cosigned()
        level, _, place = rest.partition("/")
        parsed = TilePlace.parse(place)
        assert parsed is not None
        return self.log.tile(int(level), parsed)

    def cosigned(self) -> bytes | None:
        if not self.cosigners:
            return None
        note = self.log.note(self.cosigned_size)
        checkpoint = Checkpoint.parse(note.text)
        lines = [sign_text(note.text, checkpoint, key, self.cosigned_s) for key in self.cosigners]
        return Note(note.text, (*note.signatures, *lines)).encode().encode()


def hashes(size: int) -> HashLog:
    return HashLog(LEAVES[:size])


def monitor(host: Host, kept: Note | None = None, **trust: object) -> LogMonitor:
    known = MonitorTrust(**{"keys": [key.key for key in log_keys()], **trust})  # type: ignore[arg-type]
    return LogMonitor(trust=known, fetch=host.fetch, kept=kept)


async def found(following: LogMonitor, now_s: int = NOW_S) -> dict[str, str]:
    """What does not hold, by the name of the check."""
    return {check.name: check.what for check in await following.round(now_s) if not check.good}


@settings(max_examples=examples(40))
@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=5))
def test_an_honest_log_is_followed_from_size_to_size(sizes: list[int]) -> None:
    async def follow() -> None:
        host = Host(hashes(0))
        following = monitor(host)
        for size in sorted(sizes):
            host.log = hashes(size)
            assert await found(following) == {}
            assert following.kept is not None
            assert Checkpoint.parse(following.kept.text) == Checkpoint(host.log.origin, size, host.log.root())

    asyncio.run(follow())


async def test_a_log_of_two_levels_of_tiles_is_followed_by_what_is_new_alone() -> None:
    host = Host(hashes(65_530))
    following = monitor(host, await asyncio.to_thread(host.log.note))
    host.log = hashes(66_100)
    assert await found(following) == {}
    assert {"tile/1/000", "tile/0/256", "tile/0/257", "tile/0/258.p/52"} <= set(host.asked)
    assert len(host.asked) < 15


async def test_a_cut_a_fork_and_a_lie_in_any_tile_are_findings_and_what_was_kept_stays() -> None:
    honest = hashes(700)
    kept = hashes(600).note()
    forked = replace(honest, leaves=LEAVES[:300]).grow(*(f"x{number}" for number in range(400)))
    shown = {
        "cut": (Host(hashes(599)), "cut"),
        "same size": (Host(replace(honest, leaves=LEAVES[:599]).grow("x")), "two versions"),
        "fork": (Host(forked), "two versions"),
        "leaf tile": (Host(honest, changed={"tile/0/002.p/188": bytes(32 * 188)}), "two versions"),
        "upper tile": (Host(hashes(800), changed={"tile/1/000.p/3": bytes(96)}), "two versions"),
        "short tile": (Host(honest, changed={"tile/0/002.p/188": bytes(32 * 187)}), "must have"),
        "another root": (Host(honest, changed={"checkpoint": forked.note().encode().encode()}), "do not lead"),
    }
    for name, (host, what) in shown.items():
        following = monitor(host, kept)
        assert what in (await found(following))["history"], name
        assert following.kept is kept, name
    whole, kept = await asyncio.to_thread(lambda: (hashes(65_536), hashes(65_535).note()))
    upper = await asyncio.to_thread(whole.tile, 1, TilePlace(0))
    lying = Host(whole, changed={"tile/1/000": upper[:-32] + bytes(32)})
    assert "roots of those below" in (await found(monitor(lying, kept)))["history"]


async def test_what_the_log_did_not_sign_by_both_keys_or_of_another_name_is_a_finding() -> None:
    honest = hashes(5)
    for keys in (log_keys(seed=7), [log_keys()[0], log_keys(seed=7)[1]], [log_keys()[0]]):
        assert "signatures" in await found(monitor(Host(replace(honest, keys=keys))))
    assert "signatures" in await found(monitor(Host(replace(honest, origin="other.example/log"))))
    assert "signatures" in await found(monitor(Host(honest, changed={"checkpoint": b"x"})))
    rotated = [key.key for key in (*log_keys(), *log_keys(seed=7))]
    assert await found(monitor(Host(replace(honest, keys=log_keys(seed=7))), keys=rotated)) == {}


async def test_silence_and_a_clock_that_is_ahead_are_findings() -> None:
    following = monitor(Host(hashes(5)))
    assert await found(following, NOW_S + FRESH_S + 30) == {}
    assert list(await found(following, NOW_S + FRESH_S + 31)) == ["freshness"]
    assert await found(following, NOW_S - 60) == {}
    assert list(await found(following, NOW_S - 61)) == ["freshness"]


def cosigner(name: str) -> SigningKey:
    key = log_keys(seed=len(name))[1]
    return SigningKey(VerifierKey(name, KeyType.MLDSA44, key.key.public), key.sign)


async def test_a_quorum_must_have_cosigned_lately_and_this_history() -> None:
    one, two, three = (cosigner(name) for name in ("w1", "w-2", "w--3"))
    keys = [item.key for item in (one, two, three)]
    host = Host(hashes(700), [one, two], 690)
    for kept in (None, hashes(600).note(), hashes(695).note(), hashes(700).note()):
        assert await found(monitor(host, kept, witnesses=keys, quorum=2)) == {}
        assert list(await found(monitor(host, kept, witnesses=keys, quorum=3))) == ["witnesses"]
    host.cosigned_s = NOW_S - FRESH_S - 31
    assert list(await found(monitor(host, witnesses=keys, quorum=2))) == ["witnesses"]
    assert list(await found(monitor(Host(hashes(700)), witnesses=keys, quorum=1))) == ["witnesses"]
    fork = Host(hashes(300).grow(*(f"x{number}" for number in range(390))), [one, two])
    for kept in (None, hashes(600).note(), hashes(695).note()):
        split = Host(hashes(700), changed={"cosigned/2": fork.cosigned()})
        assert "another history" in (await found(monitor(split, kept, witnesses=keys, quorum=2)))["history"]


async def test_a_log_that_does_not_answer_claims_nothing() -> None:
    for path in ("checkpoint", "tile/0/000.p/5"):
        with pytest.raises(TilesUnavailable):
            await monitor(Host(hashes(5), changed={path: None})).round(NOW_S)
