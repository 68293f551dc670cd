"""Activation of a bundle of rules: its body is kept by its hash before the record says that it decides from now on."""

import hashlib
from contextlib import suppress

from sqlalchemy.exc import IntegrityError

from audit.committer import LogEntry
from audit.leaf import Record, RecordKind
from audit.log import Log
from audit.store.policies import keep


async def activate(log: Log, body: bytes, *, version: str, author: str) -> LogEntry:
    """Keep the canonical bytes of a bundle and record its activation. LogUnavailable: then nothing may be decided by it."""
    digest = hashlib.sha256(body).hexdigest()
    with suppress(IntegrityError):  # another process was first
        await log.write(lambda connection: keep(connection, digest, body))
    facts = {"bundle": digest, "version": version, "author": author}
    return await log.append(Record(kind=RecordKind.POLICY_ACTIVATE, time=log.now(), facts=facts))
