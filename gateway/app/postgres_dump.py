"""Dumps of PostgreSQL's own tools: the gateway's tables and the log's of one snapshot, the key store apart.

The tools are those of the path, of the server's version or a later one. Passwords go by the environment, never by the command line.
"""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from audit.addresses import read_address
from gateway.app.databases import DatabaseLocations, DatabaseName

MAIN, KEYS = "databases.dump", "keys.dump"

_HEAD = "SELECT origin, size, root FROM log.head WHERE id = 1"
_CHECKPOINT = "SELECT note FROM log.checkpoints ORDER BY id DESC LIMIT 1"


class ToolFailed(Exception):
    """A tool of PostgreSQL is not there, or did not do it. The text is its first line."""


async def dump(places: DatabaseLocations, out: Path, keys: Path | None) -> dict[str, Any]:
    """Write the dumps; what the snapshot says: origin, size and root of the log, its last checkpoint, and what the key store noted.
    ToolFailed."""
    connection = await asyncpg.connect(_bare(places.url))
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        row = await connection.fetchrow(_HEAD)
        found = {"origin": row["origin"], "size": row["size"], "root": row["root"].hex()}
        found |= {"checkpoint": await connection.fetchval(_CHECKPOINT), "noted": None}
        await _dumped(places.url, out / MAIN, (DatabaseName.GATEWAY, DatabaseName.LOG), snapshot)
        if keys is not None:
            apart = places.keys_url or places.url
            await _dumped(apart, keys / KEYS, (DatabaseName.KEYS,), snapshot if apart == places.url else None)
            found["noted"] = await _noted(apart)
            if apart == places.url:
                found["noted"] = None  # of the same snapshot
    finally:
        await connection.close()
    return found


async def restore(places: DatabaseLocations, out: Path, keys: Path | None) -> None:
    """Read them back, each in one transaction. ToolFailed."""
    await _restored(places.url, out / MAIN)
    if keys is not None:
        await _restored(places.keys_url or places.url, keys / KEYS)


async def _noted(url: str) -> int | None:
    connection = await asyncpg.connect(_bare(url))
    try:
        noted: int | None = await connection.fetchval("SELECT size FROM keys.log_position")
    finally:
        await connection.close()
    return noted


async def _dumped(url: str, file: Path, parts: tuple[DatabaseName, ...], snapshot: str | None) -> None:
    wanted = [f"--schema={part.value}" for part in parts]
    of_one = [f"--snapshot={snapshot}"] if snapshot is not None else []
    await _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}", *wanted, *of_one)


async def _restored(url: str, file: Path) -> None:
    said = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    await _run("pg_restore", url, *said, f"--dbname={read_address(url).url.database}", str(file))


async def _run(tool: str, url: str, *arguments: str) -> None:
    found = shutil.which(tool)
    if found is None:
        raise ToolFailed(f"{tool} is not installed; install the client tools of PostgreSQL")
    read = read_address(url)
    address = read.url
    hosts = {"PGHOST": address.host, "PGPORT": address.port}
    if read.hosts:
        hosts = {"PGHOST": ",".join(name for name, _ in read.hosts), "PGPORT": ",".join(str(port) for _, port in read.hosts)}
        hosts["PGTARGETSESSIONATTRS"] = "read-write"
    said = {**hosts, "PGUSER": address.username, "PGPASSWORD": address.password}
    named = {**said, "PGDATABASE": address.database}
    environment = {**os.environ, **{name: str(value) for name, value in named.items() if value is not None}}
    process = await asyncio.create_subprocess_exec(
        found, *arguments, env=environment, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    if process.returncode:
        first = told.decode(errors="replace").strip().splitlines()
        raise ToolFailed(first[0] if first else f"{tool} ended with status {process.returncode}")


def _bare(url: str) -> str:
    """As asyncpg reads it: with several hosts, the one that takes writes."""
    address = read_address(url)
    if address.hosts:
        return f"{url}{'&' if '?' in url else '?'}target_session_attrs=read-write" if "target_session_attrs" not in url else url
    return address.url.set(drivername="postgresql").render_as_string(hide_password=False)
