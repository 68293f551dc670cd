"""`tellergate dev confirm` and `dev decline`: a customer's device in software, over HTTP, for development mode alone."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.app.development.address import noted_url
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.software_passkey import SoftwarePasskey
from gateway.client import Patience, TellergateClient, TellergateError, TellergateUnreachable
from gateway.client.answers import ConfirmationOutcome, WaitingConfirmation
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
        intent, outcome = device.confirm(options.id) if confirms else device.decline(options.id)
    except TellergateError as refused:
        return failed(f"{refused.code}: {refused.message}", UNAVAILABLE if refused.status >= 500 else FINDING)
    except TellergateUnreachable:
        return failed(f"nothing answers at {url}; is `tellergate serve --dev` running there?", UNAVAILABLE)
    if options.json:
        print_json({"intent": intent, **asdict(outcome)})
    else:
        for line in (*intent_lines(intent), outcome.state):
            print(line)
        for call in outcome.results:
            print(f"{call.call_id}: {call.status}" + (f" ({call.code})" if call.code else ""))
    return GOOD if all(call.status == "done" for call in outcome.results) else FINDING


class CustomerDevice:
    """The customer's device: their token, their software passkey. Each method may raise what the client does."""

    def __init__(self, data: Path, customer: str, url: str) -> None:
        self._issuer = LocalIssuer(data)
        self._passkey = SoftwarePasskey(data, customer)
        self._customer, self._url = customer, url.rstrip("/")

    def confirm(self, confirmation: str) -> tuple[dict[str, Any], ConfirmationOutcome]:
        """Sign exactly what waits with the software passkey, enrolled if needed. The intent, and the gateway's answer."""
        with self._own() as own:
            waiting = own.get_confirmation(confirmation)
            if self._passkey.credential not in waiting.credentials:
                self._enrol()
            return dict(waiting.intent), own.confirm(confirmation, self._signed(waiting))

    def decline(self, confirmation: str) -> tuple[dict[str, Any], ConfirmationOutcome]:
        """Decline what waits. The intent, and the gateway's answer."""
        with self._own() as own:
            return dict(own.get_confirmation(confirmation).intent), own.decline(confirmation)

    def decline_all_of(self, agents: str) -> None:
        """Decline whatever waits that an agent asked for whose name begins like this."""
        with self._own() as own:
            for waiting in own.list_confirmations().data:
                if str(own.get_confirmation(waiting.id).intent["agent"]).startswith(agents):
                    own.decline(waiting.id)

    def _own(self) -> TellergateClient:
        return self._client(self._issuer.token(self._customer, agent=None, strong=True, scope=SCOPE_CONFIRM))

    def _signed(self, waiting: WaitingConfirmation) -> dict[str, Any]:
        """Over the challenge that the shown intent leads to, not over whatever was sent beside it."""
        over = challenge(canonical(dict(waiting.intent)))
        # the page of development mode is on `localhost`, on the same port
        page = f"{urlsplit(self._url).scheme}://localhost:{urlsplit(self._url).port}"
        return self._passkey.assertion(over, relying_party=str(waiting.rp_id), origin=page)

    def _enrol(self) -> None:
        token = self._issuer.token(IDENTITY_SYSTEM, agent=None, scope=SCOPE_ENROL, client=IDENTITY_SYSTEM)
        with self._client(token) as identity_system:
            identity_system.enrol_passkey(self._customer, self._passkey.credential, encode(self._passkey.public_key))

    def _client(self, token: str) -> TellergateClient:
        return TellergateClient(self._url, token=token, patience=Patience(timeout_s=60.0))


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
