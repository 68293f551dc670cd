"""The nouns and verbs of the `tellergate` command, with their options. What a verb does is imported when it is run."""

import argparse
from importlib.metadata import version
from pathlib import Path

from gateway.commands.approvals_line import approvals_options
from gateway.commands.audit_line import audit_options, core_options
from gateway.commands.keys_line import keys_options
from gateway.commands.operator_line import operator_commands
from gateway.commands.options import data_option as _data
from gateway.commands.options import database_option as _database
from gateway.commands.options import late as _late
from gateway.commands.options import officer_key
from gateway.commands.options import port as _port
from gateway.commands.policy_line import policy_verbs
from gateway.commands.printing import GOOD, USAGE, failed
from gateway.commands.witness_line import witness_options
from gateway.domain.principal import SCOPES


def command_line() -> argparse.ArgumentParser:
    """The parser of every noun and verb."""
    parser = argparse.ArgumentParser(prog="tellergate", description="A secure function-calling gateway for banks.")
    parser.add_argument("--version", action="version", version=f"tellergate {version('tellergate')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _demo(commands.add_parser("demo", help="a bank assistant's function calls, from the model to the signed record"))
    operator_commands(commands)
    _dev(commands.add_parser("dev", help="development mode only: tokens of the local issuer, confirming as a customer"))
    audit_options(commands.add_parser("audit", help="query, verify, export and reconcile the trail; holds and erasure"))
    approvals_options(commands.add_parser("approvals", help="what one person asks and another approves"))
    policy_verbs(commands.add_parser("policy", help="check, test, build, sign and activate the policies"))
    _databases(commands.add_parser("database", help="revisions of the databases, and their upgrade"))
    _functions(commands.add_parser("functions", help="what a model may call"))
    _sandbox_bank(commands.add_parser("sandbox-bank", help="serve the sandbox bank over HTTP, as a core in a process of its own"))
    _core_proxy(commands.add_parser("core-proxy", help="a proxy before a core: nothing passes without a permit of the log"))
    _kill(commands.add_parser("kill", help="stop everything, a customer, an agent or a function, and let it go on"))
    keys_options(
        commands.add_parser("keys", help="list, seal and rotate keys; public keys for other processes"), _data, _database, _late
    )
    witness_options(commands.add_parser("witness", help="watch logs of others, and cosign their heads; needs nothing of a gateway"))
    _completion(commands.add_parser("completion", help="print what completes these commands in a shell"))
    return parser


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(command=_complete)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the story; status 0 only if everything held")
    parser.add_argument("--json", action="store_true", help="the story as one JSON object; implies --once")
    parser.add_argument("--data", type=Path, help="folder to keep; left out: a temporary one")
    parser.set_defaults(command=_late("development", "demo"), makes_folder=True)


def _sandbox_bank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the bank's database")
    _listening(parser)
    trusting = parser.add_mutually_exclusive_group(required=True)
    trusting.add_argument("--permit-key", type=Path, help="file of `keys permits`: the bank verifies permits itself")
    trusting.add_argument("--trust-credential", action="store_true", help="behind a core-proxy: whoever has the credential may act")
    parser.set_defaults(command=_late("cores", "sandbox_bank"), makes_folder=True)


def _core_proxy(parser: argparse.ArgumentParser) -> None:
    _listening(parser)
    parser.add_argument("--permit-key", type=Path, required=True, help="file of `keys permits`")
    parser.add_argument("--bank-url", required=True, help="base URL of the core: https, or http on loopback")
    parser.add_argument("--bank-credential-file", type=Path, required=True, help="file with the bearer token for it")
    parser.set_defaults(command=_late("cores", "core_proxy"))


def _listening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8081, help="default 8081; 0 takes a free one")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM; needed beyond loopback")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument("--credential-file", type=Path, required=True, help="who may ask; made on first use, private to its owner")
    parser.add_argument("--json", action="store_true", help="say where it listens as JSON")


def _kill(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    engaging = commands.add_parser("engage", help="stop it, within a second, in every worker; works when no gateway answers")
    engaging.set_defaults(command=_late("kill_switches", "engage"))
    what = engaging.add_mutually_exclusive_group(required=True)
    what.add_argument("--global", action="store_true", help="every function of every customer, but for what protects them")
    for scope in ("customer", "client", "agent", "function"):
        what.add_argument(f"--{scope}", help=f"this {scope} alone")
    lifting = commands.add_parser("lift", help="one officer's lift; it takes those of two different officers")
    lifting.add_argument("id", metavar="ID", help="as `kill list` shows it")
    lifting.set_defaults(command=_late("kill_switches", "lift"))
    listing = commands.add_parser("list", help="what is engaged")
    listing.set_defaults(command=_late("kill_switches", "list_all"))
    for item in (engaging, lifting):
        officer_key(item)
        item.add_argument("--reason", required=True, help="why; stands in the trail")
    for item in (engaging, lifting, listing):
        _data(item, "folder of the gateway")
        _database(item)
        item.add_argument("--json", action="store_true")


def _dev(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    token = commands.add_parser("token", help="print an access token of the local issuer")
    token.add_argument("--customer", help="whose token it is; left out for a token of the back end's own, named by --client")
    token.add_argument("--agent", help="the assistant that acts for the customer; left out for the customer's own token")
    token.add_argument("--client", help="client id of the back end; left out: dev-app")
    token.add_argument(
        "--scope",
        nargs="+",
        choices=SCOPES,
        metavar="SCOPE",
        help=f"one or more of {', '.join(SCOPES)}; left out: function_calls",
    )
    token.add_argument("--level", choices=("L1", "L2"), default="L1", help="L2: as after a two-factor sign-in, just now")
    token.add_argument("--environment", action="store_true", help="as lines of a shell, for clients of each API that is served")
    token.add_argument("--url", help="where the gateway listens; left out: where the one on this folder does")
    token.set_defaults(command=_late("tokens", "dev_token"))
    confirming = commands.add_parser("confirm", help="confirm as the customer: with a software passkey, enrolled if needed")
    declining = commands.add_parser("decline", help="decline as the customer")
    for item, verb in ((confirming, "confirm"), (declining, "decline")):
        item.add_argument("id", metavar="ID", help="the confirmation_id of a held call")
        item.add_argument("--customer", required=True)
        item.add_argument("--url", help="where the gateway listens; left out: where the one on this folder does")
        item.set_defaults(command=_late("confirmations", verb))
    for item in (token, confirming, declining):
        _data(item, "the folder of `serve --dev`")
        _database(item)
        item.add_argument("--json", action="store_true")


def _databases(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    showing = commands.add_parser("status", help="the revision of each database, and the one that this version needs")
    showing.set_defaults(command=_late("databases", "status"))
    upgrading = commands.add_parser("upgrade", help="bring each database to the revision that this version needs")
    upgrading.set_defaults(command=_late("databases", "upgrade"))
    recovering = commands.add_parser("recover", help="after a restore: stop everything, and put back what the log knows")
    officer_key(recovering)
    recovering.add_argument(
        "--records-lost",
        action="store_true",
        help="no newer copy of the log is left anywhere: it goes on from what it has, and says so on record",
    )
    recovering.set_defaults(command=_late("database_recovery", "recover"))
    core_options(recovering)
    granting = commands.add_parser("roles", help="the rights that roles of PostgreSQL need: the gateway's, and that of commands")
    granting.add_argument("--gateway", metavar="ROLE", help="by which gateways run")
    granting.add_argument("--operator", metavar="ROLE", help="by which commands run that activate, erase and recover")
    granting.add_argument(
        "--execute", action="store_true", help="grant them, by the owner whose address is given; else they are printed"
    )
    granting.set_defaults(command=_late("databases", "roles"))
    for item in (showing, upgrading, recovering, granting):
        _data(item, "folder of the gateway")
        _database(item)
        item.add_argument("--json", action="store_true")


def _functions(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="every function with its effect and level")
    listing.set_defaults(command=_late("functions", "list_all"))
    listing.add_argument("--json", action="store_true")
    checking = commands.add_parser("check", help="would this manifest of declared functions be served? findings with their lines")
    checking.set_defaults(command=_late("functions", "check"))
    checking.add_argument("--json", action="store_true")
    importing = commands.add_parser(
        "import-openapi", help="draft a manifest from a description in OpenAPI 3; what it cannot know is open"
    )
    importing.set_defaults(command=_late("functions", "import_openapi"))
    tools = commands.add_parser(
        "import-mcp", help="draft a manifest over the tools of an MCP server; who serves them decides what is open"
    )
    tools.set_defaults(command=_late("functions", "import_mcp"))
    tools.add_argument("source", help="the URL of its endpoint, or a file with the result of its `tools/list`")
    tools.add_argument("--credential-file", type=Path, help="file with the bearer token that the server asks for")
    for item in (importing, tools):
        item.add_argument("--out", type=Path, help="file to write instead of printing; never one that is there already")
        item.add_argument("--json", action="store_true")
    for item in (checking, importing):
        item.add_argument("file", type=Path)
    defining = commands.add_parser("definitions", help="definitions for one API, as JSON")
    defining.add_argument("shape", choices=("assistants", "responses", "chat", "agents", "mcp"))
    defining.set_defaults(command=_late("functions", "definitions_for"))
    page = commands.add_parser("reference", help="the reference page, in Markdown")
    page.set_defaults(command=_late("functions", "reference"))
    schema = commands.add_parser("schema", help="the Cedar schema of the policies")
    schema.set_defaults(command=_late("functions", "schema"))
    for item in (defining, page, schema):
        item.add_argument("--json", action="store_true")
    for item in (listing, defining, page, schema):
        item.add_argument("--functions", type=Path, help="with those of this manifest")


def _complete(options: argparse.Namespace) -> int:
    """Print what completes these commands in a shell."""
    try:
        import shtab
    except ImportError:
        return failed("the extra `completion` is not installed: pip install 'tellergate[completion]'", USAGE)
    print(shtab.complete(command_line(), shell=options.shell))
    return GOOD
