"""What is wrong with the settings of the code interpreter: by themselves, and on this host."""

import stat
from collections.abc import Iterator

from gateway.app.kept_settings import NO_CODE_INTERPRETER
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding

_Findings = Iterator[SettingFinding]


def code_findings(settings: Settings, *, may_start_one: bool) -> _Findings:
    """Of the settings by themselves. `may_start_one`: whether a gateway may start a worker of its own."""
    is_on = settings.code_interpreter != NO_CODE_INTERPRETER
    if is_on and settings.code_socket is None and not may_start_one:
        remedy = "run `tellergate code serve` as a user of its own, and name its socket"
        yield SettingFinding("code_socket", FindingCode.MISSING, "is not set, and code_interpreter is", remedy)
    if settings.code_socket is not None and not is_on:
        remedy = "choose the tier of its worker, or leave it out"
        yield SettingFinding("code_socket", FindingCode.CONFLICT, "stands without code_interpreter", remedy)


def socket_findings(settings: Settings) -> _Findings:
    """Of the socket. That no worker is there yet is none: calls of code are refused until it is."""
    path = settings.code_socket
    if path is None:
        return
    folder = path.parent
    if not folder.is_dir():
        remedy = "make it, for the worker's user and the gateway's group"
        yield SettingFinding("code_socket", FindingCode.MISSING, f"is to be in {folder}, which is no folder that is there", remedy)
        return
    if folder.stat().st_mode & stat.S_IWOTH:
        problem = f"is in {folder}, where anybody can put another socket in its place"
        yield SettingFinding("code_socket", FindingCode.OPEN_TO_OTHERS, problem, f"chmod o-w {folder}")
    if path.exists() and not path.is_socket():
        yield SettingFinding("code_socket", FindingCode.MALFORMED, f"names {path}, which is no socket", "name the worker's socket")
    elif path.exists() and path.stat().st_mode & 0o007:
        problem = f"names {path}, which anybody on this host may ask"
        yield SettingFinding("code_socket", FindingCode.OPEN_TO_OTHERS, problem, f"chmod o= {path}")
