"""Where the databases are of the folder that a command works on, and the files that its settings name."""

import argparse
import os
from pathlib import Path

from audit.key_files import FileKeys
from gateway.app.databases import DatabaseLocations
from gateway.app.keys import file_keys, token_of
from gateway.app.settings import Settings
from gateway.app.settings_sources import gathered


def locations(options: argparse.Namespace) -> DatabaseLocations:
    """The databases of the folder of `--data`: as `--database` says, else as the gateway's settings do, in the environment or the folder's
    file. UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, "database": getattr(options, "database", "")}, os.environ)

    def text(name: str) -> str:
        return str(said[name].value) if name in said else ""

    def file(name: str) -> Path | None:
        return Path(text(name)) if text(name) else None

    settings = Settings(
        data=options.data,
        development=False,
        key_storage=text("key_storage"),
        pkcs11_module=file("pkcs11_module"),
        pkcs11_token=text("pkcs11_token"),
        pkcs11_pin_file=file("pkcs11_pin_file"),
    )
    return DatabaseLocations(
        options.data,
        text("database"),
        text("keys_database"),
        file("key_passphrase_file"),
        token_of(settings),
        text("log_origin"),
    )


def key_files(options: argparse.Namespace) -> FileKeys:
    """The keys of that folder, where the same settings have them. KeyRefused."""
    places = locations(options)
    return file_keys(places.data, places.passphrase_file, token=places.token)


def named_file(options: argparse.Namespace, setting: str) -> Path | None:
    """The file that this setting names, by the same sources, its option first where the command has one; None: nobody names one.
    UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, setting: getattr(options, setting, None)}, os.environ)
    return Path(str(said[setting].value)) if setting in said else None


def core_place(options: argparse.Namespace) -> tuple[str, Path | None]:
    """Address of the core that the gateway of this folder asks, and the file of its credential, by the same sources, the command's options
    first. The address is empty where nobody says one. UnsafeSettings for settings that cannot be read."""
    names = ("core_url", "core_credential_file")
    said = gathered({"data": options.data, **{name: getattr(options, name) for name in names}}, os.environ)
    url, token = (str(said[name].value) if name in said else "" for name in names)
    return url, Path(token) if token else None
