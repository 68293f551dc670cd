"""Property tests run the same examples everywhere; HYPOTHESIS_PROFILE=explore looks for new ones. What the suite runs over is an option."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.options import OPTIONS

settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--core", choices=("embedded", "remote"), default="embedded", help="the core of every whole gateway")


def pytest_configure(config: pytest.Config) -> None:
    OPTIONS.core = config.getoption("--core")
