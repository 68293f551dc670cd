"""Who gains what: two bundles asked the same questions, from cases or from recorded traffic."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from policies.bundle import Bundle, RuleFile
from policies.engine import Engine
from policies.model import Assurance, Decision, PolicyEffect, Request
from policies.reading import accept
from policies.review.cases import Case, CasesRefused, parse


@dataclass(frozen=True, slots=True)
class Change:
    """One question that the bundles decide differently. `gains`: what was refused or asked for is now easier to have; `loses`: harder.
    Neither: as far away as before, for another reason or by another rule."""

    name: str
    before: Decision
    after: Decision
    gains: bool
    loses: bool = False


@dataclass(frozen=True, slots=True)
class PartsChanged:
    """Parts of a bundle that only the later one has, only the earlier one, or both in different form; by name, sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DifferenceReport:
    """`good` means that nobody gains. `policies` that were added, removed or changed in what they say to Cedar, by their @id. `asked`: how
    many questions; `gains` and `loses`: in how many of them the customer does."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    changes: tuple[Change, ...]
    asked: int = 0
    gains: int = 0
    loses: int = 0
    functions: PartsChanged = field(default_factory=PartsChanged)
    cases: PartsChanged = field(default_factory=PartsChanged)

    @property
    def good(self) -> bool:
        return not any(change.gains for change in self.changes)


@dataclass(frozen=True, slots=True)
class QuestionOfBoth:
    """One question, as each of the bundles is asked it: its context speaks of the function as that bundle declares it. `data_class`: of a
    question of disclosure."""

    before: Request
    after: Request
    data_class: str | None = None


def difference(before: Bundle, after: Bundle, asked: Mapping[str, Request | QuestionOfBoth]) -> DifferenceReport:
    """What would change if `after` took the place of `before`. BundleRefused if one of them is not fit to decide."""
    rules = _changed(*({rule.id: rule.policy for rule in accept(bundle)[1]} for bundle in (before, after)))
    engines = Engine(before, compiled=False), Engine(after, compiled=False)
    changes = []
    for name, question in asked.items():
        one = question if isinstance(question, QuestionOfBoth) else QuestionOfBoth(question, question)
        was, becomes = _decided(engines[0], one.before, one.data_class), _decided(engines[1], one.after, one.data_class)
        if was != becomes:
            nearer = _distance(was) - _distance(becomes)
            changes.append(Change(name, was, becomes, nearer > 0, nearer < 0))
    return DifferenceReport(
        before.hash,
        after.hash,
        rules.added,
        rules.removed,
        rules.changed,
        tuple(changes),
        asked=len(asked),
        gains=sum(change.gains for change in changes),
        loses=sum(change.loses for change in changes),
        functions=_changed(*({function.name: function for function in bundle.functions} for bundle in (before, after))),
        cases=_changed(*({file.name: file.text for file in bundle.cases} for bundle in (before, after))),
    )


def questions(before: Bundle, after: Bundle, *files: Sequence[RuleFile]) -> dict[str, QuestionOfBoth]:
    """The cases of these files as questions to both bundles, the first of each name under it; one of the same name that asks something else
    is asked as well. Where a bundle does not know a function of them it is asked by the other's words, and denies. CasesRefused where
    neither can read them."""
    found: dict[str, QuestionOfBoth] = {}
    for listed in files:
        texts = {file.name: file.text for file in listed}
        if not texts:
            continue
        for was, becomes in _of_both(texts, before, after):
            question = QuestionOfBoth(was.request, becomes.request, becomes.data_class)
            name = becomes.name
            while (there := found.setdefault(name, question)) is not question and there != question:
                name += " (another of this name)"
    return found


def _of_both(texts: Mapping[str, str], before: Bundle, after: Bundle) -> Iterable[tuple[Case, Case]]:
    read: list[tuple[Case, ...] | None] = []
    refusal: CasesRefused | None = None
    for bundle in (before, after):
        try:
            read.append(parse(texts, bundle))
        except CasesRefused as refused:
            read.append(None)
            refusal = refused
    was, becomes = read[0] or read[1], read[1] or read[0]
    if was is None or becomes is None:
        raise refusal or AssertionError("one of them was refused")
    return zip(was, becomes, strict=True)


def _decided(engine: Engine, request: Request, data_class: str | None) -> Decision:
    return engine.decide(request) if data_class is None else engine.disclose(request, data_class)


def _changed(old: Mapping[str, object], new: Mapping[str, object]) -> PartsChanged:
    return PartsChanged(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    )


def _distance(decision: Decision) -> int:
    """How far a decision is from a permit: the rung that it takes, beyond every rung for a deny."""
    if decision.effect is PolicyEffect.PERMIT:
        return 0
    return len(Assurance) if decision.rung is None else decision.rung
