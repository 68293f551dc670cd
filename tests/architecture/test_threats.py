"""Each threat of the model is linked to the test that holds it, and the links live."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (T-\d+) \|.*\| ([^|]+) \|$", (ROOT / "gateway" / "THREATMODEL.md").read_text(), re.MULTILINE)


TRANSFERS = re.findall(r"^\| (TC-\d+) \|.*\| ([^|]+) \|$", (ROOT / "gateway" / "TRANSFERS.md").read_text(), re.MULTILINE)


def test_every_threat_and_every_requirement_names_a_test_that_exists() -> None:
    numbers = [int(name[2:]) for name, _ in ROWS]
    assert numbers == sorted(set(numbers)), "each number once, in order; a number is never given again"
    assert [name for name, _ in TRANSFERS] == [f"TC-{number:02d}" for number in range(1, 17)]
    for threat, links in (*ROWS, *TRANSFERS):
        named = re.findall(r"`([^`:]+)::([^`]+)`", links)
        assert named, threat
        for file, test in named:
            assert test in functions_of(file), (threat, test)


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
