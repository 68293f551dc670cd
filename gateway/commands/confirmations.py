"""`tellergate dev confirm` and `dev decline`: a customer's device in software, over HTTP, for development mode alone."""

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from gateway.app.development.address import noted_url
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.software_passkey import SoftwarePasskey
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, failed, print_json
from gateway.commands.tokens import no_issuer
from gateway.domain.principal import SCOPE_CONFIRM, SCOPE_ENROL
from gateway.domain.proposal import canonical, challenge
from gateway.doors.pages.confirm_view import view
from gateway.identity.compact import encode

IDENTITY_SYSTEM = "dev-identity"
"""The client that enrols software passkeys."""


def confirm(options: argparse.Namespace) -> int:
    """Show what waits, sign exactly that with the customer's software passkey, and send it."""
    return _spoken(options, confirms=True)


def decline(options: argparse.Namespace) -> int:
    """Show what waits, and decline it."""
    return _spoken(options, confirms=False)


def _spoken(options: argparse.Namespace, *, confirms: bool) -> int:
    url = options.url or noted_url(options.data)
    if not (options.data / "dev").is_dir() or url is None:
        return no_issuer(options.data)
    device = CustomerDevice(options.data, options.customer, url)
    try:
        intent, answer = asyncio.run(device.confirm(options.id) if confirms else device.decline(options.id))
    except GatewayRefused as refused:
        return failed(f"{refused.code}: {refused.message}", UNAVAILABLE if refused.status >= 500 else FINDING)
    except (aiohttp.ClientError, TimeoutError):
        return failed(f"nothing answers at {url}; is `tellergate serve --dev` running there?", UNAVAILABLE)
    if options.json:
        print_json({"intent": intent, **answer})
    else:
        for line in (*intent_lines(intent), answer["state"]):
            print(line)
        for call in answer["results"]:
            print(f"{call['call_id']}: {call['status']}" + (f" ({call['code']})" if call["code"] else ""))
    return GOOD if all(call["status"] == "done" for call in answer["results"]) else FINDING


class GatewayRefused(Exception):
    """What the gateway answered instead."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class CustomerDevice:
    """The customer's device: their token, their software passkey."""

    def __init__(self, data: Path, customer: str, url: str) -> None:
        self._issuer = LocalIssuer(data)
        self._passkey = SoftwarePasskey(data, customer)
        self._customer, self._url = customer, url.rstrip("/")

    async def confirm(self, confirmation: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sign exactly what waits with the software passkey, enrolled if needed. The intent, and the gateway's answer."""
        return await self._spoken(confirmation, confirms=True)

    async def decline(self, confirmation: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Decline what waits. The intent, and the gateway's answer."""
        return await self._spoken(confirmation, confirms=False)

    async def decline_all_of(self, agents: str) -> None:
        """Decline whatever waits that an agent asked for whose name begins like this."""
        token = self._issuer.token(self._customer, agent=None, strong=True, scope=SCOPE_CONFIRM)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            for waiting in (await self._ask(http, "GET", "/v1/confirmations", token))["data"]:
                path = f"/v1/confirmations/{waiting['id']}"
                if str((await self._ask(http, "GET", path, token))["intent"]["agent"]).startswith(agents):
                    await self._ask(http, "POST", path, token, {"decline": True})

    async def _spoken(self, confirmation: str, *, confirms: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        token = self._issuer.token(self._customer, agent=None, strong=True, scope=SCOPE_CONFIRM)
        path = f"/v1/confirmations/{confirmation}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            waiting = await self._ask(http, "GET", path, token)
            if confirms and self._passkey.credential not in waiting["credentials"]:
                await self._enrol(http)
            decision = {"assertion": self._signed(waiting)} if confirms else {"decline": True}
            return waiting["intent"], await self._ask(http, "POST", path, token, decision)

    def _signed(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Over the challenge that the shown intent leads to, not over whatever was sent beside it."""
        over = challenge(canonical(shown["intent"]))
        # the page of development mode is on `localhost`, on the same port
        page = f"{urlsplit(self._url).scheme}://localhost:{urlsplit(self._url).port}"
        return self._passkey.assertion(over, relying_party=str(shown["rp_id"]), origin=page)

    async def _enrol(self, http: aiohttp.ClientSession) -> None:
        token = self._issuer.token(IDENTITY_SYSTEM, agent=None, scope=SCOPE_ENROL, client=IDENTITY_SYSTEM)
        passkey = {"credential": self._passkey.credential, "public_key": encode(self._passkey.public_key)}
        await self._ask(http, "POST", "/v1/passkeys", token, {"customer": self._customer, **passkey})

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, path: str, token: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"}
        async with http.request(method, self._url + path, json=body, headers=headers, allow_redirects=False) as response:
            answered: dict[str, Any] = await response.json()
        if response.status != 200:
            error = answered["error"]
            raise GatewayRefused(response.status, error["code"], error["message"])
        return answered


def intent_lines(content: dict[str, Any]) -> Iterator[str]:
    """The intent in words, as the confirm page shows it."""
    shown = view(content)
    yield "Asked for by the customer, without an assistant" if shown.is_own else f"Initiated through an assistant: {shown.agent}"
    for call in shown.calls:
        yield call.title
        whom = None if call.payee is None else replace(call.payee, value=f"{call.payee.value} {call.identifier}".rstrip())
        rows = [row for row in (call.amount, whom, *call.rows, *call.texts) if row is not None]
        for row in rows:
            yield f"  {row.label}: {row.value}" + (f"  ({row.note})" if row.note else "")
        if call.quoted:
            yield "  What you wrote: " + "".join(part.text if part.understood else f"[{part.text}]" for part in call.quoted)
        yield from (f"  ! {doubt}" for doubt in call.doubts)
        yield from (f"  {note}" for note in (call.check, call.consequence) if note)
    if shown.total:
        yield f"In total: {shown.total}"
    yield from (f"! {warning}" for warning in shown.warnings)
    yield from (f"{row.label}: {row.value}" for row in shown.more)
