"""`tellergate settings check`: what is missing or unsafe for customers, all at once: of the settings, of this host, of the databases."""

import argparse
import asyncio
from collections.abc import Sequence

from gateway.app.database_checks import database_findings
from gateway.app.host_checks import host_findings, settings_file_findings
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.app.unsafe_settings import SettingFinding, UnsafeSettings
from gateway.commands.printing import FINDING, GOOD, USAGE, print_json
from gateway.commands.settings import file_of, said_by, values


def check(options: argparse.Namespace) -> int:
    """Print every finding; 0 for none, 1 for some, 2 where the settings cannot be read."""
    try:
        settings = Settings(development=False, **values(said_by(options)))
    except UnsafeSettings as unread:
        return _told(options, unread.findings, USAGE, ())
    found = [*findings(settings), *host_findings(settings)]
    if (file := file_of(options)) is not None:
        found.extend(settings_file_findings(file, settings))
    found.extend(asyncio.run(database_findings(settings, wrong={item.setting for item in found})))
    return _told(options, found, FINDING if found else GOOD, notes(settings))


def notes(settings: Settings) -> Sequence[str]:
    """What is allowed, and may not be meant."""
    if settings.operations_port:
        return ()
    return ("operations_port: is 0, so that nothing can be administered over HTTP",)


def _told(options: argparse.Namespace, found: Sequence[SettingFinding], status: int, notes: Sequence[str]) -> int:
    if options.json:
        rows = [
            {"setting": item.setting, "code": item.code.value, "problem": item.problem, "remedy": item.remedy} for item in found
        ]
        print_json({"good": not found, "findings": rows, "notes": list(notes)})
        return status
    if not found:
        print("nothing is missing or unsafe")
    else:
        for item in found:
            print(f"{item.setting} ({item.code.value}): {item.problem}; {item.remedy}")
    for note in notes:
        print(f"note: {note}")
    return status
