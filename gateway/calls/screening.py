"""Sanctions and fraud screening by a list in a file, for banks without a service of their own behind the port; and none at all.

A line is an account number, or the name of a payee after `name:`; `#` begins a comment. The file is read anew when it has changed, so that
what is added counts for the next payment. A file that cannot be read blocks every payment.
"""

import logging
from pathlib import Path

from adapters.identity import Scheme, canonical
from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.domain.stages import Call
from gateway.grounding.lexing import normal

_LOG = logging.getLogger("tellergate.screening")


class NoScreening:
    """Nobody is blocked: the core does its own screening."""

    async def blocks(self, _call: Call) -> bool:
        return False


class ScreeningList:
    """Who is on the list is not paid. Payees are compared by account, and by the whole name that the customer saved."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, frozenset[str], frozenset[str]] = (-1, frozenset(), frozenset())

    async def blocks(self, call: Call) -> bool:
        key = call.payee_key
        if key is None:
            return False
        accounts, names = self._list()
        known_payees = call.facts.evidence.acquaintance.payees if call.facts.evidence else ()
        payees = [payee for payee in known_payees if key in (payee.key, payee.identifier)]
        given = {_listed(key), *(_listed(payee.identifier) for payee in payees)}
        return bool(given & accounts) or any(normal(payee.name) in names for payee in payees)

    def _list(self) -> tuple[frozenset[str], frozenset[str]]:
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._read[0]:
                lines = [line.split("#", 1)[0].strip() for line in self._path.read_text().splitlines()]
                names = frozenset(normal(line[5:].strip()) for line in lines if line.startswith("name:"))
                accounts = frozenset(_listed(line) for line in lines if line and not line.startswith("name:"))
                self._read = (changed, accounts, names)
        except (OSError, UnicodeDecodeError):
            _LOG.log(*Alarm.SCREENING_LIST_UNREADABLE.line())
            raise Unavailable("screening_unavailable") from None
        return self._read[1:]


def _listed(identifier: str) -> str:
    """As the list is compared: it names accounts, so what looks like one is one, whatever a function's argument calls it."""
    return canonical(Scheme.ACCOUNT, identifier)
