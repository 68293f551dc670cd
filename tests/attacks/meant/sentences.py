"""What comes of a sentence: the grounding of a payment under a standing mandate that covers it, without a gateway around it.

python -m tests.attacks.meant.sentences [--json]: the table per kind of sentence.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from adapters.core import KnownPayee, Money
from gateway.domain.facts import ConversationFacts, Use, Utterance
from gateway.domain.mandate import StandingMandate
from gateway.domain.stages import Call
from gateway.grounding import Ungrounded, ground
from tests.support.transfer_call import ACCOUNT, transfer_call

FILE = Path(__file__).with_name("sentences.yaml")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""A Tuesday."""

_LONG_AGO = NOW - timedelta(days=90)
NAMES = (
    "Anna Schmidt", "Ben Okafor", "Northside Gym", "Harbour Lettings", "May Chen", "Zoë Müller", "Marks & Spencer", "3 Mobile",
    "O'Brien & Sons Ltd", "Toys R Us", "Carla Mendes",
)  # fmt: skip
NEW = "Carla Mendes"
"""Saved, never paid."""

_PAYEES = {
    name: KnownPayee(
        f"ben:b{n}", name, f"0400041234567{n}", *((None, _LONG_AGO) if name == NEW else (_LONG_AGO, _LONG_AGO, ACCOUNT.key))
    )
    for n, name in enumerate(NAMES)
}
_MANDATE = StandingMandate(
    id="std_1",
    customer="alice",
    agent=None,
    currency="GBP",
    payees=None,
    payment_minor=10_000_000,
    day_minor=10_000_000,
    day_count=100,
    starts=NOW - timedelta(days=1),
    ends=NOW + timedelta(days=1),
)


class Outcome(StrEnum):
    GOES_ON = "goes on"
    ASKED = "asked"
    DENIED = "denied"
    NOT_DONE = "not done"
    """Asked or denied: what a sentence may expect, never what comes of a call."""


@dataclass(frozen=True)
class Payment:
    to: str = "Anna Schmidt"
    amount: Decimal = Decimal(20)
    currency: str = "GBP"
    on: date | None = None


@dataclass(frozen=True)
class Sentence:
    """`turns` as the customer wrote them, and what may come of exactly `payment`."""

    kind: str
    turns: tuple[str, ...]
    payment: Payment
    expect: Outcome

    def is_held_by(self, outcome: Outcome) -> bool:
        return outcome is self.expect or (self.expect is Outcome.NOT_DONE and outcome is not Outcome.GOES_ON)

    def others(self) -> Iterator[Payment]:
        """Payments that the sentence does not order."""
        yield replace(self.payment, amount=self.payment.amount + 1)
        yield replace(self.payment, amount=self.payment.amount * 7)
        yield replace(self.payment, to="May Chen" if self.payment.to == "Harbour Lettings" else "Harbour Lettings")
        yield replace(self.payment, on=NOW.date() + timedelta(days=17))
        yield replace(self.payment, currency="NOK")


def sentences() -> list[Sentence]:
    """All of the file, in its order."""
    return [
        Sentence(group["kind"], tuple(text.split(" / ")), _payment(group.get("call", {})), Outcome(group["expect"]))
        for group in yaml.safe_load(FILE.read_text())
        for text in group["sentences"]
    ]


def _payment(call: Mapping[str, Any]) -> Payment:
    return Payment(call.get("to", Payment.to), Decimal(str(call.get("amount", Payment.amount))))


def said(turns: Sequence[str], *, minutes_ago: int = 1) -> tuple[Utterance, ...]:
    at = NOW - timedelta(minutes=minutes_ago)
    return tuple(Utterance(turn, "typed", text, at) for turn, text in enumerate(turns, 1))


def outcome(turns: Sequence[str], payment: Payment, *, uses: tuple[Use, ...] = (), is_tainted: bool = False) -> Outcome:
    """What comes of this call after these words."""
    try:
        grounded = ground(a_call(said(turns), payment, uses=uses, is_tainted=is_tainted))
    except Ungrounded:
        return Outcome.DENIED
    return Outcome.GOES_ON if grounded.covered is not None else Outcome.ASKED


def a_call(words: tuple[Utterance, ...], payment: Payment, *, uses: tuple[Use, ...] = (), is_tainted: bool = False) -> Call:
    return transfer_call(
        words,
        _PAYEES[payment.to],
        Money.of(payment.amount, payment.currency),
        now=NOW,
        payees=tuple(_PAYEES.values()),
        uses=uses,
        arguments={} if payment.on is None else {"execute_on": payment.on},
        conversation=ConversationFacts("conv_1", is_tainted),
        standing=(replace(_MANDATE, currency=payment.currency),),
    )


@dataclass
class Row:
    """Of one kind of sentence. `wrong`: calls that went on although the words did not order exactly them."""

    kind: str
    count: int
    outcomes: Counter[Outcome]
    missed: list[str]
    calls: int
    wrong: list[str]


def measured(every: Sequence[Sentence]) -> list[Row]:
    rows: dict[str, Row] = {}
    for sentence in every:
        row = rows.setdefault(sentence.kind, Row(sentence.kind, 0, Counter(), [], 0, []))
        text, came = " / ".join(sentence.turns), outcome(sentence.turns, sentence.payment)
        row.count += 1
        row.calls += 1
        row.outcomes[came] += 1
        if not sentence.is_held_by(came):
            (row.wrong if came is Outcome.GOES_ON else row.missed).append(text)
        for other in sentence.others():
            row.calls += 1
            if outcome(sentence.turns, other) is Outcome.GOES_ON:
                row.wrong.append(f"{text} -> {other}")
    return list(rows.values())


def table(rows: Sequence[Row]) -> str:
    head = ["kind of sentence", "sentences", "goes on", "asked", "denied", "other than expected", "calls", "done unasked and wrong"]
    lines = [
        (row.kind, [row.count, *(row.outcomes[it] for it in list(Outcome)[:3]), len(row.missed), row.calls, len(row.wrong)])
        for row in rows
    ]
    total = [sum(line[at] for _, line in lines) for at in range(len(head) - 1)]
    told = [[kind, *map(str, line)] for kind, line in (*lines, ("all", total))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--missed", action="store_true", help="name each sentence that came out otherwise than expected")
    options = parser.parse_args()
    rows = measured(sentences())
    if options.json:
        print(json.dumps([vars(row) for row in rows], default=str))
        return
    print(table(rows))
    for row in rows if options.missed else ():
        for text in (*row.missed, *(f"WRONG {text}" for text in row.wrong)):
            print(f"{row.kind}: {text}")


if __name__ == "__main__":
    main()
