"""The house rules, held by the syntax trees of the code itself."""

import ast
import dataclasses
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

from adapters.function import Effect
from adapters.functions import MANIFEST
from gateway.app.settings import Settings
from gateway.domain.errors import MESSAGES, Code, Fault
from gateway.doors.wire import STATUS

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "policies", "adapters", "audit")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

LONGER = {"audit/verify.py": 1256}
"""One file on purpose: an auditor carries it alone, with the closed schema and every rule in code of its own, and reads it once."""

CARRIED_ALONE = {"audit/verify.py", "audit/evidence.py"}
"""What they need of ours they say again: an auditor runs each without any other of our modules, so that no error is shared."""

LATE_IMPORTS = {
    "audit/timestamps.py",
    "gateway/cli.py",
    "gateway/commands/command_line.py",
    "gateway/commands/code.py",
    "gateway/app/instruments.py",
    "gateway/app/databases.py",
    "gateway/app/keys.py",
    "gateway/app/confirm_page.py",
    "gateway/app/development/composition.py",
    "gateway/app/runs.py",
    "gateway/app/people.py",
    "gateway/app/mcp.py",
    "gateway/app/declared.py",
    "gateway/commands/reports.py",
    "gateway/doors/operations/audit/reports.py",
    "gateway/app/files.py",
    "gateway/files/document_program.py",
}
"""The command, and the composition root for optional extras."""

BROAD = {
    "audit/timestamps.py": 1,
    "audit/postgres_hosts.py": 1,
    "adapters/cores/sandbox/bank.py": 1,
    "audit/group.py": 3,
    "gateway/calls/pipeline.py": 1,
    "gateway/commands/demo/servers.py": 1,
    "gateway/doors/faults.py": 1,
    "gateway/doors/mcp_api/faults.py": 1,
    "gateway/calls/chores.py": 1,
    "gateway/files/document_program.py": 1,
    "gateway/runs/pool.py": 1,
    "gateway/files/indexing.py": 1,
    "gateway/code/client.py": 1,
    "gateway/code/compute.py": 1,
    "gateway/code/sessions.py": 1,
    "gateway/sandbox/kernel.py": 2,
    "gateway/sandbox/session.py": 1,
}
"""Where everything is caught, and how often: around a connection that nobody gets, a writer's group, around a writer and the core, a
library that reads a stranger's document in the jail, a door's, a chore's or a thread's outermost line; around code that a model wrote."""

_PURE_OF_CALLS = ("card_numbers", "claims", "decide", "detection", "folding", "phone_numbers", "redaction", "values")
_PURE_OF_RUNS = ("answer", "budget", "identifiers", "links", "model", "outgoing", "told", "transcript", "truncation")

PURE = (
    *sorted((ROOT / "policies").rglob("*.py")),
    *(path for path in sorted((ROOT / "gateway" / "domain").glob("*.py")) if path.stem != "steps"),  # it reads a stopwatch
    *(ROOT / "gateway" / "calls" / f"{name}.py" for name in _PURE_OF_CALLS),
    ROOT / "gateway" / "oversight" / "reconciliation.py",
    *sorted((ROOT / "gateway" / "grounding").glob("*.py")),
    *(ROOT / "gateway" / "runs" / f"{name}.py" for name in _PURE_OF_RUNS),
    ROOT / "adapters" / "alarms.py",
    *(ROOT / "audit" / f"{name}.py" for name in ("leaf", "merkle", "checkpoint", "permits", "schema")),
    ROOT / "adapters" / "answers.py",
    ROOT / "adapters" / "core.py",
    ROOT / "adapters" / "function.py",
    ROOT / "adapters" / "orders.py",
    ROOT / "adapters" / "statuses.py",
    ROOT / "adapters" / "cores" / "sandbox" / "days.py",
)
IMPURE_IMPORTS = {
    "os",
    "io",
    "socket",
    "random",
    "secrets",
    "time",
    "subprocess",
    "sqlite3",
    "sqlalchemy",
    "asyncio",
    "pathlib",
    "threading",
}
IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today"}


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def parsed(path: Path) -> ast.Module:
    """The module's syntax tree, which nobody changes."""
    return ast.parse(text_of(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of its tree."""
    return tuple(ast.walk(parsed(path)))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_migration(path: Path) -> bool:
    """A revision of a history: tables in the order of their making."""
    return path.parent.name in ("history", "log_history", "keys_history")


@cache
def functions(path: Path) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    return tuple(node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_keeps_the_sizes(path: Path) -> None:
    text = text_of(path)
    assert text.count("\n") <= LONGER.get(named(path), 400)
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno + 1 <= 60 or is_migration(path), function.name
        positional = [
            parameter for parameter in (*function.args.posonlyargs, *function.args.args) if parameter.arg not in ("self", "cls")
        ]
        assert len(positional) <= 5, function.name


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_stand_at_the_top_and_broad_excepts_where_they_are_listed(path: Path) -> None:
    if named(path) not in LATE_IMPORTS:
        for function in functions(path):
            assert not [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)], function.name
    broad = [
        node
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
    ]
    assert len(broad) == BROAD.get(named(path), 0)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_owns_and_uses_the_field_s_names(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree) or not text_of(path).strip(), "a module's docstring says what it owns"
    for node in nodes(path):
        if isinstance(node, ast.ClassDef):
            assert not re.search(r"(Manager|Service|Helper|Util)s?$", node.name)


@pytest.mark.parametrize("path", PURE, ids=named)
def test_a_pure_module_does_no_io_and_reads_no_clock(path: Path) -> None:
    for node in nodes(path):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & IMPURE_IMPORTS
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            assert called not in IMPURE_CALLS


@pytest.mark.parametrize("name", ["verify", "evidence"])
def test_a_verifier_imports_the_standard_library_and_cryptography_alone(name: str) -> None:
    allowed = {"__future__", "argparse", "base64", "binascii", "collections", "dataclasses", "datetime", "hashlib", "io", "json"}
    allowed |= {"pathlib", "re", "struct", "sys", "typing", "zipfile", "zlib", "cryptography", "enum", "itertools"}
    for node in nodes(ROOT / "audit" / f"{name}.py"):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] in allowed


def test_a_public_class_name_has_one_definition_over_all_packages() -> None:
    found: dict[str, list[str]] = {}
    for path in MODULES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and named(path) not in CARRIED_ALONE:
                found.setdefault(node.name, []).append(named(path))
    assert {name: paths for name, paths in found.items() if len(paths) != 1} == {}


def test_a_package_of_the_gateway_says_what_it_owns_and_what_it_must_never_do() -> None:
    rooms = [path for path in (ROOT / "gateway").rglob("__init__.py") if path.parent != ROOT / "gateway"]
    assert len(rooms) >= 12
    for path in rooms:
        told = ast.get_docstring(parsed(path)) or ""
        assert "Owns " in told, named(path)
        assert "Must never " in told, named(path)


def test_at_the_top_of_the_gateway_stands_the_command_alone() -> None:
    assert {path.name for path in (ROOT / "gateway").glob("*.py")} == {"__init__.py", "cli.py"}


def test_the_longest_chain_of_rooms_is_short_and_none_is_a_cycle() -> None:
    """Rooms are the children of `gateway`; a chain follows their imports."""
    children: dict[str, set[str]] = {}
    graph = grimp.build_graph("gateway", cache_dir=None)
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            above, below = (name.split(".")[1] if "." in name else "" for name in (importer, imported))
            if above and below and above != below:
                children.setdefault(above, set()).add(below)

    def chain(*rooms: str) -> list[str]:
        assert len(set(rooms)) == len(rooms), f"a cycle: {' > '.join(rooms)}"
        longer = [chain(*rooms, below) for below in sorted(children.get(rooms[-1], ()))]
        return max([list(rooms), *longer], key=len)

    longest = max((chain(room) for room in sorted(children)), key=len)
    assert 2 < len(longest) <= 10, " > ".join(longest)


def test_an_argument_of_an_effect_says_what_it_means_or_that_it_is_harmless() -> None:
    for function in MANIFEST:
        for argument in function.arguments if function.effect is not Effect.READ else ():
            assert (argument.kind is None) == argument.harmless, (function.name, argument.name)


TEXTS = {"output", "answer", "message", "run_id"}
"""Of calls and of whoever answers, or asks: an empty one is one, and only None is none."""


def _tested(path: Path) -> Iterator[ast.expr]:
    """What is taken as true or false."""
    for node in nodes(path):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
                yield test
            case ast.BoolOp(values=values):
                yield from values
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield operand
            case ast.comprehension(ifs=tests):
                yield from tests


def _last_name(node: ast.expr) -> object:
    match node:
        case ast.NamedExpr(value=value):
            return _last_name(value)
        case ast.Subscript(slice=ast.Constant(value=name)) | ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=name), *_]):
            return name
    return None


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_an_empty_text_is_not_taken_for_none(path: Path) -> None:
    """The app's output "" was told to the model as a call that nobody answered."""
    found = [(node.lineno, ast.unparse(node)) for node in _tested(path) if _last_name(node) in TEXTS]
    assert found == []


def test_identifiers_are_compared_in_one_place() -> None:
    """Nobody else takes separators or capitals out of an identifier."""
    folding = re.compile(r"""\.replace\(["'][ -]["'], ""\)|"".join\(\w+\.split\(\)\)""")
    assert [path.relative_to(ROOT).as_posix() for path in MODULES if folding.search(text_of(path))] == []


def test_functions_are_short() -> None:
    """A migration is a table after the other, in the order of their making."""
    lines = sorted(
        (function.end_lineno or 0) - function.lineno + 1
        for path in MODULES
        if not is_migration(path)
        for function in functions(path)
    )
    assert lines[len(lines) * 95 // 100] <= 32


def test_every_setting_and_every_code_is_documented() -> None:
    names = ("settings.py", "kept_settings.py", "trail_settings.py", "door_settings.py")
    sources = [parsed(ROOT / "gateway" / "app" / name) for name in names]
    bodies = [node.body for source in sources for node in source.body if isinstance(node, ast.ClassDef)]
    documented = {
        first.target.id
        for body in bodies
        for first, second in itertools.pairwise(body)
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name)
        if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant) and isinstance(second.value.value, str)
    }
    assert documented == {field.name for field in dataclasses.fields(Settings)}
    assert set(MESSAGES) == set(Code)
    assert set(STATUS) == set(Fault)


READS_THE_TIME = {
    "gateway/app/clock.py",
    "gateway/files/storage.py",
    "gateway/files/s3.py",
    "gateway/app/development/local_issuer.py",
    "gateway/doors/access_log.py",
    "gateway/app/development/scripted_model.py",
    "gateway/app/host_checks.py",
    "gateway/commands/scripted_model.py",
    "gateway/commands/demo/story.py",
    "gateway/commands/reconciliation.py",
    "gateway/commands/erasing.py",
    "gateway/commands/mandates.py",
    "gateway/commands/database_recovery.py",
    "gateway/commands/log_succession.py",
    "gateway/commands/officers.py",
    "gateway/commands/approvals.py",
    "gateway/commands/witness.py",
    "gateway/commands/monitor.py",
    "gateway/client/webhooks.py",
    "gateway/client/dpop.py",
}
"""The clock itself, commands of a moment, a client elsewhere, a start that looks at a certificate, stand-ins, and log lines."""


def test_a_gateway_goes_by_the_clock_that_it_was_given() -> None:
    """Its last record was dated by the machine's clock, and the trail of a gateway whose clock was ahead ran backwards."""
    reading = re.compile(r"\butc_now\(\)|\bdatetime\.now\(|\btime\.time\(")
    assert {named(path) for path in MODULES if reading.search(text_of(path))} == READS_THE_TIME


def test_whom_a_client_believes_is_said_in_one_place() -> None:
    """What each made for itself believed a common name; a connector that is told nothing makes a context of its own."""
    making = re.compile(r"create_default_context|PROTOCOL_TLS_CLIENT")
    assert [named(path) for path in MODULES if making.search(text_of(path))] == ["adapters/tls.py"]
    told = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}.get("ssl", "True")
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("TCPConnector")
    ]
    assert len(told) >= 4
    assert not [said for said in told if "True" in said]


def test_the_whole_book_is_known_to_the_composition_and_the_store_alone() -> None:
    """All others take a port: what they cannot reach, they cannot change."""
    wide = [named(path) for path in MODULES if "SqlBook" in text_of(path)]
    assert {name.rsplit("/", 1)[0] for name in wide} == {"gateway/app", "gateway/app/development", "gateway/store"}


def test_no_port_names_a_database() -> None:
    assert "sqlalchemy" not in "".join(text_of(path) for path in (ROOT / "gateway" / "domain").glob("*.py"))
