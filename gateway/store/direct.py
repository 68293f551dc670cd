"""The gateway's database without its book: for a command, beside whatever gateways use it. One transaction for each item."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit.database import Database, DatabaseUnavailable
from gateway.domain.errors import Unavailable
from gateway.store.items import Item

T = TypeVar("T")


class DirectStore:
    """An `ItemStore`. It takes no locks for an item: only what takes its own, as kill switches do, may be written here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, question: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(question)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error

    async def write(self, item: Item[T]) -> T:
        try:
            answer = await self._database.write(item.apply)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            raise Unavailable("store_unavailable") from error
        if isinstance(answer, Exception):
            raise answer
        return answer
