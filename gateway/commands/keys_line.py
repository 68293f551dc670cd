"""The options of `tellergate keys`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.commands.options import officer_key

Command = Callable[[argparse.Namespace], int]

PURPOSE_NAMES = (
    "log-ed25519",
    "log-mldsa44",
    "permits",
    "exports",
    "customers",
    "mandates",
    "references",
    "runs",
    "confirm-page",
    "dpop-nonces",
    "operations",
    "webhook",
)
"""As `gateway.app.keys` has them, which is not imported for `--help`."""

LEAD_S = 10
"""So long before a new key begins: gateways look every two seconds."""

LEAD_MOST_S = 90 * 86_400


class Folder(Protocol):
    """Adds the options that name a data folder."""

    def __call__(self, parser: argparse.ArgumentParser, told: str) -> None: ...


def keys_options(
    parser: argparse.ArgumentParser,
    data: Folder,
    database: Callable[[argparse.ArgumentParser], None],
    late: Callable[[str, str], Command],
) -> None:
    """Every verb of keys. `data`, `database`, `late`: as the other commands have them."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    permits = commands.add_parser(
        "permits", help="what a core or its proxy verifies permits with: the log's origin and public keys"
    )
    data(permits, "folder of the gateway; a new one gets its keys")
    database(permits)
    permits.add_argument("--out", type=Path, help="file to write instead of printing")
    permits.add_argument("--json", action="store_true", help="it is JSON in any case")
    permits.set_defaults(command=late("cores", "permit_key"), makes_folder=True)
    webhook = commands.add_parser("webhook", help="the public key with which a receiver of `call.settled` verifies it")
    listing = commands.add_parser(
        "list", help="every key by purpose: id, state, since when; status 1 where one is wrong, or in the token and in no file"
    )
    sealing = commands.add_parser("seal", help="seal every key file under a passphrase, or under another one")
    sealing.add_argument(
        "--passphrase-file", type=Path, help="file with the passphrase from now on; left out: TELLERGATE_KEY_PASSPHRASE_FILE"
    )
    rotating, retiring = _rotating(commands), _retiring(commands)
    making = commands.add_parser("make", help="begin with a new key in the place of one that is lost; not for the keys of the log")
    making.add_argument("purpose", choices=PURPOSE_NAMES[5:], metavar="PURPOSE", help="the one that the start of the gateway named")
    publishing = commands.add_parser("export-public", help="every public key, with its id and the purpose that it verifies")
    for item, verb in (
        (listing, "list_all"),
        (sealing, "seal"),
        (rotating, "rotate_one"),
        (retiring, "retire"),
        (making, "make"),
        (publishing, "export_public"),
    ):
        item.set_defaults(command=late("keys", verb))
    webhook.set_defaults(command=late("cores", "webhook_public_key"))
    for item in (webhook, listing, sealing, rotating, retiring, making, publishing):
        data(item, "folder of the gateway")
        item.add_argument("--json", action="store_true")
    for item in (rotating, retiring, making, publishing):
        database(item)
    for item in (rotating, retiring, making):
        officer_key(item)


def _rotating(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    rotating = commands.add_parser("rotate", help="make the next key of a purpose; the one before it verifies and opens on")
    rotating.add_argument(
        "purpose",
        choices=(*PURPOSE_NAMES, "log", "all"),
        metavar="PURPOSE",
        help="see `keys list`; `log`: both of the log; `all`: every one, as when keys move into a token",
    )
    rotating.add_argument(
        "--lead", type=_lead, default=LEAD_S, metavar="SECONDS", help=f"until it begins; left out: {LEAD_S}, for running gateways"
    )
    return rotating


def _retiring(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    retiring = commands.add_parser(
        "retire",
        help="destroy a key that another one follows, of one that signs the public part stays; or one in the token that no file names",
    )
    retiring.add_argument("purpose", choices=PURPOSE_NAMES, metavar="PURPOSE", help="see `keys list`")
    retiring.add_argument("id", metavar="ID", help="as `keys list` shows it")
    retiring.add_argument(
        "--distrust",
        action="store_true",
        help="believe nothing that it signed, as after a theft; not for the log's keys and exports",
    )
    return retiring


def _lead(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LEAD_MOST_S:
        raise argparse.ArgumentTypeError(f"a number from 1 to {LEAD_MOST_S}")
    return int(text)
