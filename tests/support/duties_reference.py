"""The table of duties in `deploy/README.md`, made from the code; `--write` renews it."""

from pathlib import Path

from gateway.domain.duties import DUTIES, StaffRole
from tests.support.command_duties import places, without_a_key
from tests.support.reference_file import placed, print_or_write

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "deploy" / "README.md"
_BEGIN, _END = "<!-- duties -->\n", "<!-- end of duties -->"
_KEYLESS, _KEYLESS_END = "<!-- without a key -->\n", "<!-- end of without a key -->"


def table() -> str:
    """The table in Markdown: what is done, by which roles, and what else it takes."""
    rows = [
        f"| `{duty.value}` | {rule.does} | {' | '.join('yes' if role in rule.roles else '' for role in StaffRole)} "
        f"| {'yes' if rule.fresh else ''} | {(rule.how or 'an approval') if rule.four_eyes else ''} | {places(duty)} |"
        for duty, rule in DUTIES.items()
    ]
    roles = " | ".join(StaffRole)
    return "\n".join([f"| duty | | {roles} | fresh | four eyes | where |", "|---|---|---|---|---|---|---|---|---|", *rows]) + "\n"


def keyless() -> str:
    """The commands that take nobody's key, and why, in Markdown."""
    rows = [f"| {', '.join(f'`{verb}`' for verb in verbs)} | {why} |" for why, verbs in without_a_key().items()]
    return "\n".join(["| commands | why no key |", "|---|---|", *rows]) + "\n"


def renewed(text: str) -> str:
    """The guide with these tables in their places."""
    for begin, made, end in ((_BEGIN, table(), _END), (_KEYLESS, keyless(), _KEYLESS_END)):
        text = placed(text, begin, made, end)
    return text


if __name__ == "__main__":
    print_or_write(GUIDE, renewed, lambda: table() + "\n" + keyless())
