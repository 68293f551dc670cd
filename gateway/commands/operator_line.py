"""The nouns and verbs of who runs a gateway for customers: init, mandates, serve, settings."""

import argparse
from pathlib import Path

from gateway.commands.options import DATABASE_HELP, data_option, database_option, late, officer_key, port

WORKERS_MOST = 64


def operator_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them."""
    _serve(commands.add_parser("serve", help="serve the gateway over HTTP"))
    _init(
        commands.add_parser("init", help="make what a gateway for customers needs: a folder with keys, a settings file to fill in")
    )
    _mandates(commands.add_parser("mandates", help="sign what customers granted to their assistants, and import it"))
    _backups(
        commands.add_parser("backup", help="copy the databases, of one moment, while gateways run"),
        commands.add_parser("restore", help="put a backup into an empty place, and verify it"),
    )
    _code(commands.add_parser("code", help="the code interpreter's worker, a process apart from the gateway"))
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


def _backups(making: argparse.ArgumentParser, restoring: argparse.ArgumentParser) -> None:
    making.add_argument("folder", metavar="DIR", type=Path, help="for the gateway's tables and the log: empty, or not there yet")
    making.add_argument("--keys", metavar="DIR", type=Path, help="for the key store, kept apart; left out: it is not copied")
    making.set_defaults(command=late("backups", "backup"))
    restoring.add_argument("folder", metavar="DIR", type=Path, help="that `tellergate backup` made")
    restoring.add_argument("--keys", metavar="DIR", type=Path, help="its copy of the key store")
    restoring.set_defaults(command=late("backups", "put_back"))
    for item in (making, restoring):
        data_option(item, "folder of the gateway; a restore wants its key files there, and no databases")
        database_option(item)
        item.add_argument("--json", action="store_true")


def _code(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serving = commands.add_parser("serve", help="run code for a gateway that reaches the socket; needs no data, key or network")
    serving.add_argument(
        "--tier", choices=("compute", "python"), default="compute", help="arithmetic in Monty, or a whole Python in jails"
    )
    serving.add_argument("--sessions", type=int, metavar="N", help="sessions at once; left out: 64 of compute, 4 of python")
    serving.add_argument("--at-once", type=int, default=2, metavar="N", help="calls that run at a time; left out: 2")
    serving.add_argument("--call-s", type=int, metavar="SECONDS", help="of one call; left out: 5 of compute, 60 of python")
    serving.add_argument("--idle-s", type=int, default=1200, metavar="SECONDS", help="a session ends so long after its last call")
    serving.add_argument(
        "--memory-mib", type=int, default=1024, metavar="MIB", help="memory of a session of python; left out: 1024"
    )
    serving.add_argument("--group", action="store_true", help="let the socket's group ask, too; left out: its owner alone")
    serving.add_argument("--until-eof", action="store_true", help="end when standard input does, as a child does with its parent")
    serving.set_defaults(command=late("code", "serve"))
    asking = commands.add_parser("status", help="whether a worker takes calls there; 3 if not")
    asking.set_defaults(command=late("code", "status"))
    for item in (serving, asking):
        item.add_argument(
            "--socket", type=Path, required=True, metavar="PATH", help="a Unix socket, in a folder that others cannot write"
        )
        item.add_argument("--json", action="store_true")


def _mandates(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    signing = commands.add_parser("sign", help="print each line of a file with a signature by the mandate key")
    signing.set_defaults(command=late("mandates", "sign"))
    importing = commands.add_parser("import", help="store the signed mandates of a file: all of them, or none; on record")
    officer_key(importing)
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
