"""`tellergate functions`: what a model may call, from the declarations."""

import argparse

from adapters.functions import MANIFEST
from gateway.catalogue import definitions, reference_page
from gateway.cedar_schema import cedar_schema
from gateway.commands.printing import GOOD, print_json, print_table


def list_all(options: argparse.Namespace) -> int:
    """Every function with its effect and level."""
    if options.json:
        rows = [
            {"name": each.name, "effect": each.effect.value, "level": each.level.name, "summary": each.summary} for each in MANIFEST
        ]
        print_json(rows)
    else:
        print_table(
            ("function", "effect", "level", "summary"),
            ((each.name, each.effect.value, each.level.name, each.summary) for each in MANIFEST),
        )
    return GOOD


def definitions_for(options: argparse.Namespace) -> int:
    """Definitions for one API, as JSON."""
    print_json(definitions(MANIFEST, options.shape))
    return GOOD


def reference(_options: argparse.Namespace) -> int:
    """The reference page, in Markdown."""
    print(reference_page(MANIFEST))
    return GOOD


def schema(_options: argparse.Namespace) -> int:
    """The Cedar schema of the policies."""
    print(cedar_schema(MANIFEST), end="")
    return GOOD
