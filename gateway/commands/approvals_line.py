"""The options of `tellergate approvals`."""

import argparse

from gateway.commands.options import data_option, database_option, late, officer_key
from gateway.domain.duties import Duty


def approvals_options(parser: argparse.ArgumentParser) -> None:
    """Every verb."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asking = commands.add_parser("ask", help="ask ahead; what needs an approval also asks by itself when it is typed")
    duties = [duty.value for duty in Duty if duty.rule.needs_approval]
    asking.add_argument("duty", metavar="DUTY", choices=duties, help=f"one of {', '.join(duties)}")
    asking.add_argument("subject", metavar="SUBJECT", help="exactly what it is done to, as a JSON object; the act must be the same")
    asking.add_argument("--reason", required=True, help="why; stands in the trail")
    asking.set_defaults(command=late("approvals", "ask"))
    listing = commands.add_parser("list", help="what may still be approved or used")
    listing.set_defaults(command=late("approvals", "list_all"))
    giving = commands.add_parser("give", help="approve what another person asked; it is good until an hour after it was asked")
    giving.add_argument("id", metavar="ID", help="as `approvals list` shows it")
    giving.set_defaults(command=late("approvals", "give"))
    for item in (asking, listing, giving):
        officer_key(item)
        data_option(item, "folder of the gateway")
        database_option(item)
        item.add_argument("--json", action="store_true")
