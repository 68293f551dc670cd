"""The decision point: a bundle, parsed once, asked again and again.

Default deny, forbid wins, and anything but an error-free answer denies: Cedar alone skips a policy that errors, so that a forbid
whose arithmetic overflows would let the request through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache

import orjson

from policies import cedar, ladder, restrictions
from policies.bundle import Bundle
from policies.cedar import CedarAnswer, CedarRefused, Entities, Policy, PolicySet
from policies.compiled_expressions import Unsure
from policies.decision_cache import DecisionCache, Key
from policies.disclosure import Disclosure
from policies.ladder import Tally
from policies.model import JSON, Assurance, Decision, Request, Uid
from policies.reading import accept
from policies.specialisation import Specialisation, Subject, grind, shown
from policies.static_analysis import concerns

TOUCH = "touch"
REVEAL = "reveal"

_KNOWN_SLICES = 2048
"""About 35 KB each, the principal alone and the slice."""

_RUNGS = {int(rung): rung for rung in Assurance}


class Engine:
    """Decides by one bundle. Immutable to its callers and safe to share. BundleRefused if the bundle is not fit to decide."""

    def __init__(self, bundle: Bundle, *, compiled: bool = True) -> None:
        """Without `compiled` Cedar alone decides: what reviews and tools ask, and what the compiled rules are held against."""
        self._compiled = compiled
        self.hash = bundle.hash
        self._schema, rules = accept(bundle)
        self._reasons = {rule.id: rule.reason for rule in rules}
        self.policies = tuple(rule.id for rule in rules)
        self.restrictions = frozenset[str]().union(*(restrictions.names(rule.policy) for rule in rules))
        """The names that a customer's mandate may hold as restrictions."""
        self._functions = {function.name: _Declared(asdict(function)) for function in bundle.functions}
        groups = cedar.actions(self._schema)

        # A policy whose scope excludes the action is neither satisfied nor in error, so leaving it out changes nothing but the cost
        def policies(action: str) -> list[Policy]:
            return [rule.policy for rule in rules if concerns(rule.policy, action, groups)]

        touch = policies(TOUCH)
        subjects = [Subject(name, declared.facts, policies(name), touch) for name, declared in self._functions.items()]
        self._lenses = grind(self._schema, subjects, TOUCH)
        self._disclosing = PolicySet(policies(REVEAL))
        self._disclosure = Disclosure(policies(REVEAL))
        self._principal = lru_cache(maxsize=_KNOWN_SLICES)(self._parsed)
        self._slice = lru_cache(maxsize=_KNOWN_SLICES)(self._joined)
        self._memory = DecisionCache()

    def decide(self, request: Request) -> Decision:
        """Permit, challenge or deny. Never raises for what the request holds: what is malformed is denied, and says so.

        Objects that the arguments name beside the resource are each asked for as `touch`, and all must be permitted.
        """
        present = _assurance(request.context)
        declared = self._functions.get(request.action)
        if present is None:
            return ladder.error(("the assurance is not a level from 0 to 4",))
        if declared is None:
            return ladder.error(("the bundle has no such function",))
        if request.context.get("function") != declared.facts:
            return ladder.error(("the context speaks of another function than the bundle",))
        if not declared.facts["emergency"] and not self._knows_restrictions(request):
            return ladder.error(("the customer has a restriction that no rule of the bundle asks for",))
        lenses = self._lenses[request.action]
        lens = lenses.through(request.context)
        args = request.context.get("args")
        # Cedar takes entities in forms that only the schema tells from text: what could hide an object from `touch` is refused
        if not isinstance(args, dict) or (lens is lenses.whole and not lenses.arguments(args)):
            return ladder.error(("the arguments have not the shape that the schema gives them",))
        touched = list(declared.touched(args))
        try:
            return self._remembered(request, present, touched, lens)
        except CedarRefused as refused:
            return ladder.error((str(refused),))

    def _knows_restrictions(self, request: Request) -> bool:
        """A restriction without a rule restricts nothing, which nobody meant. One of another form is the schema's to refuse."""
        uid = {"type": request.principal.type, "id": request.principal.id}
        for entity in request.entities:
            if isinstance(entity, Mapping) and entity.get("uid") == uid:
                attributes = entity.get("attrs")
                named = attributes.get(restrictions.ATTRIBUTE) if isinstance(attributes, Mapping) else None
                return named is None or not isinstance(named, list) or all(name in self.restrictions for name in named)
        return True

    def _remembered(self, request: Request, present: Assurance, touched: Sequence[Uid], lens: Specialisation) -> Decision:
        """What was decided of the same before, where `policies.decision_cache` shows that it still holds; else what the rules say."""
        lasting = lens.memorable
        moment = None if lasting is None else lasting.moment(request.context.get("now"))
        if lasting is None or moment is None or "money" in request.context:
            # of an amount nothing is remembered: only a duplicate would ask it again, and it would push out a read
            return self._decided(request, present, touched, lens)
        context, texts = request.context, _texts(request)
        seen = as_json({name: context[name] for name in lasting.members if name in context})
        place = self._memory.place(_key(request, present, touched, (*texts, seen)))
        decision = place.recall(moment)
        if decision is None:
            decision = self._decided(request, present, touched, lens)
            place.keep(moment, lasting.flips(*texts), decision)
        return decision

    def _decided(self, request: Request, present: Assurance, touched: Sequence[Uid], lens: Specialisation) -> Decision:
        """What the rules say: compiled where they are sure, else by Cedar."""
        if lens.compiled is not None and self._compiled:
            try:
                tally = lens.compiled.tallies(request, touched)
                return ladder.judge(present, lambda rungs: [tally(int(rung)) for rung in rungs], self._reasons)
            except Unsure:
                pass
        texts = _texts(request)
        return ladder.judge(present, lambda rungs: self._tallies(request, touched, texts, lens, rungs), self._reasons)

    def _tallies(
        self, request: Request, touched: Sequence[Uid], texts: tuple[str, str], lens: Specialisation, rungs: Sequence[Assurance]
    ) -> Sequence[Tally]:
        """What Cedar says of the request and of every object that it touches, at each of these rungs."""
        questions: list[cedar.Ask] = []
        for rung in rungs:
            assurance = {"level": int(rung)}
            context = as_json(shown(request.context, lens.members, assurance))
            questions.append(cedar.question(request.principal, request.action, request.resource, context))
            context = as_json(shown({**request.context, "args": {}}, lens.touch_members, assurance)) if touched else ""
            questions += [cedar.question(request.principal, TOUCH, uid, context) for uid in touched]
        answers = iter(cedar.ask(questions, lens.rules, self._slice(*texts), lens.schema))
        return [_together([next(answers) for _ in range(1 + len(touched))]) for _ in rungs]

    def reveal(self, request: Request, classes: Iterable[str]) -> frozenset[str]:
        """Which of these data classes may leave in the answer to a permitted request. What is in error stays back."""
        wanted = tuple(classes)
        key = self._disclosure.key(request.context)
        if key is None:
            each = zip(wanted, self._disclosed(request, wanted), strict=True)
            return frozenset(name for name, answer in each if answer.allowed and not answer.errors)
        known = self._disclosure.known(key)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            # An answer with an error may be this request's fault alone: it keeps the class back, and is not remembered
            answers = zip(unknown, self._disclosed(request, unknown), strict=True)
            known.update((name, answer.allowed is True) for name, answer in answers if not answer.errors)
        return frozenset(name for name in wanted if known.get(name, False))

    def disclose(self, request: Request, data_class: str) -> Decision:
        """Whether one data class may leave, and why: permit or deny. What `reveal` answers, for cases and explanations."""
        (answer,) = self._disclosed(request, [data_class])
        return ladder.final(_tallied(answer), self._reasons)

    def _disclosed(self, request: Request, classes: Sequence[str]) -> list[CedarAnswer]:
        try:
            context = as_json({**request.context, "args": {}})
            entities = self._entities(request)
        except CedarRefused as refused:
            return [CedarAnswer(None, (), (str(refused),))] * len(classes)
        questions = [cedar.question(request.principal, REVEAL, Uid("DataClass", name), context) for name in classes]
        return cedar.ask(questions, self._disclosing, entities, self._schema)

    def _entities(self, request: Request) -> Entities:
        """The slice. Its largest part, the principal with the mandate, is parsed once for all requests that give the same bytes."""
        return self._slice(*_texts(request))

    def _joined(self, principal: str, others: str) -> Entities:
        return self._principal(principal).with_added(others, self._schema)

    def _parsed(self, text: str) -> Entities:
        return Entities(text, self._schema)


def _texts(request: Request) -> tuple[str, str]:
    """The entities as JSON: the principal, and the others."""
    uid = {"type": request.principal.type, "id": request.principal.id}
    principal = next((entity for entity in request.entities if isinstance(entity, Mapping) and entity.get("uid") == uid), None)
    if principal is None:
        raise CedarRefused("the principal is not among the entities")
    others = [entity for entity in request.entities if entity is not principal]
    return as_json([principal]), as_json(others)


def _key(request: Request, present: Assurance, touched: Sequence[Uid], texts: tuple[str, str, str]) -> Key:
    """All that Cedar sees of a request, but for `now`."""
    principal, resource = request.principal, request.resource
    named = tuple((uid.type, uid.id) for uid in touched)
    return (request.action, principal.type, principal.id, resource.type, resource.id, present, named, texts)


class _Declared:
    """A function of the bundle, as requests must speak of it."""

    def __init__(self, entry: Mapping[str, JSON]) -> None:
        self.facts = {name: entry[name] for name in ("name", "effect", "level", "emergency", "egress")}
        self._resource = entry["resource"]

    def touched(self, args: Mapping[str, JSON]) -> Iterator[Uid]:
        """Every object that an argument names, save those of the argument that is the resource."""
        for name, value in args.items():
            if name != self._resource:
                yield from _named(value)


def _named(value: JSON) -> Iterator[Uid]:
    """Every entity in a value that fits its shape, in which entities have one form."""
    if type(value) is dict:
        uid = value.get("__entity")
        if uid is not None:
            yield Uid(uid["type"], uid["id"])
        else:
            for member in value.values():
                if type(member) is dict or type(member) is list:
                    yield from _named(member)
    elif type(value) is list:
        for member in value:
            yield from _named(member)


def _together(answers: Sequence[CedarAnswer]) -> Tally:
    """All of them or none. Of a refusal only the forbids count; an answer without a decision is an error."""
    if len(answers) == 1:
        return _tallied(answers[0])
    tallies = [_tallied(answer) for answer in answers]
    permitted = all(tally.permitted for tally in tallies)
    policies = {policy for tally in tallies if tally.permitted is permitted for policy in tally.policies}
    errors = tuple(error for tally in tallies for error in tally.errors)
    return Tally(permitted, tuple(sorted(policies)), errors)


def _tallied(answer: CedarAnswer) -> Tally:
    errors = answer.errors
    if answer.allowed is None and not errors:
        errors = ("no decision",)
    return Tally(answer.allowed is True, tuple(sorted(answer.policies)), errors)


def _assurance(context: Mapping[str, JSON]) -> Assurance | None:
    assurance = context.get("assurance")
    level = assurance.get("level") if type(assurance) is dict and len(assurance) == 1 else None
    return _RUNGS.get(level) if type(level) is int else None


def as_json(value: object) -> str:
    """JSON text for Cedar. CedarRefused for what is none: a number beyond 64 bits, a lone surrogate, an object."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise CedarRefused(str(error)) from error
