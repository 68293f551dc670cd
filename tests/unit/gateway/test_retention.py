"""Every table says how long it keeps its rows and what of a person is in them, and erasure reaches those."""

import re

from gateway.app.databases import HISTORIES, DatabaseName
from gateway.app.retention import RETENTION
from gateway.store import erasure
from gateway.store.sweeping import Swept
from tests.support.retention_reference import GUIDE, renewed

_OF_CHORES = {"each second", "each minute", "each hour", "each second's exchange"}
_NAMES_SOMEBODY = re.compile(
    r"customer|approver|approval|text|body|metadata|intent|principal|evidence|arguments|mandate$|payee|terms"
)
_NOT_SOMEBODY = {
    "calls.standing_mandate": "an id",
    "spent.standing_mandate": "an id",
    "policy_activations.body": "rules",
    "policy_bundles.body": "rules",
    "verification.body": "numbers and hashes",
    "calls.arguments_hash": "a hash",
    "proposed_calls.arguments_hash": "a hash",
    "customers.mandate_version": "a number",
    "leaves.customer": "a pseudonym",
    "leaves.customer_seq": "a number",
    "leaves.approver": "no record has one",
}


def test_every_table_of_every_database_has_its_line_and_no_other() -> None:
    tables = {part: {table.name for table in history.tables.tables.values()} for part, history in HISTORIES.items()}
    assert {part: set(lines) for part, lines in RETENTION.items()} == tables


def test_each_is_swept_by_something_that_there_is_or_says_why_not() -> None:
    for lines in RETENTION.values():
        for name, line in lines.items():
            assert bool(line.swept) != bool(line.why), name
    swept = {line.swept for line in RETENTION[DatabaseName.GATEWAY].values()}
    assert swept - {""} == {*Swept} | _OF_CHORES


def test_every_column_that_holds_something_of_a_person_is_said() -> None:
    for part, history in HISTORIES.items():
        for table in history.tables.tables.values():
            said = set(RETENTION[part][table.name].personal)
            columns = {column.name for column in table.columns}
            assert said <= columns, table.name
            found = {name for name in columns if _NAMES_SOMEBODY.search(name) and f"{table.name}.{name}" not in _NOT_SOMEBODY}
            assert found <= said, table.name


def test_erasure_reaches_every_table_of_the_gateway_with_something_of_a_person() -> None:
    personal = {name for name, line in RETENTION[DatabaseName.GATEWAY].items() if line.personal}
    reached = {table.name for table in erasure.rows_of("alice")}
    assert personal <= reached
    assert not personal & {table.name for table in erasure.NOBODY_S}


def test_the_guide_has_the_table_as_the_code_makes_it() -> None:
    text = GUIDE.read_text()
    assert renewed(text) == text
