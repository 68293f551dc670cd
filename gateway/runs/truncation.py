"""What of a thread fits into a question to the model. Pure.

`auto` keeps the first item, the newest, and what the customer said last, and drops from the middle; `last_messages` keeps so many, and
the calls between them. The calls of one answer stay together with their outputs, or go together. Tokens are estimated: no vocabulary is
at hand offline, and each model has its own; the server's own count of an earlier question corrects the estimate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.runs.model import ImagePart, Item, MessageTurn

_BYTES_PER_TOKEN = 3.0
_BYTES_PER_TOKEN_OF_JSON = 2.0
"""Of arguments and outputs. Measured: "Decisions" in gateway/README.md."""
_ITEM_TOKENS = 8
"""Of an item's frame."""
_IMAGE_TOKENS = 1_500
"""Of an image in full detail, about."""
_RATIO_LEAST, _RATIO_MOST = 0.2, 4.0


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Estimates tokens. `ratio`: the server's count of an earlier question over the estimate of then."""

    ratio: float = 1.0

    def of_text(self, text: str) -> int:
        return self._corrected(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)

    def of(self, item: Item) -> int:
        """Of an item with its frame."""
        if isinstance(item, MessageTurn):
            images = sum(isinstance(part, ImagePart) for part in item.parts)
            text = "".join(part.text for part in item.parts if not isinstance(part, ImagePart))
            return self.of_text(text) + self._corrected(_ITEM_TOKENS + images * _IMAGE_TOKENS)
        texts = "".join(f"{call.name}{call.arguments}{output}" for call, output in item.calls)
        frames = 2 * _ITEM_TOKENS * len(item.calls)
        return self._corrected(len(texts.encode("utf-8", "replace")) / _BYTES_PER_TOKEN_OF_JSON + frames)

    def corrected(self, estimate: int, counted: int) -> "TokenEstimate":
        """After the server counted so many where so many were estimated. A count that cannot be is not believed."""
        if estimate <= 0 or counted <= 0:
            return self
        return TokenEstimate(min(max(self.ratio * counted / estimate, _RATIO_LEAST), _RATIO_MOST))

    def _corrected(self, tokens: float) -> int:
        return int(tokens * self.ratio) + 1


@dataclass(frozen=True, slots=True)
class DroppedHistory:
    """How many messages and how many turns of calls were left out."""

    messages: int = 0
    turns: int = 0


@dataclass(frozen=True, slots=True)
class FittedHistory:
    """`tokens`: the estimate of the items that are kept."""

    items: tuple[Item, ...]
    dropped: DroppedHistory
    tokens: int


def truncated(
    items: Sequence[Item], *, last_messages: int | None, budget: int | None, counter: TokenEstimate
) -> FittedHistory | None:
    """The items that fit into `budget` tokens (None: no bound), in their order. None: not even those that must stay do."""
    first = _first_of_last(items, last_messages)
    sizes = {number: counter.of(items[number]) for number in range(first, len(items))}
    questions = [number for number in sizes if isinstance(item := items[number], MessageTurn) and item.role == "user"]
    kept = set(sizes) if budget is None else _fitting(sizes, budget, questions[-1:])
    if kept is None:
        return None
    gone = [item for number, item in enumerate(items) if number not in kept]
    messages = sum(isinstance(item, MessageTurn) for item in gone)
    return FittedHistory(
        tuple(items[number] for number in sorted(kept)),
        DroppedHistory(messages, len(gone) - messages),
        sum(sizes[number] for number in kept),
    )


def _first_of_last(items: Sequence[Item], last_messages: int | None) -> int:
    """Where the last so many messages begin."""
    if last_messages is None:
        return 0
    messages = [number for number, item in enumerate(items) if isinstance(item, MessageTurn)]
    return messages[-last_messages] if len(messages) > last_messages else 0


def _fitting(sizes: Mapping[int, int], budget: int, questions: Sequence[int]) -> set[int] | None:
    """The first, the newest, what was `asked` last, and from the newest backwards whatever follows without a gap.

    Without what was asked, a run of many calls would forget its question.
    """
    if not sizes:
        return set()
    first, newest = min(sizes), max(sizes)
    kept = {first, newest, *questions}
    left = budget - sum(sizes[number] for number in kept)
    if left < 0:
        return None
    for number in range(newest - 1, first, -1):
        left -= 0 if number in kept else sizes[number]
        if left < 0:
            break
        kept.add(number)
    return kept
