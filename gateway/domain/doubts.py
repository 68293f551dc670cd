"""Why a call is asked: what was not understood of the customer's words, each as a code with one sentence for the customer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Doubt(StrEnum):
    """What about a call the customer's own words leave open. Closed and stable; the code is signed with the sentence."""

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
    AMOUNT = "amount"
    DAY = "day"
    FREQUENCY = "frequency"
    ACCOUNT = "account"
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


DOUBTS: Mapping[Doubt, str] = {
    Doubt.NOT_WHOLE: "Not every word that you wrote was understood.",
    Doubt.NO_ORDER: "Your words do not plainly ask for this.",
    Doubt.NEW_PAYEE: "You have not paid this payee before, or only very recently.",
    Doubt.CREDENTIAL: "This changes how you sign in.",
    Doubt.PROFILE: "This changes what the bank knows about you.",
    Doubt.PASTED: "This was in text that you pasted. Check it against something that you trust.",
    Doubt.DOCUMENT: "This was read in a document. Check it against something that you trust.",
    Doubt.SEVERAL_ACCOUNTS: "The document names several accounts: check that this is the one you meant.",
    Doubt.CALCULATED: "The assistant worked this amount out; you did not write it.",
    Doubt.AMBIGUOUS: "Your words fit more than one: check that this is the one you meant.",
    Doubt.EARLIER_TURN: "You asked for this earlier in the conversation, not in your last message.",
    Doubt.AMOUNT: "You did not write exactly this amount.",
    Doubt.DAY: "You did not say this day.",
    Doubt.FREQUENCY: "You did not say how often.",
    Doubt.ACCOUNT: "You did not say from which account.",
    Doubt.REFERENCE: "You did not write this reference.",
    Doubt.NEGATED: "Your words say no, or not: check that you want this.",
    Doubt.CONDITION: "Your words name a condition, and nothing checks whether it is met.",
    Doubt.PAST: "Your words seem to tell of something that was done before.",
    Doubt.FUTURE: "Your words seem to speak of a later time.",
    Doubt.REPORTED: "Your words seem to repeat what somebody else said.",
    Doubt.OTHER_SUBJECT: "Your words seem to be about what somebody else does.",
    Doubt.COMPARISON: "Your words name a bound, not an amount: check the amount.",
    Doubt.FRACTION: "Your words name a part of an amount: check that this is the part you meant.",
    Doubt.UNIT: "The unit or currency of the amount was not clear: check the amount.",
    Doubt.TOO_LONG: "Your message was too long to be understood whole.",
}
"""What the customer reads; the sentence is part of what they confirm."""


@dataclass(frozen=True, slots=True)
class QuotedPart:
    """A part of the customer's own sentence; the parts follow each other as they wrote it."""

    text: str
    understood: bool
