"""Everything for which a bundle with its cases would be refused, at once: what the engine refuses, cases that cannot be read, cases that do
not hold. Asked when it is built and again when it is activated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policies.bundle import Bundle
from policies.reading import Rule, read
from policies.review.cases import WORLD_FILE, CasesRefused, parse
from policies.review.trial import trial
from policies.source import SourceLine


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing to mend. `place` is None for what concerns the bundle as a whole."""

    message: str
    place: SourceLine | None = None

    def __str__(self) -> str:
        return self.message if self.place is None else f"{self.place.file}:{self.place.line}: {self.message}"


def complaints(bundle: Bundle) -> tuple[Complaint, ...]:
    """What is to be mended before this bundle may be activated; empty when nothing is.

    Cases are decided only where the rules can be: a rule that is refused would turn cases red that are good.
    """
    reading = read(bundle)
    found = [Complaint(_named(finding.policy, finding.message), finding.place) for finding in reading.findings]
    found += _unreadable_cases(bundle)
    return tuple(found or _untrue(bundle, reading.rules))


def _named(policy: str, message: str) -> str:
    return f"{policy}: {message}" if policy else message


def _unreadable_cases(bundle: Bundle) -> list[Complaint]:
    """Of each file its first fault; what only all files together show, where no file has one alone."""
    texts = {file.name: file.text for file in bundle.cases}
    world = {WORLD_FILE: texts[WORLD_FILE]} if WORLD_FILE in texts else {}
    alone = [{**world, name: text} for name, text in texts.items() if name != WORLD_FILE]
    refused = [said for some in (alone if world else []) if (said := _refusal(some, bundle)) is not None]
    together = None if refused else _refusal(texts, bundle)
    # a fault of the world is every file's
    return list(dict.fromkeys(refused)) + ([] if together is None else [together])


def _refusal(files: Mapping[str, str], bundle: Bundle) -> Complaint | None:
    try:
        parse(files, bundle)
    except CasesRefused as refused:
        return Complaint(refused.message, refused.place)
    return None


def _untrue(bundle: Bundle, rules: tuple[Rule, ...]) -> Iterator[Complaint]:
    report = trial(bundle, parse({file.name: file.text for file in bundle.cases}, bundle))
    for result in report.results:
        if not result.good:
            yield Complaint(f"{result.name}: {'; '.join(result.complaints)}", result.place)
    places = {rule.id: SourceLine(rule.passage.file, rule.passage.line) for rule in rules}
    for policy in report.undecided:
        yield Complaint(f"{policy}: decided no case", places[policy])
    for function in report.untried:
        yield Complaint(f"{function}: no case calls it")
