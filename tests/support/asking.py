"""What people of development mode ask the trail on the command line, by the keys of their folder."""

from pathlib import Path


def by(folder: Path, name: str = "ada") -> list[str]:
    """The option by which a person of development mode acts in this folder."""
    return ["--officer-key", str(folder / "dev" / "officers" / f"{name}.key")]


def why(folder: Path, name: str = "eve", purpose: str = "to see", case: str = "none") -> list[str]:
    """Who asks the trail of this folder, what for and under which case."""
    return [*by(folder, name), "--purpose", purpose, "--case", case]
