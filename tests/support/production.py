"""A home of a gateway that serves customers, as an operator has it: the data folder with its keys, the files that its settings name."""

import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from audit.migration import prepare
from gateway.app.clock import utc_now
from gateway.app.data_folder import make_data_folder
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName, open_log
from gateway.app.settings import Settings
from gateway.app.settings_sources import PREFIX
from gateway.app.settings_texts import toml_value
from policies.bundle import Bundle
from tests.support.databases import in_a_thread
from tests.support.officers import a_bundle, activated, pinned


def home(folder: Path, **changes: Any) -> Settings:
    """Everything that a start needs but the databases, in this folder; good settings over it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    words = passphrase_file(folder)
    make_data_folder(folder / "data", words)
    settings = {
        "key_passphrase_file": words,
        "log_origin": "log.bank.example/window",
        "issuer": "https://issuer.bank.example",
        "audience": "https://window.example",
        "public_url": "https://window.example",
        "strong_acr": ("urn:bank:two-factor",),
        "core_url": "https://core.bank.example",
        "core_credential_file": private(folder / "core.token", secrets.token_urlsafe(32)),
        "policy_officers": pinned(folder),
    }
    return Settings(data=folder / "data", development=False, **{**settings, **changes})


def passphrase_file(folder: Path) -> Path:
    """What seals the keys, beside the data folder."""
    return private(folder / "passphrase", "the passphrase of the tests' keys")


def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting in the environment, and seals that cost little: tests of key files pay for scrypt."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("audit.key_format.Passphrase.chosen", lambda _self: (b"salt" * 4, 10))


def private(path: Path, text: str) -> Path:
    """A file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def put_in_force(settings: Settings, bundle: Bundle | None = None) -> None:
    """This bundle, None for one with the rules of this distribution, signed by two officers of `home`, as `policy activate` leaves it: in
    the databases, which are made where they are not there."""
    bundle = bundle or a_bundle(1)
    places = DatabaseLocations(
        settings.data, settings.database, settings.keys_database, settings.key_passphrase_file, log_origin=settings.log_origin
    )

    async def work() -> None:
        for part in DatabaseName:
            database = places.open(part, name="tests")
            await prepare(database, HISTORIES[part], may_upgrade=False)
            await database.close()
        log = await open_log(places, writer_id="tests", clock=utc_now, may_upgrade=False)
        try:
            log.transactions.share(lambda connection, items: [item.apply(connection) for item in items])
            await activated(log, bundle)
        finally:
            await log.close()

    in_a_thread(work())


def written(file: Path, settings: Settings) -> Path:
    """A settings file that says these, where the data folder's own stands."""
    lines = []
    for name in Settings.__dataclass_fields__:
        value = getattr(settings, name)
        if name in ("data", "development") or value == getattr(Settings(data=Path(), development=False), name):
            continue
        lines.append(f"{name} = {toml_value(value)}\n")
    return private(file, "".join(lines))
