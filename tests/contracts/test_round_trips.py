"""How often a call waits for PostgreSQL, counted between the two: each `Sync` or `Query` of its wire protocol is a round trip."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from audit.committer import IntentEnded
from audit.inspection import verify_store
from gateway.app.databases import DatabaseLocations, open_log
from gateway.app.development.settings import development
from tests.support.databases import postgresql
from tests.support.opening import open_gateway
from tests.support.teller import Teller, payment
from tests.trail import Clock, Random, a_record, an_end, an_intent

READ_MOST = 2
TRANSFER_MOST = 6

WAITS = (b"S", b"Q")
"""Sync, which ends a statement of the extended protocol, and a simple query (PostgreSQL, "Message Formats")."""


class Counting:
    """A proxy before a server, which counts what waits for an answer."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.waits = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_connection(self.host, self.port)
        back = asyncio.create_task(_pass_on(answers, writer))
        try:
            await self._ask(reader, asks)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            asks.close()
            await asyncio.gather(back, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, asks: asyncio.StreamWriter) -> None:
        length = await reader.readexactly(4)
        asks.write(length + await reader.readexactly(int.from_bytes(length) - 4))  # the startup message has no kind
        while True:
            head = await reader.readexactly(5)
            asks.write(head + await reader.readexactly(int.from_bytes(head[1:]) - 4))
            self.waits += head[:1] in WAITS


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def counted(folder: Path) -> AsyncIterator[tuple[Teller, Counting]]:
    address = make_url(postgresql(folder))
    counting = Counting(address.host or "127.0.0.1", address.port or 5432)
    proxy = await asyncio.start_server(counting.serve, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    through = address.set(host="127.0.0.1", port=port, query={**address.query, "ssl": "disable"})
    settings = development(folder, database=through.render_as_string(hide_password=False))
    gateway = await open_gateway(settings)
    try:
        yield Teller(gateway), counting
    finally:
        await gateway.close()
        proxy.close()


async def test_a_call_waits_for_the_database_a_few_times(tmp_path: Path) -> None:
    """Once its statements are prepared, which each connection does the first time."""
    async with counted(tmp_path / "data") as (asked, counting):
        debit, credit = (await asked.accounts())[:2]
        for number in range(3):
            await asked.ask("get_account_balance", {"account": debit})
            assert (await asked.ask("initiate_transfer", payment(debit, credit, f"1.0{number}"))).status == "done"
        before = counting.waits
        assert (await asked.ask("get_account_balance", {"account": debit})).status == "done"
        read = counting.waits - before
        before = counting.waits
        assert (await asked.ask("initiate_transfer", payment(debit, credit, "1.07"))).status == "done"
        transfer = counting.waits - before
        assert read <= READ_MOST
        assert transfer <= TRANSFER_MOST


async def test_a_group_that_finds_another_s_head_is_written_all_the_same(tmp_path: Path) -> None:
    """Two processes that take turns: each finds a head that it did not write, and goes on from there."""
    places = DatabaseLocations(tmp_path, postgresql(tmp_path))
    one, other = [await open_log(places, writer_id=name, clock=Clock(), random=Random()) for name in ("one", "other")]
    try:
        taken = [await log.append(a_record(policy=None)) for _ in range(4) for log in (one, other, other)]
        at_once = await asyncio.gather(*(log.append(a_record(policy=None)) for _ in range(20) for log in (one, other)))
        assert [entry.index for entry in taken] == list(range(12))
        assert sorted(entry.index for entry in at_once) == list(range(12, 52))
        intent = await one.append(an_intent(policy=None))
        await other.append(an_end(intent.index, intent.leaf_hash, policy=None))
        with pytest.raises(IntentEnded):  # though this process wrote it, and remembers it as open
            await one.append(an_end(intent.index, intent.leaf_hash, policy=None))
        assert await verify_store(one) == []
    finally:
        await one.close()
        await other.close()
