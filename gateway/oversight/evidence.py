"""What is asked of evidence, on the command line and on the operations listener alike: the same order is the same subject to approve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from audit.bundle_file import Sink
from audit.export import Exported, Told, export, nobody
from audit.leaf import rfc3339
from audit.log import Log
from audit.query import NothingKnown, Query, Why, filter_of, page
from audit.record_numbers import RecordNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """Which records (by a question, by their indexes, or the whole log), whether what they keep sealed is opened, and what is left out,
    since it was verified before: `after`, a checkpoint. `earlier`: checkpoints that the auditor kept, to be proven prefixes."""

    query: Query
    purpose: str
    case: str
    records: RecordNumbers | None = None
    reveal: bool = False
    after: bytes | None = None
    earlier: Sequence[bytes] = ()

    @property
    def wanted(self) -> Query | None:
        """None: the whole log, or `records` of it."""
        return None if self.query == Query() else self.query

    def subject(self) -> Mapping[str, object]:
        """Exactly what is approved."""
        chosen = {name: value for name in Query.__dataclass_fields__ if (value := getattr(self.query, name))}
        told = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in chosen.items()}
        if "case" in told:  # `case` is the one that it is taken away under
            told["of_case"] = told.pop("case")
        if self.records is not None:
            told["records"] = self.records.text
        if self.after is not None:
            told["after_checkpoint"] = sha256(self.after).hexdigest()
        return {**told, "reveal": self.reveal, "purpose": self.purpose, "case": self.case}


async def refuse_absent(log: Log, order: ExportOrder, why: Why) -> None:
    """What stands in the way, before anybody is asked to approve it, and before an approval is used: as `refuse_nobody`;
    RecordNumbersInvalid for records that the log does not have."""
    if order.records is not None:
        order.records.require_within((await log.head())[0])
    await refuse_nobody(log, order.query, why)


async def export_ordered(log: Log, order: ExportOrder, why: Why, file: Sink, told: Told = nobody) -> Exported:
    """Write its bundle; raises as `audit.export.export`."""
    return await export(
        log,
        why,
        file,
        query=order.wanted,
        records=order.records,
        reveal=order.reveal,
        earlier=order.earlier,
        after=order.after,
        told=told,
    )


async def refuse_nobody(log: Log, query: Query, why: Why) -> None:
    """NothingKnown where nothing is on record of the customer: nobody is asked to approve it, nor does the name come into the log; the
    look is on record. SwitchUnknown, LogUnavailable."""
    await filter_of(log, query)
    if query.customer is not None and await log.keys.subject_of(query.customer) is None:
        await page(log, query, why, limit=1)
        raise NothingKnown
