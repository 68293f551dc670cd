"""What gateways of the tests repeat is what the code makes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from adapters.cores.sandbox import open_sandbox
from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits
from gateway.app.databases import HISTORIES, DatabaseName
from gateway.app.development.settings import development
from gateway.app.serving import build_app
from tests.support import templates
from tests.support.banks import Clock, ImmediateWriter, Permits
from tests.support.opening import open_gateway


def _dumped(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_repeated_tables_are_those_of_the_code(tmp_path: Path) -> None:
    for part in DatabaseName:
        for name in ("first", "second", "third"):
            engine = create_engine(f"sqlite:///{tmp_path / name}.{part}")
            with engine.begin() as connection:
                (templates._make if name == "first" else templates._tables)(connection, HISTORIES[part])
            engine.dispose()
        made = _dumped(tmp_path / f"first.{part}")
        assert len(made) > 5
        assert made == _dumped(tmp_path / f"second.{part}") == _dumped(tmp_path / f"third.{part}")


def test_a_copied_bank_is_that_of_the_code(tmp_path: Path) -> None:
    clock = Clock()
    open_sandbox(tmp_path / "made", clock=clock, writer=ImmediateWriter, permits=Permits()).close()
    for name in ("first", "second"):
        templates._sandbox(tmp_path / name, clock=clock, writer=ImmediateWriter, permits=UnsafeNoPermits()).close()
        assert _dumped(tmp_path / name) == _dumped(tmp_path / "made")
    clock.now = utc_now()
    open_sandbox(tmp_path / "later", clock=clock, writer=ImmediateWriter, permits=Permits()).close()
    templates._sandbox(tmp_path / "copied later", clock=clock, writer=ImmediateWriter, permits=UnsafeNoPermits()).close()
    assert _dumped(tmp_path / "copied later") == _dumped(tmp_path / "later") != _dumped(tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied later", "first", "later", "made", "second"]


async def test_an_application_of_repeated_types_publishes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await open_gateway(development(tmp_path / "data"))
    try:
        repeated = [build_app(gateway).openapi() for _ in range(2)]
        monkeypatch.setattr("fastapi.routing.create_model_field", templates._create_field)
        assert repeated == [build_app(gateway).openapi()] * 2
    finally:
        await gateway.close()
