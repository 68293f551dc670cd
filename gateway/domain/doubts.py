"""Why a call that the customer may have meant is shown to them before anything is done, in codes and in plain sentences. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Doubt(StrEnum):
    NOT_WHOLE = "not_whole"
    NO_ORDER = "no_order"
    NEW_PAYEE = "new_payee"
    CREDENTIAL = "credential"
    PROFILE = "profile"
    PASTED = "pasted"
    DOCUMENT = "document"
    SEVERAL_ACCOUNTS = "several_accounts"
    CALCULATED = "calculated"
    AMBIGUOUS = "ambiguous"
    EARLIER_TURN = "earlier_turn"
    DAY = "day"
    FREQUENCY = "frequency"
    ACCOUNT = "account"
    AMOUNT = "amount"
    REFERENCE = "reference"
    NEGATED = "negated"
    CONDITION = "condition"
    PAST = "past"
    FUTURE = "future"
    REPORTED = "reported"
    OTHER_SUBJECT = "other_subject"
    COMPARISON = "comparison"
    FRACTION = "fraction"
    UNIT = "unit"
    TOO_LONG = "too_long"


SENTENCES: Mapping[Doubt, str] = {
    Doubt.NOT_WHOLE: "Not every word of yours was understood.",
    Doubt.NO_ORDER: "You did not plainly ask for this.",
    Doubt.NEW_PAYEE: "You have not paid this payee before.",
    Doubt.CREDENTIAL: "This changes how you sign in.",
    Doubt.PROFILE: "This changes your personal details.",
    Doubt.PASTED: "Some of this stood in text that you pasted.",
    Doubt.DOCUMENT: "Some of this stood in a document.",
    Doubt.SEVERAL_ACCOUNTS: "The document names several accounts.",
    Doubt.CALCULATED: "The amount was worked out; you did not write it.",
    Doubt.AMBIGUOUS: "Your words fit several payees or amounts.",
    Doubt.EARLIER_TURN: "You asked for this in an earlier message, and for something else since.",
    Doubt.DAY: "You did not say this day.",
    Doubt.FREQUENCY: "You did not say how often.",
    Doubt.ACCOUNT: "You did not say that it is to be paid from this account.",
    Doubt.AMOUNT: "You did not write exactly this amount.",
    Doubt.REFERENCE: "You did not write this reference.",
    Doubt.NEGATED: "Your words may say that you do not want this.",
    Doubt.CONDITION: "Your words may name a condition.",
    Doubt.PAST: "Your words may speak of something that is over.",
    Doubt.FUTURE: "Your words may speak of a later time.",
    Doubt.REPORTED: "Your words may tell what somebody else said.",
    Doubt.OTHER_SUBJECT: "Your words may speak of somebody else.",
    Doubt.COMPARISON: "Your words may name a bound, not an amount.",
    Doubt.FRACTION: "Your words may name a part of an amount.",
    Doubt.UNIT: "Your words may mean another currency.",
    Doubt.TOO_LONG: "Your message was too long to be understood.",
}
"""What the customer reads."""


@dataclass(frozen=True, slots=True)
class QuotedPart:
    """A part of the customer's own sentence, and whether it was understood."""

    text: str
    understood: bool
