"""Where the value of each sensitive argument comes from. Pure.

Not evaluated yet: the step stands in its place on the way, says so in every record, and no rule reads it.
"""

from collections.abc import Mapping

from gateway.stages import Call, Grounded

NOT_EVALUATED = "not_evaluated"


def ground(call: Call) -> Grounded:
    """The source of each argument whose kind is sensitive."""
    sources: Mapping[str, str] = {
        argument.kind.value: NOT_EVALUATED
        for argument in call.function.arguments
        if argument.kind is not None and argument.name in call.arguments
    }
    return Grounded(call, sources)
