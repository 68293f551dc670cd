"""`tellergate witness`: a process that watches logs of others, with keys and a file of its own. It needs nothing of a gateway.

Whoever runs it is not who runs the log: the bank's second line, or a firm outside.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from audit.checkpoint import KeyType, NoteInvalid, SigningKey, VerifierKey
from audit.witness.keys import make_witness_keys, witness_keys
from audit.witness.state import Witness, WitnessUnavailable
from audit.witness.store import STATE_FILE, SqliteWitnessStore, WatchedLog
from gateway.commands.printing import GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.commands.witness_server import WitnessAddress, serve_witness


def keygen(options: argparse.Namespace) -> int:
    """Make the keys of a new witness; print what logs and auditors are told of it."""
    made = make_witness_keys(options.state, options.name)
    vkeys = [key.key.encode() for key in made]
    if options.json:
        print_json({"name": options.name, "vkeys": vkeys})
    else:
        for vkey in vkeys:
            print(vkey)
    return GOOD


def add_log(options: argparse.Namespace) -> int:
    """Know a log by these keys, and no other of it."""
    try:
        keys = [VerifierKey.parse(text.strip()) for text in options.vkey]
    except NoteInvalid as error:
        return failed(f"a vkey is malformed: {error}; take it as `keys export-public` prints it", USAGE)
    if len({key.name for key in keys}) != 1:
        return failed("all keys must be of one log: one name, its origin", USAGE)
    if any(key.type is KeyType.ED25519_COSIGNATURE for key in keys):
        return failed("that is a key of a witness, not of a log", USAGE)
    witness_keys(options.state)  # a folder without them is none of a witness

    def work(store: SqliteWitnessStore) -> int:
        origin = keys[0].name
        is_new = store.watch(origin, keys)
        if options.json:
            print_json({"origin": origin, "keys": len(keys), "new": is_new})
        else:
            print(f"{origin}: {len(keys)} keys" + ("" if is_new else ", in place of those before; what was cosigned stays"))
        return GOOD

    return _with_store(options, work)


def status(options: argparse.Namespace) -> int:
    """Print its keys, its logs, and what it cosigned last."""
    keys = witness_keys(options.state)
    if not (options.state / STATE_FILE).is_file():  # looking makes nothing
        return _told(options, keys, [])
    return _with_store(options, lambda store: _told(options, keys, store.logs()))


def serve(options: argparse.Namespace) -> int:
    """Cosign until SIGINT, which is told as interrupted, or SIGTERM."""
    address = WitnessAddress(options.host, options.port, options.tls_cert, options.tls_key)
    if (options.tls_cert is None) != (options.tls_key is None):
        return failed("--tls-cert and --tls-key belong together", USAGE)
    if not address.is_private:
        return failed("beyond loopback it needs --tls-cert and --tls-key", USAGE)
    keys = witness_keys(options.state)

    def told(url: str) -> None:
        if options.json:
            print_json({"url": url, "name": keys[0].key.name, "vkeys": [key.key.encode() for key in keys]})
        else:
            print(f"{keys[0].key.name} cosigns at {url}/add-checkpoint", flush=True)

    def work(store: SqliteWitnessStore) -> int:
        return asyncio.run(serve_witness(Witness(store, keys, lambda: int(time.time())), address, told))

    return _with_store(options, work)


def _with_store(options: argparse.Namespace, work: Callable[[SqliteWitnessStore], int]) -> int:
    try:
        store = SqliteWitnessStore(options.state)
        try:
            return work(store)
        finally:
            store.close()
    except WitnessUnavailable as error:
        return failed(str(error), UNAVAILABLE)


def _told(options: argparse.Namespace, keys: Sequence[SigningKey], logs: Sequence[WatchedLog]) -> int:
    if options.json:
        rows = [
            {
                "origin": log.origin,
                "keys": [key.encode() for key in log.keys],
                "size": log.last.size,
                "root": log.last.root.hex(),
                "time": _time(log),
            }
            for log in logs
        ]
        print_json({"name": keys[0].key.name, "vkeys": [key.key.encode() for key in keys], "logs": rows})
        return GOOD
    for key in keys:
        print(key.key.encode())
    print_table(("log", "keys", "size", "cosigned"), ((log.origin, len(log.keys), log.last.size, _time(log)) for log in logs))
    return GOOD


def _time(log: WatchedLog) -> str | None:
    return datetime.fromtimestamp(log.last.time_s, UTC).isoformat() if log.last.time_s else None
