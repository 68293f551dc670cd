"""Which databases there are and where they lie: files of the data folder, or schemas of one PostgreSQL database.

The gateway's tables and the log's stand together, in one file or in two schemas of one database, so that a change and the record of it are
one transaction. The key store is apart, and may have an address of its own, so that it stays out of the backups of everything else.
"""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from audit.addresses import AddressMalformed, DatabaseAddress, read_address
from audit.database import Database, SqliteDatabase
from audit.keyring import KeyStorage
from audit.keys import KeyStore, make_keys, open_keys
from audit.log import Log
from audit.migration import KEYS_HISTORY, LOG_HISTORY, History, HistoryUnknown, prepare
from audit.store.writes import Head, read_head
from gateway.app.keys import TokenPlace, file_keys, make_gateway_keys
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.store.all_tables import ALL_TABLES as GATEWAY_TABLES
from gateway.store.log_position import watch

_ROOT = Path(__file__).parents[2]


class DatabaseName(StrEnum):
    """One set of tables each, with a history of its own; the value is its schema on PostgreSQL. In the order in which they are made: the
    gateway's tables know how far the log is."""

    LOG = "log"
    GATEWAY = "gateway"
    KEYS = "keys"


HISTORIES = {
    DatabaseName.GATEWAY: History("gateway", GATEWAY_TABLES, _ROOT / "gateway" / "store" / "history", "0021", watch),
    DatabaseName.LOG: LOG_HISTORY,
    DatabaseName.KEYS: KEYS_HISTORY,
}

_FILES = {
    DatabaseName.GATEWAY: "tellergate.sqlite",
    DatabaseName.LOG: "tellergate.sqlite",
    DatabaseName.KEYS: "audit/keys.sqlite",
}


@dataclass(frozen=True, slots=True)
class DatabaseLocations:
    """`data` holds the key files, and the SQLite files where no `url` is given. `url` and `keys_url` are PostgreSQL's. `passphrase_file`
    opens the key files, as `gateway.app.keys.passphrase` says. `token`: where the keys are instead. `synchronous`: no connection to a
    server that acknowledges commits before a standby has them."""

    data: Path
    url: str = ""
    keys_url: str = ""
    passphrase_file: Path | None = None
    token: TokenPlace | None = None
    log_origin: str = ""
    """The name that a log must have, and under which a new one begins; empty: whichever."""
    synchronous: bool = False

    @property
    def shared(self) -> bool:
        """Whether several processes may use these databases at once."""
        return bool(self.url)

    def open(self, part: DatabaseName, *, name: str) -> Database:
        """The database of this part; its tables may not be there yet. UnsafeSettings for an address that is none."""
        url = self._url_of(part)
        if not url:
            path = self.file(part)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return SqliteDatabase(path)
        try:
            from audit.postgres import PostgresDatabase
        except ImportError:
            raise UnsafeSettings("a PostgreSQL address is set, but the extra `postgresql` is not installed") from None
        beside = [DatabaseName.GATEWAY.value] if part is DatabaseName.LOG else []
        return PostgresDatabase(_address(url), part.value, name=name, beside=beside, synchronous=self.synchronous)

    def file(self, part: DatabaseName) -> Path:
        """The SQLite file of this part."""
        return self.data / _FILES[part]

    def is_there(self, part: DatabaseName) -> bool:
        """Whether the file of this part is there; an address is taken to be."""
        return bool(self._url_of(part)) or self.file(part).exists()

    def _url_of(self, part: DatabaseName) -> str:
        return self.keys_url or self.url if part is DatabaseName.KEYS else self.url


def places_of(settings: Settings) -> DatabaseLocations:
    """Those of a gateway that has its keys open already."""
    return DatabaseLocations(
        settings.data,
        settings.database,
        settings.keys_database,
        log_origin=settings.log_origin,
        synchronous=settings.synchronous_standby,
    )


def _address(url: str) -> DatabaseAddress:
    try:
        return read_address(url)
    except AddressMalformed:
        raise UnsafeSettings("the address of the database is postgresql://USER:PASSWORD@HOST:PORT/DATABASE") from None


async def open_log(
    places: DatabaseLocations,
    *,
    writer_id: str,
    clock: Callable[[], datetime],
    origin: str | None = None,
    random: Callable[[int], bytes] = os.urandom,
    may_upgrade: bool = True,
    storage: KeyStorage | None = None,
) -> Log:
    """The signed log, begun with new keys where there is none, and then under `origin`, or a name of its own. KeyRefused, LogCorrupt,
    HistoryUnknown. `storage`: of the keys; None: the files of the data folder. With the log begins the installation: the gateway's own
    keys are made then, and never later.
    """
    storage = storage or file_keys(places.data, places.passphrase_file, random=random, token=places.token)
    async with AsyncExitStack() as undo:
        log, keys = (places.open(part, name=writer_id) for part in (DatabaseName.LOG, DatabaseName.KEYS))
        undo.push_async_callback(log.close)
        undo.push_async_callback(keys.close)
        if await log.read(LOG_HISTORY.revision) is None:
            make_gateway_keys(storage)  # before the log's tables: who finds these finds the keys as well
        found = await prepare(log, LOG_HISTORY, may_upgrade=may_upgrade)
        await prepare(keys, KEYS_HISTORY, may_upgrade=may_upgrade)
        if found is None:
            make_keys(storage)
        signers, wrapping = open_keys(storage, clock)
        stored_keys = KeyStore(keys, wrapping, clock, random)
        name = origin or places.log_origin or None
        _refuse_another(await log.read(read_head), places.log_origin)
        opened = await Log.open(log, signers, stored_keys, origin=name, writer_id=writer_id, clock=clock, random=random)
        undo.pop_all()
    return opened


def _refuse_another(stored: Head | None, name: str) -> None:
    """UnsafeSettings where the log that is there has another name than the settings say: it keeps the one that it began with."""
    if name and stored is not None and stored.origin not in (None, name):
        problem = f"is {name}, and the log is called {stored.origin}"
        remedy = (
            "name it so: a log keeps its name, but for `tellergate audit recover`. If this is not the log that you meant, keep everything "
            "and look at `database`"
        )
        raise UnsafeSettings(findings=[SettingFinding("log_origin", FindingCode.CONFLICT, problem, remedy)])


async def refuse_unmade(places: DatabaseLocations) -> None:
    """HistoryUnknown where a database is empty or not there: a start that may not upgrade makes none either."""
    for part in DatabaseName:
        if await revision_of(places, part) is None:
            raise HistoryUnknown(f"{part.value}: there is no database yet; run `tellergate database upgrade`")


async def is_trail(places: DatabaseLocations) -> bool:
    """Whether there is a log already: commands never begin one."""
    return await revision_of(places, DatabaseName.LOG) is not None


async def revision_of(places: DatabaseLocations, part: DatabaseName) -> str | None:
    """The revision of a database; None where it is empty or not there, and none is made. SQLAlchemyError where it does not answer."""
    if not places.is_there(part):
        return None
    database = places.open(part, name="command")
    try:
        return await database.read(HISTORIES[part].revision)
    finally:
        await database.close()
