"""The `tellergate` command: its words. What they do is in `gateway.commands`, imported when it is run, so that `--help` is quick.

Exit status: 0 good, 1 a finding, 2 usage, 3 unavailable. `--json` for programs.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.commands.printing import UNAVAILABLE, USAGE, failed

CALL_KINDS = ("deny", "read", "intent", "outcome", "unknown", "reconciled")
DUTY_KINDS = ("policy.activate", "key.destroy", "hold.place", "hold.release", "audit.query", "audit.reveal", "audit.export")
KINDS = (*CALL_KINDS, *DUTY_KINDS, "confirmation", "admin", "census", "log.start", "log.stop")
"""Kinds of records that can be asked for."""

WORKERS_MOST = 64

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Command | None = getattr(options, "command", None)
    if command is None:
        parser.print_help(sys.stderr)
        return USAGE
    from sqlalchemy.exc import DatabaseError

    from audit.migration import HistoryUnknown
    from gateway.app.settings import UnsafeSettings

    try:
        return command(options)
    except (UnsafeSettings, HistoryUnknown) as error:
        return failed(f"refused: {error}", USAGE)
    except OSError as error:
        return failed(f"{error.strerror or 'the system refused'}: {error.filename or ''}".rstrip(": "), USAGE)
    except DatabaseError:
        return failed("a database does not answer or is none: in the data folder, or at the address that was given", UNAVAILABLE)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _late(noun: str, verb: str) -> Command:
    def command(options: argparse.Namespace) -> int:
        from importlib import import_module

        status: int = getattr(import_module(f"gateway.commands.{noun}"), verb)(options)
        return status

    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tellergate", description="A teller's window for AI assistants in banks.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _demo(commands.add_parser("demo", help="see a bank assistant's function calls go the whole way"))
    _serve(commands.add_parser("serve", help="serve the window over HTTP"))
    _dev(commands.add_parser("dev", help="development mode only: tokens of the local issuer, the customer's word"))
    _audit(commands.add_parser("audit", help="query, verify, export and reconcile the trail; holds and erasure"))
    _policy(commands.add_parser("policy", help="check, test and explain the policies"))
    _databases(commands.add_parser("database", help="revisions of the databases, and their upgrade"))
    _functions(commands.add_parser("functions", help="what a model may call"))
    _sandbox_bank(commands.add_parser("sandbox-bank", help="serve the sandbox bank over HTTP, as a core in a process of its own"))
    _core_proxy(commands.add_parser("core-proxy", help="stand before a core: nothing passes without a permit of the log"))
    _kill(commands.add_parser("kill", help="stop everything, a customer, an agent or a function, and let it go on"))
    _keys(commands.add_parser("keys", help="public keys for other processes"))
    return parser


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the story; status 0 only if everything held")
    parser.add_argument("--json", action="store_true", help="the story as one JSON object; implies --once")
    parser.add_argument("--data", type=Path, help="folder to keep; left out: a temporary one")
    parser.set_defaults(command=_late("serving", "demo"))


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dev", action="store_true", help="the embedded default: sandbox bank, made-up customers, local issuer unless one is set"
    )
    parser.add_argument("--settings", type=Path, help="TOML file of settings; what is said here wins over it")
    parser.add_argument("--data", type=Path, help="folder of the databases and keys")
    _database(parser)
    parser.add_argument(
        "--workers", type=_workers, default=1, help="processes on one address; more than one needs PostgreSQL and a core"
    )
    parser.add_argument("--host", help="127.0.0.1 if nothing else is said")
    parser.add_argument("--port", type=int, help="8080 if nothing else is said; 0 takes a free one")
    parser.add_argument("--audit-wait-ms", type=int, help="how long the log may take before a call is refused")
    parser.add_argument("--core-url", help="base URL of the core, or of its proxy; left out: the embedded sandbox bank")
    parser.add_argument("--core-credential-file", type=Path, help="file with the bearer token for it, readable by its owner alone")
    parser.add_argument("--functions", type=Path, help="YAML manifest of functions behind an HTTP upstream; see `functions check`")
    parser.add_argument("--functions-credential-file", type=Path, help="file with the bearer token for that upstream")
    parser.add_argument("--model-url", help="base URL of the model behind the assistants; left out: nothing can be run")
    parser.add_argument("--model-api", choices=("chat", "responses"), help="which API it speaks; left out: chat")
    parser.add_argument("--model-credential-file", type=Path, help="file with the bearer token for it")
    parser.add_argument("--otlp-endpoint", help="base URL of an OpenTelemetry collector; needs the extra `otlp`")
    parser.add_argument("--json", action="store_true", help="say where it listens as JSON")
    parser.set_defaults(command=_late("serving", "serve"))


def _sandbox_bank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the bank's database")
    _listening(parser)
    trusting = parser.add_mutually_exclusive_group(required=True)
    trusting.add_argument("--permit-key", type=Path, help="file of `keys permits`: the bank verifies permits itself")
    trusting.add_argument("--trust-credential", action="store_true", help="behind a core-proxy: whoever has the credential may act")
    parser.set_defaults(command=_late("cores", "sandbox_bank"))


def _core_proxy(parser: argparse.ArgumentParser) -> None:
    _listening(parser)
    parser.add_argument("--permit-key", type=Path, required=True, help="file of `keys permits`")
    parser.add_argument("--bank-url", required=True, help="base URL of the core: https, or http on loopback")
    parser.add_argument("--bank-credential-file", type=Path, required=True, help="file with the bearer token for it")
    parser.set_defaults(command=_late("cores", "core_proxy"))


def _listening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM; needed beyond loopback")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument("--credential-file", type=Path, required=True, help="who may ask; made on first use, private to its owner")
    parser.add_argument("--json", action="store_true", help="say where it listens as JSON")


def _keys(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    permits = commands.add_parser("permits", help="what a core or its proxy verifies permits with: the log's origin and public key")
    permits.add_argument("--data", type=Path, required=True, help="folder of the gateway; a new one gets its keys")
    _database(permits)
    permits.add_argument("--out", type=Path, help="file to write instead of printing")
    permits.set_defaults(command=_late("cores", "permit_key"))
    webhook = commands.add_parser("webhook", help="the public key with which a receiver of `call.settled` verifies it")
    webhook.add_argument("--data", type=Path, required=True, help="folder of the gateway; a new one gets its key")
    webhook.set_defaults(command=_late("cores", "webhook_public_key"))


def _kill(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    engaging = commands.add_parser("engage", help="stop it, within a second, in every worker; works when no gateway answers")
    engaging.set_defaults(command=_late("kill_switches", "engage"))
    what = engaging.add_mutually_exclusive_group(required=True)
    what.add_argument("--global", action="store_true", help="every function of every customer, but for what protects them")
    for scope in ("customer", "agent", "function"):
        what.add_argument(f"--{scope}", help=f"this {scope} alone")
    lifting = commands.add_parser("lift", help="one officer's lift; it takes those of two different officers")
    lifting.add_argument("id", metavar="ID", help="as `kill list` shows it")
    lifting.set_defaults(command=_late("kill_switches", "lift"))
    listing = commands.add_parser("list", help="what is engaged")
    listing.set_defaults(command=_late("kill_switches", "list_all"))
    for item in (engaging, lifting):
        item.add_argument("--officer", required=True, help="who does it; believed, and stands in the trail")
        item.add_argument("--reason", required=True, help="why; stands in the trail")
    for item in (engaging, lifting, listing):
        item.add_argument("--data", type=Path, required=True, help="folder of the gateway")
        _database(item)
        item.add_argument("--json", action="store_true")


def _dev(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    token = commands.add_parser("token", help="print a bearer token")
    token.add_argument("--data", type=Path, required=True, help="the folder of `serve --dev`")
    token.add_argument("--customer", required=True)
    who = token.add_mutually_exclusive_group(required=True)
    who.add_argument("--agent", help="the assistant that acts for the customer")
    who.add_argument("--words", action="store_true", help="the customer's own: scope customer_words, no agent")
    who.add_argument("--threads", action="store_true", help="the customer's own, for threads and runs and their words; no agent")
    who.add_argument("--assistants", action="store_true", help="the back end's, to make assistants; --customer is its name then")
    token.add_argument("--level", choices=("L1", "L2"), default="L1", help="L2: as after a sign-in with two factors, just now")
    token.add_argument("--json", action="store_true")
    token.set_defaults(command=_late("serving", "dev_token"))
    confirming = commands.add_parser("confirm", help="confirm as the customer: with a passkey in software, enrolled if needed")
    declining = commands.add_parser("decline", help="decline as the customer")
    for item, verb in ((confirming, "confirm"), (declining, "decline")):
        item.add_argument("id", metavar="ID", help="the confirmation_id of a held call")
        item.add_argument("--customer", required=True)
        item.add_argument("--data", type=Path, required=True, help="the folder of `serve --dev`")
        item.add_argument("--url", default="http://127.0.0.1:8080", help="where it listens")
        item.add_argument("--json", action="store_true")
        item.set_defaults(command=_late("confirmations", verb))


def _audit(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    question = commands.add_parser("query", help="the records that match")
    _asked_by(question)
    _matching(question)
    question.add_argument("--limit", type=int, default=100, help="records of a page, 1 to 500")
    question.add_argument("--cursor", help="where the last page ended")
    question.set_defaults(command=_late("audit", "query"))
    opening = commands.add_parser("reveal", help="open what is sealed of one record")
    opening.add_argument("index", type=int)
    _asked_by(opening)
    opening.set_defaults(command=_late("audit", "reveal_one"))
    checking = commands.add_parser("verify", help="verify a bundle, or the live log of a folder")
    checking.add_argument("bundle", type=Path, nargs="?", help="an evidence bundle")
    checking.add_argument("--data", type=Path, help="the folder of a live log, instead of a bundle")
    _database(checking)
    checking.add_argument("--trust", type=Path, help="the trust policy, got on another way than the bundle")
    checking.add_argument("--pinned", type=Path, help="a checkpoint of this log that you kept")
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(command=_late("audit", "verify_trail"))
    keeping = commands.add_parser("checkpoint", help="print the latest published checkpoint: keep it, to pin later exports to it")
    keeping.add_argument("--data", type=Path, required=True, help="folder of the gateway")
    _database(keeping)
    keeping.add_argument("--json", action="store_true")
    keeping.set_defaults(command=_late("audit", "checkpoint"))
    proving = commands.add_parser("evidence", help="verify that a passkey confirmed exactly this: what `reveal --json` printed")
    proving.add_argument("file", type=Path, help="JSON with the intent and its evidence")
    proving.add_argument("--rp-id", required=True, help="the bank's WebAuthn relying party id")
    proving.add_argument("--origin", action="append", required=True, help="an origin where customers confirm; may be repeated")
    proving.add_argument("--public-key", help="the COSE_Key that it must be, base64url")
    proving.add_argument("--json", action="store_true")
    proving.set_defaults(command=_late("audit", "verify_evidence"))
    making = commands.add_parser("export", help="write an evidence bundle: matches, or the whole log")
    _asked_by(making)
    _matching(making)
    making.add_argument("--out", type=Path, required=True, help="file to write")
    making.add_argument("--reveal", action="store_true", help="with what is sealed, opened")
    making.add_argument("--trust-out", type=Path, help="write the public keys apart, to be handed over on another way")
    making.set_defaults(command=_late("audit", "export_bundle"))
    holding = commands.add_parser("hold", help="place a legal hold, which forbids erasure, or release it")
    holding.add_argument("--hold", required=True, help="its name")
    holding.add_argument("--release", action="store_true")
    holding.set_defaults(command=_late("audit", "hold"))
    comparing = commands.add_parser("reconcile", help="the log's intents against what the core says that it did")
    _asked_by(comparing)
    comparing.add_argument("--since", help="inclusive, ISO 8601; left out: the last day")
    comparing.add_argument("--core-url", help="base URL of the core; left out: the embedded sandbox bank of the folder")
    comparing.add_argument(
        "--core-credential-file", type=Path, help="file with the bearer token for it, readable by its owner alone"
    )
    comparing.set_defaults(command=_late("reconciliation", "reconcile"))
    erasing = commands.add_parser("erase", help="destroy a customer's keys, sealed values and mapping")
    erasing.set_defaults(command=_late("audit", "erase"))
    for item in (holding, erasing):
        item.add_argument("--customer", required=True)
        _asked_by(item)


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= WORKERS_MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {WORKERS_MOST}")
    return int(text)


def _databases(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    showing = commands.add_parser("status", help="the revision of each database, and the one that this version needs")
    showing.set_defaults(command=_late("databases", "status"))
    upgrading = commands.add_parser("upgrade", help="bring each database to the revision that this version needs")
    upgrading.set_defaults(command=_late("databases", "upgrade"))
    for item in (showing, upgrading):
        item.add_argument("--data", type=Path, required=True, help="folder of the gateway")
        _database(item)
        item.add_argument("--json", action="store_true")


def _database(parser: argparse.ArgumentParser) -> None:
    told = "PostgreSQL address instead of files in the folder; better said in the variable TELLERGATE_DATABASE, since it holds a password"
    parser.add_argument("--database", default=os.environ.get("TELLERGATE_DATABASE", ""), help=told)


def _asked_by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the gateway")
    _database(parser)
    parser.add_argument("--auditor", required=True, help="who asks; stands in the trail")
    parser.add_argument("--purpose", required=True, help="what for; stands in the trail")
    parser.add_argument("--case", required=True, help="under which case; stands in the trail")
    parser.add_argument("--json", action="store_true")


def _matching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", help="inclusive, ISO 8601")
    parser.add_argument("--until", help="exclusive, ISO 8601")
    parser.add_argument("--kind", action="append", choices=KINDS)
    for name in ("call", "conversation", "trace", "function", "policy", "bundle", "customer"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--decision", choices=("permit", "challenge", "deny"))
    parser.add_argument("--end-state", choices=("executed", "rejected_by_core", "not_attempted", "outcome_unknown"))


def _policy(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    checking = commands.add_parser("check", help="would an engine take this bundle? findings with file and line")
    checking.set_defaults(command=_late("policy", "check_bundle"))
    testing = commands.add_parser("test", help="does the bundle keep its cases, and do the cases know the bundle?")
    testing.add_argument("--cases", type=Path, help="folder of cases; left out: those of this distribution")
    testing.set_defaults(command=_late("policy", "test_bundle"))
    comparing = commands.add_parser("diff", help="who would gain what if these rules took the place of the present ones")
    comparing.add_argument("--cases", type=Path, help="folder of cases to ask; left out: those of this distribution")
    comparing.set_defaults(command=_late("policy", "compare"))
    explaining = commands.add_parser("explain", help="one decision in plain words: who decided, what it would take, what was near")
    explaining.add_argument("case_name", nargs="?", metavar="CASE", help="a case by its name")
    explaining.add_argument("--record", type=int, help="instead: the decision of this record of the trail of --data, replayed")
    explaining.add_argument("--data", type=Path, help="folder of the gateway")
    _database(explaining)
    explaining.add_argument("--auditor", help="who asks; stands in the trail")
    explaining.add_argument("--purpose", default="explain a decision", help="what for; stands in the trail")
    explaining.add_argument("--case", default="none", help="under which case; stands in the trail")
    explaining.add_argument("--cases", type=Path, help="folder of cases; left out: those of this distribution")
    explaining.set_defaults(command=_late("policy", "explain_one"))
    for item in (checking, testing, comparing, explaining):
        item.add_argument("--rules", type=Path, help="folder of Cedar files; left out: those of this distribution")
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
    importing.add_argument("--out", type=Path, help="file to write instead of printing")
    for item in (checking, importing):
        item.add_argument("file", type=Path)
    defining = commands.add_parser("definitions", help="definitions for one API, as JSON")
    defining.add_argument("shape", choices=("assistants", "responses", "chat", "agents", "mcp"))
    defining.set_defaults(command=_late("functions", "definitions_for"))
    page = commands.add_parser("reference", help="the reference page, in Markdown")
    page.set_defaults(command=_late("functions", "reference"))
    schema = commands.add_parser("schema", help="the Cedar schema of the policies")
    schema.set_defaults(command=_late("functions", "schema"))
    for item in (listing, defining, page, schema):
        item.add_argument("--functions", type=Path, help="with those of this manifest")


if __name__ == "__main__":
    sys.exit(main())
