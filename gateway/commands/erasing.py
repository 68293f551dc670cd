"""`tellergate audit erase`: a person goes from the trail, as far as the law allows, from the gateway's store and from its journal."""

import argparse
from collections.abc import Mapping

from audit import erasure
from audit.log import Log
from audit.query import Why
from gateway.app.alignment import refuse_keys_apart
from gateway.app.clock import utc_now
from gateway.app.erasing import erase_customer
from gateway.commands.approvals import use_approval
from gateway.commands.audit import asked
from gateway.commands.locations import locations
from gateway.commands.officers import acting_officer
from gateway.commands.printing import FINDING, GOOD, USAGE, failed, print_json
from gateway.domain.duties import Duty
from gateway.oversight.erasing import OBSTACLES, ErasureOrder, certificate_shown, minimums_of, obstacle_fault


def erase(options: argparse.Namespace) -> int:
    """Erase a customer, or what was locked before and may go now; print the certificates."""
    if (options.customer is None) != options.due:
        return failed("give either --customer, or --due", USAGE)

    async def work(log: Log, why: Why) -> int:
        minimums = minimums_of(options.legal_minimum, utc_now())
        if options.due:
            await refuse_keys_apart(log)
            done, held = await erasure.erase_due(log, why, minimums=minimums)
            return _told(options, {"erased": [certificate_shown(item) for item in done], "held": held})
        officer = acting_officer(options, Duty.ERASE)
        order = ErasureOrder(customer=options.customer, minimums=minimums, purpose=options.purpose, case=options.case)

        async def agreed(subject: Mapping[str, object]) -> None:
            await use_approval(options, log, officer, Duty.ERASE, subject)

        try:
            return _told(options, certificate_shown(await erase_customer(locations(options), log, order, why, agreed)))
        except OBSTACLES as obstacle:
            return failed(obstacle_fault(obstacle).message, FINDING)

    return asked(options, Duty.ERASE_DUE if options.due else Duty.ERASE, work)


def _told(options: argparse.Namespace, done: Mapping[str, object]) -> int:
    if options.json:
        print_json(done)
    else:
        for name, value in done.items():
            print(f"{name}: {value}")
    return GOOD
