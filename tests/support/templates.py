"""What each start of a gateway makes anew and never differs is made once for each process of the tests, and repeated: the statements that
make the tables, the seeded bank, the specialised rules, the answers' types of the HTTP application. They are most of what a start costs.

What makes them is the code itself, the first time; `unit/support/test_templates.py` holds that the others get the same. Commands that
start from nothing repeat nothing, nor do the tests of the bank and of the policies, which call them by their own names.
"""

import asyncio
import contextlib
import copy
import os
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastapi.routing
from sqlalchemy import Connection, create_engine, event, inspect

from adapters.core import PermitVerifier
from adapters.cores.sandbox import SandboxBank, WriterFactory, open_sandbox
from adapters.cores.sandbox.tables import open_engine
from adapters.functions import MANIFEST
from audit import migration
from audit.migration import History
from gateway.app import policies
from gateway.app.bundle import read_bundle
from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits
from gateway.app.databases import HISTORIES
from gateway.app.development import embedded_bank
from gateway.app.development.bundle import activated
from gateway.app.development.settings import development
from gateway.app.serving import build_app
from policies.bundle import Bundle
from policies.decision_cache import DecisionCache
from policies.engine import Engine
from tests.support.opening import open_gateway

Statements = list[tuple[str, Any]]
"""Each with its parameters, as the driver gets them."""

_make = migration._make
_MADE: dict[tuple[History, str], Statements] = {}


def repeat() -> None:
    """From now on, gateways that start in this process, and in what is forked off it, repeat what does not differ."""
    migration._make = _tables
    policies.Engine = _engine  # type: ignore[attr-defined, assignment]
    embedded_bank.open_sandbox = _sandbox  # type: ignore[attr-defined, assignment]
    fastapi.routing.create_model_field = _field  # type: ignore[attr-defined]


def make_all() -> None:
    """Before processes are forked off this one: what each of them would make."""
    for history in HISTORIES.values():
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            _tables(connection, history)
        engine.dispose()
    _seeded(utc_now, utc_now().date())
    _rules(activated(read_bundle(MANIFEST)))
    with TemporaryDirectory() as folder:
        asyncio.run(_built(Path(folder)))


async def _built(folder: Path) -> None:
    """What a gateway and its application make at their first use, by one of each."""
    gateway = await open_gateway(development(folder / "data"))
    try:
        build_app(gateway)
    finally:
        await gateway.close()


def _tables(connection: Connection, history: History) -> None:
    """What makes an empty database: compiling the statements takes ten times as long as running them."""
    statements = _MADE.get((history, connection.dialect.name))
    if statements is None or inspect(connection).get_table_names():
        told: Statements = []

        def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
                told.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        try:
            _make(connection, history)
        finally:
            event.remove(connection, "before_cursor_execute", note)
        _MADE[history, connection.dialect.name] = told
    else:
        for statement, parameters in statements:
            connection.exec_driver_sql(statement, parameters)


def _engine(bundle: Bundle) -> Engine:
    """Each has a decision cache of its own, as in production."""
    made = copy.copy(_rules(bundle))
    made._memory = DecisionCache()
    return made


@lru_cache(maxsize=16)
def _rules(bundle: Bundle) -> Engine:
    return Engine(bundle)


_create_field = fastapi.routing.create_model_field  # type: ignore[attr-defined]


@lru_cache(maxsize=1024)
def _field(**known: Any) -> Any:
    """The type of an answer of a route, which nobody changes; those of parameters are made elsewhere."""
    return _create_field(**known)


def _sandbox(path: Path, *, clock: Callable[[], datetime], writer: WriterFactory, permits: PermitVerifier) -> SandboxBank:
    if path.exists():
        return open_sandbox(path, clock=clock, writer=writer, permits=permits)
    seeded = _seeded(clock, clock().date() if clock is utc_now else clock())
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(seeded)
    with contextlib.suppress(FileExistsError):  # whole or not at all, and never over another process' bank
        os.link(beside, path)
    beside.unlink()
    return SandboxBank(open_engine(path, has_tables=True), clock=clock, writer=writer, permits=permits)


@lru_cache(maxsize=8)
def _seeded(clock: Callable[[], datetime], _when: object) -> bytes:
    """A seeded bank: of a clock that goes, one of its day, as old as this process; of one that stands, one of this moment."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "bank.sqlite"
        open_sandbox(file, clock=clock, writer=_NoWriter, permits=UnsafeNoPermits()).close()
        return file.read_bytes()


class _NoWriter:
    """The seed is written beside it."""

    def __init__(self, *_: object) -> None:
        pass

    async def submit(self, _item: object) -> Any:
        raise NotImplementedError
