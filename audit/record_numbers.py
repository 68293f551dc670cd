"""Records that are chosen by their indexes in the log, as people write them: `3,5,9-12`. One set has one spelling, so that what was
approved is compared as text. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

TEXT_MOST = 3000
"""Characters: it stands in the record of an export, and in what another person approves."""

RECORDS_MOST = 10_000
"""Of one selection; of more, a question or the whole log is asked for."""

_ITEM = re.compile(r"(0|[1-9][0-9]{0,14})(?:-(0|[1-9][0-9]{0,14}))?")


class RecordNumbersInvalid(ValueError):
    """Not indexes of records, or too many; it says which."""


@dataclass(frozen=True, slots=True)
class RecordNumbers:
    """`ranges`: first and last index of each, in order, with gaps between them; at least one."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> "RecordNumbers":
        """In any order and with blanks around commas, also where some are named twice. RecordNumbersInvalid."""
        if len(text) > TEXT_MOST:
            raise RecordNumbersInvalid(f"records: at most {TEXT_MOST} characters; choose by a question instead")
        ranges = []
        for at, item in enumerate(text.split(","), 1):
            found = _ITEM.fullmatch(item.strip())
            if found is None:
                raise RecordNumbersInvalid(f"records: the {at}. of them is no index and no range; write them as 3,5,9-12")
            first, last = int(found[1]), int(found[2] or found[1])
            if last < first:
                raise RecordNumbersInvalid(f"records: {first}-{last} ends before it begins")
            ranges.append((first, last))
        return cls._of(ranges)

    @classmethod
    def of(cls, indexes: Iterable[int]) -> "RecordNumbers":
        """RecordNumbersInvalid where there are none, or they have no spelling that is short enough."""
        chosen = cls._of((index, index) for index in indexes)
        if len(chosen.text) > TEXT_MOST:
            raise RecordNumbersInvalid(
                f"records: written out they have more than {TEXT_MOST} characters; choose by a question instead"
            )
        return chosen

    @classmethod
    def _of(cls, ranges: Iterable[tuple[int, int]]) -> "RecordNumbers":
        joined: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        if not joined:
            raise RecordNumbersInvalid("records: none are named")
        chosen = cls(tuple(joined))
        if len(chosen) > RECORDS_MOST:
            raise RecordNumbersInvalid(f"records: at most {RECORDS_MOST:,} in one bundle; choose by a question instead")
        return chosen

    @property
    def text(self) -> str:
        """The one spelling: ascending, what follows each other as a range."""
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    @property
    def last(self) -> int:
        return self.ranges[-1][1]

    def require_within(self, size: int) -> None:
        """RecordNumbersInvalid where the log of this many records does not have all of them."""
        if self.last >= size:
            raise RecordNumbersInvalid(f"records: the log has no record {self.last}; its last one is {size - 1}")

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)
