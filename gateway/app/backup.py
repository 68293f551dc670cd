"""A backup of a gateway's databases that is of one moment, while gateways run, and its restoring into an empty place.

The gateway's tables and the log's are one snapshot. The key store goes to a folder of its own, or nowhere: an erasure must be able to
destroy its copies. Key files are not copied: the manifest has their hashes, and a restore asks for the very same.

What was restored is of the past: its gateway opens after `database recover` alone.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.declared.journal import FILE as JOURNAL
from audit.inspection import verify_store
from gateway.app import postgres_dump
from gateway.app.clock import Clock
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName, open_log, revision_of
from gateway.app.keys import PURPOSES
from gateway.store.log_position import set_back

MANIFEST = "manifest.json"
TRIES = 5
"""How often the key store is copied anew because a checkpoint was published between the two copies."""

Tell = Callable[[str], None]


class BackupRefused(Exception):
    """No backup was made or restored. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class BackupPlaces:
    """`out`: for the gateway's tables and the log; `keys`: for the key store, apart; None: it is not copied, or it still stands."""

    out: Path
    keys: Path | None


async def back_up(places: DatabaseLocations, to: BackupPlaces, *, clock: Clock, tell: Tell) -> Mapping[str, Any]:
    """Make it; the manifest. BackupRefused: nothing of use was made. SQLAlchemyError, DatabaseUnavailable, OSError."""
    for part in DatabaseName:
        if await revision_of(places, part) is None:
            raise BackupRefused(f"there is no database of {part.value} yet; make it with `tellergate database upgrade`")
    for folder in (to.out, *([to.keys] if to.keys is not None else [])):
        _empty(folder)
    for _ in range(TRIES):
        tell("copying the gateway's tables and the log")
        head = await _copied(places, to, tell)
        if to.keys is None or head["noted"] is None or head["noted"] <= head["size"]:
            break
    else:
        raise BackupRefused("a checkpoint was published between both copies, again and again; try again")
    manifest = {
        "version": 1,
        "made": clock().isoformat(),
        "kind": "postgresql" if places.shared else "sqlite",
        "log": {name: head[name] for name in ("origin", "size", "root", "checkpoint")},
        "revisions": {part.value: HISTORIES[part].head for part in DatabaseName},
        "files": _hashes(to.out),
        "keys": None if to.keys is None else _hashes(to.keys),
        "key_files": _key_files(places.data),
    }
    for folder in (to.out, *([to.keys] if to.keys is not None else [])):
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return manifest


async def restore(places: DatabaseLocations, of: BackupPlaces, *, clock: Clock, tell: Tell) -> Mapping[str, Any]:
    """Restore into a place that has the key files and no databases; the manifest. BackupRefused: what stands in the way, and nothing was
    written, or what was written does not verify, and must not be used."""
    manifest = _checked(of)
    if manifest["kind"] != ("postgresql" if places.shared else "sqlite"):
        raise BackupRefused(f"the backup is of {manifest['kind']}; give the same kind of databases")
    for part in DatabaseName:
        stands = await revision_of(places, part) is not None
        if stands and (part is not DatabaseName.KEYS or of.keys is not None):
            raise BackupRefused(f"there is a database of {part.value} already: a backup is restored into an empty place")
        if not stands and part is DatabaseName.KEYS and of.keys is None:
            raise BackupRefused("there is no key store: give its copy by --keys, or the address of the one that is still there")
    if (found := _key_files(places.data)) != manifest["key_files"]:
        names = sorted(name for name in {*found, *manifest["key_files"]} if found.get(name) != manifest["key_files"].get(name))
        raise BackupRefused(f"key files are missing, or not those of the backup: {', '.join(names)}; put them back first")
    tell("putting the copies in place")
    if places.shared:
        await postgres_dump.restore(places, of.out, of.keys)
    else:
        _put_in_place(places, of)
    database = places.open(DatabaseName.GATEWAY, name="command")
    try:
        await database.write(set_back)
    finally:
        await database.close()
    tell("verifying every record of the log")
    log = await open_log(places, writer_id="command", clock=clock, may_upgrade=False)
    try:
        size, root = await log.head()
        findings = await verify_store(log)
    finally:
        await log.close()
    if findings or (size, root.hex(), log.origin) != tuple(manifest["log"][name] for name in ("size", "root", "origin")):
        raise BackupRefused("what was restored is not what the manifest says; use another backup, and empty this place first")
    return manifest


def _empty(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty; name a folder that is, or that is not there yet")


async def _copied(places: DatabaseLocations, to: BackupPlaces, tell: Tell) -> dict[str, Any]:
    """What the copies say: origin, size and root of the log, its last checkpoint, and what the key store noted."""
    if places.shared:
        return await postgres_dump.dump(places, to.out, to.keys)
    main = to.out / places.file(DatabaseName.LOG).name
    _copy(places.file(DatabaseName.LOG), main)
    if (journal := places.data / JOURNAL).exists():
        _copy(journal, to.out / journal.name)
    noted = None
    if to.keys is not None:
        tell("copying the key store")
        copy = to.keys / places.file(DatabaseName.KEYS).name
        _copy(places.file(DatabaseName.KEYS), copy)
        with closing(sqlite3.connect(copy)) as keys:
            row = keys.execute("SELECT size FROM log_position").fetchone()
            noted = None if row is None else row[0]
    with closing(sqlite3.connect(main)) as log:
        origin, size, root = log.execute("SELECT origin, size, root FROM head WHERE id = 1").fetchone()
        last = log.execute("SELECT note FROM checkpoints ORDER BY id DESC LIMIT 1").fetchone()
    return {"origin": origin, "size": size, "root": root.hex(), "checkpoint": None if last is None else last[0], "noted": noted}


def _copy(source: Path, target: Path) -> None:
    """SQLite's own online backup: one snapshot, beside who writes."""
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as from_, closing(sqlite3.connect(target)) as to:
        from_.backup(to)
        to.execute("PRAGMA journal_mode=DELETE")
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(places: DatabaseLocations, of: BackupPlaces) -> None:
    main = places.file(DatabaseName.LOG)
    wanted = [(of.out / main.name, main), (of.out / Path(JOURNAL).name, places.data / JOURNAL)]
    if of.keys is not None:
        keys = places.file(DatabaseName.KEYS)
        wanted.append((of.keys / keys.name, keys))
    for source, target in wanted:
        if source.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.touch(mode=0o600)
            shutil.copyfile(source, target)


def _checked(of: BackupPlaces) -> dict[str, Any]:
    """The manifest, if the files beside it are those that it names."""
    try:
        manifest: dict[str, Any] = json.loads((of.out / MANIFEST).read_text())
        if manifest["version"] != 1 or _hashes(of.out) != manifest["files"]:
            raise BackupRefused(f"{of.out} is not as its manifest says; use another backup")
    except (OSError, ValueError, KeyError) as error:
        raise BackupRefused(f"{of.out} has no manifest of a backup; name the folder that `tellergate backup` made") from error
    if of.keys is not None and _hashes(of.keys) != manifest["keys"]:
        raise BackupRefused(f"{of.keys} is not the copy of the key store that was made with this backup")
    return manifest


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: _hash(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}


def _key_files(data: Path) -> dict[str, str]:
    return {purpose.file: _hash(data / purpose.file) for purpose in PURPOSES if (data / purpose.file).is_file()}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
