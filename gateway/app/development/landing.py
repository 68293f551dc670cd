"""Settings become the first page of development mode."""

from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.scripted_model import stand_in_of
from gateway.app.kept_settings import NO_CODE_INTERPRETER
from gateway.app.settings import Settings
from gateway.calls.tools import CODE_INTERPRETER, FILE_SEARCH
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_THREADS, SCOPE_WORDS
from gateway.doors.pages.landing import Landing, LandingTokens

CUSTOMER = "alice"
"""Who tries it is this customer of the sandbox bank."""


def landing_of(settings: Settings, *, has_pages: bool) -> Landing:
    """What the page tells of a gateway with these settings. Its tokens are of the local issuer, where there is one."""
    issuer = None if settings.has_external_issuer else LocalIssuer(settings.data)

    def tokens() -> LandingTokens:
        if issuer is None:
            raise TypeError("only the local issuer gives tokens")
        own = f"{SCOPE_THREADS} {SCOPE_WORDS} {SCOPE_CALLS}"
        return LandingTokens(
            customer=issuer.token(CUSTOMER, agent=None, strong=True, scope=own),
            service=issuer.token("dev-app", agent=None, scope=SCOPE_ASSISTANTS),
        )

    return Landing(
        url=settings.public_url or f"http://{settings.host}:{settings.port}",
        data=str(settings.data),
        pages=settings.confirming_origin if has_pages else "",
        stand_in=stand_in_of(settings),
        model=bool(settings.model_url),
        tokens=None if issuer is None else tokens,
        tools=_tools(settings),
    )


def _tools(settings: Settings) -> tuple[str, ...]:
    """Of the gateway, as far as they are served: code hands its files over where files are kept."""
    if settings.files_folder is None and not settings.files_bucket:
        return ()
    has_code = settings.code_interpreter != NO_CODE_INTERPRETER
    return (FILE_SEARCH.name, *((CODE_INTERPRETER.name,) if has_code else ()))
