"""Reports as JSON values."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from policies.model import JSON


def plain(report: object) -> JSON:
    """A report, or any part of one, as JSON: a dataclass as an object, `good` included where it has one."""
    if is_dataclass(report) and not isinstance(report, type):
        body = {field.name: plain(getattr(report, field.name)) for field in fields(report)}
        if hasattr(report, "good"):
            body["good"] = bool(report.good)
        return body
    if isinstance(report, Mapping):
        return {str(key): plain(value) for key, value in report.items()}
    if isinstance(report, tuple | list | frozenset):
        return [plain(member) for member in (sorted(report) if isinstance(report, frozenset) else report)]
    if report is None or isinstance(report, bool):
        return report
    if isinstance(report, int):
        return int(report)
    return str(report)
