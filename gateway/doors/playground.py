"""The chat page for trying an assistant, `/console/playground`: files as they are, for development.

It holds no token and no right: its script asks the API as any client does, with what whoever tries it gives it.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI, Response

from gateway.doors.pages.headers import page_headers

PATH = "/console/playground"

_FOLDER = files("gateway") / "console" / "playground"
_HEADERS = page_headers("'none'")
_SCRIPTS = ("api.js", "tools.js", "playground.js")
_TYPES = {"playground.html": "text/html", "playground.css": "text/css", **dict.fromkeys(_SCRIPTS, "text/javascript")}


def mount(app: FastAPI) -> None:
    """Put the page into the application."""
    app.get(PATH, include_in_schema=False)(_serving("playground.html"))
    for name in (*_SCRIPTS, "playground.css"):
        app.get(f"{PATH}/{name}", include_in_schema=False)(_serving(name))


def _serving(name: str) -> Callable[[], Awaitable[Response]]:
    async def served() -> Response:
        return Response((_FOLDER / name).read_bytes(), headers=_HEADERS, media_type=_TYPES[name])

    return served
