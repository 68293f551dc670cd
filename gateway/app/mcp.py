"""The door for agents that speak the Model Context Protocol, where the settings ask for it."""

from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.metadata import version

from fastapi import FastAPI

from gateway.app.gateway import Gateway
from gateway.calls.tools import FILE_SEARCH


def mcp_mounted(app: FastAPI, gateway: Gateway) -> AbstractAsyncContextManager[object]:
    """Put its route into the application, and what is to be entered while that is served; nothing where the settings do not ask for it."""
    settings = gateway.settings
    if not settings.mcp:
        return nullcontext()
    from gateway.doors.mcp_api.calls import McpCalls
    from gateway.doors.mcp_api.routes import McpDoor
    from gateway.doors.mcp_api.server import McpTools

    origin = settings.confirming_origin
    tools = McpTools(
        calls=McpCalls(gateway.door, gateway.book),
        confirm_at=f"{origin}/confirm/" if origin else "",
        version=version("tellergate"),
        has_documents=FILE_SEARCH.name in gateway.running.tools.by_name,
    )
    door = McpDoor(tools, settings.public_url)
    door.mount(app, gateway.door)
    return door.run()
