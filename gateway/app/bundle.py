"""Bundles over the functions that are served: the one that this distribution ships, and how another one differs from them."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files

from adapters.function import BankingFunction
from gateway.calls.catalogue import cedar_schema, manifest
from gateway.calls.tools import FUNCTIONS
from policies.bundle import Bundle, RuleFile

BUNDLE_VERSION = 1


def read_bundle(functions: Sequence[BankingFunction] = FUNCTIONS) -> Bundle:
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


def differences(bundle: Bundle, functions: Sequence[BankingFunction]) -> tuple[str, ...]:
    """In what a bundle speaks of other functions than these, in words; empty where it speaks of exactly these."""
    written = {function.name: asdict(function) for function in bundle.functions}
    served = {function.name: asdict(function) for function in manifest(functions)}
    found = [f"{name} is not served" for name in sorted(written.keys() - served.keys())]
    found += [f"the bundle does not know {name}" for name in sorted(served.keys() - written.keys())]
    for name in sorted(written.keys() & served.keys()):
        changed = [field for field, value in served[name].items() if written[name][field] != value]
        if changed:
            found.append(f"{name} is served with another {', '.join(changed)}")
    if not found and bundle.schema != cedar_schema(functions):
        found.append("the bundle's schema is not the one of the functions that are served")
    return tuple(found)
