"""What every route of the operations listener stands in: one form of errors, and headers that keep browsers strict."""

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.doors import rest
from gateway.doors.operations.tiles import PREFIX
from gateway.doors.pages.headers import page_headers

AUDIT_PATH = "/console/audit"

AUDIT_TYPES = "require-trusted-types-for 'script'; trusted-types default"
"""Of the auditors' console: an answer of this origin may become elements (`gateway/console/audit/console.js`), and no text a script."""


def application() -> FastAPI:
    """An application without routes: what it does not have is answered in the one error form."""
    app = FastAPI(
        title="Tellergate operations",
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    rest.answer_errors(app)
    return app


def in_front(app: ASGIApp, *, is_secure: bool) -> ASGIApp:
    """The application with the headers of every answer. `is_secure`: browsers reach it over TLS, and come back so."""
    # `no-referrer`, as on the customer's pages, makes browsers say `Origin: null` of a form: here forms are how things are done
    headers = {**page_headers("'self'"), "referrer-policy": "same-origin"}
    secure = {"strict-transport-security": "max-age=31536000"} if is_secure else {}
    added, of_audit = (
        {**headers, **secure},
        {**headers, **secure, **page_headers("'self'", AUDIT_TYPES), "referrer-policy": "same-origin"},
    )

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                kept = sent.get("cache-control") if scope["path"].startswith(PREFIX) else None
                sent.update(of_audit if scope["path"].startswith(AUDIT_PATH) else added)
                if kept is not None:  # public hashes, which proxies may keep
                    sent["cache-control"] = kept
            await send(message)

        if scope["type"] == "http" and rest.holds_nul(scope):
            await rest.nul_refused(scope, receive, sending)
        else:
            await app(scope, receive, sending)

    return front
