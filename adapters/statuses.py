"""The closed sets of statuses that a core has, and their codes of ISO 20022 as UK Open Banking v4 uses them (TC-02). Pure.

The codes are those of ExternalPaymentTransactionStatus1Code. `SCHD` and the words of standing orders are ours: the standard has no code for
what has not begun, only for how far it was accepted.
"""

from collections.abc import Mapping
from enum import StrEnum


class PaymentStatus(StrEnum):
    """The values of `Payment.status`."""

    SCHEDULED = "SCHD"
    PENDING = "PDNG"
    SETTLED = "ACSC"
    REJECTED = "RJCT"
    CANCELLED = "CANC"


class StandingOrderStatus(StrEnum):
    """The values of `StandingOrder.status`."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    ENDED = "ended"


PAYMENT_CODES: Mapping[PaymentStatus, str] = {
    PaymentStatus.SCHEDULED: "ACCP",  # the customer's profile was checked; funds are checked on the day, so it is not ACFC
    PaymentStatus.PENDING: "PDNG",
    PaymentStatus.SETTLED: "ACSC",
    PaymentStatus.REJECTED: "RJCT",
    PaymentStatus.CANCELLED: "CANC",
}
