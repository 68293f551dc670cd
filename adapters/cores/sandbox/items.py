"""What the bank's writer is given, and what it answers. Pure values; a held movement's `ledger.Pend` is an item too."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.core import Declined, Done, Instruction, NotSeen
from adapters.cores.sandbox.ledger import LedgerAnswer, Pend


@dataclass(frozen=True, slots=True)
class Submit:
    """Carry out this instruction; `digest` is the SHA-256 of its canonical bytes, in hexadecimal."""

    instruction: Instruction
    digest: str


@dataclass(frozen=True, slots=True)
class Burn:
    """Say what became of this key, and refuse it from now on if nothing did."""

    key: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep what a question leaves behind: a row of `quote` or `payee_check`. One that is there already stays as it is."""

    table: str
    row: Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """It is there."""


@dataclass(frozen=True, slots=True)
class Post:
    """Post a held movement."""

    id: str


@dataclass(frozen=True, slots=True)
class Void:
    """Void a held movement."""

    id: str


@dataclass(frozen=True, slots=True)
class ExecuteDue:
    """Carry out the scheduled payments and the turns of standing orders whose day has come, `most` of each."""

    most: int = 500


@dataclass(frozen=True, slots=True)
class DueResult:
    """How many planned payments were settled, and how many were rejected."""

    settled: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Return:
    """The payee's bank sends the money of a settled payment back."""

    payment: str


Item = Submit | Burn | Keep | Pend | Post | Void | ExecuteDue | Return
Answer = Done | Declined | NotSeen | LedgerAnswer | DueResult | Kept
