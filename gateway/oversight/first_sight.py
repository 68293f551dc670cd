"""Customers who are seen for the first time get the mandate of their segment's template, where the bank has one: over their own open
accounts, on record, until the bank's system says something else. A customer who was granted anything before gets nothing from here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.core import CoreBank, CoreUnavailable
from gateway.domain.errors import Unavailable
from gateway.domain.mandate import Limits, Mandate
from gateway.domain.principal import Principal
from gateway.oversight.granted_mandates import GrantedMandates

KNOWN_MOST = 65_536
"""Customers remembered as seen, least recently seen first out."""

AT_ONCE = 8
"""Customers whose accounts are asked for at once; others wait for their turn, and nobody who was seen before does."""

WAIT_MOST_S = 3.0
"""After which a request goes on without a mandate; the customer's next one tries again."""


@dataclass(frozen=True, slots=True)
class MandateTemplate:
    """What customers of a segment are granted for `days` from their first sight on. Names are sorted; amounts are minor units."""

    functions: tuple[str, ...]
    limits: Mapping[str, Limits]
    days: int
    restrictions: tuple[str, ...] = ()


class FirstSight:
    """Of one process. `templates` by segment, as the issuer's tokens name it."""

    def __init__(
        self,
        granted: GrantedMandates,
        core: CoreBank,
        templates: Mapping[str, MandateTemplate],
        clock: Callable[[], datetime],
    ) -> None:
        self._granted, self._core, self._templates, self._clock = granted, core, templates, clock
        self._known: OrderedDict[str, None] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def meet(self, principal: Principal) -> None:
        """Grant by the template, if this customer has one and nothing was granted yet. Never in the way of the request: while the core, the
        store or the trail does not answer, nothing is granted, and the next request tries again.
        """
        template = self._templates.get(principal.segment or "")
        if template is None or principal.customer in self._known:
            return
        try:
            async with asyncio.timeout(WAIT_MOST_S), self._turns:
                if await self._granted.of(principal.customer) is None:
                    accounts = await self._core.accounts(principal.customer)
                    open_ones = tuple(sorted(account.id for account in accounts if account.status == "open"))
                    if not open_ones:
                        return  # a mandate over nothing would be in the way of one over what they open tomorrow
                    await self._granted.give(self._made(principal.customer, template, open_ones), principal.segment or "")
        except (CoreUnavailable, Unavailable, TimeoutError):
            return
        self._known[principal.customer] = None
        if len(self._known) > KNOWN_MOST:
            self._known.popitem(last=False)

    def _made(self, customer: str, template: MandateTemplate, accounts: tuple[str, ...]) -> Mandate:
        starts = self._clock().replace(microsecond=0)
        return Mandate(
            customer=customer,
            version=1,
            functions=template.functions,
            accounts=accounts,
            limits=template.limits,
            starts=starts,
            ends=starts + timedelta(days=template.days),
            restrictions=template.restrictions,
        )
