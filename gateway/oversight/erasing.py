"""What is asked of an erasure, on the command line and on the operations listener alike, and what is told once it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audit.erasure import Certificate, LegalHold, NothingToErase
from audit.leaf import rfc3339
from audit.periods import after
from gateway.domain.approvals import UNKNOWN_CUSTOMER
from gateway.domain.errors import Fault, RequestFault
from gateway.store.erasure import StillInDoubt, StillStopped

MINIMUMS = ("P7Y=P5Y",)
"""Records of what changed something are kept for five years at least (Directive (EU) 2015/849 Art. 40)."""


class RoleMayNotErase(Exception):
    """The database's role may not remove evidence: the gateway's is not let, where it has one of its own."""


OBSTACLES = (LegalHold, NothingToErase, StillInDoubt, StillStopped, RoleMayNotErase)
"""Why nothing was destroyed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """Whom, and how long the law has records of a retention class kept (ISO 8601 durations)."""

    customer: str
    minimums: Mapping[str, str]
    purpose: str
    case: str

    def subject(self) -> Mapping[str, object]:
        """Exactly what is approved."""
        legal = sorted(f"{name}={period}" for name, period in self.minimums.items())
        return {"customer": self.customer, "legal_minimum": legal, "purpose": self.purpose, "case": self.case}


def minimums_of(given: Sequence[str] | None, now: datetime) -> Mapping[str, str]:
    """CLASS=PERIOD of each; without any, the default; `none` is none. ValueError."""
    found = dict(item.partition("=")[::2] for item in (MINIMUMS if given is None else given) if item != "none")
    for name, period in found.items():
        for duration in (name, period):
            after(now, duration)
    return found


def obstacle_fault(obstacle: Exception) -> RequestFault:
    """What a person is told whose erasure met one of `OBSTACLES`."""
    match obstacle:
        case LegalHold():
            return RequestFault(Fault.LEGAL_HOLD, "a legal hold is on this customer; nothing was destroyed", param="customer")
        case StillInDoubt():
            message = "a call of this customer is in doubt; nothing was destroyed: try again once its end is known"
            return RequestFault(Fault.CALL_IN_DOUBT, message, param="customer")
        case StillStopped():
            message = "a kill switch over this customer is engaged; nothing was destroyed: lift it first"
            return RequestFault(Fault.CUSTOMER_STOPPED, message, param="customer")
        case RoleMayNotErase():
            message = (
                "this role of the database may not remove evidence, and nothing was destroyed: type `tellergate audit erase` with the "
                "address of the operators' role; an approval of yours is good there too"
            )
            return RequestFault(Fault.ERASE_BY_COMMAND, message)
    return RequestFault(Fault.NOT_FOUND, UNKNOWN_CUSTOMER, param="customer")


def certificate_shown(certificate: Certificate) -> dict[str, object]:
    """What was destroyed, as people are told it."""
    return {
        "subject": certificate.subject,
        "record": certificate.index,
        "destroyed": list(certificate.destroyed),
        "locked": {name: rfc3339(due) for name, due in certificate.locked.items()},
        "removed": {str(table): count for table, count in certificate.removed.items()},  # a name of SQLAlchemy is no plain text
        "certificate": certificate.note,
    }
