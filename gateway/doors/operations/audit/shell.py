"""What every page of the console is made of: templates, texts, static files, and what a person is told who cannot have a page."""

import re
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import Response

from audit.verifiers import FOLDER
from audit.verifiers import files as files_of_verifiers
from gateway.domain.duties import Duty, duty_obstacle
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.words import LANGUAGE, said
from gateway.doors.operations.page_shell import page as staff_page
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.pages.confirm_view import visible
from gateway.doors.wire import fault_status

_FOLDER = files("gateway") / "console" / "audit"

_VERIFIER = "verifier/"
_OF_NODE = ("verify.mjs", "nodecrypto.mjs")
"""What browsers have no use for."""


def _modules() -> Mapping[str, str]:
    """The second verifier, as `audit verifiers` hands it out: where the console has each file, and its name there."""
    names = (name.removeprefix(f"{FOLDER}/") for name in files_of_verifiers() if name.startswith(f"{FOLDER}/"))
    return {f"{_VERIFIER}{name}": f"{FOLDER}/{name}" for name in names if name.endswith((".mjs", ".js")) and name not in _OF_NODE}


STATICS: Mapping[str, str] = {
    "audit.css": "text/css",
    "htmx.min.js": "text/javascript",
    "console.js": "text/javascript",
    "proof.js": "text/javascript",
    "check.js": "text/javascript",
    "bundle.js": "text/javascript",
    **dict.fromkeys(_modules(), "text/javascript"),
}
"""Files that pages name, and their types."""


def _template(name: str) -> str:
    return (_FOLDER / name).read_text()


_TEMPLATES = Environment(
    loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def pieces(text: str) -> list[str]:
    """An identifier in pieces between which a line may end: behind its underscores and dots."""
    return [piece for piece in re.split(r"(?<=[_.])", text) if piece]


_TEMPLATES.filters.update(pieces=pieces, visible=visible)
_TEMPLATES.globals.update(t=said, language=LANGUAGE)


def audit_page(name: str, signed_in: SignedIn, known: Mapping[str, object], *, status: int = 200) -> Response:
    """The page of this template, for who is signed in."""
    member = signed_in.member
    may = {duty.name: duty_obstacle(duty, member.roles, fresh=True) is None for duty in Duty}
    text = _TEMPLATES.get_template(name).render({"csrf": signed_in.csrf, "member": member, "may": may, **known})
    return Response(text, status_code=status, media_type="text/html")


def audit_refused(fault: RequestFault) -> Response:
    """What a person is told who could not have a page: in words, with where to go on."""
    if fault.fault is Fault.MISSING_TOKEN:
        return staff_page("sign_in.html", {}, status=401)
    known = {"message": fault.message, "fresh": fault.fault is Fault.FRESH_SIGN_IN}
    return Response(_TEMPLATES.get_template("refused.html").render(known), status_code=fault_status(fault), media_type="text/html")


def download(content: bytes, media: str, name: str) -> Response:
    """A file to keep, which no browser shows as a page."""
    return Response(content, media_type=media, headers={"content-disposition": f'attachment; filename="{name}"'})


def static_file(name: str) -> Response:
    """A file of the console, as it is installed."""
    content = files_of_verifiers()[_modules()[name]] if name.startswith(_VERIFIER) else (_FOLDER / name).read_bytes()
    return Response(content, media_type=STATICS[name])
