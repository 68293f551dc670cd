"""A running gateway: its parts, as `main` put them together, and how it is stopped in order."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from adapters.core import CoreBank
from audit.leaf import Record, RecordKind
from audit.log import Log
from gateway.app.composition import Composition
from gateway.app.confirm_page import verifier_of
from gateway.app.keys import GatewayKeys
from gateway.app.policies import PolicyWatch
from gateway.app.runs import RunsApi
from gateway.app.settings import Settings
from gateway.app.trust import Trust
from gateway.calls.pipeline import CallPipeline
from gateway.calls.recovery import Recovery
from gateway.confirmations.confirming import CustomerConfirmations
from gateway.confirmations.relying_party import RelyingParty
from gateway.confirmations.standing_mandates import StandingMandates
from gateway.doors import rest
from gateway.oversight.background_verification import BackgroundVerification
from gateway.oversight.granted_mandates import GrantedMandates
from gateway.oversight.kill_switches import KillSwitches
from gateway.oversight.streams import Streams
from gateway.oversight.timestamps import Timestamps
from gateway.oversight.webhooks import Webhooks
from gateway.oversight.witnesses import Witnesses
from gateway.store.book import SqlBook
from gateway.store.passkeys import SqlPasskeys

if TYPE_CHECKING:
    from adapters.cores.sandbox.bank import SandboxBank
    from gateway.app.prometheus import PrometheusText  # needs the extra `metrics`

Instruments = tuple[trace.TracerProvider, metrics.MeterProvider]
"""The SDK's where somebody reads them; else those of the API that do nothing."""


@dataclass(slots=True)
class Gateway:
    """A running gateway, and what the command and the tests look at. Close it with `close`."""

    settings: Settings
    composition: Composition
    pipeline: CallPipeline
    door: rest.Door
    recovery: Recovery
    log: Log
    witnesses: Witnesses | None
    timestamps: Timestamps | None
    verification: BackgroundVerification
    book: SqlBook
    core: CoreBank
    bank: "SandboxBank | None"
    """The embedded sandbox bank; None where the core is elsewhere. For development's chores, and for who looks into it."""
    trust: Trust
    lock: IO[str] | None
    instruments: Instruments
    prometheus: "PrometheusText | None"
    confirmations: CustomerConfirmations
    standing_mandates: StandingMandates
    kill_switches: KillSwitches
    granted: GrantedMandates
    webhooks: Webhooks | None
    streams: Streams | None
    running: RunsApi
    policies: PolicyWatch
    keys: GatewayKeys
    _asked: contextlib.AsyncExitStack
    """What calls are carried out by: the core, and what runs code."""

    def relying_party(self) -> RelyingParty:
        """What stands before the customer's word. UnsafeSettings when passkeys are set up and cannot be verified here."""
        return RelyingParty(
            confirmations=self.confirmations,
            passkeys=SqlPasskeys(self.book),
            standing=self.trust.identity,
            verifier=verifier_of(self.settings),
            clock=self.door.clock,
            takes_tokens=self.settings.confirm_by_token,
        )

    async def close(self) -> None:
        """Let the effects that are under way end, publish a last checkpoint, let go of everything."""
        await self.running.close()
        await self.pipeline.drain()
        await self.trust.close()
        if self.webhooks is not None:
            await self.webhooks.close()
        if self.streams is not None:
            await self.streams.close()
        await self.log.append(Record(kind=RecordKind.LOG_STOP, time=self.door.clock()))
        await self.log.publish(force=True)
        await self.book.close()
        await self._asked.aclose()
        await self.log.close()
        await asyncio.to_thread(self.keys.storage.close)
        for instrument in self.instruments:
            if isinstance(instrument, TracerProvider | MeterProvider):
                await asyncio.to_thread(instrument.shutdown)
        if self.lock is not None:
            self.lock.close()
