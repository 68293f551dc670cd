"""The double-entry ledger: pend, post and void for a group of movements in one transaction, with few statements for all.

A movement takes one amount from one account to another. It is pending (the amount is held), then posted (two entries, which sum to
zero), voided or expired; one that could not be held stays failed for ever. The answers are those that TigerBeetle 0.17.8 gives.
Everything is computed exactly, in integers, from rows that are read once; `flush` then writes what changed.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, insert, literal_column, select, update

from adapters.core import MAX_MINOR, Money
from adapters.cores.sandbox.bulk import Bulk
from adapters.cores.sandbox.tables import account, account_owner, balance, entry, micros, movement


class LedgerAnswer(StrEnum):
    """What the ledger says to one pend, post or void."""

    CREATED = "created"
    EXISTS = "exists"
    EXISTS_WITH_DIFFERENT_BODY = "exists_with_different_body"
    EXCEEDS_FUNDS = "exceeds_funds"
    OUT_OF_RANGE = "out_of_range"
    NO_ACCOUNT = "no_account"
    WRONG_CURRENCY = "wrong_currency"
    ALREADY_POSTED = "already_posted"
    ALREADY_VOIDED = "already_voided"
    ALREADY_FAILED = "already_failed"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class Wording:
    """What both sides read in their statements. The memo and the names are text of third parties."""

    memo: str = ""
    category: str = "transfer"
    debtor_name: str = ""
    debtor_account: str = ""
    creditor_name: str = ""
    creditor_account: str = ""


@dataclass(frozen=True, slots=True)
class Pend:
    """Hold `amount` on `debit` in favour of `credit` until `expires_at`, under an id that is never used for anything else."""

    id: str
    debit: str
    credit: str
    amount: Money
    expires_at: datetime
    wording: Wording = Wording()
    payment: str | None = None


@dataclass(slots=True)
class LedgerAccount:
    """One account as this group sees it: as read, and changed by what the group did so far. Amounts in minor units."""

    id: str
    kind: str
    name: str
    status: str
    currency: str
    number: str
    overdraft_minor: int
    booked_minor: int
    entries: int
    booked_at_us: int
    pending_minor: int = 0
    owners: frozenset[str] = frozenset()

    @property
    def available_minor(self) -> int:
        """What can still be taken: booked less held, plus the overdraft."""
        return self.booked_minor - self.pending_minor + self.overdraft_minor


@dataclass(slots=True)
class _Movement:
    row: dict[str, Any]
    is_new: bool
    changed: bool = False


class LedgerGroup:
    """The ledger during one group: `load` what the group touches, then pend, post and void in order, then `flush` once."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._now_us = micros(now)
        self.accounts: dict[str, LedgerAccount] = {}
        self._movements: dict[str, _Movement] = {}
        self._entries: list[dict[str, Any]] = []
        self._touched: set[str] = set()

    def load(self, accounts: Iterable[str], movements: Iterable[str]) -> None:
        """Read these movements, their accounts and these accounts. Whatever the group will touch must be named here."""
        wanted = set(accounts)
        ids = sorted(set(movements))
        if ids:
            for stored in self._connection.execute(_MOVEMENTS, {"ids": ids}).mappings():
                self._movements[stored["id"]] = _Movement(dict(stored), is_new=False)
                wanted |= {stored["debit"], stored["credit"]}
        missing = sorted(wanted - self.accounts.keys())
        if not missing:
            return
        owners: dict[str, set[str]] = {}
        for row in self._connection.execute(_ACCOUNTS, {"ids": missing}):
            if row[0] not in self.accounts:
                self.accounts[row[0]] = LedgerAccount(*row[:-1])
            if row[-1] is not None:
                owners.setdefault(row[0], set()).add(row[-1])
        for held in self._connection.execute(_HELD, {"ids": missing, "now": self._now_us}):
            self.accounts[held[0]].pending_minor = int(held[1])
        for id_, names in owners.items():
            self.accounts[id_].owners = frozenset(names)

    def turn_to(self, now: datetime) -> None:
        """Go on at another time: a seed books a year in one group."""
        self._now_us = micros(now)

    def pend(self, body: Pend) -> LedgerAnswer:
        """Hold the amount, unless the id was used before or the funds do not suffice. A failed id stays burned."""
        known = self._movements.get(body.id)
        if known is not None:
            return self._again(known.row, body)
        debit, credit = self.accounts.get(body.debit), self.accounts.get(body.credit)
        if debit is None or credit is None or debit is credit:
            return LedgerAnswer.NO_ACCOUNT
        if not debit.currency == credit.currency == body.amount.currency:
            return LedgerAnswer.WRONG_CURRENCY
        if body.amount.minor <= 0 or credit.booked_minor + body.amount.minor > MAX_MINOR:
            return LedgerAnswer.OUT_OF_RANGE
        enough = debit.kind == "clearing" or body.amount.minor <= debit.available_minor
        row = _row(body, "pending" if enough else "failed", self._now_us)
        self._movements[body.id] = _Movement(row, is_new=True)
        if not enough:
            return LedgerAnswer.EXCEEDS_FUNDS
        if row["expires_at_us"] > self._now_us:
            debit.pending_minor += body.amount.minor
        return LedgerAnswer.CREATED

    def post(self, id_: str) -> LedgerAnswer:
        """Turn what is held into two entries that sum to zero."""
        held = self._movements.get(id_)
        refused = self._not_pending(held)
        if held is None or refused is not None:
            return refused or LedgerAnswer.NOT_FOUND
        row = held.row
        self._release(held, "posted")
        debit, credit = self.accounts[row["debit"]], self.accounts[row["credit"]]
        booked_at = max(self._now_us, debit.booked_at_us, credit.booked_at_us)
        name = name_for("t", booked_at, id_)
        self._book(row, debit, {"id": f"{name}d", "amount_minor": -row["amount_minor"], "booked_at_us": booked_at})
        self._book(row, credit, {"id": f"{name}c", "amount_minor": row["amount_minor"], "booked_at_us": booked_at})
        return LedgerAnswer.CREATED

    def void(self, id_: str) -> LedgerAnswer:
        """Let go of what is held; no entry."""
        held = self._movements.get(id_)
        refused = self._not_pending(held)
        if held is None or refused is not None:
            return refused or LedgerAnswer.NOT_FOUND
        self._release(held, "voided")
        return LedgerAnswer.CREATED

    def flush(self) -> None:
        """Write what the group changed: at most one statement per table and verb."""
        fresh = [held.row for held in self._movements.values() if held.is_new]
        changed = [_key_of(held.row) for held in self._movements.values() if held.changed and not held.is_new]
        touched = [self.accounts[id_] for id_ in sorted(self._touched)]
        _INSERT_MOVEMENT.run(self._connection, fresh)
        _UPDATE_MOVEMENT.run(self._connection, changed)
        _INSERT_ENTRY.run(self._connection, self._entries)
        _UPDATE_BALANCE.run(
            self._connection,
            [{"of": it.id, "booked": it.booked_minor, "count": it.entries, "at": it.booked_at_us} for it in touched],
        )

    def _again(self, row: dict[str, Any], body: Pend) -> LedgerAnswer:
        if row["state"] == "failed":
            return LedgerAnswer.ALREADY_FAILED
        asked = (body.debit, body.credit, body.amount.minor, body.amount.currency, micros(body.expires_at))
        stored = tuple(row[name] for name in ("debit", "credit", "amount_minor", "currency", "expires_at_us"))
        return LedgerAnswer.EXISTS if asked == stored else LedgerAnswer.EXISTS_WITH_DIFFERENT_BODY

    def _not_pending(self, held: _Movement | None) -> LedgerAnswer | None:
        if held is None:
            return LedgerAnswer.NOT_FOUND
        if held.row["state"] == "pending" and held.row["expires_at_us"] <= self._now_us:
            held.row |= {"state": "expired", "settled_at_us": self._now_us}
            held.changed = True
        return _FINAL.get(held.row["state"])

    def _release(self, held: _Movement, state: str) -> None:
        held.row |= {"state": state, "settled_at_us": self._now_us}
        held.changed = True
        self.accounts[held.row["debit"]].pending_minor -= held.row["amount_minor"]

    def _book(self, row: dict[str, Any], side: LedgerAccount, booking: dict[str, Any]) -> None:
        side.booked_minor += booking["amount_minor"]
        side.entries += 1
        side.booked_at_us = booking["booked_at_us"]
        self._touched.add(side.id)
        self._entries.append(
            booking | {"movement": row["id"], "account": side.id, "position": side.entries, "currency": row["currency"]}
        )


def name_for(prefix: str, now_us: int, *parts: str) -> str:
    """An opaque identifier of 15 characters, the same for the same parts in the same millisecond.

    It begins with the millisecond, in an alphabet that sorts as it counts: what is written together then lies together in the
    indexes, and a group's commit writes few pages. 42 bits of a hash follow; should two ever meet, the database refuses one.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    number = (now_us // 1000 << 46) | (int.from_bytes(digest[:6], "big") >> 2)
    return prefix + b64encode(number.to_bytes(11, "big")).translate(_SORTED)[:14].decode()


_SORTED = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~",
)


_FINAL = {
    "posted": LedgerAnswer.ALREADY_POSTED,
    "voided": LedgerAnswer.ALREADY_VOIDED,
    "failed": LedgerAnswer.ALREADY_FAILED,
    "expired": LedgerAnswer.EXPIRED,
}


def _key_of(row: dict[str, Any]) -> dict[str, Any]:
    return {"of": row["id"], "new_state": row["state"], "settled": row["settled_at_us"]}


def _row(body: Pend, state: str, now_us: int) -> dict[str, Any]:
    wording = body.wording
    return {
        "id": body.id,
        "debit": body.debit,
        "credit": body.credit,
        "amount_minor": body.amount.minor,
        "currency": body.amount.currency,
        "state": state,
        "pended_at_us": now_us,
        "expires_at_us": micros(body.expires_at),
        "settled_at_us": None,
        "payment": body.payment,
        "category": wording.category,
        "memo": wording.memo,
        "debtor_name": wording.debtor_name,
        "debtor_account": wording.debtor_account,
        "creditor_name": wording.creditor_name,
        "creditor_account": wording.creditor_account,
    }


_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_MOVEMENTS = select(movement).where(movement.c.id.in_(_ids))
_ACCOUNTS = (
    select(
        account.c.id,
        account.c.kind,
        account.c.name,
        account.c.status,
        account.c.currency,
        account.c.number,
        account.c.overdraft_minor,
        balance.c.booked_minor,
        balance.c.entries,
        balance.c.booked_at_us,
        account_owner.c.customer,
    )
    .join(balance, balance.c.account == account.c.id)
    .outerjoin(account_owner, account_owner.c.account == account.c.id)
    .where(account.c.id.in_(_ids))
)
_PENDING = movement.c.state == literal_column("'pending'")  # literal, so that the partial index serves it
_HELD = (
    select(movement.c.debit, func.sum(movement.c.amount_minor))
    .where(movement.c.debit.in_(_ids), _PENDING, movement.c.expires_at_us > bindparam("now"))
    .group_by(movement.c.debit)
)
_EXPIRE = (
    update(movement)
    .where(_PENDING, movement.c.expires_at_us <= bindparam("now"))
    .values(state="expired", settled_at_us=movement.c.expires_at_us)
)
_INSERT_MOVEMENT = Bulk(insert(movement))
_INSERT_ENTRY = Bulk(insert(entry))
_UPDATE_MOVEMENT = Bulk(
    update(movement)
    .where(movement.c.id == bindparam("of"))
    .values(state=bindparam("new_state"), settled_at_us=bindparam("settled"))
)
_UPDATE_BALANCE = Bulk(
    update(balance)
    .where(balance.c.account == bindparam("of"))
    .values(booked_minor=bindparam("booked"), entries=bindparam("count"), booked_at_us=bindparam("at"))
)
