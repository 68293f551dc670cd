"""The embedded bank: a double-entry ledger on SQL behind the `CoreBank` port. The default core, and the simulator of the tests."""

from adapters.cores.sandbox.bank import SandboxBank, Writer, WriterFactory, open_sandbox

__all__ = ["SandboxBank", "Writer", "WriterFactory", "open_sandbox"]
