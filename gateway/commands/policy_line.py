"""The verbs of `tellergate policy`, with their options."""

import argparse
from pathlib import Path

from gateway.commands.options import data_option, database_option, from_environment, late, officer_key, path_option

ROLES = ("author", "activator")
ENTRY_ROLES = (*ROLES, "officer", "auditor", "reviewer", "operator")
"""As `policies.officers` has them, which is not imported for `--help`."""
VERSION_MOST = 2**31 - 1
"""As `policies.bundle` has them, which takes long to import for a line of help."""

_OFFICERS_HELP = "TOML file of the officers who may sign, as the setting `policy_officers`"


def policy_verbs(parser: argparse.ArgumentParser) -> None:
    """Every verb: what reviews rules, what makes and signs a bundle, what puts one in force."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _reviewing(commands)
    _signing(commands)
    _activating(commands)


def _reviewing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    checking = commands.add_parser("check", help="would an engine take this bundle? findings with file and line")
    checking.set_defaults(command=late("policy", "check_bundle"))
    testing = commands.add_parser("test", help="does the bundle keep its cases, and do the cases know the bundle?")
    testing.add_argument(
        "--cases", type=Path, help="folder of cases; left out: those in the bundle, of a folder those of this distribution"
    )
    testing.set_defaults(command=late("policy", "test_bundle"))
    comparing = commands.add_parser("diff", help="who would gain what if these rules took the place of others")
    comparing.add_argument(
        "bundles", nargs="*", metavar="BUNDLE", type=Path, help="two bundle files, OLD and NEW; or NEW alone, with --active"
    )
    comparing.add_argument("--active", action="store_true", help="OLD is what is in force on the database of --data")
    comparing.add_argument("--data", type=Path, help="folder of the gateway")
    database_option(comparing)
    comparing.add_argument(
        "--cases", type=Path, help="folder of cases to ask; left out: those of both bundles, of a folder those of this distribution"
    )
    comparing.set_defaults(command=late("policy_difference", "compare"))
    explaining = commands.add_parser("explain", help="one decision in plain words: who decided, what it would take, what was near")
    explaining.add_argument("case_name", nargs="?", metavar="CASE", help="a case by its name")
    explaining.add_argument("--record", type=int, help="instead: the decision of this record of the trail of --data, replayed")
    explaining.add_argument("--data", type=Path, help="folder of the gateway")
    database_option(explaining)
    officer_key(explaining, required=False)
    explaining.add_argument("--purpose", default="explain a decision", help="what for; stands in the trail")
    explaining.add_argument("--case", default="none", help="under which case; stands in the trail")
    explaining.add_argument("--cases", type=Path, help="folder of cases; left out: those of this distribution")
    explaining.set_defaults(command=late("policy", "explain_one"))
    for item in (checking, testing):
        item.add_argument("bundle", nargs="?", metavar="BUNDLE", type=Path, help="a bundle file, as it is signed")
    for item in (checking, testing, comparing, explaining):
        item.add_argument("--rules", type=Path, help="folder of Cedar files; left out: those of this distribution")
        item.add_argument("--json", action="store_true")


def _signing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    building = commands.add_parser("build", help="one bundle file of rules, cases and functions; refused with file and line")
    building.add_argument("--rules", type=Path, required=True, help="folder of Cedar files")
    building.add_argument(
        "--cases", type=Path, required=True, help="folder of cases; they go into the bundle and are signed with it"
    )
    building.set_defaults(command=late("policy_bundles", "build"))
    entering = commands.add_parser(
        "officer", help="print an officer's entry for the file of officers; makes their key if there is none"
    )
    entering.add_argument("--role", action="append", required=True, choices=ENTRY_ROLES)
    entering.set_defaults(command=late("policy_bundles", "officer"))
    signing = commands.add_parser("sign", help="sign a bundle in one of the two roles")
    signing.add_argument("--role", required=True, choices=ROLES)
    signing.set_defaults(command=late("policy_bundles", "sign_bundle"))
    verifying = commands.add_parser("verify", help="did a pinned author and another pinned officer sign this bundle?")
    path_option(verifying, "policy_officers", _OFFICERS_HELP)
    verifying.set_defaults(command=late("policy_bundles", "verify_bundle"))
    for item in (entering, signing):
        item.add_argument("--name", required=True, help="of the officer")
        item.add_argument(
            "--key", type=Path, required=True, help="Ed25519 private key, PEM or 32 bytes, readable by its owner alone"
        )
    for item in (signing, verifying):
        item.add_argument("bundle", type=Path, metavar="BUNDLE", help="its signatures stand beside it, in BUNDLE.signatures")
    for item in (building, entering, signing, verifying):
        item.add_argument("--json", action="store_true")


def _activating(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    activating = commands.add_parser("activate", help="put a signed bundle in force, in every gateway on this database")
    activating.add_argument("bundle", type=Path, metavar="BUNDLE", help="its signatures stand beside it, in BUNDLE.signatures")
    activating.add_argument("--policy-officers", type=Path, help=f"{_OFFICERS_HELP}; left out: as that says")
    activating.add_argument(
        "--functions", type=Path, help="manifest of the declared functions that are served too; left out: as the setting"
    )
    activating.add_argument(
        "--new", action="store_true", dest="makes_folder", help="of a gateway that was never started: make its databases and keys"
    )
    activating.set_defaults(command=late("policy_activations", "activate_bundle"))
    rolling = commands.add_parser("rollback", help="an earlier bundle's rules as a new bundle, to be signed by two and activated")
    rolling.add_argument("--to", type=_version, required=True, metavar="VERSION", help="the activation to go back to")
    rolling.set_defaults(command=late("policy_activations", "rollback"))
    listing = commands.add_parser("list", help="every activation: by whom, when, which is in force")
    listing.set_defaults(command=late("policy_activations", "list_all"))
    building = commands.choices["build"]
    default = from_environment("FUNCTIONS")
    building.add_argument(
        "--functions",
        type=Path,
        default=default and Path(default),
        help="manifest of the declared functions that are served too",
    )
    for item in (building, rolling):
        item.add_argument("--version", type=_version, required=True, help="greater than that of every earlier activation")
        item.add_argument("--author", required=True, help="the officer who will sign as its author")
        item.add_argument("--out", type=Path, required=True, help="file to write; never another bundle that is there already")
    for item in (activating, rolling, listing):
        data_option(item, "folder of the gateway")
        database_option(item)
        item.add_argument("--json", action="store_true")


def _version(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:11]) <= VERSION_MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {VERSION_MOST}")
    return int(text)
