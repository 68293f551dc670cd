"""What the bank lets its customers' assistants do: put in force, read and ended by the bank's own system, each on record; and given by a
template to customers who are seen for the first time.

A mandate is signed here, by the gateway's key, and counts from the customer's next call on, in every process.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.calls.decide import Decider
from gateway.calls.record import Records
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.mandate import Mandate, MandateNotNewer, MandateSigner
from gateway.domain.ports import Book


class MandateRefused(ValueError):
    """Terms that make no mandate here. `field` says of which member; the message holds nothing else of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_terms(mandate: Mandate, functions: Collection[str], restrictions: Collection[str], now: datetime) -> None:
    """MandateRefused for what would grant nothing, or something else than was meant: names that are not served or that no rule asks for."""
    unknown = set(mandate.functions) - set(functions)
    if unknown:
        raise MandateRefused("functions", f"{len(unknown)} that are not served; `functions list` names those that are")
    misnamed = set(mandate.restrictions) - set(restrictions)
    if misnamed:
        raise MandateRefused("restrictions", f"{len(misnamed)} that no rule of the policy bundle in force asks for")
    if not mandate.starts < mandate.ends:
        raise MandateRefused("ends", "must be after starts")
    if mandate.ends <= now:
        raise MandateRefused("ends", "has passed")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedMandates:
    """`functions`: the names that are served."""

    book: Book
    records: Records
    key: MandateSigner
    decider: Decider
    functions: Collection[str]
    clock: Callable[[], datetime]

    async def of(self, customer: str) -> Mandate | None:
        """The customer's mandate, in force or not; None: nothing was granted. Unavailable."""
        return await self.book.mandate(customer)

    async def put(self, mandate: Mandate, by: str) -> None:
        """In the place of the earlier one, on record: both or neither. The same once more changes nothing, so that whoever got no answer
        may ask again. RequestFault for terms that make no mandate, or a version that is not greater; Unavailable."""
        stored = await self.book.mandate(mandate.customer)
        if stored is not None and stored.canonical() == mandate.canonical():
            return
        try:
            check_terms(mandate, self.functions, self.decider.policies.engine.restrictions, self.clock())
            await self._store(mandate, "mandate_granted", by)
        except MandateRefused as refused:
            raise RequestFault(Fault.INVALID_REQUEST, f"{refused.field}: {refused}", param=refused.field) from None
        except MandateNotNewer as refused:
            message = f"version: must be more than {refused.stored}, which is stored"
            raise RequestFault(Fault.MANDATE_NOT_NEWER, message, param="version") from None

    async def end(self, customer: str, by: str) -> Mandate | None:
        """From now on the customer's assistants may do nothing but what needs no mandate. None: nothing was granted. To end what has ended
        changes nothing. Unavailable."""
        while (stored := await self.book.mandate(customer)) is not None:
            now = self.clock()
            if stored.ends <= now:
                return stored
            ended = replace(stored, version=stored.version + 1, starts=min(stored.starts, now), ends=now)
            try:
                await self._store(ended, "mandate_ended", by)
            except MandateNotNewer:
                continue  # another one was put in its place meanwhile, and it is that one which is to end
            return ended
        return None

    async def give(self, mandate: Mandate, template: str) -> bool:
        """A mandate by a template, for a customer who has none. False: they have one meanwhile, or these terms make none."""
        try:
            check_terms(mandate, self.functions, self.decider.policies.engine.restrictions, self.clock())
            await self._store(mandate, "mandate_granted", f"template {template}")
        except (MandateRefused, MandateNotNewer):
            return False
        return True

    async def _store(self, mandate: Mandate, word: str, by: str) -> None:
        change = self.book.granting(mandate, mandate.sign(self.key))
        await self.records.granted(mandate, word, by, change, self.clock())
