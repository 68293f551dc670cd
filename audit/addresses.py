"""The address of a PostgreSQL database, which may name several hosts: `postgresql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE`.

Every host is a server of one cluster, and which of them takes writes may change. Pure: nothing is asked here.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

PORT = 5432

Host = tuple[str, int]
"""A name or an address, and a TCP port."""

_OURS = "target_session_attrs"
"""What libpq is told to find the primary; with several hosts nothing else is looked for here."""

_WRITES = ("read-write", "primary")


class AddressMalformed(ValueError):
    """It is no address of a PostgreSQL database. The text says nothing of it, since a password may be in it."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """`url` is of the first host. `hosts`: all of them, in order, where there are several; empty for one, or for a socket."""

    url: URL
    hosts: tuple[Host, ...] = ()


def read_address(text: str) -> DatabaseAddress:
    """AddressMalformed.

    >>> read_address("postgresql://u@a,b:6432/d").hosts
    (('a', 5432), ('b', 6432))
    """
    try:
        parts = urlsplit(text)
        who, at, where = parts.netloc.rpartition("@")
        names = where.split(",")
        hosts = tuple(_host(name) for name in names) if len(names) > 1 else ()
        url = make_url(urlunsplit(parts._replace(netloc=f"{who}{at}{names[0]}"))) if hosts else make_url(text)
    except (ArgumentError, ValueError):
        raise AddressMalformed("no address of a database") from None
    if url.get_backend_name() != "postgresql" or url.database is None:
        raise AddressMalformed("no address of a PostgreSQL database")
    if url.query.get(_OURS, "read-write") not in _WRITES:
        raise AddressMalformed("the gateway writes: target_session_attrs is read-write, or primary")
    if hosts:
        url = url.difference_update_query([_OURS])
    return DatabaseAddress(url, hosts)


def _host(text: str) -> Host:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise AddressMalformed("a host is empty")
    return parts.hostname, PORT if parts.port is None else parts.port
