"""The log and its witnesses: what is published is cosigned, whatever fails on the way, and two histories are never taken for one."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from audit import cosigning, verify
from audit.checkpoint import Checkpoint, Note, verify_checkpoint
from audit.encoding import b64
from audit.export import trust_policy
from audit.log import Log
from audit.store import cosignatures as kept_lines
from audit.store.cosignatures import KeptCosignature, keep_cosignatures, lines_over
from audit.witness.state import Witness
from audit.witness.store import SqliteWitnessStore
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.app.witnessing import place_of
from gateway.cli import main
from gateway.oversight.witnesses import AGAIN_S, YOUNG_S, Witnesses, WitnessStanding
from tests.support.bundles import bundled, signed, unpack
from tests.support.witnessing import HashLog, Network, network
from tests.trail import Clock, a_record, activate_rules

pytestmark = pytest.mark.usefixtures("both_verifiers")

COSIGNED, SILENT, REFUSES, AHEAD, CONTRADICTS = (
    WitnessStanding.COSIGNED,
    WitnessStanding.SILENT,
    WitnessStanding.REFUSES,
    WitnessStanding.AHEAD,
    WitnessStanding.CONTRADICTS,
)


@pytest.fixture
def net(log: Log, clock: Clock, tmp_path: Path) -> Iterator[Network]:
    made = network(tmp_path, log, 3, lambda: int(clock().timestamp()))
    yield made
    for witness in made.witnesses.values():
        assert isinstance(witness.store, SqliteWitnessStore)
        witness.store.close()


def witnesses(log: Log, net: Network, quorum: int = 2) -> Witnesses:
    return Witnesses(log=log, places=net.places(), quorum=quorum, asks=net.asks)


async def standings(of: Witnesses) -> list[WitnessStanding]:
    return [found.standing for found in await of.step()]


async def grown(log: Log, count: int = 3) -> None:
    for _ in range(count):
        await log.append(a_record())
    await log.publish(force=True)


async def verified(log: Log, net: Network, count: int) -> int:
    """The size of the latest checkpoint, which is cosigned by exactly so many witnesses."""
    note = Note.parse((await cosigning.checkpoint(log) or "").encode())
    keys = log.log_keys()
    for place in net.places()[:count]:
        keys += place.keys
    assert len(note.signatures) == len(keys)
    return verify_checkpoint(note, log.origin, keys).checkpoint.size


async def test_each_published_checkpoint_is_cosigned_by_all_and_is_asked_for_once_while_it_is_young(
    log: Log, net: Network, clock: Clock
) -> None:
    asking = witnesses(log, net)
    assert await standings(asking) == [COSIGNED] * 3, "a log without records is one, too"
    for size in (3, 6, 9):
        await grown(log)
        assert await standings(asking) == [COSIGNED] * 3
        assert await verified(log, net, 3) == size
    asked = len(net.asked)
    assert await standings(asking) == [COSIGNED] * 3
    assert len(net.asked) == asked, "over the same head nothing is asked again"
    clock.forward(YOUNG_S + 1)
    assert await standings(witnesses(log, net)) == [COSIGNED] * 3
    assert len(net.asked) == asked + 3
    assert await verified(log, net, 3) == 9, "of the same key the youngest line alone stands"


async def test_who_is_behind_ahead_of_what_is_kept_or_new_is_brought_along(log: Log, net: Network, tmp_path: Path) -> None:
    asking = witnesses(log, net)
    await grown(log)
    net.down.add("http://w1")
    net.lost.add("http://w2")
    assert await standings(asking) == [COSIGNED, SILENT, SILENT]
    await grown(log)
    assert await standings(asking) == [COSIGNED, SILENT, SILENT], "it has cosigned, and nobody heard it"
    net.down.clear()
    net.lost.clear()
    await grown(log)
    assert await standings(asking) == [COSIGNED] * 3
    assert await verified(log, net, 3) == 9


async def test_what_is_wrong_is_an_alarm_once_and_again_while_it_stays(
    log: Log, net: Network, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        lines = [json.loads(item.message)["alarm"] for item in caplog.records if item.name == "tellergate.witnesses"]
        caplog.clear()
        return sorted(lines)

    caplog.set_level(logging.WARNING)
    asking = witnesses(log, net, quorum=3)
    await grown(log)
    net.down.add("http://w0")
    await asking.step()
    assert told() == ["witness_silent", "witnesses_few"]
    await asking.step()
    assert told() == []
    clock.forward(AGAIN_S + 1)
    await asking.step()
    assert told() == ["witness_silent", "witnesses_few"]
    net.down.clear()
    await asking.step()
    assert told() == []
    net.down.add("http://w0")
    await grown(log)
    await asking.step()
    assert told() == ["witness_silent", "witnesses_few"], "it was well in between"


async def test_a_witness_that_knows_other_keys_or_signs_by_others_refuses_and_is_not_believed(log: Log, net: Network) -> None:
    await grown(log)
    first, second, third = net.witnesses.values()
    assert isinstance(first.store, SqliteWitnessStore)
    first.store.watch(log.origin, [log.log_keys()[0], net.places()[0].keys[1]])
    asking = witnesses(log, net)
    net.witnesses["http://w1"] = Witness(second.store, third.keys, second.now_s)
    assert await standings(asking) == [REFUSES, REFUSES, COSIGNED]
    assert Checkpoint.parse(Note.parse((await cosigning.checkpoint(log) or "").encode()).text).size == 3


async def test_a_log_that_is_behind_a_witness_or_another_one_is_told_apart(
    log: Log, net: Network, open_log: Callable[[], Awaitable[Log]], tmp_path: Path
) -> None:
    """The witnesses were shown more, or something else, under the very keys of this log."""
    await grown(log, 4)
    asking = witnesses(log, net)
    by = log.signers.log_keys(log.origin)
    ahead = HashLog(await log.read(lambda reads: reads.hashes(0, 4)), by, log.origin).grow("5", "6")
    same = ahead.forked(3, "another")
    behind = ahead.forked(1, "another")
    for witness, shown in zip(net.witnesses.values(), (ahead, same, behind), strict=True):
        witness.add_checkpoint(shown.submission(0).encode())
    found = await asking.compare()
    assert [(item.standing, item.size, item.held) for item in found] == [(AHEAD, 4, 6), (CONTRADICTS, 4, 4), (CONTRADICTS, 4, 2)]
    assert all(item.standing.is_grave for item in found)
    await grown(log, 3)
    assert await standings(asking) == [CONTRADICTS] * 3


async def test_a_bundle_says_how_far_witnesses_cosigned_and_the_verifier_asks_for_enough_of_them(
    log: Log, net: Network, clock: Clock
) -> None:
    await activate_rules(log)
    await grown(log)
    net.down.add("http://w2")
    assert await standings(witnesses(log, net)) == [COSIGNED, COSIGNED, SILENT]
    await log.append(a_record())
    raw, trust = await bundled(log), trust_policy(log)
    one, two, silent = (list(place.keys) for place in net.places())
    keys = [verify.parse_key(key.encode(), (4, 6)) for key in (*one, *two, *silent)]

    def found(of: list[verify.Key], quorum: int | None, content: bytes = raw) -> verify.Report:
        return verify.verify(content, trust=trust, witnesses=of, quorum=quorum)

    for of, quorum in ((keys[:4], None), (keys[:2], 1), (keys, 2), (keys, 1), (keys[:1], 1), (keys[3:4], None)):
        report = found(of, quorum)
        assert report.findings == []
        assert report.facts["witnessed_size"] == 4
        assert [note for note in report.notes if "4 of 5 records" in note]
    for of, quorum in ((keys, None), (keys, 3), (keys[4:], 1), (keys[2:], 2)):
        assert [verdict for verdict, _ in found(of, quorum).findings] == ["order"]
    members = unpack(raw)
    name = "checkpoints/0000000000000004.note"
    lines = members[name].decode().splitlines(keepends=True)
    assert len(lines) == 4 + 6, "three lines, an empty one, the log's signatures, and two witnesses' by two keys"
    forged = "".join([*lines[:6], lines[6].replace(lines[6].split()[2][12:20], "AAAAAAAA"), *lines[7:]])
    changed = signed(log, {**members, name: forged.encode()})
    assert found(keys, 1, changed).findings == [], "one that does not verify is of nobody"
    assert [verdict for verdict, _ in found(keys, 2, changed).findings] == ["order"]
    assert found([], None, changed).findings == []
    await log.publish(force=True)
    assert await standings(witnesses(log, net)) == [COSIGNED, COSIGNED, SILENT]
    await log.publish(force=True)
    assert found(keys, 2, await bundled(log)).facts["witnessed_size"] == 5


def test_keys_of_witnesses_that_are_none_are_wrong_use(net: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.zip").write_bytes(b"")
    key = net.places()[0].keys[0].encode()
    for wrong in (
        ["--witness", "x"],
        ["--witness", key[:-4]],
        ["--witness", key, "--witness-quorum", "2"],
        ["--witness-quorum", "1"],
    ):
        assert main(["audit", "verify", str(tmp_path / "b.zip"), *wrong]) == 2
    assert main(["audit", "verify", str(tmp_path / "b.zip"), "--witness", key]) == 1
    assert "Traceback" not in capsys.readouterr().err


async def test_the_newest_lines_are_kept_and_the_oldest_forgotten(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_lines, "COSIGNATURES_MOST", 10)

    def line(size: int) -> str:
        return f"— w {b64(size.to_bytes(9))}\n"

    for size in range(1, 30):
        await log.write(partial(keep_cosignatures, new=[KeptCosignature(size, bytes(32), "w", size, line(size))]))
    kept = await log.read(lambda reads: [lines_over(reads.connection, size, bytes(32)) for size in range(1, 30)])
    assert kept == [[line(size)] if size > 19 else [] for size in range(1, 30)]


def test_what_names_no_witness_is_a_finding_at_the_start(net: Network) -> None:
    place, other = net.places()[:2]
    good = f"https://w1.example.com/ {place.keys[0].encode()} {place.keys[1].encode()}"
    assert place_of(good).keys == place.keys

    def found(*said: str, quorum: int = 0) -> list[tuple[str, str]]:
        settings = Settings(data=Path("data"), development=True, witnesses=said, witness_quorum=quorum)
        return [(item.setting, item.code.value) for item in findings(settings) if item.setting.startswith("witness")]

    assert found(good, quorum=1) == []
    assert found(good, quorum=2) == [("witness_quorum", "conflict")]
    assert found(good, good) == [("witnesses", "conflict")]
    for wrong in (
        "https://w1.example.com/",
        f"http://w1.example.com/ {place.keys[0].encode()}",
        f"https://w1.example.com/ {place.keys[0].encode()[:-4]}",
        f"https://w1.example.com/ {place.keys[0].encode()} {other.keys[0].encode()}",
        "",
    ):
        assert found(wrong) == [("witnesses", "malformed")], wrong
