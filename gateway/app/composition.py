"""What differs between a gateway that serves customers and one of development mode. `main` assembles both from the same parts."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from fastapi import FastAPI
from starlette.routing import Route

from audit.keyring import KeyRing
from audit.log import Log
from gateway.app.clock import Clock
from gateway.app.cores import Core
from gateway.app.declared import ServedFunctions
from gateway.app.settings import Settings
from gateway.app.trust import Trust
from gateway.domain.mandate import MandateSigner
from gateway.identity.dpop import SeenProofs
from gateway.runs.model import Model
from gateway.store.book import SqlBook
from policies.bundle import Bundle

if TYPE_CHECKING:
    from adapters.cores.sandbox.bank import SandboxBank
    from gateway.doors.operations.sessions import StaffSessions
    from gateway.doors.pages.shell import PageShell  # needs the extra `confirm`


class StandIn(NamedTuple):
    """What answers the runs in the place of a model, and the name under which it does."""

    name: str
    model: Model


class Opened(NamedTuple):
    """What is open when mandates may be made up: nobody is served yet."""

    book: SqlBook
    core: Core
    mandate_key: MandateSigner
    now: datetime
    offered: ServedFunctions


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Each part is called once at a start, before anything listens, and raises UnsafeSettings where it cannot be had.

    Sent to worker processes as it is, so its parts are functions of modules.
    """

    mode: str
    """What an operator is told: `production` or `development`."""
    may_upgrade: bool
    """Whether a start makes or upgrades the databases; otherwise one that is not of this version stops it."""
    keys_may_be_plain: bool
    """Whether key files may be unsealed: what a laptop has, and a bank never."""
    check: Callable[[Settings], object]
    """Everything that is wrong with the settings and around them, at once."""
    core: Callable[[Settings, Log, Clock], Core]
    """What stands behind the port of the core."""
    shipped: Callable[[ServedFunctions], Bundle | None]
    """The policy bundle that decides until one is activated, over these functions; None: nothing is served without one."""
    trust: Callable[[Settings, SeenProofs, KeyRing], Trust]
    """Whose tokens are taken."""
    stand_in: Callable[[Settings], StandIn | None]
    """What answers the runs where no model is set, if anything does."""
    chores: "Callable[[SandboxBank | None], Sequence[Coroutine[object, object, None]]]"
    """What else is done while it is served. The argument is the embedded bank, where there is one."""
    opened: Callable[[Opened], Awaitable[None]]
    """What else is made before the first call."""
    loopback_http: bool
    """Whether a provider of people may be on loopback without TLS."""
    staff: "Callable[[FastAPI, StaffSessions], None]"
    """Mounts a sign-in of people where no provider of theirs is set."""
    pages: Callable[[FastAPI, Settings, bool], None]
    """Mounts pages of its own on the API's host. The last argument: whether there is a confirm page."""
    enrolment: "Callable[[PageShell, Settings, Callable[[], Awaitable[Sequence[str]]]], Sequence[Route]]"
    """Further routes on the confirm page's host; its last argument asks for the customers' names."""
