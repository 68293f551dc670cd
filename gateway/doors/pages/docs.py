"""The API's documentation to read and try, `/docs`, for development mode: Swagger UI out of a package (extra `docs`), over `/openapi.json`.

Nothing is fetched from elsewhere. The scripts are the package's bundle and our own few lines that start it; none is inline.
"""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.responses import FileResponse

from gateway.domain.errors import Fault, RequestFault
from gateway.doors.faults import fault_response
from gateway.doors.pages.headers import page_headers

PATH = "/docs"

_FOLDER = files("gateway") / "console" / "docs"
_HEADERS = page_headers("'none'", "img-src 'self' data:")
"""Its icons are `data:` images in its style sheet. It makes markup of texts by a policy of its own, so trusted types stay off here."""

_PACKAGE = "fastapi_swagger"
_OURS = {"docs.js": "text/javascript; charset=utf-8"}
_THEIRS = {"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"}


def mount(app: FastAPI) -> None:
    """Put the page into the application; without the extra, what says so."""
    folder = _assets()

    @app.get(PATH, include_in_schema=False)
    async def page() -> Response:
        if folder is None:
            message = "this page needs the extra `docs`: pip install 'tellergate[docs]'; the document itself is /openapi.json"
            return fault_response(RequestFault(Fault.NOT_FOUND, message))
        return Response((_FOLDER / "docs.html").read_bytes(), headers=_HEADERS, media_type="text/html")

    @app.get(f"{PATH}/{{name}}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name in _OURS:
            return Response((_FOLDER / name).read_bytes(), headers=_HEADERS, media_type=_OURS[name])
        if name in _THEIRS and folder is not None:
            return FileResponse(folder / name, headers=_HEADERS, media_type=_THEIRS[name])
        return fault_response(RequestFault(Fault.NOT_FOUND, "no such path"))


def _assets() -> Path | None:
    """The package's folder of static files; None where it is not installed. Nothing of its code is run."""
    spec = find_spec(_PACKAGE)
    places = None if spec is None else spec.submodule_search_locations
    return Path(places[0]) / "resources" if places else None
