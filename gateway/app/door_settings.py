"""The settings of the doors for agents. A part of `gateway.app.settings`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """See `Settings`."""

    mcp: bool = False
    """Serve the Model Context Protocol at `/mcp`: a customer's functions as tools, for agents that speak it by themselves. Needs the extra
    `mcp`."""
