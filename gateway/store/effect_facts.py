"""What the book knows of a call with an effect, in one statement: what the customer said, their standing mandates, what they spent."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from gateway.domain.facts import Utterances
from gateway.domain.limits import Totals
from gateway.store import conversations, spending, standing_mandates
from gateway.store.together import QuestionSet

_ALL = QuestionSet(**conversations.HEARD, standing=(standing_mandates.OF, None), spent=(spending.SPENT_OF, None))


def effect_facts(
    connection: Connection, customer: str, conversation: str, currency: str, window: tuple[datetime, datetime]
) -> tuple[Utterances, Sequence[tuple[bytes, bytes]], Totals]:
    """`currency` may be empty, and then nothing was spent. `window`: of the words that count, from its beginning to now. Of a standing
    mandate its terms and signature, as they are stored."""
    oldest, now = window
    asked = {
        "customer": customer,
        "currency": currency,
        **spending.windows(now),
        **conversations.hearing(conversation, now, oldest),
    }
    rows = _ALL.rows(connection, asked)
    ((*spent,),) = rows["spent"]
    return conversations.utterances(rows), [(terms, signature) for terms, signature in rows["standing"]], Totals(*spent)
