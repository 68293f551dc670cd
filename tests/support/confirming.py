"""Both doors of the customer's word in this process, before ports kept in memory: one ASGI application, and tokens for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
from fastapi import FastAPI

from audit.keyring import KeyKind
from gateway.app.development.local_issuer import LocalIssuer
from gateway.calls.rates import AtOnce, Quotas, Rates, RequestRates
from gateway.calls.record import Counters
from gateway.confirmations.assertion import AssertionRules
from gateway.confirmations.passkeys import WebAuthnVerifier
from gateway.confirmations.relying_party import RelyingParty
from gateway.domain.ports import Passkey
from gateway.domain.principal import SCOPE_CONFIRM, SCOPE_ENROL
from gateway.doors import confirmations, openapi, rest
from gateway.doors.credentials import CredentialReader
from gateway.doors.pages import hosts
from gateway.doors.pages.confirm import application
from gateway.doors.pages.session import SessionSeal
from gateway.doors.pages.shell import PageShell
from gateway.doors.wire import Challenges
from gateway.identity import AccessTokens, TokenBinding
from tests.support.keys import one_key
from tests.support.passkeys import ORIGIN, RP_ID, Authenticator, MemoryConfirmations, MemoryPasskeys

API = "http://window.bank.example"


@dataclass
class Trail:
    """What was recorded, by its reason."""

    said: list[tuple[str, str]] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    async def fault(self, principal: Any, _trace: Any, reason: str, **_rest: Any) -> None:
        self.said.append((principal.customer, reason))

    async def enrolment(self, passkey: Passkey, word: str, by: str, at: datetime) -> None:
        self.said.append((passkey.customer, f"{word} by {by}"))


class Seen:
    """`SeenProofs` in memory."""

    def __init__(self) -> None:
        self.hashes: set[bytes] = set()

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool:
        is_new = jti_hash not in self.hashes
        self.hashes.add(jti_hash)
        return is_new


class Front:
    """`now` is the clock of everything but the tokens' expiry: it moves by `later`."""

    def __init__(
        self,
        data: Path,
        kept: MemoryConfirmations,
        passkeys: MemoryPasskeys,
        *,
        cooling_off_s: int = 1800,
        origin: str = ORIGIN,
        rp_id: str = RP_ID,
    ) -> None:
        self.issuer = LocalIssuer(data)
        identity = AccessTokens(self.issuer.issuer, binding=TokenBinding.OPTIONAL)
        self.now = datetime.now().astimezone()
        self.kept, self.passkeys, self.trail = kept, passkeys, Trail()
        verifier = WebAuthnVerifier(AssertionRules(rp_id, frozenset({origin})))
        self.party = RelyingParty(
            confirmations=kept, passkeys=passkeys, standing=identity, verifier=verifier, clock=lambda: self.now
        )
        unused = cast(Any, SimpleNamespace())
        self.door = rest.Door(
            pipeline=unused,
            identity=identity,
            presenting=CredentialReader(API),
            challenges=Challenges(),
            metadata=None,
            book=unused,
            records=cast(Any, self.trail),
            functions=(),
            clock=lambda: self.now,
            calls_per_request=32,
            rates=Rates(600),
            requests=RequestRates(100_000, 100_000),
            quotas=Quotas(1_000_000, 1_000_000_000),
            waits=AtOnce(16),
            became=unused,
        )
        app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False})
        openapi.publish(app)
        rest.mount(app, self.door)
        confirmations.mount(app, self.door, confirmations.ConfirmationDependencies(self.party, timedelta(seconds=cooling_off_s)))
        self.api = app
        page = PageShell(
            origin=origin,
            relying_party=self.party,
            seals=SessionSeal(one_key(KeyKind.MAC, b"k" * 32), Seen()),
            door=self.door,
            clock=lambda: self.now,
        )
        self.app = hosts.beside(app, application(page), origin)

    def later(self, **passed: int) -> None:
        self.now += timedelta(**passed)

    def token(self, customer: str = "alice", **claims: Any) -> str:
        return self.issuer.token(customer, **{"agent": None, "scope": SCOPE_CONFIRM, "strong": True, **claims})

    def enrolling(self, **claims: Any) -> str:
        return self.issuer.token("identity", **{"agent": None, "scope": SCOPE_ENROL, "client": "identity", **claims})

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, base: str = API
    ) -> httpx.Response:
        """One request to the API; `token` "" for none."""
        headers = {"authorization": f"Bearer {self.token() if token is None else token}"} if token != "" else {}
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=base) as client:
            return await client.request(method, path, content=content, headers=headers)

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """A browser on the confirm page, which keeps its cookies; `headers` win over what a browser says."""
        own: Mapping[str, str] = {"origin": ORIGIN, "sec-fetch-site": "same-origin", "content-type": "application/json"}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN, headers={**own, **headers})

    def active(self, device: Authenticator, customer: str = "alice", **changed: Any) -> None:
        """Enrol a device long ago."""
        passkey = device.passkey(customer, active_from=self.now - timedelta(days=1))
        self.passkeys.kept[device.credential] = replace(passkey, **changed)
