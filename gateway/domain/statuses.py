"""What a proposal and a call are in the words of UK Open Banking v4 and ISO 20022 (TC-02). Pure.

A proposal is a consent (OBInternalConsentStatus1Code), a call of a payment function is a payment (ExternalPaymentTransactionStatus1Code).
What is not known to have failed is never told as rejected.
"""

from adapters.statuses import PAYMENT_CODES, PaymentStatus

_FOUR_EYES = 4


def consent_code(state: str, *, level: int, consumed: bool = False) -> str:
    """The code of a proposal in this state, which asks for this level; `consumed` when its call was made. KeyError for no state of ours."""
    is_final = state == "approved" or (state == "confirmed" and level < _FOUR_EYES)
    if is_final and consumed:
        return "COND"
    return {
        "open": "AWAU",
        "confirmed": "AUTH" if is_final else "AWAU",
        "approved": "AUTH",
        "declined": "RJCT",
        "expired": "EXPD",
    }[state]


def payment_code(state: str, found: PaymentStatus | None = None) -> str:
    """The code of a payment's call in this state of the book; `found` is the core's status of the payment, where it was asked.

    KeyError for no state of ours.
    """
    if state == "posted" and found is not None:
        return PAYMENT_CODES[found]
    return {
        "pending": "PDNG",
        "unknown": "PDNG",
        "posted": "ACSP",  # accepted by the core, which can say how far it is
        "voided": "RJCT",
    }[state]
