"""Settings become the relying party and its page. Both need the extra `confirm`: without it, and where the settings do
not name them, there are no passkeys."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.confirmations.assertion import AssertionRules, AssertionVerifier
from gateway.confirmations.relying_party import RelyingParty
from gateway.doors.mandates import MandateDependencies
from gateway.doors.pages.session import SessionSeal
from gateway.doors.rest import Door

if TYPE_CHECKING:
    from gateway.doors.pages.shell import PageShell


def verifier_of(settings: Settings) -> AssertionVerifier | None:
    """Of passkeys, where the settings name a relying party. UnsafeSettings when they do and the extra is missing."""
    origin = settings.confirming_origin
    party = settings.relying_party or urlsplit(origin).hostname or ""
    if not party:
        return None
    try:
        from gateway.confirmations.passkeys import WebAuthnVerifier
    except ImportError:
        if not settings.confirm_origin and not settings.relying_party:  # a page that nobody asked for
            return None
        raise UnsafeSettings("passkeys are set up, but the extra `confirm` is not installed") from None
    return WebAuthnVerifier(AssertionRules(party, frozenset(item for item in (origin, *settings.assertion_origins) if item)))


def page_of(
    settings: Settings,
    party: RelyingParty,
    door: Door,
    seals: SessionSeal,
    parts: MandateDependencies,
    *,
    further: "Callable[[PageShell], Sequence[Route]]",
) -> ASGIApp | None:
    """The customer's confirm page, and their own pages beside it, where the settings have them. `further`: routes beside these."""
    if not settings.confirming_origin or party.verifier is None:
        return None
    from gateway.doors.pages.confirm import application
    from gateway.doors.pages.own import OwnPages
    from gateway.doors.pages.shell import PageShell

    page = PageShell(origin=settings.confirming_origin, relying_party=party, seals=seals, door=door, clock=door.clock)
    return application(page, OwnPages(parts.standing_mandates, parts.log, parts.book), further(page))
