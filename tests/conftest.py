"""Switches of the whole suite, the profiles of property tests, and what the workers of one run share.

`--database postgresql` runs every test that keeps a database on PostgreSQL; `--core remote` every whole gateway over a core behind HTTP;
`--long` every test that has a long form in it (`-m "long or hypothesis"` selects those). Property tests play the same examples everywhere;
HYPOTHESIS_PROFILE=explore looks for new ones. `tests/README.md` says which run holds what.
"""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.support import blocked_loop, databases, postgres, templates
from tests.support.options import OPTIONS, examples

LONGEST = {"browser", "conformance", "contracts", "guides", "simulation"}
"""Folders whose files take longest: servers, browsers and other processes are waited for there."""

EXAMPLES = 100
"""Of a property test that says no number of its own, in the long form."""


class Worker(Protocol):
    """What this needs of one of pytest-xdist's workers, as its controller sees it."""

    workerinput: dict[str, object]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="where the tests keep their databases")
    parser.addoption("--core", choices=("embedded", "remote"), default="embedded", help="the core of every whole gateway")
    parser.addoption(
        "--long", action="store_true", help="the long form of the tests that have one: more kills, histories, examples"
    )


def pytest_configure(config: pytest.Config) -> None:
    databases.Kept.kind = config.getoption("--database")
    OPTIONS.core = config.getoption("--core")
    profile = os.environ.get("HYPOTHESIS_PROFILE", "same")
    OPTIONS.explores = profile == "explore"
    OPTIONS.is_long = config.getoption("--long") or OPTIONS.explores
    slow = [HealthCheck.too_slow]
    settings.register_profile("same", max_examples=examples(EXAMPLES), derandomize=True, deadline=None, suppress_health_check=slow)
    settings.register_profile("explore", deadline=None, max_examples=1000)
    settings.load_profile(profile)
    templates.repeat()
    shared = getattr(config, "workerinput", {}).get("postgres")
    postgres.share(Path(shared) if shared is not None else None)
    if shared is None:
        config.pluginmanager.register(FailuresAtOnce(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a third of the time a test waits for something. pyproject.toml says how many at most."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Worker) -> None:
    """One PostgreSQL for all workers of a run: they are told where the first of them that needs it starts it."""
    node.workerinput["postgres"] = str(postgres.shared_folder())


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgres.stop_shared()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nothing that is imported or collected goes away before the end: the garbage collector, which would take a quarter of the time that
    collecting takes and look at all of it again while the tests run, leaves it alone.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that the workers end together: those with a long form, and those in these folders."""
    longest = {item.path for item in items if item.get_closest_marker("long") is not None or LONGEST & {*item.path.parts}}
    items.sort(key=lambda item: item.path not in longest)


class FailuresAtOnce:
    """Names a test that failed at once, not only in the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"failed in {report.when}: {report.nodeid}", red=True)


@pytest.fixture(scope="session")
def loop_watch() -> Iterator[blocked_loop.Watch]:
    with blocked_loop.watched() as watch:
        yield watch


@pytest.fixture(autouse=True)
def _no_loop_is_held(loop_watch: blocked_loop.Watch) -> Iterator[None]:
    """What holds an event loop holds every customer: it fails the test that provoked it."""
    loop_watch.found.clear()
    yield
    held, loop_watch.found[:] = list(loop_watch.found), []
    if held:
        pytest.fail("the event loop was held: " + "; ".join(held), pytrace=False)


@pytest.fixture(autouse=True)
def _interrupts_are_given_back() -> Iterator[None]:
    """Who keeps the signal of a loop that is over makes each further one slow, and nobody can end the run with it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    after = signal.getsignal(signal.SIGINT)
    if after is not before:
        signal.signal(signal.SIGINT, before)
        pytest.fail(f"SIGINT was kept, by {type(after).__name__}", pytrace=False)


@pytest.fixture(autouse=True)
def _databases_go_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    databases.drop(request.node.funcargs.get("tmp_path"))
