"""Files and connections that a process may have open: what it needs, and its limit, raised as far as it may raise it itself."""

import contextlib
import resource

from gateway.app.settings import Settings

BACKLOG = 1024
"""Connections that wait to be taken: as many may be taken in one turn of the event loop, before the front closes those beyond its bound."""

_DATABASES = 3 * 11
_CORE = 64
_UPSTREAM = 64
_MODEL = 256
_WEBHOOKS = 16
_REST = 527
"""Files of the databases on SQLite, the log, keys that are read again, name lookups, what is closed but not yet forgotten: with room."""

OPERATIONS = 256
"""Connections of the operations listener, where there is one."""

OPERATIONS_BACKLOG = 64

OWN = _DATABASES + _CORE + _UPSTREAM + _MODEL + _WEBHOOKS + _REST
"""What the gateway has open itself at most, beside the connections of its clients."""


def needed(settings: Settings) -> int:
    """How many descriptors a process with these settings must be able to have open."""
    operations = OPERATIONS + OPERATIONS_BACKLOG if settings.operations_port else 0
    return settings.connections + settings.connections_reserved + BACKLOG + operations + OWN


def most() -> int | None:
    """How many a process may have once `raise_limit` was called; None for any number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def raise_limit() -> None:
    """Raise this process's limit, and that of those it starts, to the hard one; where the system does not let us, it stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    with contextlib.suppress(OSError, ValueError):  # macOS takes no infinite one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
