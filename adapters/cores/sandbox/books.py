"""Proves the books: double entry holds, and what is kept beside the entries equals what follows from them.

Costs a pass over the whole ledger. For tests, for an auditor and for a start after a crash; not for the path of a call.
"""

from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from adapters.cores.sandbox.tables import account, balance, entry, micros, movement

_MOST = 20
"""Findings named per check: enough to see what is wrong."""


def findings(connection: Connection, now: datetime) -> list[str]:
    """What does not hold at this time, in words; empty when the books are right.

    1. The entries of each currency sum to zero: debits equal credits.
    2. Each posted movement has exactly its two entries, for its amount, in its currency; no other movement has any.
    3. Each account's balance row equals the sum and the count of its entries, and its positions are 1 to that count.
    4. An entry has the currency of its account.
    5. No customer's account is overdrawn beyond its overdraft, with everything taken that is held on it and not expired.
    """
    found = [f"currency {name} sums to {total}" for name, total in connection.execute(_UNEVEN)]
    for said, statement in (
        ("movement {} is not its two entries", _TORN),
        ("balance of {} is not its entries", _DRIFTED),
        ("entry {} is in another currency than its account", _FOREIGN),
        ("account {} is overdrawn", _OVERDRAWN),
    ):
        found += [said.format(id_) for (id_,) in connection.execute(statement.limit(_MOST), {"now": micros(now)})]
    return found


_UNEVEN = (
    select(entry.c.currency, func.sum(entry.c.amount_minor)).group_by(entry.c.currency).having(func.sum(entry.c.amount_minor) != 0)
)

_signed = case((entry.c.account == movement.c.debit, -movement.c.amount_minor), else_=movement.c.amount_minor)
_right = and_(
    or_(entry.c.account == movement.c.debit, entry.c.account == movement.c.credit),
    entry.c.amount_minor == _signed,
    entry.c.currency == movement.c.currency,
)
_TORN = (
    select(movement.c.id)
    .outerjoin(entry, entry.c.movement == movement.c.id)
    .group_by(movement.c.id, movement.c.state)
    .having(
        or_(
            and_(
                movement.c.state == "posted",
                or_(
                    func.count(entry.c.id) != 2,
                    func.sum(case((_right, 1), else_=0)) != 2,
                    func.count(func.distinct(entry.c.account)) != 2,
                ),
            ),
            and_(movement.c.state != "posted", func.count(entry.c.id) != 0),
        )
    )
)
_DRIFTED = (
    select(balance.c.account)
    .outerjoin(entry, entry.c.account == balance.c.account)
    .group_by(balance.c.account, balance.c.booked_minor, balance.c.entries)
    .having(
        or_(
            func.coalesce(func.sum(entry.c.amount_minor), 0) != balance.c.booked_minor,
            func.count(entry.c.id) != balance.c.entries,
            func.count(func.distinct(entry.c.position)) != balance.c.entries,
            func.coalesce(func.max(entry.c.position), 0) != balance.c.entries,
        )
    )
)
_FOREIGN = select(entry.c.id).join(account, account.c.id == entry.c.account).where(account.c.currency != entry.c.currency)
_HELD = (
    select(func.coalesce(func.sum(movement.c.amount_minor), 0))
    .where(movement.c.debit == balance.c.account, movement.c.state == "pending", movement.c.expires_at_us > bindparam("now"))
    .scalar_subquery()
)
_OVERDRAWN = (
    select(account.c.id)
    .join(balance, balance.c.account == account.c.id)
    .where(account.c.kind == "customer", balance.c.booked_minor - _HELD < -account.c.overdraft_minor)
)
