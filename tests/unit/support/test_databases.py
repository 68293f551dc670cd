"""A database that one test gave back is lent to another, and nothing of it is left."""

from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from gateway.app.databases import DatabaseLocations, DatabaseName
from gateway.store.tables import CUSTOMERS
from tests.support.databases import drop, lent

CUSTOMER = {"customer": "alice", "mandate_version": 1, "mandate": b"m", "mandate_signature": b"s", "frozen": False}


async def test_a_database_is_lent_again_and_is_empty(tmp_path: Path) -> None:
    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(CUSTOMERS)).scalar_one()

    addresses = set()
    for name in ("first", "second"):
        folder = tmp_path / name
        addresses.add(lent(folder))
        assert lent(folder) in addresses
        database = DatabaseLocations(folder, lent(folder)).open(DatabaseName.GATEWAY, name="tests")
        assert await database.read(count) == 0
        await database.write(lambda connection: connection.execute(insert(CUSTOMERS).values(CUSTOMER)))
        assert await database.read(count) == 1
        drop(folder)  # its connections are still open
        await database.close()
    assert len(addresses) == 1
