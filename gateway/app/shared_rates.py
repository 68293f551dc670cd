"""Gateways that share a database tell each other once a second what was taken of their token buckets; one for itself has nobody to tell."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from gateway.app.gateway import Gateway
from gateway.calls.chores import alarmed
from gateway.calls.rates import Buckets
from gateway.domain.alarms import Chore
from gateway.store.items import ItemStore
from gateway.store.rates import ForgetRates, HeardRates, TellRates, of_others

EVERY_S = 1.0
FORGET_EVERY = 60
"""Exchanges between two sweeps."""


@dataclass(slots=True)
class SharedRates:
    """Of one process, over all of its buckets. While the database does not answer, each counts for itself: no request waits for it."""

    store: ItemStore
    buckets: Sequence[Buckets]
    clock: Callable[[], datetime]
    process: str = field(default_factory=lambda: secrets.token_hex(16))
    heard: HeardRates = field(default_factory=HeardRates)

    async def run(self) -> None:
        """Exchange every second, for as long as the gateway serves."""
        turn = 0
        while True:
            await asyncio.sleep(EVERY_S)
            turn += 1
            with alarmed(Chore.RATES):
                await self.exchange()
                if turn % FORGET_EVERY == 0:
                    await self.store.write(ForgetRates(self.clock()))

    async def exchange(self) -> None:
        """Tell what was taken here, and take from the buckets what others took. Unavailable: what was to be told then is told to nobody."""
        taken = {digest: count for buckets in self.buckets for digest, count in buckets.told().items()}
        now = self.clock()
        if taken:
            await self.store.write(TellRates(self.process, taken, now))
        fresh = self.heard.new(await self.store.read(partial(of_others, process=self.process, at=now)))
        for buckets in self.buckets:
            buckets.hear(fresh)


def shared_rates(gateway: Gateway) -> SharedRates:
    """Of all the buckets of a gateway that requests of customers and clients are counted in."""
    door, writes = gateway.door, gateway.running.api.rates
    return SharedRates(
        gateway.book, (*door.requests.buckets, *door.rates.buckets, *door.quotas.buckets, *writes.buckets), door.clock
    )
