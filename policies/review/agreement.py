"""Whether compiled rules decide as Cedar does: of a request, and of those that differ from it in one value or in the rung."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from policies.engine import Engine
from policies.model import JSON, Assurance, Decision, Request

NEIGHBOURS = 6
"""Of each case. A bundle has a case for every policy and function, so all rules are met many times."""

_STEP = 31  # spreads the neighbours of one case over its values, and those of the next over others


def disagreement(compiled: Engine, by_cedar: Engine, request: Request, number: int) -> str | None:
    """What the engines say differently of this request or of its neighbours; None if they agree. `number` is the case's."""
    for one in (request, *neighbours(request, number)):
        says, wanted = compiled.decide(one), by_cedar.decide(one)
        if says != wanted:
            return f"the compiled rules decide otherwise than Cedar: {_words(says)}, not {_words(wanted)}"
    return None


def neighbours(request: Request, number: int) -> Iterator[Request]:
    """Requests that differ from this one in one value, which is another or missing, and stand at some rung."""
    whole: JSON = {"context": request.context, "entities": request.entities}
    paths = list(_paths(whole))
    for turn in range(number * NEIGHBOURS, (number + 1) * NEIGHBOURS):
        changed = _changed(whole, paths[turn * _STEP % len(paths)], turn)
        if not isinstance(changed, dict):
            raise AssertionError("a request is a record")
        context = {**changed["context"], "assurance": {"level": turn % len(Assurance)}}
        yield replace(request, context=context, entities=changed["entities"])


def _paths(value: JSON) -> Iterator[tuple[str | int, ...]]:
    """Where the scalars are."""
    members = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else None
    if members is None:
        yield ()
        return
    for name, inner in members:
        yield from ((name, *rest) for rest in _paths(inner))


def _changed(value: JSON, path: tuple[str | int, ...], turn: int) -> JSON:
    """The value with another at this path, or with nothing there."""
    if not path:
        return _other(value, turn)
    first, rest = path[0], path[1:]
    items = value.items() if isinstance(value, Mapping) else enumerate(value)  # type: ignore[arg-type]
    drops = turn % 3 == 0 and not rest
    made = {name: inner if name != first else _changed(inner, rest, turn) for name, inner in items if not (drops and name == first)}
    return made if isinstance(value, Mapping) else list(made.values())  # type: ignore[return-value]


def _other(value: JSON, turn: int) -> JSON:
    match value:
        case bool():
            return not value
        case int():
            return value + (1 if turn % 2 else -1)
    return f"{value}-" if turn % 2 else ""


def _words(decision: Decision) -> str:
    return f"{decision.effect} for {decision.reason} by {', '.join(decision.policies) or 'none'}"
