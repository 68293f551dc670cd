"""`tellergate functions`: what a model may call, from the declarations; manifests checked and drafted."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.declared.mcp_draft import NotTools, listed_in
from adapters.declared.openapi import NotOpenApi, drafted
from adapters.declared.section import OPEN
from adapters.declared.upstream import Upstream
from adapters.function import BankingFunction
from gateway.app.declared import all_functions, checked, examined, tools_draft, tools_of
from gateway.app.key_files import secret_of
from gateway.calls.catalogue import definitions, reference_page
from gateway.calls.cedar_schema import cedar_schema
from gateway.calls.tools import FUNCTIONS
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table

_UNUSED = "unused"
"""Stands for the upstream's credential where nothing is sent."""


def list_all(options: argparse.Namespace) -> int:
    """Every function with its effect and level."""
    functions = served_functions(options.functions)
    if options.json:
        rows = [
            {"name": function.name, "effect": function.effect.value, "level": function.level.name, "summary": function.summary}
            for function in functions
        ]
        print_json(rows)
    else:
        print_table(
            ("function", "effect", "level", "summary"),
            ((function.name, function.effect.value, function.level.name, function.summary) for function in functions),
        )
    return GOOD


def definitions_for(options: argparse.Namespace) -> int:
    """Definitions for one API, as JSON."""
    print_json(definitions(served_functions(options.functions), options.shape))
    return GOOD


def reference(options: argparse.Namespace) -> int:
    """The reference page, in Markdown."""
    page = reference_page(served_functions(options.functions))
    if options.json:
        print_json({"markdown": page})
    else:
        print(page)
    return GOOD


def schema(options: argparse.Namespace) -> int:
    """The Cedar schema of the policies."""
    text = cedar_schema(served_functions(options.functions))
    if options.json:
        print_json({"cedar_schema": text})
    else:
        print(text, end="")
    return GOOD


def check(options: argparse.Namespace) -> int:
    """What is wrong with a manifest, what is open, and what to know."""
    manifest, findings = examined(options.file)
    if options.json:
        told = [
            {"line": finding.line, "where": finding.where, "code": finding.code, "message": finding.message, "note": finding.note}
            for finding in findings
        ]
        print_json({"served": manifest is not None, "manifest": manifest and manifest.digest, "findings": told})
    else:
        for finding in findings:
            note = "note: " if finding.note else ""
            print(f"{options.file}:{finding.line}: {note}{finding.where or 'manifest'} {finding.message} [{finding.code}]")
        wrong = sum(not finding.note for finding in findings)
        print(f"{wrong} to mend: it is not served" if manifest is None else f"good: {len(manifest.functions)} functions")
    return FINDING if manifest is None else GOOD


def import_mcp(options: argparse.Namespace) -> int:
    """A draft over the tools of an MCP server, or of a file with its `tools/list`."""
    source: str = options.source
    try:
        if source.startswith(("http://", "https://")):
            token = None if options.credential_file is None else secret_of(options.credential_file)
            url, tools = source, asyncio.run(tools_of(source, token))
        else:
            with Path(source).open("rb") as file:
                url, tools = OPEN, listed_in(file.read(5 * 1024 * 1024))
        text = tools_draft(url, tools)
    except NotTools as error:
        return failed(f"{source}: {error}", USAGE)
    except ConnectionError as error:
        return failed(str(error), UNAVAILABLE)
    return _written(text, options)


def import_openapi(options: argparse.Namespace) -> int:
    """A draft of a manifest; it is not served until somebody has decided what is open."""
    try:
        with options.file.open("rb") as file:
            text = drafted(file.read(5 * 1024 * 1024))
    except NotOpenApi as error:
        return failed(f"{options.file.name}: {error}", USAGE)
    return _written(text, options)


def _written(text: str, options: argparse.Namespace) -> int:
    if options.out is None and options.json:
        print_json({"manifest": text})
    elif options.out is None:
        print(text, end="")
    else:
        try:
            with options.out.open("x") as file:
                file.write(text)
        except FileExistsError:
            return failed(f"{options.out} is there already and may hold decisions of yours; name another file", USAGE)
        print(f"{options.out}: decide what is `open`, then `tellergate functions check {options.out}`", file=sys.stderr)
    return GOOD


def served_functions(path: Path | None) -> Sequence[BankingFunction]:
    """Those of this distribution, with those of a manifest where one is given. UnsafeSettings for one that must not be served."""
    if path is None:
        return FUNCTIONS
    manifest = checked(path)
    return all_functions(manifest, Upstream(manifest.upstream, credential=_UNUSED if manifest.upstream.needs_credential else None))
