"""How many connections a process has open, and of whom; and what was refused before a token was looked at.

Owns the count of refusals: told once a minute, never logged for each connection.
"""

import asyncio
import logging
from collections import Counter
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Protocol

from opentelemetry import metrics

from gateway.app.settings import Settings
from gateway.domain.alarms import Alarm

ALARM_S = 60.0
"""What was refused is told once in so many seconds."""

_LOOK_S = 1.0
_LOG = logging.getLogger("tellergate.front")


class FrontRefusal(StrEnum):
    """Why the front closed a connection: attribute `why` of the metric."""

    CONNECTIONS = "connections"
    ADDRESS = "address"
    HANDSHAKE = "handshake"
    SILENT = "silent"
    MALFORMED = "malformed"
    URL = "url"
    FIELDS = "fields"
    HEAD = "head"
    HEAD_TIME = "head_time"
    BODY_TIME = "body_time"


_CONNECTIONS = (FrontRefusal.CONNECTIONS, FrontRefusal.ADDRESS)
_ORDINARY = (FrontRefusal.SILENT, FrontRefusal.HANDSHAKE)
"""Browsers open connections ahead, and whoever tries a port shows no TLS: counted, and no alarm."""


class Watched(Protocol):
    """A connection that is looked at."""

    def look(self, now: float) -> None:
        """Refuse it if it has kept us waiting too long. `now`: of the loop's clock."""


class Front:
    """The connections of one process and its event loop: how many there are, of whom, and which of them keep it waiting."""

    def __init__(self, settings: Settings, refused: metrics.Counter) -> None:
        self.settings = settings
        self._proxies = tuple(map(ip_network, settings.trusted_proxies))
        self._backend = tuple(map(ip_network, settings.backend_addresses))
        self._metric = refused
        self._all = 0
        self._open: Counter[bytes] = Counter()
        self._watched: set[Watched] = set()
        self._untold: Counter[FrontRefusal] = Counter()
        self._told = float("-inf")
        self._looking: asyncio.TimerHandle | None = None

    def admits(self, address: str) -> bool:
        """Whether one more connection from this address is taken; it is counted until `left` is called."""
        peer = _peer(address)
        is_backend = any(peer in network for network in self._backend)
        most = self.settings.connections + (self.settings.connections_reserved if is_backend else 0)
        if self._all >= most:
            self.count(FrontRefusal.CONNECTIONS)
            return False
        whose = _whose(peer)
        is_one_of_many = not is_backend and not any(peer in network for network in self._proxies)
        if is_one_of_many and self._open[whose] >= self.settings.connections_per_address:
            self.count(FrontRefusal.ADDRESS)
            return False
        self._all += 1
        self._open[whose] += 1
        return True

    def left(self, address: str) -> None:
        """A connection that was admitted has ended."""
        self._all -= 1
        whose = _whose(_peer(address))
        self._open[whose] -= 1
        if not self._open[whose]:
            del self._open[whose]

    def watch(self, connection: Watched) -> None:
        """Look at this connection each second, until `forget`."""
        self._watched.add(connection)
        self._look_later()

    def forget(self, connection: Watched) -> None:
        """It has ended."""
        self._watched.discard(connection)

    def count(self, why: FrontRefusal) -> None:
        """One more was refused."""
        self._metric.add(1, {"why": why.value})
        if why not in _ORDINARY:
            self._untold[why] += 1
            self._look_later()

    def _look_later(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = None
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._watched):
            connection.look(now)
        if self._untold and now - self._told >= ALARM_S:
            connections = sum(self._untold[why] for why in _CONNECTIONS)
            _LOG.log(*Alarm.FRONT_REFUSED.line(connections=connections, requests=self._untold.total() - connections))
            self._untold.clear()
            self._told = now
        if self._watched or self._untold:
            self._look_later()


_Address = IPv4Address | IPv6Address


def _peer(address: str) -> _Address:
    found = ip_address(address)
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _whose(peer: _Address) -> bytes:
    """One address of IPv4; of IPv6 the network of 64 bits that one subscriber has at least."""
    return peer.packed[:8]
