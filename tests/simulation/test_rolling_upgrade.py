"""A database is upgraded while two gateways serve it, and each is restarted in turn: no call fails, and nobody asks twice."""

import asyncio
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from audit.migration import HistoryUnknown, prepare
from gateway.app.clock import utc_now
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.app.development.settings import development
from gateway.app.settings import Settings
from gateway.domain.mandate import Limits
from tests.support.databases import Kept, places
from tests.support.opening import open_gateway
from tests.support.teller import Teller, payment, sandbox_bank, what_does_not_hold

MADE_UP = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("made_up", sa.Integer(), nullable=False, server_default="7"))
    op.create_index("calls_made_up", "calls", ["made_up"])


def downgrade() -> None:
    raise NotImplementedError
"""
CALLERS = 4


class Pair:
    """Two gateways, of which a balancer sends nobody to one that is about to stop."""

    def __init__(self, *gateways: Teller) -> None:
        self.serving = list(gateways)
        self._under_way: Counter[int] = Counter()
        self.told: Counter[str] = Counter()

    async def caller(self, number: int, over: asyncio.Event) -> None:
        step = 0
        references: dict[int, list[str]] = {}
        while not over.is_set():
            step += 1
            asked = self.serving[(number + step) % len(self.serving)]
            key = id(asked)
            self._under_way[key] += 1
            try:
                if key not in references:
                    references[key] = list((await asked.accounts())[:2])
                debit, credit = references[key][:: 1 if step % 2 else -1]
                minor = 100 + step * CALLERS + number
                pays = payment(debit, credit, f"{minor // 100}.{minor % 100:02}")
                answer = await asked.ask("initiate_transfer", pays, native_id=f"p{number}-{step}")
                self.told[answer.status if answer.reason is None else str(answer.reason)] += 1
                self.told[(await asked.ask("get_account_balance", {"account": debit}, native_id=f"r{number}-{step}")).status] += 1
            finally:
                self._under_way[key] -= 1

    async def let_go(self, asked: Teller) -> None:
        """Nobody new, and whoever is there to the end."""
        self.serving.remove(asked)
        while self._under_way[id(asked)]:
            await asyncio.sleep(0.01)

    async def more(self, count: int) -> None:
        """Until so many more answers were given."""
        until = sum(self.told.values()) + count
        async with asyncio.timeout(60):
            while sum(self.told.values()) < until:
                await asyncio.sleep(0.01)


async def ready(settings: Settings) -> Teller:
    """A gateway with its one conversation, which its callers share."""
    asked = Teller(await open_gateway(settings))
    await asked.accounts()
    return asked


def newer_history(folder: Path) -> None:
    """This version's history and one revision more."""
    history = HISTORIES[DatabaseName.GATEWAY]
    shutil.copytree(history.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "r9999_made_up.py").write_text(MADE_UP.format(before=history.head))


async def test_no_call_fails_while_the_database_is_upgraded_and_each_gateway_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "kind", "postgresql")
    data = tmp_path / "data"
    at: DatabaseLocations = places(data)
    older = HISTORIES[DatabaseName.GATEWAY]
    await asyncio.to_thread(newer_history, tmp_path / "history")
    newer = replace(older, head="9999", folder=tmp_path / "history")
    async with sandbox_bank(data, utc_now) as (bank, port):
        core = {"core_url": f"http://127.0.0.1:{port}", "core_credential_file": data / "core.token"}
        chosen: dict[str, Any] = {
            **core,
            "audit_wait_ms": 20_000,
            "core_question_ms": 20_000,
            "core_instruction_ms": 20_000,
            "duplicate_window_s": 1,
        }
        settings = replace(development(data, database=at.url), calls_per_minute=1_000_000, **chosen)
        first, second = await ready(settings), await ready(settings)
        await first.granting("alice", limits={"GBP": Limits(10**8, 10**8, 10**8, 10**8, 10**6)})
        pair, over = Pair(first, second), asyncio.Event()
        callers = [asyncio.create_task(pair.caller(number, over)) for number in range(CALLERS)]
        await pair.more(8)
        operator = at.open(DatabaseName.GATEWAY, name="operator")
        await prepare(operator, newer, may_upgrade=True)
        await pair.more(8)
        monkeypatch.setitem(HISTORIES, DatabaseName.GATEWAY, newer)
        for old in (first, second):
            await pair.let_go(old)
            await old.gateway.close()
            pair.serving.append(await ready(settings))
            await pair.more(8)
        over.set()
        await asyncio.gather(*callers)
        assert set(pair.told) == {"done"}, pair.told
        made_up = text("SELECT count(*) FROM calls WHERE made_up = 7")
        assert await operator.read(lambda connection: connection.execute(made_up).scalar_one()) >= pair.told["done"] / 2
        with pytest.raises(HistoryUnknown):
            await prepare(operator, older, may_upgrade=True)
        await operator.close()
        for asked in pair.serving:
            asked.gateway.bank = bank
        assert await what_does_not_hold(pair.serving[0].gateway) == []
        for asked in pair.serving:
            await asked.gateway.close()
