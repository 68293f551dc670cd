"""Everything of the console, mounted, and the one policy of browsers that its pages need instead of the listener's own."""

import re

from fastapi import FastAPI, Response

from gateway.doors.operations.audit.cases import mount_cases
from gateway.doors.operations.audit.charts import mount_charts
from gateway.doors.operations.audit.desk import HOME, AuditDesk
from gateway.doors.operations.audit.exports import mount_exports
from gateway.doors.operations.audit.life import mount_life
from gateway.doors.operations.audit.ready import mount_ready
from gateway.doors.operations.audit.reports import mount_reports
from gateway.doors.operations.audit.retention import mount_retention
from gateway.doors.operations.audit.reveal import mount_reveal
from gateway.doors.operations.audit.search import mount_search
from gateway.doors.operations.audit.shell import STATICS, static_file
from gateway.doors.operations.audit.state import mount_state
from gateway.doors.operations.audit.tail import mount_tail
from gateway.doors.operations.audit.verifying import mount_verifying
from gateway.doors.operations.staff_door import StaffDoor


def mount_audit(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put the console into the application."""
    for name in STATICS:
        _mount_static(app, name)
    mount_ready(app, door, desk)
    mount_search(app, door, desk)
    mount_life(app, door, desk)
    mount_reveal(app, door, desk)
    mount_state(app, door, desk)
    mount_verifying(app, door)
    mount_cases(app, door, desk)
    mount_exports(app, door, desk)
    mount_tail(app, door, desk)
    mount_charts(app, door, desk)
    mount_reports(app, door, desk)
    mount_retention(app, door, desk)


def _mount_static(app: FastAPI, name: str) -> None:
    async def audit_static() -> Response:
        """A style or a script of the console."""
        return static_file(name)

    app.get(f"{HOME}/{name}", name=f"audit_{re.sub('[^a-z0-9]', '_', name.lower())}")(audit_static)
