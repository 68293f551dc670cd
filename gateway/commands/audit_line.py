"""The options of `tellergate audit`."""

import argparse
from pathlib import Path

from gateway.commands.options import data_option as _data
from gateway.commands.options import database_option as _database
from gateway.commands.options import late as _late
from gateway.commands.options import officer_key
from gateway.commands.streams_line import streams_options
from gateway.commands.witness_line import monitor_options

CALL_KINDS = ("deny", "read", "intent", "outcome", "unknown", "reconciled")
DUTY_KINDS = (
    "policy.activate",
    "key.rotate",
    "key.destroy",
    "hold.place",
    "hold.release",
    "audit.query",
    "audit.reveal",
    "audit.export",
)
KINDS = (*CALL_KINDS, *DUTY_KINDS, "confirmation", "admin", "census", "log.start", "log.stop")
"""Kinds of records that can be asked for."""


def audit_options(parser: argparse.ArgumentParser) -> None:
    """Every verb."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _questions(commands)
    opening = commands.add_parser("reveal", help="open what is sealed of one record")
    opening.add_argument("index", type=int)
    _asked_by(opening)
    opening.set_defaults(command=_late("audit", "reveal_one"))
    checking = commands.add_parser("verify", help="verify a bundle, or the live log of a folder")
    checking.add_argument("bundle", type=Path, nargs="?", help="an evidence bundle")
    checking.add_argument("--data", type=Path, help="the folder of a live log, instead of a bundle")
    _database(checking)
    checking.add_argument("--trust", type=Path, help="the trust policy, got on another way than the bundle")
    checking.add_argument("--pinned", type=Path, help="a checkpoint of this log that you kept")
    checking.add_argument(
        "--after-checkpoint", type=Path, help="the checkpoint that the bundle continues, which you verified before"
    )
    checking.add_argument("--witness", nargs="+", metavar="VKEY", help="keys of the witnesses that you trust, with a bundle")
    checking.add_argument("--witness-quorum", type=int, metavar="N", help="so many of them must have cosigned; left out: all")
    checking.add_argument(
        "--tsa", type=Path, metavar="ROOTS", help="PEM roots of the time stamp authorities that you trust, with a bundle"
    )
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(command=_late("audit", "verify_trail"))
    monitor_options(
        commands.add_parser("monitor", help="follow a log by its tiles, from outside: one history, cosigned, not silent")
    )
    streams_options(commands.add_parser("streams", help="how far the streams of the trail to others are"), _asked_by)
    keeping = commands.add_parser("checkpoint", help="print the latest published checkpoint: keep it, to pin later exports to it")
    _data(keeping, "folder of the gateway")
    _database(keeping)
    keeping.add_argument("--json", action="store_true")
    keeping.set_defaults(command=_late("audit", "checkpoint"))
    publishing = commands.add_parser(
        "verifiers", help="the verifiers of bundles: their hashes, here and on record, and their files"
    )
    _data(publishing, "folder of the gateway")
    _database(publishing)
    publishing.add_argument("--out", type=Path, help="write their files into this folder")
    publishing.add_argument("--json", action="store_true")
    publishing.set_defaults(command=_late("verifiers", "verifiers"))
    proving = commands.add_parser("evidence", help="verify that a passkey confirmed exactly this: what `reveal --json` printed")
    proving.add_argument("file", type=Path, help="JSON with the intent and its evidence")
    proving.add_argument("--rp-id", required=True, help="the bank's WebAuthn relying party id")
    proving.add_argument("--origin", action="append", required=True, help="an origin where customers confirm; may be repeated")
    proving.add_argument("--public-key", help="the COSE_Key that it must be, base64url")
    proving.add_argument("--json", action="store_true")
    proving.set_defaults(command=_late("audit", "verify_evidence"))
    _export(commands.add_parser("export", help="write an evidence bundle: matches, the whole log, or what follows a checkpoint"))
    _persons(commands)
    _recovering(commands.add_parser("recover", help="newest records are lost: the log goes on under another name, by two officers"))
    comparing = commands.add_parser("reconcile", help="the log's intents against what the core says that it did")
    _asked_by(comparing)
    comparing.add_argument("--since", help="inclusive, ISO 8601; left out: the last day")
    core_options(comparing)
    comparing.set_defaults(command=_late("reconciliation", "reconcile"))


def _questions(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    question = commands.add_parser("query", help="the records that match")
    question.set_defaults(command=_late("questions", "query"))
    acting = commands.add_parser("agent", help="what an agent, client or assistant did")
    acting.add_argument("agent", metavar="AGENT", help="its id")
    acting.set_defaults(command=_late("questions", "agent"))
    for item in (question, acting):
        _matching(item)
    looking = commands.add_parser("who-looked", help="who looked at a customer: questions, openings, exports")
    looking.add_argument("--customer", required=True)
    looking.add_argument("--by-chance", action="store_true", help="by a question that named nobody, and showed a record of theirs")
    looking.set_defaults(command=_late("questions", "who_looked"))
    for item in (question, acting, looking):
        _asked_by(item)
        item.add_argument("--limit", type=int, default=100, help="records of a page, 1 to 500")
        item.add_argument("--cursor", help="where the last page ended")
        item.add_argument("--newest-first", action="store_true", help="the newest records first")
        item.add_argument("--csv", metavar="FILE", type=Path, help="write the page as CSV, too")
    reporting = commands.add_parser("report", help="a report of a period, for a committee: calls, refusals, acts of people, looks")
    reporting.add_argument("during", metavar="PERIOD", help="a year, a month or a day, such as 2026-03; UTC")
    reporting.add_argument("--out", metavar="FILE", type=Path, nargs="+", default=[], help="write it, as .pdf or .csv")
    _asked_by(reporting)
    reporting.set_defaults(command=_late("reports", "report"))
    living = commands.add_parser("life", help="the life of a call: asked, decided, sent, answered, confirmed, looked at")
    living.add_argument("call", metavar="CALL", help="its id")
    _asked_by(living)
    living.set_defaults(command=_late("questions", "life"))


def core_options(parser: argparse.ArgumentParser) -> None:
    """Which core is asked."""
    parser.add_argument("--core-url", help="base URL of the core; left out: as the settings say, else the folder's sandbox bank")
    parser.add_argument(
        "--core-credential-file", type=Path, help="file with the bearer token for it; left out: as the settings say"
    )


def _persons(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    holding = commands.add_parser("hold", help="place a legal hold, which forbids erasure, or release it")
    holding.add_argument("--hold", required=True, help="its name")
    holding.add_argument("--release", action="store_true")
    holding.set_defaults(command=_late("audit", "hold"))
    holding.add_argument("--customer", required=True)
    erasing = commands.add_parser("erase", help="remove a customer from every store, as far as the law allows")
    erasing.add_argument("--customer", help="whom")
    erasing.add_argument("--due", action="store_true", help="what was locked when its customer was erased, and may go now")
    erasing.add_argument(
        "--legal-minimum",
        action="append",
        metavar="CLASS=PERIOD",
        help="how long records of a retention class must be kept; may be repeated, `none` for no such class; left out: P7Y=P5Y",
    )
    erasing.set_defaults(command=_late("erasing", "erase"))
    for item in (holding, erasing):
        _asked_by(item)


def _export(parser: argparse.ArgumentParser) -> None:
    _asked_by(parser)
    _matching(parser)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--records", metavar="INDEXES", help="these records, by their indexes in the log, such as `3,5,9-12`")
    parser.add_argument("--reveal", action="store_true", help="with what is sealed, opened")
    parser.add_argument("--trust-out", type=Path, help="write the public keys apart, to be handed over on another way")
    parser.add_argument(
        "--from-checkpoint",
        type=Path,
        nargs="+",
        help="checkpoints that you kept, to be proven part of the log; left out: every published one is, which makes a selection larger",
    )
    parser.add_argument(
        "--after-checkpoint", type=Path, help="a checkpoint that you verified before: only what follows it is written"
    )
    parser.set_defaults(command=_late("audit", "export_bundle"))


def _recovering(parser: argparse.ArgumentParser) -> None:
    """The first officer gives all but `--approve`, the second one that alone."""
    _data(parser, "folder of the gateway")
    _database(parser)
    officer_key(parser)
    parser.add_argument("--checkpoint", type=Path, metavar="NOTE", help="the newest checkpoint of the log that anybody kept")
    parser.add_argument("--origin", metavar="NAME", help="what the log is called from now on; no name that it ever had")
    parser.add_argument("--reason", help="why; stands in the trail")
    parser.add_argument("--request", type=Path, metavar="FILE", help="where the signed request is written; good for 24 hours")
    parser.add_argument("--approve", type=Path, metavar="FILE", help="the request of another officer: check it, and do it")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=_late("log_succession", "recover"))


def _asked_by(parser: argparse.ArgumentParser) -> None:
    _data(parser, "folder of the gateway")
    _database(parser)
    officer_key(parser)
    parser.add_argument("--purpose", required=True, help="what for; stands in the trail")
    parser.add_argument("--case", required=True, help="under which case; stands in the trail")
    parser.add_argument("--json", action="store_true")


def _matching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "question",
        nargs="?",
        help="such as `function:initiate_transfer outcome:refused amount:>500EUR during:2026-03`; see the guide",
    )
    parser.add_argument("--since", help="inclusive, ISO 8601")
    parser.add_argument("--until", help="exclusive, ISO 8601")
    parser.add_argument("--kind", action="append", choices=KINDS)
    for name in ("call", "conversation", "trace", "function", "policy", "bundle", "customer"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--decision", choices=("permit", "challenge", "deny"))
    parser.add_argument("--end-state", choices=("executed", "rejected_by_core", "not_attempted", "outcome_unknown"))
