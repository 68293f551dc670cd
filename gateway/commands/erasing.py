"""`tellergate audit erase`: a person goes from the trail, as far as the law allows, from the gateway's store and from its journal."""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.declared.journal import FILE, Journal
from audit import erasure
from audit.database import Database
from audit.erasure import Certificate, LegalHold, NothingToErase
from audit.leaf import rfc3339
from audit.log import Log
from audit.periods import after
from audit.query import Why
from gateway.app.alignment import refuse_apart, refuse_keys_apart
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.commands.approvals import use_approval
from gateway.commands.audit import asked
from gateway.commands.locations import locations
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, USAGE, failed, print_json
from gateway.domain.approvals import UNKNOWN_CUSTOMER
from gateway.domain.duties import Duty
from gateway.store import erasure as store
from gateway.store.erasure import StillInDoubt, StillStopped

MINIMUMS = ("P7Y=P5Y",)
"""Records of what changed something are kept for five years at least (Directive (EU) 2015/849 Art. 40)."""


@dataclass(frozen=True, slots=True)
class GatewayStores:
    """What the gateway keeps of a customer beside the trail."""

    database: Database
    journal: Path
    customer: str

    async def check(self) -> None:
        await self.database.read(lambda connection: store.check(connection, self.customer))

    async def remove(self) -> Mapping[str, int]:
        removed = dict(await self.database.write(lambda connection: store.erase(connection, self.customer)))
        await self.database.overwrite_deleted()
        if self.journal.exists() and (sent := await asyncio.to_thread(self._forget)):
            removed["journal"] = sent
        return removed

    def _forget(self) -> int:
        journal = Journal(self.journal)
        try:
            return journal.forget(self.customer)
        finally:
            journal.close()


def minimums_of(given: list[str] | None) -> Mapping[str, str]:
    """CLASS=PERIOD of each; without any, the default. ValueError."""
    found = dict(item.partition("=")[::2] for item in (MINIMUMS if given is None else given) if item != "none")
    for name, period in found.items():
        for duration in (name, period):
            after(utc_now(), duration)
    return found


def erase(options: argparse.Namespace) -> int:
    """Erase a customer, or what was locked before and may go now; print the certificates."""
    if (options.customer is None) != options.due:
        return failed("give either --customer, or --due", USAGE)

    async def work(log: Log, why: Why) -> int:
        minimums = minimums_of(options.legal_minimum)
        if options.due:
            await refuse_keys_apart(log)
            done, held = await erasure.erase_due(log, why, minimums=minimums)
            return _told(options, {"erased": [_shown(item) for item in done], "held": held})
        officer = acting_officer(options, Duty.ERASE)
        database = locations(options).open(DatabaseName.GATEWAY, name="command")
        try:
            await refuse_apart(database)
            await refuse_keys_apart(log)
            elsewhere = GatewayStores(database, options.data / FILE, options.customer)
            await _erasable(log, elsewhere)
            await use_approval(options, log, officer, Duty.ERASE, _subject(options, minimums))
            done_now = await erasure.erase(log, options.customer, why, minimums=minimums, elsewhere=elsewhere)
        except LegalHold:
            return failed("a legal hold is on this customer; nothing was destroyed", FINDING)
        except NothingToErase:
            return failed(UNKNOWN_CUSTOMER, FINDING)
        except StillInDoubt:
            return failed("a call of this customer is in doubt; nothing was destroyed: try again once its end is known", FINDING)
        except StillStopped:
            return failed("a kill switch over this customer is engaged; nothing was destroyed: lift it first", FINDING)
        finally:
            await database.close()
        return _told(options, _shown(done_now))

    return asked(options, Duty.ERASE_DUE if options.due else Duty.ERASE, work)


async def _erasable(log: Log, elsewhere: GatewayStores) -> None:
    """What stands in the way is said before anybody is asked to approve; the erasure itself looks again. NothingToErase, LegalHold,
    StillInDoubt, StillStopped."""
    if await log.keys.subject_of(elsewhere.customer) is None:
        raise NothingToErase
    if await erasure.holds(log, elsewhere.customer):
        raise LegalHold
    await elsewhere.check()


def _subject(options: argparse.Namespace, minimums: Mapping[str, str]) -> Mapping[str, object]:
    """What is approved of an erasure: whom, and what the law keeps meanwhile."""
    legal = sorted(f"{name}={period}" for name, period in minimums.items())
    return {"customer": options.customer, "legal_minimum": legal, "purpose": options.purpose, "case": options.case}


def _shown(certificate: Certificate) -> dict[str, object]:
    return {
        "subject": certificate.subject,
        "record": certificate.index,
        "destroyed": list(certificate.destroyed),
        "locked": {name: rfc3339(due) for name, due in certificate.locked.items()},
        "removed": dict(certificate.removed),
        "certificate": certificate.note,
    }


def _told(options: argparse.Namespace, done: Mapping[str, object]) -> int:
    if options.json:
        print_json(done)
    else:
        for name, value in done.items():
            print(f"{name}: {value}")
    return GOOD
