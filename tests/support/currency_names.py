"""The names and signs of currencies in English, from CLDR (Unicode's locale data, as the package `babel` carries it).

python -m tests.support.currency_names --write: makes `gateway/grounding/english/currencies.toml`; a test holds the file against CLDR.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from babel import Locale
from iso4217 import Currency

from adapters.money import exponent

FILE = Path(__file__).parents[2] / "gateway" / "grounding" / "english" / "currencies.toml"
FIRST = ("GBP", "EUR", "USD", "CHF", "INR", "JPY")
"""Named first among those that share a name."""

_NO_TENDER = frozenset({"BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW"})
"""Funds and units of account: nobody pays with them. Metals and the like begin with X."""
_REGIONAL = frozenset({"XAF", "XCD", "XCG", "XOF", "XPF"})

_HEAD = """\
# Made from CLDR by `python -m tests.support.currency_names --write`: what a currency is called in English, and its signs.
# A name that several currencies share means each of them: "dollars" is the account's own dollar.
"""


def made() -> str:
    data = Locale.parse("en")._data  # babel has no public list of a locale's plural names
    signs, names = defaultdict(set), defaultdict(set)
    for code in sorted(item.code for item in Currency if _is_tender(item.code)):
        for plural in {*data["currency_names_plural"].get(code, {}).values(), data["currency_names"].get(code, "")} - {""}:
            name = plural.lower().replace("\u2019", "'")
            names[name].add(code)
            names[name.split()[-1]].add(code)
        sign = data["currency_symbols"].get(code, "")
        if len(sign) == 1:
            signs[sign].add(code)
    for sign, name in (("$", "dollars"), ("£", "pounds")):
        signs[sign] |= names[name]
    signs["¥"] |= names["yuan"]
    return "\n".join((_HEAD, "[signs]", *_lines(signs), "", "[names]", *_lines(names), ""))


def _is_tender(code: str) -> bool:
    if code in _NO_TENDER or (code.startswith("X") and code not in _REGIONAL):
        return False
    try:
        exponent(code)
    except ValueError:
        return False
    return True


def _lines(table: dict[str, set[str]]) -> list[str]:
    def listed(codes: set[str]) -> str:
        return ", ".join(f'"{code}"' for code in sorted(codes, key=lambda code: (code not in FIRST, code)))

    return [f'"{name}" = [{listed(codes)}]' for name, codes in sorted(table.items()) if name.isascii() or len(name) == 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the file; otherwise it is printed")
    if parser.parse_args().write:
        FILE.write_text(made())
    else:
        print(made())


if __name__ == "__main__":
    main()
