"""The table of duties in `deploy/README.md`, made from the code; `--write` renews it."""

import sys
from pathlib import Path

from gateway.domain.duties import DUTIES, StaffRole
from tests.support.command_duties import places

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "deploy" / "README.md"
_BEGIN, _END = "<!-- duties -->\n", "<!-- end of duties -->"


def table() -> str:
    """The table in Markdown: what is done, by which roles, and what else it takes."""
    rows = [
        f"| `{duty.value}` | {rule.does} | {' | '.join('yes' if role in rule.roles else '' for role in StaffRole)} "
        f"| {'yes' if rule.fresh else ''} | {(rule.how or 'an approval') if rule.four_eyes else ''} | {places(duty)} |"
        for duty, rule in DUTIES.items()
    ]
    roles = " | ".join(StaffRole)
    return "\n".join([f"| duty | | {roles} | fresh | four eyes | where |", "|---|---|---|---|---|---|---|---|---|", *rows]) + "\n"


def renewed(text: str) -> str:
    """The guide with this table in its place."""
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + table() + _END + rest.split(_END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GUIDE.write_text(renewed(GUIDE.read_text()))
    else:
        print(table(), end="")
