"""`tellergate policy`: check, test and explain a bundle, before anybody activates it."""

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from audit.keys import KeyDestroyed
from audit.log import LogUnavailable
from audit.query import NotSealed, reveal
from gateway.app.bundle import read_bundle
from gateway.app.clock import utc_now
from gateway.app.databases import is_trail, open_log
from gateway.commands.approvals import ApprovalWaits, use_approval, waits
from gateway.commands.audit import reveal_subject
from gateway.commands.locations import locations
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.grounding.words import in_words
from policies.bundle import Bundle, RuleFile
from policies.model import Decision, Request, Uid
from policies.reading import BundleRefused
from policies.review.cases import Case, CasesRefused, parse
from policies.review.check import check
from policies.review.difference import difference
from policies.review.explain import explain
from policies.review.plain import plain
from policies.review.trial import trial


def check_bundle(options: argparse.Namespace) -> int:
    """What a bundle would be refused for, with file and line."""
    report = check(_bundle(options))
    if options.json:
        print_json(plain(report))
    else:
        for finding in report.findings:
            where = "" if finding.place is None else f"{finding.place.file}:{finding.place.line}: "
            print(f"{where}{finding.message}")
        print_table(
            ("policy", "effect", "reason", "says"),
            ((policy.policy, policy.effect, policy.reason, policy.says) for policy in report.policies),
        )
        print(f"bundle {report.bundle}: {'good' if report.good else 'refused'}")
    return GOOD if report.good else FINDING


def test_bundle(options: argparse.Namespace) -> int:
    """Every case, decided by this bundle."""
    bundle = _bundle(options)
    try:
        report = trial(bundle, _cases(options, bundle))
    except (BundleRefused, CasesRefused) as refused:
        return failed(f"{refused}; see `tellergate policy check`", FINDING)
    if options.json:
        print_json(plain(report))
        return GOOD if report.good else FINDING
    bad = [result for result in report.results if not result.good]
    for result in bad:
        print(f"{result.place.file}:{result.place.line}: {result.name}: {'; '.join(result.complaints)}")
    for what, names in (("decided no case", report.undecided), ("no case calls it", report.untried)):
        for name in names:
            print(f"{name}: {what}")
    print(f"{len(report.results) - len(bad)} of {len(report.results)} cases hold; bundle {report.bundle}")
    return GOOD if report.good else FINDING


def compare(options: argparse.Namespace) -> int:
    """What a change of the rules would change for whom; a finding if anybody gains."""
    if options.rules is None:
        return failed("give the changed rules with --rules FOLDER", USAGE)
    before, after = read_bundle(), _bundle(options)
    try:
        asked = {case.name: case.request for case in _cases(options, before) if case.data_class is None}
        report = difference(before, after, asked)
    except (BundleRefused, CasesRefused) as refused:
        return failed(f"{refused}; see `tellergate policy check`", FINDING)
    if options.json:
        print_json(plain(report))
        return GOOD if report.good else FINDING
    for what, names in (("added", report.added), ("removed", report.removed), ("changed", report.changed)):
        print(f"policies {what}: {', '.join(names) or 'none'}")
    rows = (
        (change.name, _told(change.before), _told(change.after), "gains" if change.gains else "loses") for change in report.changes
    )
    print_table(("case", "before", "after", "the customer"), rows)
    return GOOD if report.good else FINDING


def _told(decision: Decision) -> str:
    return f"{decision.effect.value}: {decision.reason.value}"


def explain_one(options: argparse.Namespace) -> int:
    """One decision in plain words: of a case, or of a record, replayed by this bundle."""
    bundle = _bundle(options)
    if (options.case_name is None) == (options.record is None):
        return failed("give a case by its name, or --record with --data and --officer-key", USAGE)
    try:
        requests, sources = _of_record(options) if options.case_name is None else (_of_case(options, bundle), ())
    except ValueError as error:
        return failed(str(error), USAGE)
    except CasesRefused as refused:
        return failed(str(refused), FINDING)
    except ApprovalWaits as waiting:
        return waits(options, waiting)
    except RequestFault as refused:
        return failed(refused.message, FINDING)
    except (NotSealed, KeyDestroyed):
        return failed("no decision is sealed in this record, or it was erased", FINDING)
    except (LogUnavailable, Unavailable):
        return failed("the log could not record the question, so it is not answered; try again", UNAVAILABLE)
    explanations = [explain(bundle, request) for request in requests]
    if options.json:
        told = [plain(explanation) for explanation in explanations]
        print_json(told if options.record is None else {"decisions": told, "sources": list(sources)})
        return GOOD
    for said in sources:
        print(said)
    for explanation in explanations:
        print(explanation.summary)
        print_table(("decided by", "effect", "because"), ((one.policy, one.effect, one.says) for one in explanation.decided))
        if explanation.needed:
            print(f"what it takes: {explanation.needed}")
        if explanation.near:
            print_table(
                ("was near", "condition that did not hold"),
                ((one.policy, f"{one.condition}  {dict(one.values)}") for one in explanation.near),
            )
    return GOOD


def _bundle(options: argparse.Namespace) -> Bundle:
    bundle = read_bundle()
    if options.rules is None:
        return bundle
    rule_files = sorted(
        path for path in Path(options.rules).iterdir() if path.suffix == ".cedar"
    )  # OSError where there is no folder
    rules = tuple(RuleFile(path.name, path.read_text()) for path in rule_files)
    return replace(bundle, rules=rules)


def _cases(options: argparse.Namespace, bundle: Bundle) -> Sequence[Case]:
    folder: Traversable = files("policies") / "cases" if options.cases is None else options.cases
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.name.endswith(".yaml")}
    return parse(texts, bundle)


def _of_case(options: argparse.Namespace, bundle: Bundle) -> Sequence[Request]:
    named = {case.name: case for case in _cases(options, bundle)}
    if options.case_name not in named:
        raise ValueError("no case has this name; `tellergate policy test --json` lists them")
    return [named[options.case_name].request]


def _of_record(options: argparse.Namespace) -> tuple[Sequence[Request], Sequence[str]]:
    """The decision requests of a record, and where the values of its call came from. What grounding denied was never decided."""
    if options.data is None or options.officer_key is None:
        raise ValueError("--record needs --data and --officer-key: to open a sealed decision is a record of the trail")
    values, leaf = asyncio.run(_opened(options))
    sources = in_words(leaf.get("grounding") or {})
    if "sealed.decision_request" not in values and not sources:
        raise NotSealed
    return [_request(value) for value in values.get("sealed.decision_request", ())], sources


async def _opened(options: argparse.Namespace) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    places, index = locations(options), options.record
    if not await is_trail(places):
        raise ValueError(f"there is no trail in {places.data}")
    log = await open_log(places, writer_id="command", clock=utc_now, may_upgrade=False)
    try:
        officer = acting_officer(options, Duty.REVEAL)
        why = officer.asks(Duty.REVEAL, options.purpose, options.case)
        await use_approval(options, log, officer, Duty.REVEAL, reveal_subject(options, index))
        values = (await reveal(log, index, why)).values
        stored = await log.read(lambda reads: reads.leaf(index))
        return values, {} if stored is None else json.loads(stored.leaf)
    finally:
        await log.close()


def _request(sealed: Mapping[str, Any]) -> Request:
    return Request(Uid(*sealed["principal"]), sealed["action"], Uid(*sealed["resource"]), sealed["context"], sealed["entities"])
