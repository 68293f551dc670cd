"""Connections to the one server of a PostgreSQL cluster that takes writes, whichever that is now.

A failover promotes a standby under a new timeline: a number that grows with each promotion. What was promoted once is never older than
what it replaced, so whoever has seen a timeline takes no server of an earlier one: an old primary that comes back gets no write of a
process that has met its successor. Imported only where a PostgreSQL address is configured.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from audit.addresses import Host

HOST_WAIT_S = 2.0
"""How long one of several hosts may take to connect. A host without power answers nothing, and must not cost the others their turn."""

_STATE = """
SELECT current_setting('transaction_read_only') = 'off' AS writes,
       (SELECT system_identifier FROM pg_control_system()) AS cluster,
       CASE WHEN pg_is_in_recovery() THEN 0
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END AS timeline,
       current_setting('synchronous_standby_names') AS standbys
"""

_NEWEST: dict[int, int] = {}
"""The newest timeline that this process has seen of each cluster: all of its connections share it."""


class NoPrimary(ConnectionError):
    """No host takes writes: none answers, all are standbys, or the one that would take them was replaced by another."""


class CommitsAlone(ConnectionError):
    """The server acknowledges a commit before any standby has it, and that is not allowed."""


@dataclass(frozen=True, slots=True)
class _Found:
    connection: Any
    cluster: int
    timeline: int

    @property
    def newest(self) -> int:
        """The newest timeline seen of its cluster; 0 for none yet."""
        return _NEWEST.get(self.cluster, 0)


class Primary:
    """Opens connections, for any task of one event loop. `hosts`: empty for the one that the driver is told of. `synchronous`: a server
    without a synchronous standby is none that may be written to.

    Errors: NoPrimary, CommitsAlone, and with one host what the driver raises. Retry: the caller's next connection asks again.
    """

    def __init__(self, hosts: Sequence[Host], *, synchronous: bool) -> None:
        self._hosts = tuple(hosts)
        self._synchronous = synchronous

    async def connect(self, **said: Any) -> Any:
        """A connection of asyncpg to the primary."""
        best = await (self._of_several(said) if self._hosts else self._opened(said))
        if best.timeline < best.newest:
            best.connection.terminate()
            raise NoPrimary("the server was replaced by another, which this process has seen")
        _NEWEST[best.cluster] = best.timeline
        return best.connection

    async def _of_several(self, said: dict[str, Any]) -> _Found:
        """The first that is as new as any seen. A process that has seen none yet waits for every host, and takes the newest."""
        asked = [asyncio.create_task(self._opened(_at(host, said))) for host in self._hosts]
        best: _Found | None = None
        refused: CommitsAlone | None = None
        try:
            for next_one in asyncio.as_completed(asked):
                try:
                    found = await next_one
                except CommitsAlone as error:
                    refused = error
                    continue
                except _NO_ANSWER:
                    continue
                if best is None or found.timeline > best.timeline:
                    best = found
                if best.newest and best.timeline >= best.newest:
                    break
        finally:
            for task in asked:
                if not task.cancel() and not task.cancelled() and not task.exception() and task.result() is not best:
                    task.result().connection.terminate()
        if best is None:
            raise refused or NoPrimary("no host of the database takes writes")
        return best

    async def _opened(self, said: dict[str, Any]) -> _Found:
        connection = await asyncpg.connect(**said)
        try:
            state = await connection.fetchrow(_STATE)
            if not state["writes"]:
                raise NoPrimary("a standby")
            if self._synchronous and not state["standbys"].strip():
                raise CommitsAlone("the server has no synchronous standby")
        except BaseException:
            connection.terminate()
            raise
        return _Found(connection, state["cluster"], state["timeline"])


_NO_ANSWER = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def _at(host: Host, said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "host": host[0], "port": host[1], "timeout": min(HOST_WAIT_S, said.get("timeout", HOST_WAIT_S))}
