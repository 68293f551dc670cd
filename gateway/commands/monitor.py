"""`tellergate audit monitor`: follows a log by its tiles over HTTP, for somebody outside. Needs neither a gateway nor a database.

It reads hashes alone: that the records are one history, and not what is in them.
"""

import argparse
import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from adapters.tls import client_tls, nobody
from audit.checkpoint import Note, NoteInvalid, VerifierKey
from audit.key_files import replace_file
from audit.monitor import Fetch, LogMonitor, MonitorCheck, MonitorTrust, TilesUnavailable
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json

ANSWER_MOST = 65_536
TIMEOUT_S = 15
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _MonitorMisused(Exception):
    """Wrong use. The text says what to do."""


def monitor(options: argparse.Namespace) -> int:
    """Check once, or every few seconds until interrupted. The state file moves on to each checkpoint that continues the one before."""
    try:
        trust, kept = _trust(options), None
        if options.state.exists():
            kept = _kept(options.state, trust)
        tls = _tls(options)
    except _MonitorMisused as wrong:
        return failed(str(wrong), USAGE)

    async def run() -> int:
        async with _fetching(options.url, tls) as fetch:
            return await _rounds(options, LogMonitor(trust=trust, fetch=fetch, kept=kept))

    return asyncio.run(run())


async def _rounds(options: argparse.Namespace, following: LogMonitor) -> int:
    """As long as it is asked to; the status of the last round."""
    while True:
        status = await _round(options, following)
        if options.once:
            return status
        await asyncio.sleep(options.every)


async def _round(options: argparse.Namespace, following: LogMonitor) -> int:
    before = following.kept
    try:
        checks = await following.round(int(time.time()))
    except TilesUnavailable as error:
        _say(options, [MonitorCheck("reach", False, str(error))])
        return UNAVAILABLE
    if following.kept is not None and following.kept != before:
        replace_file(options.state, following.kept.encode().encode())
    _say(options, checks)
    return GOOD if all(check.good for check in checks) else FINDING


def _say(options: argparse.Namespace, checks: Sequence[MonitorCheck]) -> None:
    """A line for each check, or one of JSON for the round."""
    if options.json:
        told = [{"check": check.name, "good": check.good, "what": check.what} for check in checks]
        print_json({"time": int(time.time()), "good": all(check.good for check in checks), "checks": told})
        return
    for check in checks:
        print(f"{'good   ' if check.good else 'FINDING'} {check.name:10} {check.what}", flush=True)


def _trust(options: argparse.Namespace) -> MonitorTrust:
    keys, witnesses = _vkeys(options.log_key, "--log-key"), _vkeys(options.witness or [], "--witness")
    names = {key.name for key in witnesses}
    if len({key.name for key in keys}) != 1:
        raise _MonitorMisused("--log-key takes the keys of one log: take them as `keys export-public` prints them")
    quorum = len(names) if options.witness_quorum is None else options.witness_quorum
    if not (1 if names else 0) <= quorum <= len(names):
        raise _MonitorMisused("--witness-quorum is from 1 to the number of witnesses named by --witness")
    if not (1 <= options.every <= 3600 and 0 <= options.slack <= 3600):
        raise _MonitorMisused("--every is from 1 to 3600 seconds, --slack from 0")
    return MonitorTrust(keys=keys, witnesses=witnesses, quorum=quorum, slack_s=options.slack)


def _vkeys(texts: Sequence[str], option: str) -> Sequence[VerifierKey]:
    try:
        return [VerifierKey.parse(text) for text in texts]
    except NoteInvalid as error:
        raise _MonitorMisused(f"{option}: a vkey is malformed: {error}") from None


def _kept(file: Path, trust: MonitorTrust) -> Note:
    try:
        return trust.verified(file.read_bytes())[0]
    except NoteInvalid as error:
        raise _MonitorMisused(
            f"{file} is no checkpoint of this log by these keys ({error}); give the file that this wrote"
        ) from None


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    parts = urlsplit(options.url)
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return None
    if parts.scheme != "https" or not parts.hostname:
        raise _MonitorMisused("the URL is the log's prefix, https://HOST/tlog; http is for loopback")
    try:
        tls = client_tls(options.ca)
        if options.client_cert is not None:
            tls.load_cert_chain(options.client_cert, options.client_key)
    except (OSError, ssl.SSLError):
        raise _MonitorMisused("--ca, --client-cert or --client-key cannot be read as PEM") from None
    return tls


@asynccontextmanager
async def _fetching(url: str, tls: ssl.SSLContext | None) -> AsyncIterator[Fetch]:
    """What is below the prefix: bounded in time and bytes, without redirects, cookies or proxies."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=4, ssl=tls or nobody()),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept-encoding": "identity"},
        auto_decompress=False,
    )

    async def fetch(path: str) -> bytes | None:
        try:
            async with session.get(f"{url.rstrip('/')}/{path}", allow_redirects=False) as response:
                content = b""
                async for part in response.content.iter_chunked(16_384):
                    content += part
                    if len(content) > ANSWER_MOST:
                        raise TilesUnavailable(f"{path}: an answer that is too long")
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise TilesUnavailable(f"{path}: status {response.status}")
                return content
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise TilesUnavailable(f"{path}: {type(error).__name__}") from None

    async with session:
        yield fetch
