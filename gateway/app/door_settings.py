"""The settings of the doors for agents. A part of `gateway.app.settings`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """See `Settings`."""

    mcp: bool = False
    """Serve the Model Context Protocol at `/mcp`: a customer's functions as tools, for agents that speak it by themselves. Needs the extra
    `mcp`; outside development mode `audience` must then be `public_url`, for which its clients ask tokens (RFC 8707)."""

    azure_paths: bool = False
    """Answer at the paths of Azure OpenAI, too (`/openai/deployments/NAME/chat/completions`, `/openai/threads`, ...), and take its header
    `api-key` there for the bearer token, for clients that know nothing else. The token is the same, with the same scopes."""

    models: tuple[str, ...] = ()
    """What `GET /v1/models` lists, for clients that let somebody choose. Which models there are, the model's server says."""
