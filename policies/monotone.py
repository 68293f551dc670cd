"""More assurance never loses a permit: the static check that holds it for every rule of a bundle.

`context.assurance.level` may be read only as one side of an order comparison whose other side does not depend on it. Going up
the ladder such a comparison turns at most once; following `&&`, `||`, `!`, `when` and `unless`, a permit may only gain by it and a
forbid may only cease. What a rule evaluates after the comparison must be unable to fail, else more assurance could meet an error,
which denies: so the comparison stands last. Everything else that touches the assurance is refused, even where it is harmless.
"""

from enum import Flag, auto

from cedarpy import pst

from policies.cedar import Policy
from policies.static_analysis import can_fail, parts


class Direction(Flag):
    """Which way an expression may turn as the assurance grows."""

    NEVER = 0
    RISES = auto()
    FALLS = auto()
    UNKNOWN = auto()


_LEVEL = pst.GetAttr(pst.GetAttr(pst.Var("context"), "assurance"), "level")
_FALLS_WHEN_LEFT = frozenset({"less", "less_eq"})
_RISES_WHEN_LEFT = frozenset({"greater", "greater_eq"})


def fault(policy: Policy) -> str | None:
    """What is wrong with this policy in this regard, in plain words; None if nothing."""
    wanted = Direction.RISES if policy.effect == "permit" else Direction.FALLS
    seen = False
    for clause in policy.clauses:
        turn = _turn(clause.expr)
        if isinstance(clause, pst.Unless):
            turn = _flipped(turn)
        if Direction.UNKNOWN in turn:
            return "reads the assurance other than by comparing context.assurance.level with <, <=, > or >="
        if turn & ~wanted:
            return f"a {policy.effect} must not depend on assurance this way: more assurance could lose a permit"
        if seen and can_fail(clause.expr):
            return "the comparison with the assurance must stand last: what follows it could fail"
        seen = seen or turn is not Direction.NEVER
        if not _last_in(clause.expr):
            return "the comparison with the assurance must stand last: what follows it could fail"
    return None


def _flipped(turn: Direction) -> Direction:
    flipped = turn & Direction.UNKNOWN
    if Direction.RISES in turn:
        flipped |= Direction.FALLS
    if Direction.FALLS in turn:
        flipped |= Direction.RISES
    return flipped


def _turn(expr: pst.Expr) -> Direction:
    if not _reads_assurance(expr):
        return Direction.NEVER
    match expr:
        case pst.BinaryOp("and" | "or", left, right):
            return _turn(left) | _turn(right)
        case pst.UnaryOp("not", arg):
            return _flipped(_turn(arg))
        case pst.BinaryOp(op, left, right) if left == _LEVEL and not _reads_assurance(right):
            return _compared(op)
        case pst.BinaryOp(op, left, right) if right == _LEVEL and not _reads_assurance(left):
            return _flipped(_compared(op))
    return Direction.UNKNOWN


def _compared(op: str) -> Direction:
    if op in _RISES_WHEN_LEFT:
        return Direction.RISES
    return Direction.FALLS if op in _FALLS_WHEN_LEFT else Direction.UNKNOWN


def _reads_assurance(expr: pst.Expr) -> bool:
    """Whether any part could: the context as a whole counts, and so does any attribute that is called so."""
    match expr:
        case pst.GetAttr(pst.Var("context"), attr) | pst.HasAttr(pst.Var("context"), (attr, *_)):
            return attr == "assurance"
        case pst.Var("context"):
            return True
    return any(_reads_assurance(part) for part in parts(expr))


def _last_in(expr: pst.Expr) -> bool:
    match expr:
        case pst.BinaryOp("and" | "or", left, right):
            return _last_in(left) and _last_in(right) and not (_reads_assurance(left) and can_fail(right))
    return all(_last_in(part) for part in parts(expr))
