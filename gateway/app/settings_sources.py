"""Where settings come from: what was said on the command line, then the environment, then a TOML file, then the defaults. Strictly: what
is not a setting, or a value of another type, is a finding, and no setting is read past one.

Owns the names and types of all sources. Must never let a source choose development mode: whoever starts the process does.
"""

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings

PREFIX = "TELLERGATE_"
CONFIG = f"{PREFIX}CONFIG"
"""Names the TOML file where the command line does not. The only variable with the prefix that is no setting itself."""

SETTINGS_FILE = "tellergate.toml"
"""The file that is read where none is named: in the data folder, which is its owner's alone. Never one of the working directory."""

_NOT_SETTABLE = frozenset({"development"})
"""Development mode is chosen by who starts the process, never by a file or an environment that may have been copied."""

_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false", Path: "a path", tuple: "a list of strings"}


class Said(NamedTuple):
    """A setting's value, and the place that says it: `flag --port`, `environment TELLERGATE_PORT`, `FILE:LINE` or `default`."""

    value: object
    where: str


def gathered(flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None = None) -> Mapping[str, Said]:
    """Each setting that somebody says, by name. UnsafeSettings with every name and value that is none.

    `flags`: values by setting, None for what was not said. `file` None: the one that the environment names, else the data folder's, where
    there is one. Paths in a file are relative to its folder, others to the working directory.
    """
    said: dict[str, Said] = {}
    wrong: list[SettingFinding] = []
    from_flags = {name: Said(value, f"flag --{name.replace('_', '-')}") for name, value in flags.items() if value not in (None, "")}
    _collect(_of_environment(environment), said, wrong)
    said |= from_flags
    path = settings_file(said, environment, file)
    if path is not None:
        below: dict[str, Said] = {}
        _collect(_of_file(path), below, wrong)
        said = below | said
    if wrong:
        raise UnsafeSettings(findings=wrong)
    return said


def settings_file(said: Mapping[str, Said], environment: Mapping[str, str], file: Path | None) -> Path | None:
    """Which file is read; None for none."""
    if file is not None:
        return file
    if environment.get(CONFIG, "").strip():
        return Path(environment[CONFIG].strip())
    if "data" in said and (beside := Path(str(said["data"].value)) / SETTINGS_FILE).is_file():
        return beside
    return None


def defaults() -> Mapping[str, object]:
    """The value of each setting that may be said and has one."""
    return {
        field.name: field.default
        for field in dataclasses.fields(Settings)
        if field.name not in _NOT_SETTABLE and field.default is not dataclasses.MISSING
    }


_Found = Iterator[tuple[str, Said] | SettingFinding]


def _collect(found: _Found, said: dict[str, Said], wrong: list[SettingFinding]) -> None:
    for item in found:
        if isinstance(item, SettingFinding):
            wrong.append(item)
        else:
            said[item[0]] = item[1]


def _of_file(path: Path) -> _Found:
    text = ""
    try:
        text = path.read_bytes().decode()
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = str(error).replace("at end of document", f"at the end, line {len(text.splitlines())}")
        yield SettingFinding(path.name, FindingCode.MALFORMED, f"is not TOML: {problem}", "correct it there")
        return
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        yield SettingFinding(str(path), FindingCode.UNREADABLE, problem, "name a file of settings that is there")
        return
    lines = _lines(text)
    declared = _declared()
    for name, value in content.items():
        where = f"{path.name}:{lines[name]}" if name in lines else path.name
        if name not in declared:
            yield _no_setting(name, where, declared)
        else:
            yield _typed(path, name, declared[name], Said(value, where))


def _of_environment(environment: Mapping[str, str]) -> _Found:
    declared = {f"{PREFIX}{name.upper()}": (name, kind) for name, kind in _declared().items()}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable == CONFIG or not text.strip():
            continue
        if variable not in declared:
            yield _no_setting(variable, "the environment", declared)
        else:
            name, kind = declared[variable]
            yield _parsed(variable, name, kind, text.strip())


def _no_setting(name: str, where: str, declared: Mapping[str, object]) -> SettingFinding:
    if name.lower() in _NOT_SETTABLE:
        remedy = "choose development mode by --dev when you start it"
    else:
        alike = difflib.get_close_matches(name, declared, 1)
        remedy = f"did you mean {alike[0]}?" if alike else "leave it out"
    return SettingFinding(name, FindingCode.NOT_A_SETTING, f"is not a setting ({where})", remedy)


_KEY = re.compile(r"""[ \t]*(["']?)(?P<name>[A-Za-z0-9_-]+)\1[ \t]*=""")


def _lines(text: str) -> Mapping[str, int]:
    """On which line each key of the file stands, counted from 1; without those that stand in tables or are spelled with escapes."""
    found: dict[str, int] = {}
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if (match := _KEY.match(line)) is None or match["name"] in found:
            continue
        try:  # within a list or a text of several lines, what stands before it is no TOML
            tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue
        found[match["name"]] = number + 1
    return found


def _declared() -> Mapping[str, type]:
    hints = typing.get_type_hints(Settings)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(Settings) if field.name not in _NOT_SETTABLE}


def _typed(path: Path, name: str, kind: type, said: Said) -> tuple[str, Said] | SettingFinding:
    value: Any = said.value
    if kind is Path and isinstance(value, str) and value:
        return name, said._replace(value=path.parent / value)
    if kind is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return name, said._replace(value=tuple(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return name, said._replace(value=float(value))
    if kind not in (Path, tuple) and type(value) is kind:
        return name, said
    return _wrong_type(name, kind, said.where)


def _parsed(variable: str, name: str, kind: type, text: str) -> tuple[str, Said] | SettingFinding:
    where = f"environment {variable}"
    try:
        if kind is bool:
            return name, Said({"true": True, "false": False}[text.lower()], where)
        if kind is tuple:
            return name, Said(tuple(item.strip() for item in text.split(",") if item.strip()), where)
        return name, Said(kind(text), where)
    except (KeyError, ValueError):
        return _wrong_type(name, kind, where)


def _wrong_type(name: str, kind: type, where: str) -> SettingFinding:
    return SettingFinding(name, FindingCode.WRONG_TYPE, f"is of another type ({where})", f"give {_NAMES[kind]}")


def _kind(declared: object) -> type:
    """The plain type of a setting: `Path | None` is a Path, `tuple[str, ...]` a tuple."""
    if isinstance(declared, types.UnionType):
        declared = next(member for member in typing.get_args(declared) if member is not types.NoneType)
    origin = typing.get_origin(declared) or declared
    if not isinstance(origin, type) or origin not in _NAMES:
        raise TypeError("a setting of a type that no source can hold")
    return origin
