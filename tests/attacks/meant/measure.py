"""What the suite comes to: for each configuration and customer, how many attacks succeed and what honest customers notice.

python -m tests.attacks.meant [--json] [--doors]
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.attacks.meant.attacks import attacks
from tests.attacks.meant.doors import Door
from tests.attacks.meant.play import Case, Customer, Mandate, Played, Stage, stage
from tests.attacks.meant.tasks import tasks


@dataclass(frozen=True)
class Measured:
    """Of one configuration. Shares are of all attacks, or of all tasks; `missed` and `fallen` name what went wrong."""

    mandate: Mandate
    door: Door
    attacks: int
    tasks: int
    fallen: Mapping[Customer, tuple[str, ...]]
    """Attacks that succeeded, by who was asked."""
    reached: int
    """Attacks that came to the customer's eyes at all."""
    done_unasked: int
    done_confirmed: int
    missed: tuple[str, ...]
    confirmations: int
    """Asked of the customers of the honest tasks, together."""

    def is_as(self, other: "Measured") -> bool:
        """Whether the figures are the same, whatever the door. Over the Model Context Protocol a request has one call, so that calls
        which are asked about together elsewhere may be denied there, one by one: less may reach the customer."""
        reached = other.reached if self.door is Door.MCP and self.reached < other.reached else self.reached
        return replace(self, door=other.door, reached=reached) == other

    def plain(self) -> dict[str, object]:
        return {
            "configuration": self.mandate.value,
            "door": self.door.value,
            "attacks": self.attacks,
            "tasks": self.tasks,
            "attack_success": {item.value: len(self.fallen[item]) / self.attacks for item in Customer},
            "attacks_that_reach_the_customer": self.reached / self.attacks,
            "tasks_done_without_asking": self.done_unasked / self.tasks,
            "tasks_done_with_confirmation": self.done_confirmed / self.tasks,
            "tasks_not_done": list(self.missed),
            "confirmations_per_task": self.confirmations / self.tasks,
            "succeeded": {item.value: list(self.fallen[item]) for item in Customer},
        }


Progress = Callable[[str], None]

AT_ONCE = 8
"""Cases that are played at once. Each has a customer of its own: they share the gateway's commits, and nothing else."""


async def measure(
    folder: Path,
    mandate: Mandate,
    told: Progress = lambda _: None,
    *,
    every: int = 1,
    every_task: int = 1,
    door: Door = Door.PIPELINE,
) -> Measured:
    """Play each attack once for each kind of customer, or one of `every`, and the tasks with an attentive one, or one of `every_task`."""
    hostile, honest = attacks()[::every], tasks()[::every_task]
    async with stage(folder, len(hostile) * len(Customer) + len(honest), door) as on:
        fallen, reached = {}, 0
        for customer in Customer:
            told(f"{door.value}, {mandate.value}: {len(hostile)} attacks, {customer.value}")
            fallen[customer], reached = await _attacked(on, hostile, customer, mandate)
        told(f"{door.value}, {mandate.value}: {len(honest)} tasks")
        unasked = confirmed = confirmations = 0
        missed = []
        for case, played in zip(honest, await _played(on, honest, Customer.ATTENTIVE, mandate), strict=True):
            confirmations += played.asked
            if not case.wanted(played.done) or case.beyond(played.done):
                missed.append(case.name)
            elif played.asked:
                confirmed += 1
            else:
                unasked += 1
    counts = (len(hostile), len(honest), fallen, reached, unasked, confirmed, tuple(missed), confirmations)
    return Measured(mandate, door, *counts)


async def _played(on: Stage, cases: Sequence[Case], customer: Customer, mandate: Mandate) -> list[Played]:
    """Each case's, in their order."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Played:
        async with free:
            return await on.play(case, customer, mandate)

    return await asyncio.gather(*map(one, cases))


async def _attacked(on: Stage, cases: list[Case], customer: Customer, mandate: Mandate) -> tuple[tuple[str, ...], int]:
    fallen, reached = [], 0
    for case, played in zip(cases, await _played(on, cases, customer, mandate), strict=True):
        reached += bool(played.asked)
        if case.beyond(played.done):
            fallen.append(f"{case.kind}: {case.name}")
    return tuple(fallen), reached


def table(measured: list[Measured]) -> str:
    """Markdown, as it stands in the README."""
    is_by_door = len({item.door for item in measured}) > 1
    head = ["", *(item.door.value if is_by_door else item.mandate.value for item in measured)]
    rows = [
        [f"attack succeeds, {who.value} customer", *(_share(len(it.fallen[who]), it.attacks) for it in measured)]
        for who in Customer
    ]
    rows += [
        ["attacks that reach the customer at all", *(_share(it.reached, it.attacks) for it in measured)],
        ["honest tasks done without asking", *(_share(it.done_unasked, it.tasks) for it in measured)],
        ["honest tasks done with a confirmation", *(_share(it.done_confirmed, it.tasks) for it in measured)],
        ["honest tasks not done", *(_share(len(it.missed), it.tasks) for it in measured)],
        ["confirmations per honest task", *(f"{it.confirmations / it.tasks:.2f}" for it in measured)],
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f}%)"
