"""The verbs of `tellergate witness`, with their options."""

import argparse
from pathlib import Path

from gateway.commands.options import late, port


def witness_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    making = commands.add_parser("keygen", help="make the keys of a new witness, and print what others are told of it")
    making.add_argument("--name", required=True, help="its name for ever, an address without scheme: witness.example.com/w1")
    making.set_defaults(command=late("witness", "keygen"))
    adding = commands.add_parser("add-log", help="cosign for a log from now on, or know it by other keys")
    adding.add_argument("vkey", nargs="+", help="all keys that the log signs by; each must be of its origin")
    adding.set_defaults(command=late("witness", "add_log"))
    showing = commands.add_parser("status", help="its keys, its logs, and what it cosigned last")
    showing.set_defaults(command=late("witness", "status"))
    serving = commands.add_parser("serve", help="cosign over HTTP, as C2SP tlog-witness says")
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=port, default=8082, help="default 8082; 0 takes a free one")
    serving.add_argument("--tls-cert", type=Path, help="certificate chain, PEM; needed beyond loopback")
    serving.add_argument("--tls-key", type=Path, help="its private key, PEM")
    serving.set_defaults(command=late("witness", "serve"))
    for item in (making, adding, showing, serving):
        item.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder of the witness: its keys and its file")
        item.add_argument("--json", action="store_true")
