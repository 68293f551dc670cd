"""Evidence bundles in memory: taken apart, changed, put together and signed again as a thief of the export key could."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from audit import verify
from audit.bundle_file import BundleFile
from audit.checkpoint import Checkpoint, sign_checkpoint, sign_note
from audit.export import Contents, bundle, export
from audit.keys import named
from audit.leaf import canonical
from audit.log import Log
from audit.merkle import leaf_hash, subtree_root
from audit.query import Why

Members = dict[str, bytes]


async def bundled(log: Log, contents: Contents | None = None) -> bytes:
    """A bundle of these contents, by default of the whole log."""
    file = io.BytesIO()
    await bundle(log, contents or Contents(), file)
    return file.getvalue()


async def exported(log: Log, why: Why, **asked: Any) -> bytes:
    """What `export` writes."""
    file = io.BytesIO()
    await export(log, why, file, **asked)
    return file.getvalue()


def unpack(raw: bytes) -> Members:
    """The members by name, as any reader of zips finds them."""
    with zipfile.ZipFile(io.BytesIO(raw)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def pack(members: Mapping[str, bytes]) -> bytes:
    """The zip of these members as an export would write it."""
    into = BundleFile(file := io.BytesIO())
    for name in sorted(members.keys() - {verify.MANIFEST}):
        into.add(name, members[name])
    if verify.MANIFEST in members:
        into.close(lambda _: members[verify.MANIFEST])
    else:
        file.write(verify.directory(into._entries, into.size))
    return file.getvalue()


def manifest_of(members: Members) -> dict[str, Any]:
    """What the manifest says."""
    found: dict[str, Any] = json.loads(members[verify.MANIFEST].decode().split("\n")[0])
    return found


def signed(log: Log, members: Members, **changes: Any) -> bytes:
    """The bundle with its manifest made anew and signed, as the bank could."""
    manifest = {**manifest_of(members), **changes}
    members = {name: content for name, content in members.items() if name != verify.MANIFEST}
    if "files" not in changes:
        manifest["files"] = {name: {"bytes": len(body), "sha256": sha256(body).hexdigest()} for name, body in members.items()}
    note = sign_note(canonical(manifest).decode() + "\n", [named(f"{log.origin}/exports", log.signers.exports)])
    return pack({**members, verify.MANIFEST: note.encode().encode()})


def lines(members: Members, folder: str = "leaves") -> list[bytes]:
    """The lines of a list, each with its end."""
    return b"".join(members[name] for name in sorted(members) if name.startswith(f"{folder}/")).splitlines(keepends=True)


def leaves_of(members: Members) -> list[bytes]:
    """The records as they stand in the bundle."""
    return [line.split(b" ", 1)[1].rstrip(b"\n") for line in lines(members)]


def rewritten(log: Log, members: Members, leaves: Sequence[bytes], **changes: Any) -> bytes:
    """A whole bundle of other leaves under a checkpoint over them: what a log that is not ours, or a thief of all keys, could sign."""
    root = subtree_root([leaf_hash(item) for item in leaves])
    note = sign_checkpoint(Checkpoint(log.origin, len(leaves), root), log.signers.log_keys(log.origin), int(log.now().timestamp()))
    kept = {name: content for name, content in members.items() if not name.startswith(("checkpoints/", "leaves/"))}
    kept["leaves/000000.txt"] = b"".join(b"%d %b\n" % (number, leaf) for number, leaf in enumerate(leaves))
    kept[f"checkpoints/{len(leaves):016d}.note"] = note.encode().encode()
    return signed(log, kept, **{"size": len(leaves), "records": len(leaves), **changes})
