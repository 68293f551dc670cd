"""The statements behind the reads: SQLAlchemy Core, compiled once to SQLite's text. One constant per question; a read fills in its
parameters. Another database compiles the same statements by its own dialect."""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnClause,
    ColumnElement,
    Select,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects import sqlite

from adapters.core import ReferenceKind
from adapters.cores.sandbox.tables import (
    account,
    account_owner,
    balance,
    beneficiary,
    card,
    direct_debit,
    entry,
    instruction,
    movement,
    payee_check,
    payee_directory,
    payment,
    payment_return,
    quote,
    standing_order,
)


def _compiled(statement: Select[Any]) -> str:
    """The statement as SQLite's text. Its constants must be literal columns: a parameter has no value here."""
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    if any(value is not None for value in compiled.params.values()):
        raise ValueError(f"a constant became a parameter: {compiled.params}")
    return str(compiled)


_ZERO: ColumnClause[Any] = literal_column("0")
_NULL: ColumnClause[Any] = literal_column("NULL")
_id: BindParameter[Any] = bindparam("id")


def _owned(table: Any, its_account: ColumnElement[str], status: Any, currency: Any, *only: Any, first: Any = _NULL) -> str:
    """Facts of an object with its owners, who are those of its account: one row for each."""
    return _compiled(
        select(account_owner.c.customer, status, currency, its_account, first)
        .select_from(table)
        .join(account_owner, account_owner.c.account == its_account)
        .where(table.c.id == _id, *only)
    )


def _asked_for(table: Any, status: Any, currency: Any = _NULL) -> str:
    """Facts of what a customer asked for and the bank keeps: it belongs to them and to no account."""
    return _compiled(select(table.c.customer, status, currency, _NULL, _NULL).where(table.c.id == _id))


_is_saved = beneficiary.c.removed_at_us.is_(None)
_SETTLED = (
    payment.c.beneficiary == beneficiary.c.id,
    payment.c.settled_at_us.is_not(None),
    ~exists().where(payment_return.c.payment == payment.c.id),
)
_FIRST_SETTLED = select(func.min(payment.c.settled_at_us)).where(*_SETTLED).scalar_subquery()
_LAST_SETTLED = select(func.max(payment.c.settled_at_us)).where(*_SETTLED).scalar_subquery()
_ACCOUNT_CURRENCY = select(account.c.currency).where(account.c.id == beneficiary.c.account).scalar_subquery()

_STATED = _owned(account, account.c.id, literal_column("'closed'"), account.c.currency)

DESCRIBE = {
    ReferenceKind.ACCOUNT: _owned(account, account.c.id, account.c.status, account.c.currency),
    ReferenceKind.BENEFICIARY: _owned(
        beneficiary, beneficiary.c.account, literal_column("'saved'"), _ACCOUNT_CURRENCY, _is_saved, first=_FIRST_SETTLED
    ),
    ReferenceKind.CARD: _owned(card, card.c.account, card.c.status, _NULL),
    ReferenceKind.DIRECT_DEBIT: _owned(direct_debit, direct_debit.c.account, direct_debit.c.status, direct_debit.c.currency),
    ReferenceKind.DOCUMENT: _STATED,
    ReferenceKind.PAYEE_CHECK: _asked_for(payee_check, payee_check.c.outcome),
    ReferenceKind.PAYMENT: _owned(payment, payment.c.account, payment.c.status, payment.c.currency),
    ReferenceKind.QUOTE: _asked_for(quote, literal_column("'kept'"), quote.c.sell_currency),
    ReferenceKind.STANDING_ORDER: _owned(
        standing_order, standing_order.c.account, standing_order.c.status, standing_order.c.currency
    ),
    ReferenceKind.TRANSACTION: _owned(entry, entry.c.account, literal_column("'BOOK'"), entry.c.currency),
}

_mine = account_owner.alias("mine")
ACCOUNTS = _compiled(
    select(
        account.c.id,
        account.c.name,
        account.c.product,
        account.c.currency,
        account.c.status,
        account.c.iban,
        account.c.sort_code,
        account.c.number,
        account_owner.c.customer,
    )
    .select_from(_mine)
    .join(account, account.c.id == _mine.c.account)
    .join(account_owner, account_owner.c.account == account.c.id)
    .where(_mine.c.customer == bindparam("customer"))
    .order_by(account.c.id)
)
_HELD = (
    select(func.coalesce(func.sum(movement.c.amount_minor), _ZERO))
    .where(
        movement.c.debit == balance.c.account,
        movement.c.state == literal_column("'pending'"),
        movement.c.expires_at_us > bindparam("at"),
    )
    .scalar_subquery()
)
_SINCE = (
    select(func.coalesce(func.sum(entry.c.amount_minor), _ZERO))
    .where(entry.c.account == balance.c.account, entry.c.booked_at_us >= bindparam("at"))
    .scalar_subquery()
)
_of_account = balance.c.account == _id
BOOKED = _compiled(select(balance.c.booked_minor, balance.c.currency).where(_of_account))
AVAILABLE = _compiled(select(balance.c.booked_minor - _HELD, balance.c.currency).where(_of_account))
FUNDS = _compiled(
    select(balance.c.booked_minor - _HELD + account.c.overdraft_minor, balance.c.currency, account.c.status)
    .select_from(balance)
    .join(account, account.c.id == balance.c.account)
    .where(_of_account)
)
CLOSING = _compiled(select(balance.c.booked_minor - _SINCE, balance.c.currency).where(_of_account))

_entries = (
    select(
        entry.c.id,
        entry.c.account,
        entry.c.booked_at_us,
        entry.c.amount_minor,
        entry.c.currency,
        movement.c.category,
        movement.c.memo,
        movement.c.payment,
        movement.c.debtor_name,
        movement.c.debtor_account,
        movement.c.creditor_name,
        movement.c.creditor_account,
        entry.c.position,
    )
    .select_from(entry)
    .join(movement, movement.c.id == entry.c.movement)
)
_counterparty = case((entry.c.amount_minor > _ZERO, movement.c.debtor_name), else_=movement.c.creditor_name)
_like: BindParameter[Any] = bindparam("like")
LISTING = _compiled(
    _entries.where(
        entry.c.account == bindparam("account"),
        entry.c.booked_at_us >= bindparam("start"),
        entry.c.booked_at_us < bindparam("end"),
        entry.c.position < bindparam("before"),
        entry.c.amount_minor * bindparam("sign") >= _ZERO,
        (_like == literal_column("'%'"))
        | func.lower(movement.c.memo).like(_like, escape="\\")
        | func.lower(_counterparty).like(_like, escape="\\"),
    )
    .order_by(entry.c.booked_at_us.desc(), entry.c.position.desc())
    .limit(bindparam("n"))
    .offset(_ZERO)
)
TRANSACTION = _compiled(_entries.where(entry.c.id == _id))
DEBITS = _compiled(
    select(movement.c.category, entry.c.booked_at_us, movement.c.creditor_name, entry.c.currency, -entry.c.amount_minor)
    .select_from(entry)
    .join(movement, movement.c.id == entry.c.movement)
    .where(
        entry.c.account == _id,
        entry.c.booked_at_us >= bindparam("start"),
        entry.c.booked_at_us < bindparam("end"),
        entry.c.amount_minor < _ZERO,
    )
)
_LAST_PAID = select(func.max(payment.c.settled_at_us)).where(payment.c.beneficiary == beneficiary.c.id).scalar_subquery()
BENEFICIARIES = _compiled(
    select(
        beneficiary.c.id,
        beneficiary.c.account,
        beneficiary.c.name,
        beneficiary.c.identifier,
        beneficiary.c.created_at_us,
        _LAST_PAID,
    )
    .where(beneficiary.c.account == _id, _is_saved)
    .order_by(beneficiary.c.name, beneficiary.c.id)
)
PAYEES = _compiled(
    select(
        beneficiary.c.id,
        beneficiary.c.name,
        beneficiary.c.identifier,
        beneficiary.c.account,
        beneficiary.c.created_at_us,
        _FIRST_SETTLED,
        _LAST_SETTLED,
    )
    .select_from(account_owner)
    .join(beneficiary, beneficiary.c.account == account_owner.c.account)
    .where(account_owner.c.customer == bindparam("customer"), _is_saved)
    .order_by(beneficiary.c.id)
)
ORDERED = _compiled(
    select(
        standing_order.c.id,
        standing_order.c.beneficiary,
        beneficiary.c.name,
        standing_order.c.amount_minor,
        standing_order.c.currency,
    )
    .select_from(account_owner)
    .join(standing_order, standing_order.c.account == account_owner.c.account)
    .join(beneficiary, beneficiary.c.id == standing_order.c.beneficiary)
    .where(account_owner.c.customer == bindparam("customer"), standing_order.c.status == literal_column("'active'"))
    .order_by(standing_order.c.id)
)
PLANNED = _compiled(
    select(
        payment.c.id,
        payment.c.beneficiary,
        payment.c.credit,
        payment.c.counterparty_name,
        payment.c.amount_minor,
        payment.c.currency,
    )
    .select_from(account_owner)
    .join(payment, payment.c.account == account_owner.c.account)
    .where(account_owner.c.customer == bindparam("customer"), payment.c.status == literal_column("'SCHD'"))
    .order_by(payment.c.id)
)
STANDING = _compiled(
    select(
        standing_order.c.id,
        standing_order.c.account,
        beneficiary.c.name,
        standing_order.c.amount_minor,
        standing_order.c.currency,
        standing_order.c.frequency,
        standing_order.c.next_on,
        standing_order.c.last_on,
        standing_order.c.reference,
        standing_order.c.status,
    )
    .select_from(standing_order)
    .join(beneficiary, beneficiary.c.id == standing_order.c.beneficiary)
    .where(standing_order.c.account == _id)
    .order_by(standing_order.c.next_on, standing_order.c.id)
)
CARDS = _compiled(
    select(card.c.id, card.c.account, card.c.last4, card.c.scheme, card.c.status, card.c.holder)
    .where(card.c.holder == bindparam("customer"))
    .order_by(card.c.id)
)
DIRECT_DEBITS = _compiled(
    select(
        direct_debit.c.id,
        direct_debit.c.account,
        direct_debit.c.creditor_name,
        direct_debit.c.reference,
        direct_debit.c.status,
        direct_debit.c.last_minor,
        direct_debit.c.currency,
        direct_debit.c.last_on,
        direct_debit.c.next_on,
    )
    .where(direct_debit.c.account == _id)
    .order_by(direct_debit.c.creditor_name, direct_debit.c.id)
)
FIRST_BOOKED = _compiled(select(func.min(entry.c.booked_at_us)).where(entry.c.account == _id))
HOLDERS = _compiled(
    select(payee_directory.c.holder, payee_directory.c.opted_out)
    .where(payee_directory.c.identifier == bindparam("identifier"))
    .order_by(payee_directory.c.holder)
)
TAKES_PART = _compiled(select(func.count()).select_from(payee_directory).where(payee_directory.c.bank == bindparam("bank")))
_payments = select(
    payment.c.id,
    payment.c.account,
    payment.c.amount_minor,
    payment.c.currency,
    payment.c.counterparty_name,
    payment.c.reference,
    payment.c.status,
    payment.c.created_at_us,
    payment.c.execute_on,
    payment.c.through_assistant,
)
PAYMENT = _compiled(_payments.where(payment.c.id == _id))
SCHEDULED = _compiled(
    _payments.where(payment.c.account == _id, payment.c.status == literal_column("'SCHD'")).order_by(
        payment.c.execute_on, payment.c.id
    )
)
ANSWER = _compiled(select(instruction.c.outcome, instruction.c.answer).where(instruction.c.key == bindparam("key")))
_BOOKED = (
    select(func.coalesce(func.sum(movement.c.amount_minor), _ZERO))
    .where(
        movement.c.payment == payment.c.id,
        movement.c.payment.is_not(None),
        movement.c.debit == payment.c.account,
        movement.c.state == literal_column("'posted'"),
    )
    .scalar_subquery()
)
_of_payment = (
    payment.c.status,
    case((payment.c.settled_at_us.is_not(None), _BOOKED), else_=payment.c.amount_minor).label("minor"),
    payment.c.currency,
)
_answered = instruction.c.outcome != literal_column("'burned'")
_told = (
    select(
        instruction.c.key,
        instruction.c.customer,
        instruction.c.told,
        instruction.c.outcome,
        instruction.c.answer,
        *_of_payment,
        instruction.c.answered_at_us.label("at"),
        instruction.c.key.concat(literal_column("'/'")).concat(func.coalesce(payment.c.id, literal_column("''"))).label("ref"),
    )
    .select_from(instruction)
    .outerjoin(payment, payment.c.key == instruction.c.key)
    .where(_answered, instruction.c.answered_at_us >= bindparam("at"))
)
_untold = select(
    payment.c.key,
    select(func.min(account_owner.c.customer)).where(account_owner.c.account == payment.c.account).scalar_subquery(),
    literal_column("'Transfer'"),
    literal_column("'done'"),
    literal_column("''"),
    *_of_payment,
    payment.c.created_at_us,
    literal_column("'/'").concat(payment.c.id),
).where(
    payment.c.through_assistant == literal_column("1"),
    payment.c.standing_order.is_(None),
    payment.c.created_at_us >= bindparam("at"),
    ~exists().where(instruction.c.key == payment.c.key, _answered),
)
_effects = union_all(_told, _untold).subquery()
EFFECTS = _compiled(
    select(_effects)
    .where((_effects.c.at > bindparam("at")) | (_effects.c.ref > bindparam("ref")))
    .order_by(_effects.c.at, _effects.c.ref)
    .limit(bindparam("n"))
    .offset(_ZERO)
)
EXECUTED = _compiled(
    select(func.count())
    .select_from(instruction)
    .where(instruction.c.outcome == literal_column("'done'"), instruction.c.answered_at_us >= bindparam("at"))
)
