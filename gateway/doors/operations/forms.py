"""What a form of these pages does: once, by who may, and back to the page."""

from collections.abc import Callable, Coroutine

from fastapi import Request, Response

from gateway.domain.duties import Duty
from gateway.doors.operations.page_shell import refused_page
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor

Done = Callable[[Request, SignedIn, dict[str, str]], Coroutine[object, object, object]]


async def done_by_form(door: StaffDoor, request: Request, duty: Duty, work: Done) -> Response:
    """Do what a form says. What `work` returns is the answer where it is one; else back to the page."""

    async def doing(_door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        form = dict(request.state.form) if hasattr(request.state, "form") else {}
        form.pop("csrf", None)
        answered = await work(request, signed_in, form)
        return answered if isinstance(answered, Response) else Response(status_code=303, headers={"location": "/"})

    return await door.answer(request, duty, doing, refused_page)
