"""The settings of who stands by the trail: who witnesses it, who stamps its time, and where it goes. A part of `gateway.app.settings`."""

from dataclasses import dataclass
from pathlib import Path

from gateway.app.door_settings import DoorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailSettings(DoorSettings):
    """See `Settings`."""

    witnesses: tuple[str, ...] = ()
    """Witnesses of the log, each as `URL VKEY VKEY`: where it takes checkpoints (https, or http on loopback), and what `witness keygen`
    printed of it. A start is refused where one of them knows more of the log than it has. Empty: there are none."""

    witness_quorum: int = 0
    """How many of them must cosign; fewer are an alarm, and stop nothing."""

    timestamp_authorities: tuple[str, ...] = ()
    """Time stamp authorities (RFC 3161), each by the URL that takes requests: https, or http on loopback. Each is asked once an hour for a
    stamp over the log's latest published checkpoint, and sees a hash alone. Needs the extra `timestamps`. Empty: there are none."""

    timestamp_roots: Path | None = None
    """PEM file of the root certificates that the authorities' own certificates must lead to. They come from the authorities; those of the
    system are not taken."""

    streams: Path | None = None
    """TOML file of where the trail goes as it grows, a table `[[stream]]` each: to a SIEM over HTTPS or syslog over TLS, or into files;
    writable by its owner alone (audit/README.md). None: nowhere."""
