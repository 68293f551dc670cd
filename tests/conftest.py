"""Switches of the whole suite, and the profiles of property tests.

`--database postgresql` runs every test that keeps a database on PostgreSQL; `--core remote` every whole gateway over a core behind HTTP.
Property tests run the same examples everywhere; HYPOTHESIS_PROFILE=explore looks for new ones.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support import databases
from tests.support.options import OPTIONS

settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="where the tests keep their databases")
    parser.addoption("--core", choices=("embedded", "remote"), default="embedded", help="the core of every whole gateway")


def pytest_configure(config: pytest.Config) -> None:
    databases.Kept.kind = config.getoption("--database")
    OPTIONS.core = config.getoption("--core")


@pytest.fixture(autouse=True)
def _databases_go_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    databases.drop(request.node.funcargs.get("tmp_path"))
