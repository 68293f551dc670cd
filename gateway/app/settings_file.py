"""Settings out of a TOML file, strictly: a key that is not a setting, or a value of another type, stops the start."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path

from gateway.app.settings import Settings, UnsafeSettings

_NOT_IN_A_FILE = frozenset({"development"})
"""Development mode is chosen by who starts the process, never by a file that may have been copied."""

_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false", Path: "a path", tuple: "a list of strings"}


def read_settings(path: Path) -> Mapping[str, object]:
    """Values of `Settings` by name, or UnsafeSettings. Paths in it are relative to the file's folder."""
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnsafeSettings(f"{path.name} is not TOML: {error}") from None
    declared = typing.get_type_hints(Settings)
    known = {field.name for field in dataclasses.fields(Settings)} - _NOT_IN_A_FILE
    unknown = sorted(set(found) - known)
    if unknown:
        raise UnsafeSettings(f"{path.name}: {unknown[0]} is not a setting")
    return {name: _typed(path, name, declared[name], value) for name, value in found.items()}


def _typed(path: Path, name: str, declared: object, value: object) -> object:
    kind = _kind(declared)
    if kind is Path and isinstance(value, str) and value:
        return path.parent / value
    if kind is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind not in (Path, tuple) and type(value) is kind:
        return value
    raise UnsafeSettings(f"{path.name}: {name} is {_NAMES[kind]}")


def _kind(declared: object) -> type:
    """The plain type of a setting: `Path | None` is a Path, `tuple[str, ...]` a tuple."""
    if isinstance(declared, types.UnionType):
        declared = next(get_arg for get_arg in typing.get_args(declared) if get_arg is not types.NoneType)
    origin = typing.get_origin(declared) or declared
    if not isinstance(origin, type) or origin not in _NAMES:
        raise TypeError("a setting of a type that no file can hold")
    return origin
