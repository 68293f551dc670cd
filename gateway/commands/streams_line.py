"""The options of `tellergate audit streams`."""

import argparse
from collections.abc import Callable

from gateway.commands.options import data_option, database_option, late


def streams_options(parser: argparse.ArgumentParser, asked_by: Callable[[argparse.ArgumentParser], None]) -> None:
    """Every verb. `asked_by`: adds whose key acts, what for and under which case."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="each stream: how far it is, what it has yet to send, its last error")
    data_option(listing, "folder of the gateway")
    database_option(listing)
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=late("streams", "list_streams"))
    skipping = commands.add_parser("skip", help="let a stream pass over the record at which it stands, on record")
    skipping.add_argument("stream", help="its name")
    skipping.add_argument("record", type=int, help="the record that its receiver refuses, as `audit streams list` tells it")
    asked_by(skipping)
    skipping.set_defaults(command=late("streams", "skip_record"))
