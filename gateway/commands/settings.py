"""`tellergate settings show`: each setting's value and where it comes from. Which sources say settings, for other commands too."""

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.app.settings_sources import Said, defaults, gathered, settings_file
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.commands.printing import GOOD, USAGE, failed, print_json, print_table

FLAGS = (
    "data",
    "database",
    "host",
    "port",
    "workers",
    "audit_wait_ms",
    "core_url",
    "core_credential_file",
    "functions",
    "functions_credential_file",
    "model_url",
    "model_api",
    "model_credential_file",
    "otlp_endpoint",
)
"""Settings that the command line may say too."""

_SCHEMES = ("postgresql", "postgres")
_ADDRESSES = ("database", "keys_database")
_MASK = "***"


def said_by(options: argparse.Namespace) -> Mapping[str, Said]:
    """Each setting that the command line, the environment or a file says. UnsafeSettings for a source that cannot be read."""
    return gathered({name: getattr(options, name) for name in FLAGS}, os.environ, options.config)


def file_of(options: argparse.Namespace) -> Path | None:
    """The file that these settings are read from, if there is one."""
    flags = {"data": Said(options.data, "")} if options.data is not None else {}
    in_environment = {"data": Said(os.environ["TELLERGATE_DATA"], "")} if os.environ.get("TELLERGATE_DATA") else {}
    return settings_file({**in_environment, **flags}, os.environ, options.config)


def values(said: Mapping[str, Said]) -> dict[str, Any]:
    """The values, by setting. UnsafeSettings where the data folder is said by nobody."""
    if "data" not in said:
        remedy = "name it by --data, TELLERGATE_DATA or in the file of --config"
        raise UnsafeSettings(findings=[SettingFinding("data", FindingCode.MISSING, "must be set", remedy)])
    return {name: item.value for name, item in said.items()}


def show(options: argparse.Namespace) -> int:
    """Print each setting, its value without passwords, and where it comes from. What is wrong with them is `check`'s to say."""
    try:
        said = said_by(options)
    except UnsafeSettings as unread:
        return failed(f"refused: {unread}", USAGE)
    all_of_them = {name: Said(value, "default") for name, value in defaults().items()} | dict(said)
    rows = [{"setting": name, "value": _shown(name, item.value), "from": item.where} for name, item in sorted(all_of_them.items())]
    if options.json:
        print_json({"settings": rows})
    else:
        print_table(("setting", "value", "from"), ([row["setting"], _text(row["value"]), row["from"]] for row in rows))
    return GOOD


def _shown(name: str, value: object) -> object:
    if isinstance(value, tuple):
        return [masked(item) for item in value]
    if isinstance(value, str):
        return masked(value, address=name in _ADDRESSES)
    return str(value) if isinstance(value, Path) else value


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def masked(text: str, *, address: bool = False) -> str:
    """A value without the secret in it: the password of a URL, and whatever its query says. All of an `address` that cannot be read."""
    if "://" not in text:
        return _MASK if address and text else text
    try:
        parts = urlsplit(text)
        user, is_there, _ = parts.netloc.rpartition("@")
        host = parts.netloc[len(user) + 1 :] if is_there else parts.netloc
        if is_there:
            name, has_password, _ = user.partition(":")
            host = f"{name}:{_MASK}@{host}" if has_password else f"{name}@{host}"
    except ValueError:
        return _MASK
    if address and parts.scheme not in _SCHEMES:  # a password may end like one
        return _MASK
    if "@" in parts.path + parts.query + parts.fragment:  # a password with a slash in it, which was not written as it must be
        return _MASK
    query = re.sub(r"(?i)([^&=]*(?:pass|secret|token|key)[^&=]*=)[^&]*", rf"\1{_MASK}", parts.query)
    return parts._replace(netloc=host, query=query).geturl()
