"""A person signs in at the operations listener in development mode, in a browser, and says what they look for."""

from typing import Any


def sign_in(page: Any, origin: str, name: str, role: str) -> None:
    page.goto(f"{origin}/sign-in")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("officer").set_checked(role == "officer")
    page.get_by_label(role).check()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def begin(page: Any, origin: str, name: str = "eve", case: str = "C-17") -> None:
    """Sign in, and say what for."""
    sign_in(page, origin, name, "auditor")
    page.goto(f"{origin}/console/audit")
    page.get_by_label("What for").fill("a complaint about a payment")
    page.get_by_label("Case", exact=True).fill(case)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("heading", name="Search the trail").wait_for()
