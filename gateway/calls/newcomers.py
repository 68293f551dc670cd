"""Customers whom this process has not seen begin one after the other, so that many of them at once slow nobody else.

The first call of a customer costs several times as much as another: a key for the trail, the mandate's signature, the slice of the
policies. Whoever is known never waits here, and nobody waits for what another's call takes: only the beginnings are spaced.
"""

import asyncio
from collections import OrderedDict

from gateway.domain.errors import Unavailable

EVERY_S = 0.02
"""Between two beginnings: five times the processor time of a first call, so that four parts of five are everybody else's."""

WAIT_MOST_S = 60.0
"""How long one may wait for its beginning. Who would wait longer is told at once to come again."""

KNOWN_MOST = 65_536
"""Customers remembered, least recently seen first out."""


class Newcomers:
    """Of one process and its event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()
        self._next_s = 0.0

    async def turn(self, customer: str) -> bool:
        """Return when this customer may begin: at once, if they have before. Whether they are new. Unavailable when too many wait."""
        if customer in self._known:
            self._known.move_to_end(customer)
            return False
        now_s = asyncio.get_running_loop().time()
        begins_s = max(now_s, self._next_s)
        if begins_s - now_s > WAIT_MOST_S:
            raise Unavailable("new_customers_wait")
        self._next_s = begins_s + EVERY_S
        if begins_s > now_s:
            await asyncio.sleep(begins_s - now_s)
        self._known[customer] = None
        if len(self._known) > KNOWN_MOST:
            self._known.popitem(last=False)
        return True
