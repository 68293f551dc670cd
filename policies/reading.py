"""From a bundle's text to rules that are fit to decide, or to the findings that say why they are not.

Everything that a bundle is refused for is here; the engine takes only what passed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from policies import cedar, monotone, restrictions
from policies import schema_checks as shape
from policies.bundle import Bundle, RuleFile
from policies.cedar import CedarRefused, Policy, Schema
from policies.model import Reason
from policies.source import Passage, SourceLine, passages


class BundleFault(StrEnum):
    """What a bundle is refused for."""

    SCHEMA = "schema"
    MANIFEST = "manifest"
    EMPTY = "empty"
    SYNTAX = "syntax"
    INVALID = "invalid"
    NO_ID = "no_id"
    DUPLICATE_ID = "duplicate_id"
    NO_REASON = "no_reason"
    UNKNOWN_REASON = "unknown_reason"
    NO_WORDS = "no_words"
    NOT_MONOTONE = "not_monotone"
    RESTRICTION = "restriction"


@dataclass(frozen=True, slots=True)
class BundleFinding:
    """One reason to refuse a bundle. `place` is None for what concerns the bundle as a whole."""

    fault: BundleFault
    message: str
    policy: str = ""
    place: SourceLine | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy that passed: under its @id, with the reason and the words of its annotations, and where it stands."""

    policy: Policy
    reason: Reason
    says: str
    passage: Passage

    @property
    def id(self) -> str:
        return self.policy.id


@dataclass(frozen=True, slots=True)
class ParsedBundle:
    """A bundle, read. `rules` are all its policies only if there are no findings."""

    schema: Schema | None
    rules: tuple[Rule, ...]
    findings: tuple[BundleFinding, ...]


class BundleRefused(Exception):
    """A bundle that must not decide, with every finding."""

    def __init__(self, findings: tuple[BundleFinding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


SCHEMA_FILE = "bank.cedarschema"

_QUOTED = re.compile(r"`([^`]+)`")


def read(bundle: Bundle) -> ParsedBundle:
    """Read and judge a bundle: schema, manifest, syntax, annotations, strict validation, monotony and restrictions.

    Never raises for its content.
    """
    findings: list[BundleFinding] = []
    schema: Schema | None = None
    try:
        schema = Schema(bundle.schema)
    except CedarRefused as refused:
        findings.append(BundleFinding(BundleFault.SCHEMA, f"the schema is refused: {refused}", place=SourceLine(SCHEMA_FILE, 1)))
    if schema is not None:
        findings.extend(_manifest_faults(bundle, schema))
        findings.extend(_shape_faults(bundle, schema))
    rules: list[Rule] = []
    for file in sorted(bundle.rules, key=lambda file: file.name):
        for passage in passages(file.name, file.text):
            found = list(_passage_faults(passage, schema))
            findings.extend(finding for finding in found if isinstance(finding, BundleFinding))
            rules.extend(rule for rule in found if isinstance(rule, Rule))
    findings.extend(_duplicates(rules))
    if not any(passages(file.name, file.text) for file in bundle.rules):
        findings.append(BundleFinding(BundleFault.EMPTY, "the bundle has no policies"))
    return ParsedBundle(schema, tuple(rules), tuple(findings))


def accept(bundle: Bundle) -> tuple[Schema, tuple[Rule, ...]]:
    """The schema and rules of a bundle that may decide. BundleRefused if there is any finding."""
    reading = read(bundle)
    if reading.findings or reading.schema is None:
        raise BundleRefused(reading.findings)
    return reading.schema, reading.rules


def without(bundle: Bundle, policy: str) -> Bundle:
    """The bundle less one policy: what mutation tests decide with. KeyError if there is no such policy."""
    rules = []
    found = False
    for file in bundle.rules:
        text = file.text
        for passage in passages(file.name, file.text):
            if _annotated(passage) == policy:
                text, found = text.replace(passage.text, "", 1), True
        rules.append(RuleFile(file.name, text))
    if not found:
        raise KeyError(policy)
    return Bundle(
        version=bundle.version, author=bundle.author, schema=bundle.schema, rules=tuple(rules), functions=bundle.functions
    )


def _annotated(passage: Passage) -> str | None:
    try:
        (policy,) = cedar.parse(passage.text)
    except (CedarRefused, ValueError):
        return None
    return policy.annotations.get("id")


def _manifest_faults(bundle: Bundle, schema: Schema) -> Iterator[BundleFinding]:
    """The schema must have an action for each function, in the group of its effect, and none besides."""
    names = [function.name for function in bundle.functions]
    if len(set(names)) != len(names):
        yield BundleFinding(BundleFault.MANIFEST, "two functions have one name")
    groups = {"R": "read", "W": "write", "P": "protect", "I": "irreversible"}
    wanted = {function.name: groups.get(function.effect) for function in bundle.functions}
    actions = cedar.actions(schema)
    for name, group in wanted.items():
        if group is None:
            yield BundleFinding(BundleFault.MANIFEST, f"function {name} has an unknown effect")
        elif name not in actions:
            yield BundleFinding(
                BundleFault.SCHEMA, f"the schema has no action for function {name}", place=SourceLine(SCHEMA_FILE, 1)
            )
        elif actions[name] != {group, "call"}:
            yield BundleFinding(
                BundleFault.SCHEMA, f"the schema has function {name} in the wrong group", place=SourceLine(SCHEMA_FILE, 1)
            )
    for name in sorted(set(actions) - set(wanted) - {"call", "touch", "reveal", *groups.values()}):
        yield BundleFinding(
            BundleFault.SCHEMA, f"the schema has an action for {name}, which is no function", place=SourceLine(SCHEMA_FILE, 1)
        )


def _shape_faults(bundle: Bundle, schema: Schema) -> Iterator[BundleFinding]:
    """The engine must know the shape of every function's arguments."""
    place = SourceLine(SCHEMA_FILE, 1)
    try:
        contexts = shape.contexts(str(schema.handle))
    except shape.Unreadable as error:
        yield BundleFinding(BundleFault.SCHEMA, f"the schema is in a form that the engine cannot read: {error}", place=place)
        return
    for name in sorted({function.name for function in bundle.functions} | {"touch", "reveal"}):
        if name not in contexts or "args" not in contexts[name].members:
            yield BundleFinding(BundleFault.SCHEMA, f"the schema has no args in the context of {name}", place=place)


def _passage_faults(passage: Passage, schema: Schema | None) -> Iterator[BundleFinding | Rule]:
    """The faults of one policy, or the rule that it is."""
    try:
        (policy,) = cedar.parse(passage.text)
    except (CedarRefused, ValueError) as refused:
        message = str(refused)
        yield BundleFinding(BundleFault.SYNTAX, f"not a policy: {message}", place=passage.find(_word(message)))
        return
    name = policy.annotations.get("id", "")
    faults = list(_annotation_faults(policy, name, passage))
    if schema is not None:
        messages = cedar.validate(passage.text, schema)
        faults.extend(BundleFinding(BundleFault.INVALID, message, name, passage.find(_word(message))) for message in messages)
    complaint = monotone.fault(policy)
    if complaint is not None:
        faults.append(BundleFinding(BundleFault.NOT_MONOTONE, complaint, name, passage.find("assurance")))
    complaint = restrictions.fault(policy)
    if complaint is not None:
        faults.append(BundleFinding(BundleFault.RESTRICTION, complaint, name, passage.find(restrictions.ATTRIBUTE)))
    if faults:
        yield from faults
        return
    yield Rule(cedar.renamed(policy, name), Reason(policy.annotations["reason"]), policy.annotations["says"], passage)


def _annotation_faults(policy: Policy, name: str, passage: Passage) -> Iterator[BundleFinding]:
    reason = policy.annotations.get("reason", "")
    place = SourceLine(passage.file, passage.line)
    if not name:
        yield BundleFinding(BundleFault.NO_ID, "a policy without @id", place=place)
    if not reason:
        yield BundleFinding(BundleFault.NO_REASON, "a policy without @reason", name, place)
    elif reason not in set(Reason) or reason in {Reason.ERROR, Reason.NO_RULE}:
        yield BundleFinding(BundleFault.UNKNOWN_REASON, f"no such reason: {reason}", name, passage.find("@reason"))
    if not policy.annotations.get("says"):
        yield BundleFinding(BundleFault.NO_WORDS, "a policy without @says", name, place)


def _duplicates(rules: list[Rule]) -> Iterator[BundleFinding]:
    first: dict[str, Rule] = {}
    for rule in rules:
        earlier = first.setdefault(rule.id, rule)
        if earlier is not rule:
            where = f"{earlier.passage.file}:{earlier.passage.line}"
            yield BundleFinding(BundleFault.DUPLICATE_ID, f"the @id stands at {where} already", rule.id, rule.passage.find("@id"))


def _word(message: str) -> str:
    """What Cedar's message quotes, to find the line: the last quotation that is not a position id."""
    quoted = [word for word in _QUOTED.findall(message) if not re.fullmatch(r"policy\d+", word)]
    return quoted[-1] if quoted else ""
