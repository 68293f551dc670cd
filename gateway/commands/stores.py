"""The gateway's database for a command, beside whatever gateways use it."""

from contextlib import AsyncExitStack

from audit.migration import HistoryUnknown
from gateway.app.alignment import refuse_apart
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.store.direct import DirectStore


async def opened_store(places: DatabaseLocations, undo: AsyncExitStack) -> DirectStore:
    """The store that is there, closed by `undo`; never made. UnsafeSettings where there is none, or it and the log are not of one
    moment; HistoryUnknown of another version."""
    if not places.is_there(DatabaseName.GATEWAY):
        remedy = "give the folder and database of `tellergate serve`, or make its databases with `tellergate database upgrade`"
        raise UnsafeSettings(f"there is no gateway in {places.data}; {remedy}")
    database = places.open(DatabaseName.GATEWAY, name="command")
    undo.push_async_callback(database.close)
    history = HISTORIES[DatabaseName.GATEWAY]
    if (found := await database.read(history.revision)) != history.head:
        raise HistoryUnknown(
            f"the gateway's database is of revision {found}, needed is {history.head}; run `tellergate database upgrade`"
        )
    await refuse_apart(database)
    return DirectStore(database)
