"""The nouns and verbs of who runs a gateway for customers: init, mandates, serve, settings."""

import argparse
from pathlib import Path

from gateway.commands.options import DATABASE_HELP, data_option, database_option, late, port

WORKERS_MOST = 64


def operator_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them."""
    _serve(commands.add_parser("serve", help="serve the gateway over HTTP"))
    _init(
        commands.add_parser("init", help="make what a gateway for customers needs: a folder with keys, a settings file to fill in")
    )
    _mandates(commands.add_parser("mandates", help="sign what customers granted to their assistants, and import it"))
    _settings(commands.add_parser("settings", help="what is wrong with the settings, and where each comes from"))


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--production", action="store_true", required=True, help="for customers; development mode makes its folder by itself"
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder that is not there yet, or empty and its owner's alone")
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        help="file with the passphrase that seals the keys, outside of the folder; left out: TELLERGATE_KEY_PASSPHRASE_FILE, or the "
        "systemd credential `tellergate-keys`",
    )
    parser.add_argument("--pkcs11-module", type=Path, help="make the keys in a token instead: the PKCS #11 library of its maker")
    parser.add_argument("--pkcs11-token", help="the label of that token")
    parser.add_argument(
        "--pkcs11-pin-file",
        type=Path,
        help="file with the PIN of its user; left out: the systemd credential `tellergate-pkcs11-pin`",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=late("init", "init"))


def _mandates(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    signing = commands.add_parser("sign", help="print each line of a file with a signature by the mandate key")
    signing.set_defaults(command=late("mandates", "sign"))
    importing = commands.add_parser("import", help="store the signed mandates of a file: all of them, or none; on record")
    importing.add_argument("--officer", required=True, help="who does it; believed, and stands in the trail")
    importing.set_defaults(command=late("mandates", "import_file"))
    listing = commands.add_parser("list", help="what customers' assistants may do, and whether it is in force")
    listing.add_argument("--customer", help="of this customer alone")
    listing.add_argument("--after", default="", help="of customers behind this one, as `next` of a page says")
    listing.add_argument("--limit", type=_page, default=100, help="customers of a page, at most 1000; default 100")
    listing.add_argument("--json", action="store_true")
    data_option(listing, "folder of the gateway")
    database_option(listing)
    listing.set_defaults(command=late("mandates", "list_all"))
    for item in (signing, importing):
        item.add_argument("file", type=Path, help="JSON lines, a mandate each")
        data_option(item, "folder of the gateway")
        item.add_argument(
            "--json", action="store_true", help="what was imported and refused as JSON; signed lines are JSON in any case"
        )
    database_option(importing)


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dev", action="store_true", help="the embedded default: sandbox bank, made-up customers, local issuer unless one is set"
    )
    _said(parser)
    parser.set_defaults(command=_serving, makes_folder=True)


def _serving(options: argparse.Namespace) -> int:
    """One of two modules: what serves customers imports nothing of development mode."""
    return late("development" if options.dev else "serving", "serve")(options)


def _settings(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    checking = commands.add_parser("check", help="everything that is missing or unsafe for customers, at once")
    checking.set_defaults(command=late("settings_check", "check"), makes_folder=True)
    showing = commands.add_parser("show", help="each setting, its value without passwords, and where it comes from")
    showing.set_defaults(command=late("settings", "show"), makes_folder=True)
    for item in (checking, showing):
        _said(item)


def _said(parser: argparse.ArgumentParser) -> None:
    """The options that say settings."""
    parser.add_argument(
        "--config",
        type=Path,
        help="TOML file of settings; left out: TELLERGATE_CONFIG, else tellergate.toml in the data folder, where there is one. "
        "The environment (TELLERGATE_<SETTING>) wins over it, and what is said here over both",
    )
    parser.add_argument("--data", type=Path, help="folder of the databases and keys")
    parser.add_argument("--database", help=DATABASE_HELP)
    parser.add_argument("--workers", type=_workers, help="processes on one address, default 1; more need PostgreSQL and a core")
    parser.add_argument("--host", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", type=port, help="default 8080; 0 takes a free one")
    parser.add_argument("--audit-wait-ms", type=int, help="how long the log may take before a call is refused")
    parser.add_argument("--core-url", help="base URL of the core, or of its proxy; left out: the embedded sandbox bank")
    parser.add_argument("--core-credential-file", type=Path, help="file with the bearer token for it, readable by its owner alone")
    parser.add_argument("--functions", type=Path, help="YAML manifest of functions behind an HTTP upstream; see `functions check`")
    parser.add_argument("--functions-credential-file", type=Path, help="file with the bearer token for that upstream")
    parser.add_argument(
        "--model-url",
        help="base URL of the model behind the assistants; left out: a scripted stand-in in development mode, else nothing can be run",
    )
    parser.add_argument("--model-api", choices=("chat", "responses"), help="which API it speaks; left out: chat")
    parser.add_argument("--model-credential-file", type=Path, help="file with the bearer token for it")
    parser.add_argument("--otlp-endpoint", help="base URL of an OpenTelemetry collector; needs the extra `otlp`")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _page(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000")
    return int(text)


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= WORKERS_MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {WORKERS_MOST}")
    return int(text)
