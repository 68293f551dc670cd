"""`tellergate audit streams`: how far the streams of the trail are, and the one way by which a record is ever passed over: on record."""

import argparse
from dataclasses import asdict

from audit.leaf import Record, RecordKind
from audit.log import Log
from audit.query import Why
from audit.store.streams import position_of, skip
from gateway.commands.audit import asked, with_log
from gateway.commands.printing import FINDING, GOOD, USAGE, failed, print_json, print_table
from gateway.domain.duties import Duty
from gateway.oversight.stream_standings import stream_facts


def list_streams(options: argparse.Namespace) -> int:
    """Print every stream that ever began. 1 where one has failed since its last acknowledgement."""

    async def work(log: Log) -> int:
        size, found = await stream_facts(log)
        rows = [asdict(item) for item in found]
        if options.json:
            print_json({"size": size, "streams": rows})
        elif not rows:
            print("no stream has begun: the setting `streams` names them")
        else:
            columns = ("stream", "next record", "behind", "oldest, s", "acknowledged", "failures", "error")
            names = ("name", "next_record", "behind", "behind_s", "acknowledged", "failures", "error")
            print_table(columns, [[row[name] for name in names] for row in rows])
        return FINDING if any(row["failures"] for row in rows) else GOOD

    return with_log(options, work)


def skip_record(options: argparse.Namespace) -> int:
    """Pass over one record, by a person's key: on record first, so that nothing is ever passed over without it."""

    async def work(log: Log, why: Why) -> int:
        found = await log.read(lambda reads: position_of(reads.connection, options.stream))
        if found is None:
            return failed("no stream of this name has begun; `tellergate audit streams list` names them", USAGE)
        if found.upto != options.record or not found.failures:
            return failed(
                f"the stream waits at no refused record {options.record}: it is at {found.upto}; nothing is skipped", FINDING
            )
        told = why.facts({"word": "stream_skipped", "stream": found.name, "record": options.record, "by": why.auditor})
        entry = await log.append(Record(kind=RecordKind.ADMIN, time=log.now(), agent=why.auditor, facts=told))
        if not await log.write(lambda connection: skip(connection, found.name, options.record)):
            return failed("the stream went on meanwhile; nothing is skipped", FINDING)
        if options.json:
            print_json({"stream": found.name, "skipped": options.record, "record": entry.index})
        else:
            print(f"{found.name} passes over the record {options.record}; that is the record {entry.index}")
        return GOOD

    return asked(options, Duty.SKIP_RECORD, work)
