"""What stands in the way of a change: one small type for every check that may find something. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something cannot be done now, by a stable code such as `same_officer`. A check answers None where nothing stands in the way.

    It is an answer and no exception: who asked decides what its caller is told.
    """

    code: str
