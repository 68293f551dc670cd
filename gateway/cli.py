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

GOOD, FINDING, USAGE, UNAVAILABLE = 0, 1, 2, 3

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
