"""The reference of all settings in `deploy/README.md`, made from the code; `--write` renews it."""

import dataclasses
import sys
from pathlib import Path

from gateway.app.settings import Settings
from gateway.app.settings_texts import texts

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
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + table() + _END + rest.split(_END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GUIDE.write_text(renewed(GUIDE.read_text()))
    else:
        print(table(), end="")
