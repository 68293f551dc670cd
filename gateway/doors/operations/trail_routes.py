"""Every route by which people of the bank see the trail."""

from fastapi import FastAPI
from pydantic import BaseModel

from gateway.doors.operations import questions, tiles, trail
from gateway.doors.operations.audit.desk import AuditDesk
from gateway.doors.operations.audit.routes import mount_audit
from gateway.doors.operations.staff_door import StaffDoor

BODIES: tuple[type[BaseModel], ...] = (trail.RevealRequest, *questions.BODIES)
"""Bodies of requests that the routes read raw."""


def mount(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""
    log = desk.log
    trail.mount(app, door, trail.TrailDesk(log, desk.approvals.approvals))
    questions.mount(app, door, questions.QuestionDesk(log))
    tiles.mount_entries(app, door, tiles.TilesDesk(log))
    mount_audit(app, door, desk)
