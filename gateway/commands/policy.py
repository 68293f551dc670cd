"""`tellergate policy check`, `test` and `explain`: what a bundle says, before anybody signs or activates it."""

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
from audit.opening import NotSealed
from audit.query import reveal
from gateway.app.bundle import read_bundle
from gateway.app.clock import utc_now
from gateway.app.databases import is_trail, open_log
from gateway.commands.approvals import ApprovalWaits, use_approval, waits
from gateway.commands.audit import reveal_subject
from gateway.commands.locations import locations
from gateway.commands.officers import acting_officer
from gateway.commands.policy_bundles import FileRefused, read_bundle_file
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, USAGE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.grounding.words import in_words
from policies.bundle import Bundle, RuleFile
from policies.model import Request, Uid
from policies.reading import BundleRefused
from policies.review.cases import Case, CasesRefused, parse
from policies.review.check import check
from policies.review.explain import explain
from policies.review.plain import plain
from policies.review.trial import trial


class WrongOptions(ValueError):
    """Options that do not go together. The text says which."""


def check_bundle(options: argparse.Namespace) -> int:
    """What a bundle would be refused for, with file and line."""
    try:
        bundle = _bundle(options)
    except (FileRefused, WrongOptions) as refused:
        return _refused(refused)
    report = check(bundle)
    if options.json:
        print_json(plain(report))
    else:
        _tell_file(options, bundle)
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
    try:
        bundle = _bundle(options)
        report = trial(bundle, _cases(options, bundle))
    except (FileRefused, WrongOptions) as refused:
        return _refused(refused)
    except (BundleRefused, CasesRefused) as refused:
        return failed(f"{refused}; see `tellergate policy check`", FINDING)
    if options.json:
        print_json(plain(report))
        return GOOD if report.good else FINDING
    _tell_file(options, bundle)
    bad = [result for result in report.results if not result.good]
    for result in bad:
        print(f"{result.place.file}:{result.place.line}: {result.name}: {'; '.join(result.complaints)}")
    for what, names in (("decided no case", report.undecided), ("no case calls it", report.untried)):
        for name in names:
            print(f"{name}: {what}")
    print(f"{len(report.results) - len(bad)} of {len(report.results)} cases hold; bundle {report.bundle}")
    return GOOD if report.good else FINDING


def _tell_file(options: argparse.Namespace, bundle: Bundle) -> None:
    """Of a bundle file, what its signatures are over: by the same hash `policy sign` tells what it signed."""
    if options.bundle is not None:
        files = f"{len(bundle.rules)} files of rules, {len(bundle.cases)} of cases, {len(bundle.functions)} functions"
        print(f"{options.bundle}: version {bundle.version} by {bundle.author}: {files}")


def _refused(refused: FileRefused | WrongOptions) -> int:
    return failed(str(refused), USAGE if isinstance(refused, WrongOptions) else FINDING)


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
    """The rules that the options name: of a bundle file, everything as it is signed; of a folder, over the shipped functions. FileRefused,
    WrongOptions, OSError."""
    file = getattr(options, "bundle", None)
    if file is not None:
        if options.rules is not None:
            raise WrongOptions("give a bundle file or --rules FOLDER, not both")
        return read_bundle_file(file)
    return rules_of(options.rules)


def rules_of(folder: Path | None) -> Bundle:
    """The rules of this folder over the shipped functions; None: those of this distribution. OSError where there is no folder."""
    bundle = read_bundle()
    if folder is None:
        return bundle
    rule_files = sorted(path for path in folder.iterdir() if path.suffix == ".cedar")
    rules = tuple(RuleFile(path.name, path.read_text()) for path in rule_files)
    return replace(bundle, rules=rules)


def cases_of(folder: Path | None) -> Sequence[RuleFile]:
    """The files of cases of this folder; None: those of this distribution."""
    found: Traversable = files("policies") / "cases" if folder is None else folder
    return [RuleFile(path.name, path.read_text()) for path in found.iterdir() if path.name.endswith(".yaml")]


def _cases(options: argparse.Namespace, bundle: Bundle) -> Sequence[Case]:
    """Those of the folder that is named, else the bundle's own where it is a file."""
    own = options.cases is None and getattr(options, "bundle", None) is not None
    return parse({file.name: file.text for file in (bundle.cases if own else cases_of(options.cases))}, bundle)


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
