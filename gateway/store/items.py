"""What can be written to the gateway's database: items, each of which applies itself inside the one writer's transaction.

An item says what it decides on (`locks`), what it does (`apply`), what its writer is answered with (the `T` of `Item[T]`), and what follows
from it for others (`consequences`). The writer knows nothing of what is written.

    @dataclass(frozen=True, slots=True)
    class FreezeCustomer(Item[bool]):
        customer: str

        @property
        def locks(self) -> Locks:
            return Locks(customers=frozenset({self.customer}))

        def apply(self, connection: Connection) -> bool:
            return connection.execute(update(CUSTOMERS).where(...).values(frozen=True)).rowcount == 1

    is_frozen = await book.write(FreezeCustomer("alice"))  # a bool, durable
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from gateway.domain.states import SettledAs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Locks:
    """Rows that nobody else may change until the item is committed. SQLite's one writer holds everything anyway."""

    customers: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    kill_switches: bool = False


NO_LOCKS = Locks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A call that leaves `pending` or `unknown`. All of a group are written at once, in one order."""

    call_id: str
    state: SettledAs
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What a change means for who waits for something. `held`: calls that wait for the customer until `until`; `ended`: calls that may
    have ended; `spoken_of`: the confirmation of which the customer, or who approves, has spoken."""

    at: datetime
    held: tuple[str, ...] = ()
    until: datetime | None = None
    ended: tuple[str, ...] = ()
    spoken_of: str | None = None


class Item(ABC, Generic[T]):
    """One change, answered with a `T`."""

    __slots__ = ()

    @property
    def locks(self) -> Locks:
        return NO_LOCKS

    @property
    def settlement(self) -> Settlement | None:
        """What is written together with those of the other items of a group, before any of them is applied."""
        return None

    @abstractmethod
    def apply(self, connection: Connection) -> T | Exception:
        """Make the change. An exception that is returned means that nothing was written, and goes to this item's writer alone; one that
        is raised rolls the whole group back, and each of its items is tried alone."""

    def consequences(self, _connection: Connection, _answer: T) -> Consequences | None:
        """What follows once it was applied, inside the same transaction. None: nothing."""
        return None


class ItemStore(Protocol):
    """The gateway's database to who writes items of their own and asks questions of their own, and needs nothing else of the book.

    Durability: what `write` returned is durable. Concurrency: safe; items are applied one after the other, and a question sees whole
    groups. Retry: the caller's, where its item may be repeated. Errors: Unavailable when the database does not answer (an item may have
    been written), and what the item itself returns.
    """

    async def write(self, item: Item[T]) -> T: ...

    async def read(self, question: Callable[[Connection], T]) -> T: ...
