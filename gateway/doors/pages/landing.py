"""The first page of development mode, `/`: where everything is, with tokens for the playground filled in.

Never mounted in production. Whoever can read the page gets the tokens of made-up customers, so it is served to requests for a loopback
address or the gateway's own host alone: a name that somebody else made point here gets nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from ipaddress import ip_address
from shlex import quote
from string import Template
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request, Response

from gateway.domain.errors import Fault, RequestFault
from gateway.doors.faults import fault_response
from gateway.doors.pages.headers import page_headers
from gateway.doors.playground import PATH as PLAYGROUND

_FOLDER = files("gateway") / "console" / "landing"
_HEADERS = page_headers("'none'")


@dataclass(frozen=True, slots=True)
class LandingTokens:
    """New tokens for whoever tries: of a customer, and of the client whose assistants they use."""

    customer: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What the page tells. `tokens` None: they come from an issuer elsewhere. `stand_in`: the name of what answers in place of a model;
    `model`: whether there is one. `pages`: the origin of the customer's own pages, empty for none. `data`: the gateway's folder.
    `tools`: of the gateway, which are served.
    """

    url: str
    data: str
    pages: str
    stand_in: str
    model: bool
    tokens: Callable[[], LandingTokens] | None
    tools: tuple[str, ...] = ()


def mount(app: FastAPI, landing: Landing) -> None:
    """Put the page into the application."""

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        if not _is_here(request.headers.get("host", ""), landing.url):
            return fault_response(RequestFault(Fault.NOT_FOUND, "no such path"))
        return Response(rendered(landing), headers=_HEADERS, media_type="text/html")

    @app.get("/console/landing/landing.css", include_in_schema=False)
    async def style() -> Response:
        return Response((_FOLDER / "landing.css").read_bytes(), headers=_HEADERS, media_type="text/css")


def rendered(landing: Landing) -> str:
    """The page, with new tokens in the fragments of its links: a fragment is sent to nobody."""
    given = landing.tokens() if landing.tokens is not None else None
    playground = {} if given is None else {"token": given.customer, "service": given.service}
    if landing.stand_in:
        playground["model"] = landing.stand_in
    if landing.tools:
        playground["tools"] = ",".join(landing.tools)
    docs = {} if given is None else {"token": given.customer}
    return Template((_FOLDER / "landing.html").read_text()).substitute(
        model=escape(_model(landing)),
        playground=escape(_with_fragment(PLAYGROUND, playground)),
        filled="Tokens are filled in." if given is not None else "Paste tokens of your issuer.",
        docs=escape(_with_fragment("/docs", docs)),
        pages=_pages(landing),
        data=escape(quote(landing.data)),
        issuer="A token for an hour:" if given is not None else "With a token of your issuer in TOKEN:",
        token=escape(_token_command(landing.data)) if given is not None else "",
        url=escape(landing.url),
    )


def _model(landing: Landing) -> str:
    if landing.stand_in:
        return f"No model is set. {landing.stand_in} answers: a few rules, no model. For a real one: serve --dev --model-url URL."
    return "Runs are answered by the model of --model-url." if landing.model else "No model is set: nothing can be run."


def _pages(landing: Landing) -> str:
    if not landing.pages:
        return ""
    origin = escape(landing.pages)
    command = escape(f"tellergate dev confirm ID --customer alice --data {quote(landing.data)}")
    return (
        f'<li><a href="{origin}/activity"><strong>The customer\'s pages</strong></a><p>What was done for the customer, '
        f'and <a href="{origin}/mandates">what the assistant may pay without asking</a>. The sign-in needs a passkey: '
        f'<a href="{origin}/enrol">enrol one</a>, or confirm by <code>{command}</code>.</p></li>'
    )


def _token_command(data: str) -> str:
    return f"TOKEN=$(tellergate dev token --data {quote(data)} --customer alice --agent demo --level L2)"


def _with_fragment(path: str, values: dict[str, str]) -> str:
    return f"{path}#{urlencode(values)}" if values else path


def _is_here(host: str, url: str) -> bool:
    """Whether a request's `Host` is a loopback address, localhost, or our own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", urlsplit(url).hostname):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
