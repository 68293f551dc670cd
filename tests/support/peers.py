"""Peers of the tests out of npm: installed beside their folder, or in a cache outside of the tree, by their lock's hash."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.postgres import absent

PEERS = Path(__file__).parents[1] / "peers"


def installed(name: str, package: str, program: str) -> Path:
    """The folder of a peer with its packages. Skips the test by name where it cannot be had; with REQUIRE_PEERS it fails."""
    peer, files = PEERS / name, ("package.json", "package-lock.json", program)
    if (peer / "node_modules" / package).is_dir():
        return peer
    if not (shutil.which("node") and shutil.which("npm")):
        absent(f"{package} (node and npm)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tellergate"
    digest = hashlib.sha256(b"".join((peer / file).read_bytes() for file in files)).hexdigest()[:16]
    place = cache / f"{name}-{digest}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=cache))
    for file in files:
        shutil.copy(peer / file, made / file)
    npm = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=made, capture_output=True, text=True, check=False
    )
    if npm.returncode:
        shutil.rmtree(made)
        absent(package)
    try:
        made.rename(place)
    except OSError:  # another run was quicker
        shutil.rmtree(made)
    return place
