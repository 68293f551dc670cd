"""Where a gateway in development mode listens, noted in its folder, so that `dev confirm` finds it."""

from pathlib import Path


def note_url(data: Path, url: str) -> None:
    """Where the gateway of this folder listens now; the folder is development's own."""
    (data / "dev").mkdir(mode=0o700, exist_ok=True)
    (data / "dev" / "url").write_text(f"{url}\n")


def noted_url(data: Path) -> str | None:
    """Where the gateway of this folder listened last; None when it never did."""
    try:
        return (data / "dev" / "url").read_text().strip() or None
    except FileNotFoundError:
        return None
