"""`tellergate init --production`: a data folder with its keys and a settings file to fill in."""

import argparse
import os

from gateway.app.data_folder import make_data_folder
from gateway.app.keys import TokenPlace
from gateway.app.settings import PKCS11
from gateway.app.settings_sources import SETTINGS_FILE
from gateway.app.settings_texts import template
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.commands.printing import GOOD, print_json


def init(options: argparse.Namespace) -> int:
    """Make the folder and say what comes next. UnsafeSettings, and nothing is made, where the folder is not empty or not ours alone;
    KeyRefused without a passphrase for the keys."""
    token = _token(options)
    make_data_folder(options.folder, options.passphrase_file, token)
    file = options.folder / SETTINGS_FILE
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as settings:
        settings.write(template(_said(options)))
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


def _token(options: argparse.Namespace) -> TokenPlace | None:
    """UnsafeSettings where only half of it is said."""
    if (options.pkcs11_module is None) != (options.pkcs11_token is None):
        raise UnsafeSettings("--pkcs11-module and --pkcs11-token go together: give both for keys in a token, or none for files")
    if options.pkcs11_module is None:
        return None
    return TokenPlace(options.pkcs11_module, options.pkcs11_token, options.pkcs11_pin_file)


def _said(options: argparse.Namespace) -> dict[str, object]:
    said: dict[str, object] = {} if options.pkcs11_module is None else {"key_storage": PKCS11, "pkcs11_token": options.pkcs11_token}
    files = {
        "key_passphrase_file": options.passphrase_file,
        "pkcs11_module": options.pkcs11_module,
        "pkcs11_pin_file": options.pkcs11_pin_file,
    }
    return said | {name: file.resolve() for name, file in files.items() if file is not None}


STEPS = (
    "database upgrade",
    "keys permits",
    "policy activate BUNDLE",
    "mandates import FILE --officer-key YOURS",
    "settings check",
    "serve",
)
"""The commands that follow, in their order; `settings check` says at any time what is missing still."""
