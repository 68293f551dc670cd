"""What looks for old or due rows again and again finds them by an index, on both databases: none of its statements reads a whole table."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, event, insert

from audit.store.prepared import Prepared
from gateway.store import calls, confirmations, run_leases, runs, threads
from gateway.store.proofs import ForgetProofs
from gateway.store.rates import ForgetRates, of_others
from gateway.store.run_leases import LeaseRuns
from gateway.store.spending import forget
from gateway.store.sweeping import Sweep, Swept
from gateway.store.tables import RUN_WAITS
from gateway.store.webhooks import ForgetDelivered, LeaseWebhooks
from tests.contracts.test_sweeping import of_each, thread_of
from tests.support.databases import Kept, book_in
from tests.support.growth import NOW

LATER = NOW + timedelta(minutes=1)

ASKED: dict[str, Callable[[Connection], object]] = {
    **{f"{what}, {len(held)} held": Sweep(what, NOW, held).apply for what in Swept for held in ((), ("carol",))},
    "sums": lambda connection: forget(connection, NOW),
    "a thread": lambda connection: threads.forget_thread(connection, "t401"),
    "waits of a run": lambda connection: runs._FORGET_WAITS.one(connection, {"run": "r401"}),
    "proofs": ForgetProofs(int(NOW.timestamp())).apply,
    "rates": ForgetRates(NOW).apply,
    "rates of others": lambda connection: of_others(connection, "own", NOW),
    "webhooks delivered": ForgetDelivered(NOW).apply,
    "webhooks due": LeaseWebhooks(NOW, LATER, 20).apply,
    "runs due": LeaseRuns("lease", NOW, LATER, 20).apply,
    "any run due": lambda connection: run_leases.is_any_due(connection, NOW),
    "calls not settled": lambda connection: calls.unsettled(connection, NOW),
    "confirmed and not gone on with": lambda connection: confirmations.unfinished(connection, NOW),
}
"""Whatever a chore asks of the gateway's tables that grow. The log's holds are found by the auditors' index, which has tests of its own."""


def _fill(connection: Connection) -> None:
    """Some hundred rows of each, the fewest of them old."""
    for number in range(400):
        of_each(connection, number, -1)
        thread_of(connection, number, -1)
    for number in (401, 402):
        of_each(connection, number, 600)
        thread_of(connection, number, 600)
    connection.execute(insert(RUN_WAITS), [{"confirmation": f"cnf_{number}", "run": f"r{number}"} for number in range(400)])
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a small table is read whole, whatever indexes it has


@contextmanager
def _statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """What is asked while the block runs, by SQLAlchemy or past it, with its parameters."""
    asked: list[tuple[str, Any]] = []

    def seen(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        asked.append((statement, parameters[0] if is_many else parameters))

    def telling(name: str) -> Callable[[Prepared, Connection, Any], object]:
        execute = getattr(Prepared, name)

        def told(prepared: Prepared, at: Connection, given: Any) -> object:
            compiled = prepared._compiled(connection)
            asked.append((compiled.sql, compiled.in_order(given[0] if name == "many" else given)))
            return execute(prepared, at, given)

        return told

    with pytest.MonkeyPatch.context() as patched:
        for name in ("rows", "one", "many"):
            patched.setattr(Prepared, name, telling(name))
        event.listen(connection, "before_cursor_execute", seen)
        yield asked
        event.remove(connection, "before_cursor_execute", seen)


def whole(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """The tables that the database would read whole for this."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row[3] for row in plan if re.match(r"SCAN (?!\d+ CONSTANT|\()", row[3])]
    told = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    return list(_whole((told if isinstance(told, list) else json.loads(told))[0]["Plan"]))


OF_A_PART = {"runs_active", "runs_of_customer"}
"""Indexes of what is under way alone, which is little however much there is."""


def _whole(plan: dict[str, Any]) -> Iterator[str]:
    kind = plan["Node Type"]
    is_index = "Index" in kind and "Index Cond" not in plan and plan["Index Name"] not in OF_A_PART
    if kind == "Seq Scan" or is_index:
        yield f"{kind} of {plan.get('Index Name', plan.get('Relation Name'))}"
    for below in plan.get("Plans", ()):
        yield from _whole(below)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_chore_reads_a_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(Kept, "kind", kind)
    book = await book_in(tmp_path, Ed25519PrivateKey.generate().public_key())

    def work(connection: Connection) -> dict[str, list[str]]:
        _fill(connection)
        return {name: found for name, ask in ASKED.items() if (found := read_whole(connection, ask))}

    try:
        found = await book._database.write(work)
        assert found == {}, json.dumps(found, indent=1)
    finally:
        await book.close()


def read_whole(connection: Connection, ask: Callable[[Connection], object]) -> list[str]:
    """What reads a whole table of all that this asks; nothing of it stays changed."""
    within = connection.begin_nested()
    with _statements(connection) as asked:
        ask(connection)
    within.rollback()
    assert asked
    return [f"{read}: {statement}" for statement, given in asked if (read := whole(connection, statement, given))]
