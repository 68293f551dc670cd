"""The history of each database leads to the tables that the code knows, on SQLite and on PostgreSQL; and up, never down."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text

from audit import migration
from audit.migration import History, HistoryUnknown, prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.store.tables import CALLS
from tests.support.databases import postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseLocations:
    return DatabaseLocations(tmp_path, "" if request.param == "sqlite" else postgresql(tmp_path))


def scripts(history: History) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "store" / "migration"))
    config.set_main_option("version_locations", str(history.folder))
    config.set_main_option("path_separator", "newline")
    return ScriptDirectory.from_config(config)


@pytest.mark.parametrize("part", DatabaseName)
def test_a_history_is_one_line_and_ends_with_the_newest_revision(part: DatabaseName) -> None:
    known = scripts(HISTORIES[part])
    assert known.get_heads() == [HISTORIES[part].head]
    assert len(known.get_bases()) == 1


@pytest.mark.parametrize("part", DatabaseName)
async def test_a_history_leads_to_the_tables_that_the_code_knows(part: DatabaseName, places: DatabaseLocations) -> None:
    history, database = HISTORIES[part], places.open(part, name="tests")
    await database.create()

    def from_the_first_revision_on(connection: Connection) -> None:
        history.version.create(connection)
        migration._upgrade(connection, history, None, may_upgrade=True)

    await database.write(from_the_first_revision_on)
    assert await database.read(history.revision) == history.head
    assert await prepare(database, history, may_upgrade=False) == history.head

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return [item for item in compare_metadata(context, history.tables) if history.version.name not in str(item)]

    assert await database.read_long(differences) == []
    await database.close()


@pytest.mark.parametrize("part", DatabaseName)
async def test_what_the_code_makes_at_once_is_what_the_history_makes(
    part: DatabaseName, places: DatabaseLocations, tmp_path: Path
) -> None:
    """Columns, keys, indexes and checks of an empty database that was made at once, as the server itself tells them."""
    history = HISTORIES[part]
    told = []
    for number, by_history in enumerate((False, True)):
        folder = tmp_path / str(number)
        here = DatabaseLocations(folder, postgresql(folder)) if places.shared else DatabaseLocations(folder)
        database = here.open(part, name="tests")
        if by_history:
            await database.create()
            await database.write(history.version.create)
            await database.write(lambda connection: migration._upgrade(connection, history, None, may_upgrade=True))
        else:
            await prepare(database, history, may_upgrade=False)
        told.append(await database.read_long(shape))
        await database.close()
    assert told[0] == told[1]


def shape(connection: Connection) -> dict[str, object]:
    asked = inspect(connection)
    return {
        name: (
            [(get_column["name"], str(get_column["type"]), get_column["nullable"]) for get_column in asked.get_columns(name)],
            asked.get_pk_constraint(name)["constrained_columns"],
            sorted(str(get_unique_constraint["column_names"]) for get_unique_constraint in asked.get_unique_constraints(name)),
            sorted((get_index["name"], get_index["column_names"], get_index["unique"]) for get_index in asked.get_indexes(name)),
            sorted(str(get_check_constraint["name"]) for get_check_constraint in asked.get_check_constraints(name)),
        )
        for name in asked.get_table_names()
    }


async def test_what_was_paid_automatically_keeps_counting_under_its_mandate(places: DatabaseLocations) -> None:
    """Before 0004 a call said only that some standing mandate covered it."""
    history, database = HISTORIES[DatabaseName.GATEWAY], places.open(DatabaseName.GATEWAY, name="tests")
    await database.create()

    def before(connection: Connection) -> None:
        history.version.create(connection)
        migration._upgrade(connection, replace(history, head="0003"), None, may_upgrade=True)
        for name, customer, created in (("std_a", "alice", 1), ("std_late", "alice", 9), ("std_b", "bruno", 1)):
            values = {"id": name, "customer": customer, "terms": b"", "signature": b"", "created": created}
            connection.execute(
                text("insert into standing_mandates values (:id, :customer, :terms, :signature, :created, null)"), values
            )
        table = Table("calls", MetaData(), autoload_with=connection)
        for call, customer, automatic in (("a", "alice", True), ("asked", "alice", False), ("b", "bruno", True)):
            of_call = dict.fromkeys(("call_id", "conversation", "turn", "native_id", "core_key", "trace_id"), call)
            fixed = {"function": "f", "arguments_hash": b"", "channel": "app", "state": "pending", "created_us": 5}
            connection.execute(insert(table).values({**of_call, **fixed, "customer": customer, "automatic": automatic}))

    await database.write(before)
    assert await prepare(database, history, may_upgrade=True) == "0003"

    def kept(connection: Connection) -> dict[str, str | None]:
        return {row.call_id: row.standing_mandate for row in connection.execute(select(CALLS.c.call_id, CALLS.c.standing_mandate))}

    assert await database.read(kept) == {"a": "std_a", "asked": None, "b": "std_b"}
    await database.close()


async def test_a_revision_of_a_newer_version_is_refused_and_left_alone(places: DatabaseLocations) -> None:
    database = places.open(DatabaseName.GATEWAY, name="tests")
    await prepare(database, replace(HISTORIES[DatabaseName.GATEWAY], head="9999"), may_upgrade=False)
    with pytest.raises(HistoryUnknown, match="newer version"):
        await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=True)
    assert await database.read(HISTORIES[DatabaseName.GATEWAY].revision) == "9999"
    await database.close()


# Gateways of two versions serve one database while it is upgraded: what a migration may do.

EXPANDED_SINCE = {DatabaseName.GATEWAY: 14, DatabaseName.LOG: 5, DatabaseName.KEYS: 3}
"""The newest revision of each that was made before there was this rule."""

_EXPANDS = {"create_table", "create_index", "add_column", "get_bind", "execute", "create_check_constraint"}
"""What leaves an older gateway's statements as they were. A check that older rows do not pass is found by the upgrade itself."""


def contracts(source: str) -> list[str]:
    """What a migration does that a gateway of the version before it may not survive; its lines say so."""
    found = []
    upgrade = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "upgrade")
    for node in ast.walk(upgrade):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        said = {item.arg: ast.unparse(item.value) for item in node.keywords}
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "op":
            if node.func.attr not in _EXPANDS:
                found.append(f"op.{node.func.attr}")
            elif node.func.attr == "execute" and re.search(r"\b(drop|rename|alter)\b", ast.unparse(node), re.IGNORECASE):
                found.append("op.execute")
            elif node.func.attr == "add_column":
                column = next(item for item in node.args if isinstance(item, ast.Call))
                kept = {item.arg: ast.unparse(item.value) for item in column.keywords}
                if kept.get("nullable", "True") == "False" and "server_default" not in kept:
                    found.append("a column that is not null, without a default of the server's")
            elif node.func.attr == "create_index" and said.get("unique") == "True":
                found.append("a unique index over rows that there are")
    return found


@pytest.mark.parametrize("part", DatabaseName)
def test_a_migration_only_expands_so_that_gateways_of_the_version_before_go_on(part: DatabaseName) -> None:
    newer = [path for path in HISTORIES[part].folder.glob("r*.py") if int(path.name[1:5]) > EXPANDED_SINCE[part]]
    assert {path.name: contracts(path.read_text()) for path in newer} == {path.name: [] for path in newer}


@pytest.mark.parametrize(
    ("step", "is_found"),
    [
        ('op.drop_column("calls", "turn")', True),
        ('op.rename_table("calls", "asked")', True),
        ('op.alter_column("calls", "turn", nullable=False)', True),
        ('op.execute("ALTER TABLE calls DROP COLUMN turn")', True),
        ('op.add_column("calls", sa.Column("more", sa.Integer(), nullable=False))', True),
        ('op.create_index("one", "calls", ["turn"], unique=True)', True),
        ('op.add_column("calls", sa.Column("more", sa.Integer(), nullable=False, server_default="0"))', False),
        ('op.add_column("calls", sa.Column("more", sa.Integer(), nullable=True))', False),
        ('op.create_index("more", "calls", ["turn"])', False),
        ('op.execute("UPDATE calls SET more = 1")', False),
    ],
)
def test_what_contracts_is_found(step: str, is_found: bool) -> None:
    assert bool(contracts(f"def upgrade() -> None:\n    {step}\n")) is is_found
