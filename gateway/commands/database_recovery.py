"""`tellergate database recover`: a gateway's database that was restored from a backup is brought up to its log."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from adapters.core import CoreEffect, CoreUnavailable
from audit.database import DatabaseUnavailable
from audit.keyring import KeyRefused
from audit.log import Log, LogUnavailable
from audit.store.reads import LogCorrupt
from gateway.app.book_recovery import Recovered, RecoveryOrder, TrailDamaged
from gateway.app.book_recovery import recover as recovered
from gateway.app.clock import utc_now
from gateway.commands.locations import locations
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, UNAVAILABLE, failed, print_json
from gateway.commands.reconciliation import core_of, effects_since, knows_core
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault, Unavailable
from gateway.store.erasure import StillInDoubt, StillStopped
from gateway.store.forgotten import LogMoved
from gateway.store.log_position import Alignment

_AGAIN = "nothing was put back; everything stays stopped, and it may be run again"


def recover(options: argparse.Namespace) -> int:
    """Engage a switch over everything, put back what the log tells, and say what is next; a finding where the log does not verify."""
    try:
        officer = acting_officer(options, Duty.RECOVER)
    except RequestFault as refused:
        return failed(refused.message, FINDING)
    signed = officer.states(Duty.RECOVER, {"records_lost": str(options.records_lost).lower()}, utc_now())
    effects = partial(_effects, options) if knows_core(options) else None
    wanted = RecoveryOrder(officer.member.subject, options.records_lost, signed, effects)
    try:
        done = asyncio.run(recovered(locations(options), wanted, clock=utc_now))
    except (TrailDamaged, LogCorrupt) as error:
        return failed(f"the log is not what was signed: {error}; run `tellergate audit verify`; {_AGAIN}", FINDING)
    except LogMoved:
        return failed(f"somebody writes to the log: stop every gateway and command; {_AGAIN}", UNAVAILABLE)
    except (StillInDoubt, StillStopped):
        return failed(f"a person was erased of whom a call is open or a kill switch engaged; {_AGAIN}", FINDING)
    except CoreUnavailable:
        return failed(f"the core does not answer; {_AGAIN}", UNAVAILABLE)
    except KeyRefused:
        raise
    except (LogUnavailable, Unavailable, SQLAlchemyError, DatabaseUnavailable):
        return failed(f"the databases do not answer; {_AGAIN}", UNAVAILABLE)
    return _told(options, wanted, done)


async def _effects(options: argparse.Namespace, log: Log, since: datetime) -> Sequence[CoreEffect]:
    async with core_of(options, log) as core:
        return await effects_since(core, since)


def _told(options: argparse.Namespace, wanted: RecoveryOrder, done: Recovered) -> int:
    if options.json:
        print_json(
            {
                "alignment": done.before.alignment.value,
                "keys": None if done.keys is None else done.keys.value,
                "from": done.before.book_size,
                "to": done.before.log_size,
                "kill_switch": done.switch,
                "put_back": dict(done.counts),
                "unknown": done.unknown,
                "record": done.record,
                "core_asked": wanted.effects is not None and done.switch is not None,
            }
        )
        return GOOD
    if done.switch is None:
        print("the gateway's database, the log and the key store are of one moment: nothing to recover")
        return GOOD
    how = " and ".join(item.value for item in (done.before.alignment, done.keys) if item not in (None, Alignment.TOGETHER))
    print(f"{how}: put back, on record as {done.record}:")
    for name, count in sorted(done.counts.items()):
        print(f"  {name}: {count}")
    if done.unknown:
        print(f"  not told by the log any more: {done.unknown} records")
    if wanted.effects is None:
        print("  the core was not asked (--core-url): what it did and no record tells counts towards no limit")
    print(f"everything is stopped by {done.switch}. Next: start a gateway, which ends what is open with the core; run")
    print("`tellergate audit reconcile`; then two officers lift it with `tellergate kill lift`")
    return GOOD
