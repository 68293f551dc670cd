"""`tellergate policy build`, `officer`, `sign` and `verify`: a bank's own rules become one file, which two people stand for."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.function import BankingFunction
from gateway.app.key_files import private_file
from gateway.app.policies import pinned_officers
from gateway.calls.catalogue import cedar_schema, manifest
from gateway.commands.functions import served_functions
from gateway.commands.officers import KEY_BYTES, signing_key
from gateway.commands.printing import FINDING, GOOD, USAGE, failed, print_json
from policies.bundle import Bundle, BundleSignature, NotActivated, Role, RuleFile, SignedBundle, load, sign
from policies.officers import NAME_MOST, STAFF_ROLES, Officer, is_name, officer_entry, parse_signatures, signatures_file, verified
from policies.review.acceptance import Complaint, complaints

BUNDLE_MOST = 16 * 1024 * 1024
"""Bytes of a bundle file."""


class FileRefused(Exception):
    """A file that does not hold what it should. The text names it."""


def build(options: argparse.Namespace) -> int:
    """Write the bundle of these rules, cases and functions; a finding, with everything that is wrong, if there is anything."""
    if not is_name(options.author):
        return failed(f"--author has 1 to {NAME_MOST} printable characters", USAGE)
    try:
        rules, cases = _files(options.rules, ".cedar"), _files(options.cases, ".yaml")
    except FileRefused as refused:
        return failed(str(refused), FINDING)
    bundle = written_for(served_functions(options.functions), options.version, options.author, rules, cases)
    found = complaints(bundle)
    if not found and not write_bundle(options.out, bundle):
        return failed(f"{options.out} is another bundle already; name another file", USAGE)
    told = {"bundle": bundle.hash, "version": bundle.version, "author": bundle.author, "functions": len(bundle.functions)}
    if options.json:
        print_json({**told, "findings": findings(found)})
    elif found:
        print("\n".join(map(str, found)))
        print(f"{len(found)} to mend: nothing was written")
    else:
        print(f"{options.out}: version {bundle.version} by {bundle.author}, bundle {bundle.hash}")
    return FINDING if found else GOOD


def written_for(
    functions: Sequence[BankingFunction], version: int, author: str, rules: Sequence[RuleFile], cases: Sequence[RuleFile]
) -> Bundle:
    """A bundle over these functions. The same parts give the same bytes."""
    return Bundle(
        version=version,
        author=author,
        schema=cedar_schema(functions),
        rules=tuple(rules),
        functions=manifest(functions),
        cases=tuple(cases),
    )


def findings(found: Sequence[Complaint]) -> list[dict[str, object]]:
    """Complaints for programs."""
    return [
        {"file": item.place and item.place.file, "line": item.place and item.place.line, "message": item.message} for item in found
    ]


def officer(options: argparse.Namespace) -> int:
    """Print the officer's entry. Their key is made where there is none, and never printed."""
    if not is_name(options.name):
        return failed(f"--name has 1 to {NAME_MOST} printable characters", USAGE)
    if not options.key.exists():
        private_file(options.key, KEY_BYTES)
    entry = officer_entry(_entered(options))
    if options.json:
        print_json({"entry": entry})
    else:
        print(entry, end="")
    return GOOD


def _entered(options: argparse.Namespace) -> Officer:
    staff = frozenset(role for role in options.role if role in STAFF_ROLES)
    roles = frozenset(Role(role) for role in options.role if role not in staff)
    return Officer(options.name, roles, signing_key(options.key).public_key(), staff)


def sign_bundle(options: argparse.Namespace) -> int:
    """Add the signature to those beside the bundle; one that stands there for this role, and is of this officer, is the same."""
    key, role = signing_key(options.key), Role(options.role)
    try:
        bundle, signatures = read_bundle_file(options.bundle), read_signatures(options.bundle)
    except FileRefused as refused:
        return failed(str(refused), FINDING)
    if (options.name == bundle.author) != (role is Role.AUTHOR):
        who = "signs as its author" if options.name == bundle.author else f"is not its author: {bundle.author} is"
        return failed(f"{options.name} {who}; another officer activates", FINDING)
    if (there := signatures.get(role)) is not None and there.name != options.name:
        return failed(f"{there.name} signed as {role} already", FINDING)
    signed = {**signatures, role: sign(bundle, role, options.name, key)}
    signatures_of(options.bundle).write_bytes(signatures_file(signed))
    told = {"bundle": bundle.hash, "version": bundle.version, "role": role.value, "name": options.name}
    if options.json:
        print_json(told)
    else:
        print(f"version {bundle.version}, bundle {bundle.hash}: signed by {options.name} as {role}")
    return GOOD


def verify_bundle(options: argparse.Namespace) -> int:
    """Whether two pinned officers stand for the bundle; a finding if not."""
    officers = pinned_officers(options.policy_officers)
    try:
        signed = read_signed(options.bundle)
        bundle = verified(signed, officers)
    except (FileRefused, NotActivated) as refused:
        return failed(str(refused), FINDING)
    names = {"author": signed.author.name, "activator": signed.activator.name}
    if options.json:
        print_json({"bundle": bundle.hash, "version": bundle.version, **names})
    else:
        print(
            f"version {bundle.version}, bundle {bundle.hash}: by {names['author']}, to be activated for {names['activator']}: good"
        )
    return GOOD


def read_signed(path: Path) -> SignedBundle:
    """A bundle file and both signatures beside it, not verified yet. FileRefused, OSError."""
    bundle, signatures = read_bundle_file(path), read_signatures(path)
    missing = [role.value for role in Role if role not in signatures]
    if missing:
        raise FileRefused(f"{signatures_of(path)}: nobody signed as {' and '.join(missing)}")
    return SignedBundle(bundle, signatures[Role.AUTHOR], signatures[Role.ACTIVATOR])


def read_bundle_file(path: Path) -> Bundle:
    """FileRefused where it is no bundle in canonical form; OSError."""
    with path.open("rb") as file:
        body = file.read(BUNDLE_MOST + 1)
    try:
        return load(body)
    except ValueError as error:
        raise FileRefused(f"{path}: {error}") from None


def read_signatures(path: Path) -> Mapping[Role, BundleSignature]:
    """What stands beside a bundle file; nothing where there is no such file. FileRefused."""
    beside = signatures_of(path)
    try:
        return parse_signatures(beside.read_bytes()) if beside.exists() else {}
    except ValueError as error:
        raise FileRefused(f"{beside}: {error}") from None


def signatures_of(path: Path) -> Path:
    """The file beside a bundle file."""
    return path.with_name(f"{path.name}.signatures")


def write_bundle(path: Path, bundle: Bundle) -> bool:
    """Write the bundle file, whole or not at all. False where another bundle has this name: what was signed is never replaced."""
    body = bundle.canonical()
    if path.exists():
        return path.read_bytes() == body
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    whole.write_bytes(body)
    whole.replace(path)
    return True


def _files(folder: Path, suffix: str) -> list[RuleFile]:
    """The files of a folder, by name. OSError where there is none; FileRefused for what is no text."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.suffix == suffix):
        try:
            found.append(RuleFile(path.name, path.read_bytes().decode()))  # bytes as they are: line ends differ between systems
        except UnicodeDecodeError as error:
            raise FileRefused(f"{path.name}:{error.object[: error.start].count(10) + 1}: not UTF-8") from None
    return found
