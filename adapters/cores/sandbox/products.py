"""The sandbox bank's catalogue: what its products are, and on which terms. Plain values; all of it is invented."""

from datetime import date

from adapters.core import ProductTerms, Term

_SINCE = date(2026, 1, 1)
_VERSION = "2026-1"
_COMPLAINTS = Term("Complaints", "We answer a complaint within 15 days; after that you may go to the ombudsman, free of charge.")
_CLOSING = Term("Closing", "You may close the account at any time and without charge. We give two months' notice.")
_CHANGES = Term("Changes", "We announce a change of these terms two months ahead; you may leave without charge before it applies.")

PRODUCTS = {
    terms.product: terms
    for terms in (
        ProductTerms(
            "current",
            "Current account",
            "An account for everyday payments, with a debit card.",
            _VERSION,
            _SINCE,
            (
                Term("Monthly fee", "None."),
                Term("Overdraft", "By agreement. 19.9 % a year on what is overdrawn, reckoned daily, charged monthly."),
                Term("Payments", "Payments in sterling within the United Kingdom are free. Cut-off for other currencies: 15:00."),
                _CHANGES,
                _CLOSING,
                _COMPLAINTS,
            ),
        ),
        ProductTerms(
            "savings",
            "Savings account",
            "An account for savings with interest and instant access.",
            _VERSION,
            _SINCE,
            (
                Term("Interest", "2.10 % a year, variable, paid on the 28th of each month."),
                Term("Access", "At any time, without notice; transfers to your own accounts only."),
                _CHANGES,
                _CLOSING,
                _COMPLAINTS,
            ),
        ),
        ProductTerms(
            "currency",
            "Currency account",
            "An account in a foreign currency.",
            _VERSION,
            _SINCE,
            (
                Term("Monthly fee", "None."),
                Term("Exchange", "At the rate of the quote that you accept, with a fee of 0.25 % of the amount sold."),
                _CHANGES,
                _CLOSING,
                _COMPLAINTS,
            ),
        ),
        ProductTerms(
            "joint",
            "Joint account",
            "A current account of two people, each of whom may pay from it alone.",
            _VERSION,
            _SINCE,
            (
                Term("Liability", "Each holder is liable for the whole of what is overdrawn."),
                Term("Dispute", "When a holder tells us of a dispute, payments need both until it is settled."),
                _CHANGES,
                _CLOSING,
                _COMPLAINTS,
            ),
        ),
        ProductTerms(
            "business",
            "Business account",
            "A current account for companies.",
            _VERSION,
            _SINCE,
            (
                Term("Monthly fee", "12.00 pounds, or the like in the account's currency."),
                Term("Payments", "The first 100 payments of a month are free, each further one costs 0.20 pounds."),
                _CHANGES,
                _CLOSING,
                _COMPLAINTS,
            ),
        ),
    )
}
