"""Activation of a bundle of rules: its body is kept by its hash before the record says that it decides from now on."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from audit.committer import LogEntry
from audit.leaf import Plain, Record, RecordKind
from audit.log import LEAVES_MOST, Log
from audit.store.find import Filter, find_last
from audit.store.policies import keep


async def activate(
    log: Log, body: bytes, *, version: str, author: str, activator: str | None = None, change: Any = None
) -> LogEntry:
    """Keep the canonical bytes of a bundle and record its activation. LogUnavailable: then nothing may be decided by it.

    `activator`: who signed beside the author; None where nobody did. `change`: of who shares the log's transactions, durable with the
    record or not at all; what it refuses is raised, and nothing is recorded.
    """
    digest = hashlib.sha256(body).hexdigest()
    with suppress(IntegrityError):  # another process was first
        await log.write(lambda connection: keep(connection, digest, body))
    facts: dict[str, Plain] = {"bundle": digest, "version": version, "author": author}
    if activator is not None:
        facts["activator"] = activator
    _, entry = await log.append_with(change, Record(kind=RecordKind.POLICY_ACTIVATE, time=log.now(), facts=facts))
    if entry is None:
        raise TypeError("the committer answers a record with an entry")
    return entry


async def last_activated(log: Log) -> Mapping[str, Plain] | None:
    """What the trail says as `last_activation`, beside the calls. LogUnavailable, LogCorrupt."""
    return await log.read_long(lambda reads: last_activation(reads.connection))


def last_activation(connection: Connection) -> Mapping[str, Plain] | None:
    """What the last activation in a log's database says, of one that two officers signed; None where the last one was signed by nobody,
    or there is none. LogCorrupt.
    """
    found = find_last(connection, Filter(kinds=(RecordKind.POLICY_ACTIVATE,)), LEAVES_MOST, 1)
    facts: dict[str, Plain] = json.loads(found[0].leaf)["facts"] if found else {}
    return facts if "activator" in facts else None
