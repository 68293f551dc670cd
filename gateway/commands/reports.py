"""`tellergate audit report`: a report of a period, for a committee."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import IO

from audit.log import Log
from audit.query import Why
from audit.question_language import QuestionInvalid, period_of
from audit.report import PeriodReport, report_of
from gateway.commands.audit import asked, written
from gateway.commands.printing import GOOD, USAGE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.oversight.report_documents import about, report_shown, tables_of, write_csv

Writes = Callable[[PeriodReport, IO[bytes]], None]


def report(options: argparse.Namespace) -> int:
    """Print the report of a period, and write it where that is said."""
    try:
        since, until = period_of(options.during)
    except QuestionInvalid as wrong:
        return failed(wrong.message, USAGE)
    if any(path.suffix not in (".csv", ".pdf") for path in options.out):
        return failed("--out takes files that end in .pdf or .csv", USAGE)
    try:
        forms = {path: _form(path) for path in options.out}
    except ImportError:
        return failed("a PDF needs the extra `reports`: pip install 'tellergate[reports]'; .csv needs nothing", USAGE)

    async def work(log: Log, why: Why) -> int:
        made = await report_of(log, since, until, why)
        for path, writes in forms.items():
            with written(path) as file:
                writes(made, file)
        if options.json:
            print_json(report_shown(made))
            return GOOD
        for name, text in about(made).items():
            print(f"{name}: {text}")
        for table in tables_of(made):
            print(f"\n{table.title}")
            print_table(table.columns, table.rows)
        return GOOD

    return asked(options, Duty.QUERY, work)


def _form(path: Path) -> Writes:
    """ImportError where the extra is missing that a PDF needs."""
    if path.suffix == ".csv":
        return write_csv
    from gateway.oversight.report_pdf import write_pdf

    return write_pdf
