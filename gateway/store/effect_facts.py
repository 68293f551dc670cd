"""What the book knows of a call with an effect, in one statement: what the customer said, their standing mandates, what they spent."""

from collections.abc import Sequence
from datetime import datetime

from audit.store.prepared import Asked
from gateway.domain.facts import Utterances
from gateway.domain.limits import Totals
from gateway.store import conversations, spending, standing_mandates
from gateway.store.together import QuestionSet, Rows

Found = tuple[Utterances, Sequence[tuple[bytes, bytes]], Totals]
"""What counts of what was said; of each standing mandate its terms and signature, as they are stored; what was spent."""

_ALL = QuestionSet(**conversations.HEARD, standing=(standing_mandates.OF, None), spent=(spending.SPENT_OF, None))


def effect_facts(customer: str, conversation: str, currency: str, window: tuple[datetime, datetime]) -> Asked[Found]:
    """`currency` may be empty, and then nothing was spent. `window`: of the words that count, from its beginning to now."""
    oldest, now = window
    asked = {
        "customer": customer,
        "currency": currency,
        **spending.windows(now),
        **conversations.hearing(conversation, now, oldest),
    }
    return _ALL.asked(asked, _found)


def _found(rows: Rows) -> Found:
    ((*spent,),) = rows["spent"]
    return conversations.utterances(rows), [(terms, signature) for terms, signature in rows["standing"]], Totals(*spent)
