"""Why the gateway refuses to start."""


class UnsafeSettings(Exception):
    """The gateway refuses to start. The message says which setting, and what to do."""
