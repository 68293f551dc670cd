"""What is asked of evidence, on the command line and on the operations listener alike: the same order is the same subject to approve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from audit.leaf import rfc3339
from audit.log import Log
from audit.query import NothingKnown, Query, Why, filter_of, page


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """Which records, whether what they keep sealed is opened, and what is left out, since it was verified before: `after`, a checkpoint.
    `earlier`: checkpoints that the auditor kept, to be proven prefixes."""

    query: Query
    purpose: str
    case: str
    reveal: bool = False
    after: bytes | None = None
    earlier: Sequence[bytes] = ()

    @property
    def wanted(self) -> Query | None:
        """None: the whole log."""
        return None if self.query == Query() else self.query

    def subject(self) -> Mapping[str, object]:
        """Exactly what is approved."""
        chosen = {name: value for name in Query.__dataclass_fields__ if (value := getattr(self.query, name))}
        told = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in chosen.items()}
        if "case" in told:  # `case` is the one that it is taken away under
            told["of_case"] = told.pop("case")
        if self.after is not None:
            told["after_checkpoint"] = sha256(self.after).hexdigest()
        return {**told, "reveal": self.reveal, "purpose": self.purpose, "case": self.case}


async def refuse_nobody(log: Log, query: Query, why: Why) -> None:
    """NothingKnown where nothing is on record of the customer: nobody is asked to approve it, nor does the name come into the log; the
    look is on record. SwitchUnknown, LogUnavailable."""
    await filter_of(log, query)
    if query.customer is not None and await log.keys.subject_of(query.customer) is None:
        await page(log, query, why, limit=1)
        raise NothingKnown
