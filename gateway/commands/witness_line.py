"""The verbs of `tellergate witness`, with their options."""

import argparse
from pathlib import Path

from gateway.commands.options import late, port


def monitor_options(parser: argparse.ArgumentParser) -> None:
    """Add what `audit monitor` takes."""
    parser.add_argument("url", help="the log's prefix, https://HOST/tlog; http on loopback")
    parser.add_argument("--log-key", nargs="+", required=True, metavar="VKEY", help="all keys that the log signs by")
    parser.add_argument(
        "--state", type=Path, required=True, metavar="FILE", help="the last checkpoint that held; made on first use"
    )
    parser.add_argument("--witness", nargs="+", metavar="VKEY", help="keys of the witnesses that you trust")
    parser.add_argument("--witness-quorum", type=int, metavar="N", help="so many of them must cosign; left out: all")
    parser.add_argument("--slack", type=int, default=30, metavar="SECONDS", help="beyond a minute, until silence is a finding")
    parser.add_argument("--once", action="store_true", help="check once; status 0 only if everything held")
    parser.add_argument("--every", type=int, default=10, metavar="SECONDS", help="between checks; left out: 10")
    parser.add_argument(
        "--ca", type=Path, help="PEM file of whose certificates the log's host is believed by; left out: the system's"
    )
    parser.add_argument("--client-cert", type=Path, help="PEM file of your certificate, where the host asks for one")
    parser.add_argument("--client-key", type=Path, help="its private key, PEM")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each time")
    parser.set_defaults(command=late("monitor", "monitor"))


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
