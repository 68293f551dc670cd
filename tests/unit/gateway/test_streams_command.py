"""`audit streams`: what is listed, and a record is passed over only where its stream waits at it, by a word that is on record first."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from audit.store.streams import skip
from gateway.app.databases import DatabaseName
from gateway.commands import streams
from tests.support.databases import sql
from tests.support.officers import key_file
from tests.unit.gateway.test_officer_keys import data, told, why

__all__ = ["data"]

_BEGUN = (
    "insert into streams (name, upto, begun_at, held_until_ms, failures, again_ms, error) "
    "values ('soc', :upto, 0, 0, :failures, 0, :error)"
)


def begun(data: Path, upto: int, failures: int) -> None:
    sql(data, DatabaseName.LOG, "delete from streams")
    error = f"record {upto}: status 422" if failures else None
    sql(data, DatabaseName.LOG, _BEGUN, upto=upto, failures=failures, error=error)


def skipped(data: Path, stream: str, record: int) -> tuple[int, Any]:
    key = ["--officer-key", str(key_file(data.parent, "ben")), "--purpose", "p", "--case", "c"]
    return told("audit", "streams", "skip", stream, str(record), *key, "--data", str(data), "--json")


def recorded(data: Path) -> list[dict[str, Any]]:
    status, found = told("audit", "query", "word:stream_skipped", *why(data.parent), "--data", str(data), "--json")
    assert status == 0
    return [item["leaf"]["facts"] for item in found["records"]]


def listed(data: Path) -> tuple[int, Any]:
    return told("audit", "streams", "list", "--data", str(data), "--json")


def test_nothing_is_skipped_but_the_record_at_which_a_stream_waits(data: Path) -> None:
    assert listed(data)[0] == 0
    assert skipped(data, "soc", 3) == (
        2,
        "tellergate: no stream of this name has begun; `tellergate audit streams list` names them\n",
    )
    for upto, failures in ((3, 0), (2, 4), (4, 4)):
        begun(data, upto, failures)
        status, said = skipped(data, "soc", 3)
        assert (status, f"it is at {upto}; nothing is skipped" in said) == (1, True), said
        status, found = listed(data)
        assert (status, found["streams"][0]["next_record"]) == (1 if failures else 0, upto)
    assert recorded(data) == []
    begun(data, 3, 4)
    status, said = listed(data)
    assert (status, said["streams"][0]["error"]) == (1, "record 3: status 422")
    status, found = skipped(data, "soc", 3)
    assert (status, found["skipped"]) == (0, 3)
    assert [(item["stream"], item["record"], item["by"], item["case"]) for item in recorded(data)] == [("soc", 3, "ben", "c")]
    status, found = listed(data)
    assert (status, found["streams"][0]["next_record"], found["streams"][0]["failures"]) == (0, 4, 0)
    status, said = skipped(data, "soc", 3)
    assert (status, "it is at 4; nothing is skipped" in said) == (1, True), "once is enough"
    assert len(recorded(data)) == 1


def test_a_stream_that_went_on_meanwhile_is_left_where_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(data, 3, 4)

    def overtaken(connection: Connection, name: str, index: int) -> bool:
        connection.exec_driver_sql("update streams set upto = 7, failures = 0")
        return skip(connection, name, index)

    monkeypatch.setattr(streams, "skip", overtaken)
    status, said = skipped(data, "soc", 3)
    assert (status, "went on meanwhile; nothing is skipped" in said) == (1, True), said
    assert listed(data)[1]["streams"][0]["next_record"] == 7
