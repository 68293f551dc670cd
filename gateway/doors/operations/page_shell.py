"""Pages of the operations listener: templates without scripts, in the look of the customer's pages."""

from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import Response

from gateway.domain.errors import Fault, RequestFault
from gateway.doors.wire import fault_status

_FOLDER = files("gateway") / "console" / "operations"
STYLE = "operations.css"


def _template(name: str) -> str:
    return (_FOLDER / name).read_text()


_TEMPLATES = Environment(
    loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def page(name: str, known: Mapping[str, object], *, status: int = 200) -> Response:
    """The page of this template."""
    return Response(_TEMPLATES.get_template(name).render(known), status_code=status, media_type="text/html")


def refused_page(fault: RequestFault) -> Response:
    """What a person is told who could not do something: in words, with where to go on."""
    if fault.fault is Fault.MISSING_TOKEN:
        return page("sign_in.html", {}, status=401)
    return page("refused.html", {"message": fault.message, "fresh": fault.fault is Fault.FRESH_SIGN_IN}, status=fault_status(fault))


def style() -> Response:
    """The style of the customer's pages, and what these have beside it."""
    shared = files("gateway") / "console" / "confirm" / "confirm.css"
    return Response(shared.read_text() + (_FOLDER / STYLE).read_text(), media_type="text/css")
