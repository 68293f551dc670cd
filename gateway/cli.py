"""The `tellergate` command. Exit status: 0 good, 1 a finding, 2 usage, 3 unavailable. `--json` for programs.

Slow imports stand inside the commands, so that `--help` is quick.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

KINDS = ("deny", "read", "intent", "outcome", "unknown", "reconciled", "policy.activate", "key.destroy", "hold.place", "hold.release")
KINDS += ("audit.query", "audit.reveal", "audit.export", "census", "log.start", "log.stop")

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Command | None = getattr(options, "command", None)
    if command is None:
        parser.print_help(sys.stderr)
        return USAGE
    from sqlalchemy.exc import OperationalError

    from gateway.settings import UnsafeSettings

    try:
        return command(options)
    except UnsafeSettings as error:
        return _failed(f"refused to start: {error}", USAGE)
    except OperationalError:
        return _failed("a database of the data folder does not answer", UNAVAILABLE)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return GOOD


def _failed(message: str, status: int) -> int:
    print(f"tellergate: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tellergate", description="A teller's window for AI assistants in banks.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _demo_arguments(commands.add_parser("demo", help="see a bank assistant's function calls go the whole way"))
    _serve_arguments(commands.add_parser("serve", help="serve the window over HTTP"))
    _dev_arguments(commands.add_parser("dev", help="development mode only: tokens of the local issuer"))
    _audit_arguments(commands.add_parser("audit", help="query, verify and export the trail"))
    return parser


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the story; status 0 only if everything held")
    parser.add_argument("--json", action="store_true", help="the story as one JSON object")
    parser.add_argument("--data", type=Path, help="folder to keep; left out: a temporary one")
    parser.set_defaults(command=_demo)


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dev", action="store_true", help="the embedded default: sandbox bank, local issuer, made-up customers")
    parser.add_argument("--data", type=Path, required=True, help="folder of the databases and keys")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--json", action="store_true", help="say where it listens as JSON")
    parser.set_defaults(command=_serve)


def _dev_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    token = commands.add_parser("token", help="print a bearer token")
    token.add_argument("--data", type=Path, required=True, help="the folder of `serve --dev`")
    token.add_argument("--customer", required=True)
    who = token.add_mutually_exclusive_group(required=True)
    who.add_argument("--agent", help="the assistant that acts for the customer")
    who.add_argument("--words", action="store_true", help="the customer's own: scope customer_words, no agent")
    token.add_argument("--level", choices=("L1", "L2"), default="L1", help="L2: as after a sign-in with two factors, just now")
    token.add_argument("--json", action="store_true")
    token.set_defaults(command=_dev_token)


def _audit_arguments(parser: argparse.ArgumentParser) -> None:
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
    checking.add_argument("--trust", type=Path, help="the trust policy, got on another way than the bundle")
    checking.add_argument("--pinned", type=Path, help="a checkpoint of this log that you kept")
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(command=_late("audit", "verify_trail"))
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
    erasing = commands.add_parser("erase", help="destroy a customer's keys, sealed values and mapping")
    erasing.set_defaults(command=_late("audit", "erase"))
    for each in (holding, erasing):
        each.add_argument("--customer", required=True)
        _asked_by(each)


def _asked_by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the gateway")
    parser.add_argument("--auditor", required=True, help="who asks; stands in the trail")
    parser.add_argument("--purpose", required=True, help="what for; stands in the trail")
    parser.add_argument("--case", required=True, help="under which case; stands in the trail")
    parser.add_argument("--json", action="store_true")


def _matching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", help="inclusive, ISO 8601")
    parser.add_argument("--until", help="exclusive, ISO 8601")
    parser.add_argument("--kind", action="append", choices=KINDS)
    for name in ("customer", "call", "conversation", "trace", "function", "policy", "bundle"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--decision", choices=("permit", "challenge", "deny"))
    parser.add_argument("--end-state", choices=("executed", "rejected_by_core", "not_attempted", "outcome_unknown"))


def _late(noun: str, verb: str) -> Command:
    """A command of `gateway.commands`, imported when it is run: they are slow to load."""

    def command(options: argparse.Namespace) -> int:
        from importlib import import_module

        status: int = getattr(import_module(f"gateway.commands.{noun}"), verb)(options)
        return status

    return command


def _demo(options: argparse.Namespace) -> int:
    from gateway.demo import demo

    return demo(once=options.once, as_json=options.json, data=options.data)


def _serve(options: argparse.Namespace) -> int:
    from gateway.main import Gateway, serve
    from gateway.settings import Settings, UnsafeSettings, development

    if not options.dev:
        settings = Settings(data=options.data, development=False, host=options.host, port=options.port)
        settings.checked()
        raise UnsafeSettings("only --dev can be served: this version has no external issuer and no external core yet")
    settings = development(options.data, host=options.host, port=options.port)

    def started(url: str, _gateway: Gateway, _stop: Callable[[], None]) -> None:
        if options.json:
            print(json.dumps({"url": url, "data": str(options.data), "mode": "development"}), flush=True)
            return
        print(f"Tellergate listens on {url}  (development mode: made-up customers, never real ones)", flush=True)
        print(f"a token:  tellergate dev token --data {options.data} --customer alice --agent demo --level L2", flush=True)

    asyncio.run(serve(settings, started=started))
    return GOOD


def _dev_token(options: argparse.Namespace) -> int:
    from gateway.issuer import LocalIssuer

    if not (options.data / "dev").is_dir():
        return _failed("this folder has no local issuer; start it with `tellergate serve --dev --data FOLDER`", USAGE)
    issuer = LocalIssuer(options.data, development=True)
    agent = None if options.words else options.agent
    token = issuer.token(options.customer, agent=agent, strong=options.level == "L2", words=options.words)
    print(json.dumps({"token": token}) if options.json else token)
    return GOOD


if __name__ == "__main__":
    sys.exit(main())
