"""Signing in and out on the operations listener. Between the two ends of a sign-in the browser holds what it must bring back, sealed."""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from cryptography.exceptions import InvalidTag
from fastapi import FastAPI, Request, Response

from audit.keyring import KeyRing
from gateway.domain.duties import StaffRole
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.bodies import json_answer
from gateway.doors.faults import guarded
from gateway.doors.operations.openapi import SessionAnswer, answers
from gateway.doors.operations.page_shell import page, refused_page
from gateway.doors.operations.sessions import SignedIn, StaffSessions
from gateway.doors.operations.staff_door import StaffDoor, form_of
from gateway.identity.compact import Malformed, decode, encode
from gateway.identity.sign_in import SIGN_IN_S, NotSignedIn, PendingSignIn, SignInRefusal, StaffSignIn

_COOKIE = "signing-in"
_BOUND = b"tellergate/sign-in/v1"


@dataclass(frozen=True, slots=True)
class SignInRoutes:
    """`provider`: the bank's. `seals`: the key of what the browser holds meanwhile."""

    provider: StaffSignIn
    sessions: StaffSessions
    seals: KeyRing
    clock: Callable[[], datetime]

    async def begin(self, request: Request, *, fresh: bool) -> Response:
        """Send the browser to the provider."""

        async def answering() -> Response:
            url, pending = await self.provider.begin(self.clock(), fresh=fresh)
            response = Response(status_code=303, headers={"location": url})
            sealed = self.seals.seal(secrets.token_bytes(12), json.dumps(asdict(pending)).encode(), _BOUND)
            self.sessions.keep(response, _COOKIE, encode(sealed), SIGN_IN_S)
            return response

        return await guarded(request, answering())

    async def finish(self, request: Request) -> Response:
        """The browser is back: a session, or a page that says why not. Either way what it held is good no more."""

        async def answering() -> Response:
            try:
                member = await self.provider.finish(self._pending(request), request.url.query, self.clock())
            except NotSignedIn as refused:
                response = page("not_signed_in.html", {"why": refused.why.value}, status=403)
                self.sessions.forget(response, _COOKIE)
                return response
            # A page and no redirect: a SameSite=Strict cookie does not go along with one that another site began
            response = page("signed_in.html", {})
            await self.sessions.begin(request, response, member)
            self.sessions.forget(response, _COOKIE)
            return response

        return await guarded(request, answering())

    def _pending(self, request: Request) -> PendingSignIn:
        try:
            sealed = decode(request.cookies.get(self.sessions.cookie(_COOKIE), ""))
            return PendingSignIn(**json.loads(self.seals.unseal(sealed, _BOUND)))
        except (Malformed, InvalidTag, TypeError):  # the last: of a version that kept something else
            raise NotSignedIn(SignInRefusal.STATE) from None


def mount_provider(app: FastAPI, routes: SignInRoutes) -> None:
    """Put the sign-in by the bank's provider into the application."""

    @app.get("/sign-in")
    async def begin_sign_in(request: Request) -> Response:
        """Begin to sign in."""
        return await routes.begin(request, fresh=False)

    @app.get("/sign-in/fresh")
    async def begin_fresh_sign_in(request: Request) -> Response:
        """Begin to sign in anew, with two factors, for what is grave."""
        return await routes.begin(request, fresh=True)

    @app.get("/signed-in")
    async def finish_sign_in(request: Request) -> Response:
        """Where the provider sends the browser back."""
        return await routes.finish(request)


def mount_session(app: FastAPI, door: StaffDoor) -> None:
    """Put what a session tells of itself, and its end, into the application."""

    @app.get("/v1/session", responses=answers(SessionAnswer))
    async def get_session(request: Request) -> Response:
        """Tell who is signed in, and the token that changes carry."""
        return await door.answer(request, None, _session)

    @app.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        """End this session, or all of this person's with `everywhere`."""
        return await door.answer(request, None, _sign_out, refused_page)


async def _session(door: StaffDoor, _request: Request, signed_in: SignedIn) -> Response:
    member = signed_in.member
    return json_answer(
        {
            "subject": member.subject,
            "roles": [role.value for role in StaffRole if role in member.roles],
            "fresh": member.is_fresh(door.clock(), door.fresh_s),
            "expires": signed_in.session.expires.isoformat(),
            "csrf": signed_in.csrf,
        }
    )


async def _sign_out(door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
    form = getattr(request.state, "form", None) or await form_of(request)
    if set(form) - {"csrf", "everywhere"}:
        raise RequestFault(Fault.INVALID_REQUEST, "the form has fields that are not known here")
    response = page("signed_out.html", {})
    await door.sessions.end(response, signed_in, everywhere="everywhere" in form)
    return response
