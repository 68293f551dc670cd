"""Fixtures of the audit tests."""

from tests.trail import clock, log, open_log

__all__ = ["clock", "log", "open_log"]
