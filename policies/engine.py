"""The decision point: a bundle, parsed once, asked again and again.

Default deny, forbid wins, and anything but an error-free answer denies: Cedar alone skips a policy that errors, so that a forbid
whose arithmetic overflows would let the request through.
"""

from collections.abc import Mapping, Sequence

import orjson

from policies import cedar, ladder
from policies.bundle import Bundle
from policies.cedar import CedarRefused, Entities, Rules
from policies.ladder import Tally
from policies.model import JSON, Assurance, Decision, Request
from policies.reading import accept


class Engine:
    """Decides by one bundle. Immutable and safe to share. BundleRefused if the bundle is not fit to decide."""

    def __init__(self, bundle: Bundle) -> None:
        self._schema, rules = accept(bundle)
        self._rules = Rules([rule.policy for rule in rules])
        self._reasons = {rule.id: rule.reason for rule in rules}
        self.hash = bundle.hash

    def decide(self, request: Request) -> Decision:
        """Permit, challenge or deny. Never raises for what the request holds: what is malformed is denied, and says so."""
        present = _assurance(request.context)
        if present is None:
            return ladder.error(("the context has no assurance level from 0 to 4",))
        try:
            entities = Entities(_json(list(request.entities)), self._schema)
        except (CedarRefused, TypeError) as refused:
            return ladder.error((str(refused),))

        def ask(rungs: Sequence[Assurance]) -> list[Tally]:
            questions = []
            for rung in rungs:
                context = _json({**request.context, "assurance": {"level": int(rung)}})
                questions.append(cedar.question(request.principal, request.action, request.resource, context))
            return [_tally(answer) for answer in cedar.ask(questions, self._rules, entities, self._schema)]

        return ladder.judge(present, ask, self._reasons)


def _tally(answer: cedar.Answer) -> Tally:
    errors = answer.errors
    if answer.allowed is None and not errors:
        errors = ("no decision",)
    return Tally(answer.allowed is True, tuple(sorted(answer.policies)), errors)


def _assurance(context: Mapping[str, JSON]) -> Assurance | None:
    assurance = context.get("assurance")
    level = assurance.get("level") if isinstance(assurance, Mapping) else None
    if type(level) is not int or level not in set(Assurance):
        return None
    return Assurance(level)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
