"""Development mode's officers and its auditor: keys that lie in its folder, so that commands can be tried. They are nobody's."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.app.key_files import private_file
from policies.officers import STAFF_ROLES, Officer, officer_entry

STAFF = {"ada": STAFF_ROLES, "ben": STAFF_ROLES, "eve": ("auditor",)}
"""Ada and Ben may do everything, so that two people are there for whatever takes two."""

_KEY_BYTES = 32


def make_officers(data: Path) -> None:
    """These people, each with a key in `dev/officers`, and the file that pins them; what is there stays."""
    file = data / "dev" / "officers.toml"
    if file.exists():
        return
    keys = {name: private_file(data / "dev" / "officers" / f"{name}.key", _KEY_BYTES) for name in STAFF}
    entries = (
        officer_entry(Officer(name, frozenset(), Ed25519PrivateKey.from_private_bytes(key).public_key(), frozenset(STAFF[name])))
        for name, key in keys.items()
    )
    file.touch(mode=0o600)
    file.write_text("\n".join(entries))
