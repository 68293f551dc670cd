"""Time stamps of the log: what an authority says is kept once all of it was checked, once an hour, and its lies are not."""

import asyncio
import json
import logging
import re
import shlex
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web

from audit import verify
from audit.export import Contents, trust_policy
from audit.log import Log, LogUnavailable
from audit.store.timestamps import KeptTimestamp, keep_timestamp, last_timestamp, last_timestamp_of_each, latest_published
from audit.timestamped_bundle import TimestampStep
from audit.timestamps import TOKEN_MOST, TimestampInvalid, read_roots, timestamp_request, verify_timestamp
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.app.timestamping import roots_at
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from gateway.doors.operations.audit.stamps_state import STAMPED_LATE_S, stamps
from gateway.oversight.timestamps import AGAIN_S, QUERY_TYPE, REPLY_TYPE, Timestamps
from gateway.oversight.witnesses import WitnessAnswer, WitnessClient, WitnessSilent
from tests.support.bundles import bundled, signed, unpack
from tests.support.guides import ROOT
from tests.support.timestamping import URL, OpensslAuthority, openssl, served
from tests.trail import Clock, a_record, activate_rules

CONTENT = b"log.bank.example/window\n3\nAAAA\n"


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    return OpensslAuthority(tmp_path_factory.mktemp("authorities") / "tsa")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    return OpensslAuthority(tmp_path_factory.mktemp("strangers") / "stranger")


@pytest.fixture
def clock() -> Clock:
    """Of the log: the time of now, since `openssl` has no other."""
    made = Clock()
    made.time = datetime.now(UTC)
    return made


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    caplog.set_level(logging.WARNING)

    def lines() -> list[tuple[str, str]]:
        said = [json.loads(item.message) for item in caplog.records if item.name == "tellergate.timestamps"]
        caplog.clear()
        assert all(item["alarm"] == "timestamps_fail" and item["authority"] == "127.0.0.1:9" for item in said)
        return [(item["failure"], item["why"]) for item in said]

    return lines


def stamping(log: Log, tsa: OpensslAuthority, *, roots: OpensslAuthority | None = None) -> Timestamps:
    trusted = read_roots((roots or tsa).root.read_bytes())
    return Timestamps(log=log, authorities=[URL], roots=trusted, asks=tsa.asks)


async def grown(log: Log) -> str:
    await log.append(a_record(time=log.now()))
    return str(await log.publish(force=True))


async def last(log: Log) -> KeptTimestamp | None:
    return await log.read(lambda reads: last_timestamp(reads.connection, URL))


async def test_the_request_is_one_to_openssl_and_the_answer_is_of_the_published_note(
    log: Log, tsa: OpensslAuthority, tmp_path: Path
) -> None:
    note = await grown(log)
    tsa.asked.clear()
    await stamping(log, tsa).step()
    (query,) = tsa.asked
    (tmp_path / "query").write_bytes(query)
    text = openssl("ts", "-query", "-in", tmp_path / "query", "-text").decode()
    assert "Hash Algorithm: sha256" in text
    assert "Certificate required: yes" in text
    assert re.search(r"Nonce: 0x[0-9A-F]{12,}", text)
    kept = await last(log)
    assert kept is not None
    assert (kept.checkpoint.note, kept.checkpoint.size) == (note, 1)
    (tmp_path / "note").write_text(note)
    (tmp_path / "tsr").write_bytes(kept.token)
    verifying = ("-data", tmp_path / "note", "-in", tmp_path / "tsr", "-CAfile", tsa.root)
    assert b"OK" in openssl("ts", "-verify", *verifying)
    assert verify_timestamp(kept.token, note.encode(), read_roots(tsa.root.read_bytes())).time.timestamp() == kept.time_s


async def test_each_hour_of_the_clock_has_one_stamp_whoever_asks_and_none_over_what_was_stamped(
    log: Log, tsa: OpensslAuthority, clock: Clock, open_log: Callable[[], Awaitable[Log]]
) -> None:
    await grown(log)
    tsa.asked.clear()
    one, other = stamping(log, tsa), stamping(await open_log(), tsa)
    await one.step()
    await other.step()
    await grown(log)
    await one.step()
    assert len(tsa.asked) == 1, "what is kept is read before anybody is asked"
    first = await last(log)
    assert first is not None
    behind_s = 3600 - clock().timestamp() % 3600
    clock.forward(behind_s + 1)  # by the log's clock alone: the authority's is of now, and may be too far away to be kept
    await grown(log)
    await other.step()
    assert len(tsa.asked) == 2, "the next hour has begun"
    await other.log.close()


async def test_nothing_is_asked_before_a_checkpoint_over_the_same_one_or_over_one_that_is_old(
    log: Log, tsa: OpensslAuthority, clock: Clock
) -> None:
    at = stamping(log, tsa)
    tsa.asked.clear()
    await at.step()
    assert tsa.asked == [], "nothing is published yet"
    await grown(log)
    clock.forward(601)
    await at.step()
    assert tsa.asked == [], "a token would look like one of a checkpoint that was dated back"


LIES = {
    "of other bytes": "it is of other bytes, or by another hash",
    "another nonce": "the nonce",
    "another root": "does not lead to a root",
    "expired": "does not lead to a root",
    "a day off": "its clock",
    "damaged": "it is no time stamp, or damaged",
    "not granted": "not granted",
    "not for time stamps": "not one for time stamps alone",
    "too long": "too long",
    "empty": "it is no time stamp, or damaged",
}


def lying(kind: str, tsa: OpensslAuthority, stranger: OpensslAuthority, body: bytes, content: bytes) -> bytes:
    if kind == "of other bytes":
        return tsa.forged(body, lambda info: info.replace(sha256(content).digest(), bytes(32)))
    if kind == "another nonce":
        return tsa.reply(timestamp_request(content).body)
    if kind == "another root":
        return stranger.reply(body)
    if kind == "a day off":
        return tsa.forged(
            body, lambda info: re.sub(rb"20\d{12}Z", f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d%H%M%SZ}".encode(), info)
        )
    if kind == "damaged":
        reply = bytearray(tsa.reply(body))
        reply[len(reply) // 3] ^= 1
        return bytes(reply[:-1])
    if kind == "not granted":
        return bytes.fromhex("30053003020102")
    if kind == "too long":
        return tsa.reply(body) + bytes(TOKEN_MOST)
    if kind == "empty":
        return b""
    raise LookupError(kind)


@pytest.mark.parametrize("kind", [name for name in LIES if name not in ("expired", "not for time stamps")])
async def test_a_lie_is_an_alarm_once_and_is_not_kept(
    kind: str,
    log: Log,
    tsa: OpensslAuthority,
    stranger: OpensslAuthority,
    told: Callable[[], list[tuple[str, str]]],
) -> None:
    note = await grown(log)

    async def asks(_url: str, body: bytes) -> WitnessAnswer:
        return WitnessAnswer(200, REPLY_TYPE, await asyncio.to_thread(lying, kind, tsa, stranger, body, note.encode()))

    at = stamping(log, tsa)
    honest, at.asks = at.asks, asks
    await at.step()
    ((failure, why),) = told()
    assert failure == "not_valid"
    assert LIES[kind] in why
    assert await last(log) is None
    await at.step()
    assert told() == [], "once"
    at.asks = honest
    await at.step()
    assert await last(log) is not None, "it is asked again as soon as it may tell the truth"
    assert told() == []


async def test_certificates_that_expired_or_are_for_something_else_are_not_taken(tmp_path: Path, tsa: OpensslAuthority) -> None:
    asked = timestamp_request(CONTENT)
    honest = OpensslAuthority(tmp_path / "honest")
    expired = OpensslAuthority(tmp_path / "expired", days=(-20, -10))
    server = OpensslAuthority(tmp_path / "server", usage="serverAuth")
    (honest.folder / "token.der").write_bytes(honest.token(honest.reply(asked.body)))
    info = openssl("cms", "-verify", "-noverify", "-nosigs", "-inform", "DER", "-in", honest.folder / "token.der")
    for wrong, kind in ((expired, "expired"), (server, "not for time stamps")):
        with pytest.raises(TimestampInvalid) as refused:
            verify_timestamp(wrong.signed(info), CONTENT, read_roots(wrong.root.read_bytes()), asked.nonce)
        assert LIES[kind] in str(refused.value) or "does not lead to a root" in str(refused.value), kind
    assert verify_timestamp(honest.signed(info), CONTENT, read_roots(honest.root.read_bytes()), asked.nonce).policy.endswith(".1")


async def test_what_is_no_answer_is_an_alarm_and_is_said_again_while_it_stays(
    log: Log, tsa: OpensslAuthority, clock: Clock, told: Callable[[], list[tuple[str, str]]]
) -> None:
    async def silent(_url: str, _body: bytes) -> WitnessAnswer:
        raise WitnessSilent("ConnectionRefusedError")

    async def refuses(_url: str, body: bytes) -> WitnessAnswer:
        return WitnessAnswer(500, REPLY_TYPE, body)

    async def a_page(_url: str, body: bytes) -> WitnessAnswer:
        return WitnessAnswer(200, "text/html", body)

    await grown(log)
    at = stamping(log, tsa)
    for asks, failure in ((silent, "silent"), (refuses, "refuses"), (a_page, "refuses")):
        at.asks = asks
        await at.step()
        assert [item[0] for item in told()] == [failure]
        await at.step()
        assert told() == []
    clock.forward(AGAIN_S)
    await grown(log)
    await at.step()
    assert [item[0] for item in told()] == ["refuses"]
    assert await last(log) is None


async def test_an_answer_that_was_lost_before_it_was_kept_is_asked_for_again(
    log: Log, tsa: OpensslAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults in pairs: the process ends after the answer and before the commit, and after the commit."""
    await grown(log)
    at, write = stamping(log, tsa), log.write
    tsa.asked.clear()

    async def ends(_work: object) -> None:
        raise LogUnavailable("not done")

    monkeypatch.setattr(log, "write", ends)
    with pytest.raises(LogUnavailable):
        await at.step()
    assert await last(log) is None

    async def done_and_ends(work: Callable[..., None]) -> None:
        await write(work)
        raise LogUnavailable("done")

    monkeypatch.setattr(log, "write", done_and_ends)
    with pytest.raises(LogUnavailable):
        await stamping(log, tsa).step()
    monkeypatch.setattr(log, "write", write)
    await stamping(log, tsa).step()
    assert len(tsa.asked) == 2, "asked again where it was not kept, and not where it was"
    assert len(await log.read(lambda reads: last_timestamp_of_each(reads.connection))) == 1


async def test_over_http_redirects_long_answers_and_slow_ones_are_not_followed(log: Log, tsa: OpensslAuthority) -> None:
    await grown(log)
    client = WitnessClient(None, timeout_s=0.5, media=QUERY_TYPE)
    await asyncio.sleep(0)

    def honest(body: bytes) -> web.Response:
        return web.Response(body=tsa.reply(body), content_type=REPLY_TYPE)

    def elsewhere(_body: bytes) -> web.Response:
        return web.Response(status=307, headers={"location": "/other"})

    def endless(_body: bytes) -> web.Response:
        return web.Response(body=bytes(TOKEN_MOST + 1), content_type=REPLY_TYPE)

    try:
        for answers, count in ((elsewhere, 1), (endless, 1), (honest, 1)):
            async with served(answers) as (url, kinds):
                at = replace(stamping(log, tsa), authorities=[url], asks=client.post)
                await at.step()
                assert kinds == [QUERY_TYPE] * count
                assert bool(at.stamped_s) == (answers is honest)
    finally:
        await client.close()


def test_settings_of_authorities_are_checked(tmp_path: Path, tsa: OpensslAuthority) -> None:
    def wrong(*urls: str, roots: Path | None = tsa.root) -> list[tuple[str, str]]:
        settings = Settings(data=tmp_path, development=True, timestamp_authorities=urls, timestamp_roots=roots)
        return [(item.setting, item.code.value) for item in findings(settings) if item.setting.startswith("timestamp")]

    assert wrong("https://tsa.example/a", "http://127.0.0.1:1/b") == []
    assert wrong("http://tsa.example/a") == [("timestamp_authorities", "malformed")]
    assert wrong("https://tsa.example/a", "https://tsa.example/a") == [("timestamp_authorities", "conflict")]
    assert wrong(roots=tsa.root) == [("timestamp_roots", "conflict")]
    assert wrong("https://tsa.example/a", roots=None) == [("timestamp_roots", "conflict")]
    assert len(roots_at(tsa.root)) == 1
    for path in (tmp_path, tmp_path / "absent", Path(__file__)):
        with pytest.raises(UnsafeSettings):
            roots_at(path)


def report_of(bundle: bytes, log: Log, tsa: OpensslAuthority) -> verify.Report:
    step = TimestampStep(read_roots(tsa.root.read_bytes()))
    return verify.verify(bundle, trust=trust_policy(log), further=[step])


@pytest.mark.usefixtures("both_verifiers")
async def test_a_bundle_holds_what_was_stamped_and_the_lines_of_the_guide_verify_it(
    log: Log, tsa: OpensslAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await activate_rules(log)
    await grown(log)
    at = stamping(log, tsa)
    await at.step()
    await grown(log)
    second = replace(at, authorities=[URL, f"{URL}/2"])
    await second.step()
    raw = await bundled(log)
    members = unpack(raw)
    stamped = sorted(name for name in members if name.startswith("timestamps/"))
    assert stamped == [f"timestamps/{size:016d}-0.{kind}" for size in (2, 3) for kind in ("note", "tsr")]
    for name, content in (("evidence.zip", raw), ("trust.json", trust_policy(log)), ("roots.pem", tsa.root.read_bytes())):
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.startswith("timestamps/")])
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "audit" / "README.md").read_text().splitlines()
    (asked,) = [line for line in guide if line.endswith("--tsa roots.pem")]
    assert await asyncio.to_thread(main, shlex.split(asked.replace("BUNDLE", "evidence.zip"))[1:]) == 0
    (asked,) = [line for line in guide if line.startswith("openssl ts -verify")]
    for size in (2, 3):
        assert b"OK" in openssl(*shlex.split(asked.replace("SIZE", f"{size:016d}"))[1:])
    plain = verify.verify(raw, trust=trust_policy(log))
    assert plain.good, plain.findings
    assert "2 time stamps (RFC 3161), not checked" in plain.notes
    found = report_of(raw, log, tsa)
    assert found.good, found.findings
    assert [item["size"] for item in found.facts["timestamps"]] == [2, 3]  # type: ignore[attr-defined]
    assert not any("not checked" in note for note in found.notes)
    one = unpack(await bundled(log, Contents(indexes=[1])))
    assert {name for name in one if name.startswith("timestamps/")} == set(stamped)


@pytest.mark.usefixtures("both_verifiers")
async def test_a_history_that_a_stolen_key_dates_back_has_no_stamp_of_its_time(
    log: Log, tsa: OpensslAuthority, stranger: OpensslAuthority, clock: Clock
) -> None:
    """The thief has every key of the log, and authorities answer them as they answer everybody."""
    clock.forward(-40 * 86_400)
    await activate_rules(log)
    await grown(log)
    latest = await log.read(lambda reads: latest_published(reads.connection))
    assert latest is not None
    token = await asyncio.to_thread(lambda: tsa.reply(timestamp_request(latest.note.encode()).body))
    thief = KeptTimestamp(latest, URL, latest.time_s, token)
    await log.write(lambda connection: keep_timestamp(connection, thief))
    raw = await bundled(log)
    ((verdict, what),) = report_of(raw, log, tsa).findings
    assert verdict == "freshness"
    assert "dated back" in what
    assert report_of(raw, log, stranger).findings[0][0] == "authenticity"
    members = unpack(raw)
    bare = signed(log, {name: content for name, content in members.items() if not name.startswith("timestamps/")})
    assert report_of(bare, log, tsa).findings == [("order", "11. no checkpoint of this bundle bears a time stamp")]
    (note,) = [name for name in members if name.startswith("timestamps/") and name.endswith(".note")]
    other = str(await log.publish(force=True)).encode()
    clock.forward(1)
    other = str(await log.publish(force=True)).encode()
    moved = signed(log, {**members, note: other})
    assert report_of(moved, log, tsa).findings == [
        ("authenticity", f"11. {note[:-5]}.tsr does not count: {LIES['of other bytes']}")
    ]


async def test_the_state_page_tells_of_each_authority(log: Log, tsa: OpensslAuthority, clock: Clock) -> None:
    async def told(*authorities: str) -> list[tuple[str, str]]:
        return [(words, tone) for _, words, tone in await stamps(log, authorities, clock())]

    assert await told() == [("none configured", "")]
    assert await told(URL) == [("127.0.0.1:9 HAS STAMPED NOTHING YET", "bad")]
    await grown(log)
    await stamping(log, tsa).step()
    ((words, tone),) = await told(URL)
    assert words.startswith("127.0.0.1:9: 1 records, ")
    assert tone == "good"
    assert [tone for _, tone in await told("https://other.example")] == ["", "bad"]
    clock.forward(STAMPED_LATE_S + 60)
    assert [tone for _, tone in await told(URL)] == ["waits"]


def test_a_bundle_is_checked_by_the_command_only_with_roots_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tsa: OpensslAuthority
) -> None:
    (tmp_path / "none.zip").write_bytes(b"")
    command = ["audit", "verify", str(tmp_path / "none.zip"), "--tsa"]
    assert main([*command, str(tmp_path / "absent")]) == 2
    assert "no PEM file of certificates" in capsys.readouterr().err
    assert main([*command, str(tsa.root)]) == 1
    monkeypatch.setattr("gateway.commands.audit.is_installed", lambda: False)
    assert main([*command, str(tsa.root)]) == 2
    assert "install tellergate[timestamps]" in capsys.readouterr().err
