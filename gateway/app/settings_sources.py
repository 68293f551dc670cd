"""Where settings come from: a TOML file, then the environment over it, then the command line over both. Strictly: what is not a setting,
or a value of another type, stops the start.

Owns the names and types of both sources. Must never let a source choose development mode: whoever starts the process does.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path

from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings

PREFIX = "TELLERGATE_"
SETTINGS_FILE = f"{PREFIX}SETTINGS"
"""Names the TOML file where the command line does not. The only variable with the prefix that is no setting itself."""

_NOT_SETTABLE = frozenset({"development"})
"""Development mode is chosen by who starts the process, never by a file or an environment that may have been copied."""

_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false", Path: "a path", tuple: "a list of strings"}


def from_file(path: Path) -> Mapping[str, object]:
    """Values of `Settings` by name, or UnsafeSettings. Paths in it are relative to the file's folder."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnsafeSettings(f"{path.name} is not TOML: {error}") from None
    declared = _declared()
    unknown = sorted(set(content) - set(declared))
    if unknown:
        raise UnsafeSettings(f"{path.name}: {unknown[0]} is not a setting")
    return {name: _typed(path, name, declared[name], value) for name, value in content.items()}


def from_environment(environment: Mapping[str, str]) -> Mapping[str, object]:
    """Values of `Settings` by name out of variables `TELLERGATE_<SETTING>`, or UnsafeSettings.

    An empty variable is as good as none. Lists are separated by commas; paths are relative to the working directory.
    """
    declared = {f"{PREFIX}{name.upper()}": (name, kind) for name, kind in _declared().items()}
    found: dict[str, object] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable == SETTINGS_FILE or not text.strip():
            continue
        if variable not in declared:
            raise UnsafeSettings(f"the environment variable {variable} is not a setting")
        name, kind = declared[variable]
        found[name] = _parsed(variable, kind, text.strip())
    return found


def _declared() -> Mapping[str, type]:
    hints = typing.get_type_hints(Settings)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(Settings) if field.name not in _NOT_SETTABLE}


def _typed(path: Path, name: str, kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return path.parent / value
    if kind is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind not in (Path, tuple) and type(value) is kind:
        return value
    raise UnsafeSettings(f"{path.name}: {name} is {_NAMES[kind]}")


def _parsed(variable: str, kind: type, text: str) -> object:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is tuple:
            return tuple(item.strip() for item in text.split(",") if item.strip())
        return kind(text)
    except (KeyError, ValueError):
        raise UnsafeSettings(f"the environment variable {variable} is {_NAMES[kind]}") from None


def _kind(declared: object) -> type:
    """The plain type of a setting: `Path | None` is a Path, `tuple[str, ...]` a tuple."""
    if isinstance(declared, types.UnionType):
        declared = next(member for member in typing.get_args(declared) if member is not types.NoneType)
    origin = typing.get_origin(declared) or declared
    if not isinstance(origin, type) or origin not in _NAMES:
        raise TypeError("a setting of a type that no source can hold")
    return origin
