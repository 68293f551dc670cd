"""A call that pays, as the pipeline hands it to grounding: a transfer of alice's out of her account `a1`, with its facts."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from adapters.core import Account, Acquaintance, CoreBank, Identified, KnownPayee, Money, ObjectFacts, ReferenceKind
from adapters.function import Arguments, Level
from adapters.functions import MANIFEST
from gateway.domain.facts import ConversationFacts, CustomerFacts, Evidence, Facts, Use, Utterance, Utterances
from gateway.domain.kill_switch import EngagedSwitches
from gateway.domain.limits import Totals
from gateway.domain.request import CallRequest, NativeCall, Trace
from gateway.domain.stages import BatchRemainder, Call, Received
from gateway.domain.steps import Steps
from tests.support.teller import principal

TRANSFER = next(function for function in MANIFEST if function.name == "initiate_transfer")
ACCOUNT = Identified(ReferenceKind.ACCOUNT, "a1")
_OWNERS = frozenset({"alice"})


def an_account(named: str, name: str, currency: str = "GBP", status: str = "open") -> Account:
    """One of alice's own accounts. `named`: its identifier."""
    return Account(named, name, "current", currency, status, _OWNERS, iban=None, sort_code="209912", number=named[1:].zfill(8))


EVERYDAY = an_account("a1", "Everyday")


def transfer_call(
    words: Sequence[Utterance],
    payee: KnownPayee,
    amount: Money,
    *,
    now: datetime,
    payees: Sequence[KnownPayee] = (),
    accounts: Sequence[Account] = (EVERYDAY,),
    uses: Sequence[Use] = (),
    arguments: Mapping[str, Any] | None = None,
    rest: BatchRemainder | None = None,
    **facts: Any,
) -> Call:
    """`payees`: whom the customer knows, `payee` alone where none are given; `arguments`: further ones, or others."""
    native = NativeCall("n1", TRANSFER.name, "{}")
    received = Received(
        call_id="call_1",
        principal=principal("alice", now=now),
        request=CallRequest("responses", "conv_1", "t1", None, (native,), Trace("0" * 32)),
        native=native,
        received_at=now,
        span_id=secrets.token_hex(8),
        steps=Steps(),
        set_at=now,
        rest=rest or BatchRemainder(),
    )
    to = Identified(ReferenceKind.BENEFICIARY, payee.key.removeprefix("ben:"))
    given = {"from": ACCOUNT, "to": to, "amount": amount, "reference": "", **(arguments or {})}
    heard = Utterances(max((word.turn for word in words), default=0), tuple(words), (), tuple(uses))
    known = Facts(
        as_of=now,
        level=Level.L2,
        customer=CustomerFacts(None, False),
        conversation=ConversationFacts("conv_1", False),
        objects={
            given["from"]: ObjectFacts(given["from"], _OWNERS, "open", currency="GBP"),
            to: ObjectFacts(to, _OWNERS, "saved", account="a1", first_settled_at=payee.known_since),
        },
        totals=Totals(),
        switches=EngagedSwitches(0, frozenset()),
        evidence=Evidence(heard, Acquaintance(tuple(payees or (payee,))), tuple(accounts)),
    )
    nobody = cast(CoreBank, object())  # nothing is asked of it any more
    return Call(received, TRANSFER, Arguments(given), replace(known, **facts), nobody)
