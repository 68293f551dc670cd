"""What the paths of a condition are in a request, and whether a comparison of numbers or times was close."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from cedarpy import pst

from policies import cedar
from policies.model import JSON, Request, Uid
from policies.static_analysis import parts

_ORDER = frozenset({"less", "less_eq", "greater", "greater_eq"})
_CLOSE_PARTS = 10
_CLOSE_MS = 7 * 24 * 3600 * 1000


def of(condition: pst.Expr, request: Request) -> dict[str, int | str]:
    """Path to value, for every number, text and time that the condition looks at."""
    found = {}
    for path in _paths(condition):
        value = _value(path, request)
        if isinstance(value, int | str):
            found[cedar.text(path)] = value
    return found


def close(condition: pst.Expr, request: Request) -> bool:
    """Whether an order comparison in it missed by little: a tenth or one of a number, a week of a time."""
    if isinstance(condition, pst.BinaryOp) and condition.op in _ORDER:
        return _few_apart(_value(condition.left, request), _value(condition.right, request))
    return any(close(part, request) for part in parts(condition))


def _few_apart(left: JSON, right: JSON) -> bool:
    if type(left) is int and type(right) is int:
        return abs(left - right) <= max(1, abs(right) // _CLOSE_PARTS)
    if isinstance(left, str) and isinstance(right, str):
        try:
            apart = datetime.fromisoformat(left) - datetime.fromisoformat(right)
        except (ValueError, TypeError):
            return False
        return abs(apart.total_seconds() * 1000) <= _CLOSE_MS
    return False


def _paths(expr: pst.Expr) -> Iterator[pst.Expr]:
    if isinstance(expr, pst.GetAttr):
        yield expr
        return
    for part in parts(expr):
        yield from _paths(part)


def _value(expr: pst.Expr, request: Request) -> JSON:
    """The value at a path, or of a literal; a time as its text; None where there is none."""
    match expr:
        case pst.LongLit(value):
            return value
        case pst.Var("context"):
            return request.context
        case pst.Var("principal"):
            return _attributes(request.principal, request)
        case pst.Var("resource"):
            return _attributes(request.resource, request)
        case pst.GetAttr(base, attr):
            record = _value(base, request)
            member = record.get(attr) if isinstance(record, Mapping) else None
            return _time(member) if isinstance(member, Mapping) else member
    return None


def _time(value: Mapping[str, JSON]) -> JSON:
    extension = value.get("__extn")
    return extension.get("arg") if isinstance(extension, Mapping) and extension.get("fn") == "datetime" else value


def _attributes(uid: Uid, request: Request) -> JSON:
    wanted = {"type": uid.type, "id": uid.id}
    return next((entity.get("attrs") for entity in request.entities if entity.get("uid") == wanted), None)
