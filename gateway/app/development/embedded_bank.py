"""The sandbox bank: embedded in a gateway of development mode, or served by a command as a core in a process of its own."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine

from adapters.core import PermitVerifier
from adapters.cores.sandbox.bank import SandboxBank, open_sandbox
from adapters.cores.sandbox.items import Answer, Item
from audit.database import SqliteLane
from audit.group import GroupWriter
from gateway.app.clock import Clock
from gateway.app.cores import Core
from gateway.calls.chores import alarmed
from gateway.domain.alarms import Chore


def embedded(path: Path, *, clock: Clock, permits: PermitVerifier) -> Core:
    """The sandbox bank in this file, with a writer that groups what waits."""
    writers: list[GroupWriter[Item, Answer]] = []

    def writer(
        engine: Engine, apply: Callable[[Connection, Sequence[Item]], Sequence[Answer | Exception]]
    ) -> GroupWriter[Item, Answer]:
        writers.append(GroupWriter(SqliteLane(engine), apply))
        return writers[-1]

    bank = open_sandbox(path, clock=clock, writer=writer, permits=permits)

    async def close() -> None:
        for item in writers:
            await item.close()
        bank.close()

    return Core(bank, close, bank)


async def banking_days(bank: SandboxBank) -> None:
    """The sandbox bank carries out what was scheduled for today, each minute: a real core does so by itself."""
    while True:
        with alarmed(Chore.SCHEDULED_PAYMENTS):
            await bank.execute_due()
        await asyncio.sleep(60)
