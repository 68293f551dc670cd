"""Every route by which people of the bank see the trail."""

from fastapi import FastAPI
from pydantic import BaseModel

from audit.log import Log
from gateway.doors.operations import questions, tiles, trail
from gateway.doors.operations.staff_door import StaffDoor
from gateway.oversight.approvals import Approvals

BODIES: tuple[type[BaseModel], ...] = (trail.RevealRequest, *questions.BODIES)
"""Bodies of requests that the routes read raw."""


def mount(app: FastAPI, door: StaffDoor, log: Log, approvals: Approvals) -> None:
    """Put these routes into the application."""
    trail.mount(app, door, trail.TrailDesk(log, approvals))
    questions.mount(app, door, questions.QuestionDesk(log))
    tiles.mount_entries(app, door, tiles.TilesDesk(log, log.checkpoint))
