"""On what it rests that an answer is complete: sequences without gaps, or censuses that counted the same as the index finds."""

from dataclasses import dataclass
from enum import StrEnum

from audit.census import BEGINNING, first_census, last_census
from audit.store.find import Filter, count_posted, count_sequence
from audit.store.reads import Reads

COUNTED_MOST = 100_000
"""Records that are counted for an answer: of more it is not said, so that no question takes long."""


class Basis(StrEnum):
    """What it rests on."""

    SEQUENCE = "sequence"
    """The records of a customer or a conversation are numbered without gaps."""
    CENSUS = "census"
    """Two censuses of the log tell how many records there are between them."""
    INDEX = "index"
    """Nothing on record counts these: the auditors' index found them, and the verification of the whole log checks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """`found` of `expected` records of `of` are there, in the tree of `size`; between the records `since` and `until`, of a census.

    `whole`: none is hidden. None: it is not proven either way.
    """

    basis: Basis
    size: int
    of: str = ""
    found: int = 0
    expected: int = 0
    since: int | None = None
    until: int | None = None

    @property
    def whole(self) -> bool | None:
        return None if self.basis is Basis.INDEX else self.found == self.expected

    def sentence(self) -> str:
        """For people."""
        if self.basis is Basis.INDEX:
            return f"by the index, up to record {self.size - 1}; `audit verify` checks the index against the log"
        told = f"{self.found} of {self.expected} records of {self.of}"
        hidden = "none hidden" if self.whole else f"{abs(self.expected - self.found)} HIDDEN OR TOO MANY: verify the log"
        if self.basis is Basis.SEQUENCE:
            return f"{told}, {hidden}, up to record {self.size - 1}"
        first = "the beginning" if self.since is None else f"the census at record {self.since}"
        return f"{told}, {hidden}, between {first} and that at record {self.until}; what lies outside of it is not counted yet"


def completeness_of(reads: Reads, wanted: Filter, size: int) -> Completeness:
    """What can be said of the answer to this question in the tree of `size`."""
    for name, told in (("customer", "this customer"), ("conversation", "this conversation")):
        value = getattr(wanted, name)
        if value is not None:
            there, last = count_sequence(reads.connection, name, value, size)
            return Completeness(basis=Basis.SEQUENCE, size=size, of=told, found=there, expected=last)
    counted = None
    if wanted.function is not None:
        counted = ("function", wanted.function)
    elif len(wanted.kinds) == 1:
        counted = ("kind", wanted.kinds[0].value)
    return Completeness(basis=Basis.INDEX, size=size) if counted is None else _by_census(reads, wanted, size, counted)


def _by_census(reads: Reads, wanted: Filter, size: int, counted: tuple[str, str]) -> Completeness:
    first = BEGINNING if wanted.since is None else first_census(reads, size, wanted.since)
    last = last_census(reads, size, wanted.until)
    unproven = Completeness(basis=Basis.INDEX, size=size)
    if first is None or last is None or last.size <= first.size:
        return unproven
    name, value = counted
    before, after = (census.functions if name == "function" else census.kinds for census in (first, last))
    expected = after.get(value, 0) - before.get(value, 0)
    if expected > COUNTED_MOST:
        return unproven
    found = count_posted(reads.connection, counted, range(first.size, last.size), COUNTED_MOST + 1)
    return Completeness(
        basis=Basis.CENSUS,
        size=size,
        of=value.replace("_", " ") if name == "kind" else value,
        found=found,
        expected=expected,
        since=first.index,
        until=last.index,
    )
