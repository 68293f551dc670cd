"""`tellergate policy diff`: what would change for whom if one bundle took the place of another, before anybody signs it."""

import argparse
import asyncio
from collections.abc import Sequence

from audit.log import LogUnavailable
from gateway.commands.locations import locations
from gateway.commands.policy import WrongOptions, cases_of, rules_of
from gateway.commands.policy_activations import activated_bundle
from gateway.commands.policy_bundles import FileRefused, read_bundle_file
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.domain.errors import Unavailable
from policies.bundle import Bundle, RuleFile
from policies.model import Decision
from policies.reading import BundleRefused
from policies.review.cases import CasesRefused
from policies.review.difference import Change, DifferenceReport, difference, questions
from policies.review.plain import plain


def compare(options: argparse.Namespace) -> int:
    """What a change of the rules would change for whom; a finding if anybody gains."""
    try:
        before, after = _both(options)
        report = difference(before, after, questions(before, after, *_asked(options, before, after)))
    except WrongOptions as refused:
        return failed(str(refused), USAGE)
    except FileRefused as refused:
        return failed(str(refused), FINDING)
    except (BundleRefused, CasesRefused) as refused:
        return failed(f"{refused}; see `tellergate policy check`", FINDING)
    except (LogUnavailable, Unavailable):
        return failed("the databases do not answer, so what is in force is not known", UNAVAILABLE)
    if options.json:
        print_json(plain(report))
    else:
        _tell(before, after, report)
    return GOOD if report.good else FINDING


def _both(options: argparse.Namespace) -> tuple[Bundle, Bundle]:
    """OLD and NEW. WrongOptions, FileRefused, LogUnavailable, Unavailable, OSError."""
    if options.rules is not None:
        if options.bundles or options.active:
            raise WrongOptions("give bundle files or --rules FOLDER, not both")
        return rules_of(None), rules_of(options.rules)
    places = locations(options) if options.active and options.data is not None else None
    named = [read_bundle_file(path) for path in options.bundles]
    if places is not None and len(named) == 1:
        return asyncio.run(activated_bundle(places, None)), named[0]
    if options.active or len(named) != 2:
        raise WrongOptions("give OLD and NEW, two bundle files; or NEW with --active and --data FOLDER; or --rules FOLDER")
    return named[0], named[1]


def _asked(options: argparse.Namespace, before: Bundle, after: Bundle) -> Sequence[Sequence[RuleFile]]:
    """The cases of the new bundle, and those of the old one, which may have lost one that mattered."""
    if options.cases is not None or options.rules is not None:
        return [cases_of(options.cases)]
    if not (before.cases or after.cases):
        raise FileRefused("neither bundle has cases of its own; name some with --cases FOLDER")
    return [after.cases, before.cases]


def _tell(before: Bundle, after: Bundle, report: DifferenceReport) -> None:
    if before.version != after.version:
        print(f"from version {before.version} by {before.author} to version {after.version} by {after.author}")
    for what, parts in (
        ("policies", (report.added, report.removed, report.changed)),
        ("functions", (report.functions.added, report.functions.removed, report.functions.changed)),
        ("files of cases", (report.cases.added, report.cases.removed, report.cases.changed)),
    ):
        for how, names in zip(("added", "removed", "changed"), parts, strict=True):
            if what == "policies" or names:
                print(f"{what} {how}: {', '.join(names) or 'none'}")
    rows = ((change.name, _decision(change.before), _decision(change.after), _for_whom(change)) for change in report.changes)
    if report.changes:
        print_table(("case", "before", "after", "the customer"), rows)
    same = report.asked - len(report.changes)
    otherwise = len(report.changes) - report.gains - report.loses
    print(
        f"{report.asked} cases asked of both: {same} are decided alike, in {report.gains} the customer gains, in {report.loses} loses, "
        f"{otherwise} are as far away for another reason"
    )
    print(f"bundle {report.after} in the place of {report.before}")


def _decision(decision: Decision) -> str:
    rung = "" if decision.rung is None else f" (level {int(decision.rung)})"
    return f"{decision.effect.value}{rung}: {decision.reason.value}"


def _for_whom(change: Change) -> str:
    return "gains" if change.gains else "loses" if change.loses else "as before"
