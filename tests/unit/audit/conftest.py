"""Fixtures of the audit tests."""

from tests.support.second_verifier import both_verifiers
from tests.trail import clock, log, open_log

__all__ = ["both_verifiers", "clock", "log", "open_log"]
