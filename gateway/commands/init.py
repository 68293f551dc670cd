"""`tellergate init --production`: a data folder with its keys and a settings file to fill in."""

import argparse
import os

from gateway.app.data_folder import make_data_folder
from gateway.app.settings_sources import SETTINGS_FILE
from gateway.app.settings_texts import template
from gateway.commands.printing import GOOD, print_json


def init(options: argparse.Namespace) -> int:
    """Make the folder and say what comes next. UnsafeSettings, and nothing is made, where the folder is not empty or not ours alone;
    KeyRefused without a passphrase for the keys."""
    make_data_folder(options.folder, options.passphrase_file)
    file = options.folder / SETTINGS_FILE
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as settings:
        passphrase = options.passphrase_file
        settings.write(template({} if passphrase is None else {"key_passphrase_file": passphrase.resolve()}))
    steps = [f"fill in {file}", *(f"tellergate {command} --data {options.folder}" for command in STEPS)]
    if options.json:
        print_json({"settings": str(file), "next": steps})
    else:
        print(
            f"made {options.folder} with its keys: keep a copy of {options.folder / 'keys'} and {options.folder / 'audit'} elsewhere"
        )
        for number, step in enumerate(steps, 1):
            print(f"{number}. {step}")
    return GOOD


STEPS = (
    "database upgrade",
    "keys permits",
    "policy activate BUNDLE",
    "mandates import FILE --officer-key YOURS",
    "settings check",
    "serve",
)
"""The commands that follow, in their order; `settings check` says at any time what is missing still."""
