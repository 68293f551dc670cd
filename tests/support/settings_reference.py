"""The reference of all settings in `deploy/README.md`, made from the code; `--write` renews it."""

import dataclasses
from pathlib import Path

from gateway.app.settings import Settings
from gateway.app.settings_texts import texts
from tests.support.reference_file import placed, print_or_write

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "deploy" / "README.md"
_BEGIN, _END = "<!-- settings -->\n", "<!-- end of settings -->"


def table() -> str:
    """The table in Markdown: name, default, and what it is for."""
    told = texts()
    rows = [
        f"| `{field.name}` | {_default(field.default)} | {told[field.name]} |"
        for field in dataclasses.fields(Settings)
        if field.name != "development"
    ]
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows]) + "\n"


def _default(value: object) -> str:
    if value is dataclasses.MISSING:
        return "must be set"
    if value in ("", None, ()):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def renewed(text: str) -> str:
    """The guide with this table in its place."""
    return placed(text, _BEGIN, table(), _END)


if __name__ == "__main__":
    print_or_write(GUIDE, renewed, table)
