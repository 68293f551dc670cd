"""The policy bundle that this distribution ships, over the functions that are served."""

from collections.abc import Sequence
from importlib.resources import files

from adapters.function import BankingFunction
from adapters.functions import MANIFEST
from gateway.calls.catalogue import cedar_schema, manifest
from policies.bundle import Bundle, RuleFile

BUNDLE_VERSION = 1


def read_bundle(functions: Sequence[BankingFunction] = MANIFEST) -> Bundle:
    """The bundle that this distribution ships: its rules, over the schema of these functions."""
    folder = files("policies") / "rules"
    rules = [RuleFile(path.name, path.read_text()) for path in folder.iterdir() if path.name.endswith(".cedar")]
    return Bundle(
        version=BUNDLE_VERSION,
        author="tellergate",
        schema=cedar_schema(functions),
        rules=tuple(sorted(rules, key=lambda rule: rule.name)),
        functions=tuple(manifest(functions)),
    )
