"""What a bundle would be refused for, and what it holds."""

from dataclasses import dataclass

from policies.bundle import Bundle
from policies.model import Reason
from policies.reading import BundleFinding, Rule, read


@dataclass(frozen=True, slots=True)
class ListedPolicy:
    """One policy of a bundle, in its own words, and where it stands."""

    policy: str
    effect: str
    reason: Reason
    says: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """`good` means that an engine takes the bundle; `policies` are those that passed."""

    bundle: str
    findings: tuple[BundleFinding, ...]
    policies: tuple[ListedPolicy, ...]

    @property
    def good(self) -> bool:
        return not self.findings


def check(bundle: Bundle) -> CheckReport:
    """Everything that is wrong with a bundle, with file and line."""
    reading = read(bundle)
    return CheckReport(bundle.hash, reading.findings, tuple(listed(rule) for rule in reading.rules))


def listed(rule: Rule) -> ListedPolicy:
    """A rule as reports show it."""
    return ListedPolicy(rule.id, rule.policy.effect, rule.reason, rule.says, rule.passage.file, rule.passage.line)
