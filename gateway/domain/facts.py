"""What a decision may rest on, gathered once per call: the customer, the conversation, what was said, totals, switches. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.core import Account, Acquaintance, Identified, ObjectFacts
from adapters.function import Level
from gateway.domain.kill_switch import EngagedSwitches
from gateway.domain.limits import Totals
from gateway.domain.mandate import Mandate, StandingMandate
from gateway.domain.reading import Reading


@dataclass(frozen=True, slots=True)
class Use:
    """What a call takes of the customer's words: a value of one kind, said in this turn."""

    kind: str
    value: str
    turn: int


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What the gateway's store knows of the customer. `mandate` None: nothing was granted."""

    mandate: Mandate | None
    frozen: bool


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    """`tainted`: third parties' text was returned into this conversation, or within a day to this agent of this customer."""

    id: str
    tainted: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation, its customer and the kill switches, read together at one moment."""

    customer: CustomerFacts
    conversation: ConversationFacts
    switches: EngagedSwitches


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the customer said in one message; `origin` is typed, pasted or document, or deleted where they removed it since.

    `reading`: of what was typed, as it was made when it was heard; None where it must be made yet.
    """

    turn: int
    origin: str
    text: str
    at: datetime
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class HeardMessage:
    """A message of the customer's to be stored. `reading`: as `Reading.written` gives it, None where nothing was read."""

    text: str
    origin: str
    reading: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document that the customer named, and what was read in it; without a document, the bank's own figures beside others' text."""

    document: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Utterances:
    """What the customer said in the last turns, the documents that they named, and what was used of it. `turn`: of their last word.

    `words` are in the order in which they were said.
    """

    turn: int = 0
    words: tuple[Utterance, ...] = ()
    readings: tuple[DocumentText, ...] = ()
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectFacts:
    """What the book knows of a call with an effect. `spent`: in its currency, over the windows that end now; zero where it has none."""

    heard: Utterances
    standing: tuple[StandingMandate, ...]
    spent: Totals


@dataclass(frozen=True, slots=True)
class Evidence:
    """On what the arguments of a call are grounded. Gathered only for calls that have something to ground."""

    heard: Utterances
    acquaintance: Acquaintance
    accounts: Sequence[Account] = ()
    """The customer's own accounts, where their words name one or a standing mandate may cover the payment."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may rest on, gathered once. `totals` do not include this call; None without an amount.

    `standing`: the standing mandates in force; `automatic`: what was paid under each without a confirmation, by its id.
    """

    as_of: datetime
    level: Level
    customer: CustomerFacts
    conversation: ConversationFacts
    objects: Mapping[Identified, ObjectFacts]
    totals: Totals | None
    switches: EngagedSwitches
    evidence: Evidence | None = None
    standing: tuple[StandingMandate, ...] = ()
    automatic: Mapping[str, Totals] = field(default_factory=dict)

    def paid_under(self, mandate: StandingMandate) -> Totals:
        """What was paid without a confirmation under this standing mandate, whoever acted."""
        return self.automatic.get(mandate.id, Totals())

    @property
    def versions(self) -> tuple[int, bool, bool, int]:
        """What a reservation compares again under its lock: mandate version, frozen, tainted, kill epoch."""
        mandate = self.customer.mandate
        return (mandate.version if mandate else 0, self.customer.frozen, self.conversation.tainted, self.switches.epoch)
