"""How much of a request Cedar must see to decide it, found once for each function of a bundle.

Reading a context is most of the cost of a decision, and most of a context is read by no rule. For each function the rules that can
concern it are taken, the facts of its declaration are put into them as constants, and of the context only the members are handed to
Cedar that these rules still read. The rest is checked by `policies.schema_checks`; where that is not sure, Cedar sees the whole request
under the whole schema. Either way the answer is the same: a property test holds it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from policies import schema_checks as shape
from policies.cedar import Policy, PolicySet, Schema
from policies.compiled import Compiled, Rules
from policies.compiled_expressions import Unsupported
from policies.decision_cache import Cacheable, memorable
from policies.model import JSON
from policies.partial_evaluation import folded
from policies.schema_checks import Check, Context
from policies.static_analysis import context_members


@dataclass(frozen=True, slots=True)
class Specialisation:
    """How a call is asked about: by which rules, under which schema, with which members of the context (None: all).

    The rules are those of the function and those of its touches together: their scopes keep them apart. `memorable` says how the
    decision may be remembered (None: it may not), `compiled` how it is made without Cedar (None: it is not).
    """

    rules: PolicySet
    schema: Schema
    members: tuple[str, ...] | None = None
    touch_members: tuple[str, ...] | None = None
    memorable: Cacheable | None = None
    compiled: Compiled | None = None


@dataclass(frozen=True, slots=True)
class Specialisations:
    """Of one function: the whole, and the narrow for a context that `takes` finds well-formed. `arguments` checks the shape of `args`.

    There is no narrow one where the context of a touch differs from that of the function.
    """

    whole: Specialisation
    narrow: Specialisation | None
    takes: Check
    arguments: Check

    def through(self, context: Mapping[str, JSON]) -> Specialisation:
        """The cheapest that decides this context rightly: the narrow one if the context is surely well-formed."""
        return self.narrow if self.narrow is not None and self.takes(context) else self.whole


@dataclass(frozen=True, slots=True)
class Subject:
    """A function and the policies that can concern it and its touches."""

    action: str
    facts: Mapping[str, JSON]
    call: Sequence[Policy]
    touch: Sequence[Policy]

    def rules(self) -> PolicySet:
        return PolicySet(list({policy.id: policy for policy in (*self.call, *self.touch)}.values()))


def shown(context: Mapping[str, JSON], members: tuple[str, ...] | None, assurance: JSON) -> Mapping[str, JSON]:
    """What Cedar sees of a context, with this assurance in place of its own."""
    if members is None:
        return {**context, "assurance": assurance}
    return {name: assurance if name == "assurance" else context[name] for name in members if name in context}


def grind(schema: Schema, subjects: Sequence[Subject], touch: str) -> dict[str, Specialisations]:
    """The lenses of each function. `touch` is the name of the action that is asked of touched objects."""
    text = str(schema.handle)
    known = shape.contexts(text)
    constant = {subject.action: _constant(subject) for subject in subjects}
    kept = {action: _members(subject.call, known[action]) for action, subject in constant.items()}
    kept[touch] = frozenset().union(*(_members(subject.touch, known[touch]) for subject in constant.values()))
    narrow_schema = Schema(shape.narrowed(text, kept))
    made = {}
    for subject in subjects:
        context = known[subject.action]
        narrow = None
        if _alike(context, known[touch]):
            rules = constant[subject.action]
            members, touched = kept[subject.action], kept[touch]
            narrow = Specialisation(
                rules.rules(),
                narrow_schema,
                tuple(sorted(members)),
                tuple(sorted(touched)),
                memorable((*rules.call, *rules.touch), members | touched),
                _compiled(rules, context, known[touch]),
            )
        whole = Specialisation(subject.rules(), schema)
        made[subject.action] = Specialisations(whole, narrow, context.takes, context.members["args"].check)
    return made


def _compiled(rules: Subject, context: Context, touched: Context) -> Compiled | None:
    try:
        return Compiled(Rules(rules.call), Rules(rules.touch), context, touched)
    except Unsupported:
        return None


def _constant(subject: Subject) -> Subject:
    call = tuple(folded(subject.call, subject.facts))
    return replace(subject, call=call, touch=tuple(folded(subject.touch, subject.facts)))


def _members(policies: Iterable[Policy], context: Context) -> frozenset[str]:
    """What of a context these policies read; all of it if one of them takes the context as a whole."""
    everything = frozenset(context.members)
    found: frozenset[str] = frozenset()
    for policy in policies:
        members = context_members(policy)
        found |= everything if members is None else members
    return found & everything


def _alike(call: Context, touch: Context) -> bool:
    """Whether what fits a call's context fits its touches' too, which have no arguments."""
    if set(call.members) != set(touch.members) or not touch.members["args"].check({}):
        return False
    return all(member.text == call.members[name].text for name, member in touch.members.items() if name != "args")
