"""Which states follow which, enforced by the database itself (TC-02): what no arrow leads to cannot be written, by whoever writes.

A state without an arrow away from it is terminal. The rows are the truth of a call's hold on the limits, and of a confirmation.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import DDL, Table, event

from gateway.domain.states import CallState, ProposalState, RunState

Transitions = Mapping[str, Sequence[str]]

CALL_TRANSITIONS: Transitions = {
    CallState.PENDING: (CallState.POSTED, CallState.VOIDED, CallState.UNKNOWN),
    CallState.UNKNOWN: (CallState.POSTED, CallState.VOIDED),
}
"""A row is deleted only while its effect is open: released, as if it had not been asked for."""

CONFIRMATION_TRANSITIONS: Transitions = {
    ProposalState.OPEN: (ProposalState.CONFIRMED, ProposalState.DECLINED, ProposalState.EXPIRED),
    ProposalState.CONFIRMED: (ProposalState.APPROVED, ProposalState.DECLINED, ProposalState.EXPIRED),
}
"""`confirmed` is the end at L3; at L4 a second person approves or declines it."""


RUN_TRANSITIONS: Transitions = {
    RunState.QUEUED: (RunState.IN_PROGRESS, RunState.CANCELLING, RunState.CANCELLED, RunState.FAILED, RunState.EXPIRED),
    RunState.IN_PROGRESS: (
        RunState.REQUIRES_ACTION,
        RunState.CANCELLING,
        RunState.COMPLETED,
        RunState.INCOMPLETE,
        RunState.FAILED,
        RunState.EXPIRED,
    ),
    RunState.REQUIRES_ACTION: (RunState.QUEUED, RunState.CANCELLING, RunState.CANCELLED, RunState.FAILED, RunState.EXPIRED),
    RunState.CANCELLING: (RunState.CANCELLED, RunState.FAILED),
}
"""A run's `status`. What is cancelled while a call is under way is `cancelling` until that call has ended."""


def enforcing(table: str, transitions: Transitions, dialect: str) -> tuple[str, ...]:
    """The statements that make the database hold to `transitions` of the column `state`, and to its first state on insertion."""
    arrows = " or ".join(
        f"(OLD.state = '{old}' and NEW.state in ({', '.join(repr(str(new)) for new in after)}))"
        for old, after in transitions.items()
    )
    refused, first = f"OLD.state <> NEW.state and not ({arrows})", next(iter(transitions))
    if dialect == "sqlite":
        abort = f"select raise(abort, 'no such transition of {table}')"
        return (
            f"create trigger {table}_move before update of state on {table} when {refused} begin {abort}; end",
            f"create trigger {table}_begin before insert on {table} when NEW.state <> '{first}' begin {abort}; end",
        )
    body = f"begin raise exception 'no such transition of {table}'; end"
    refuse = f"for each row when ({{}}) execute function {table}_refuse()"
    begins = f"NEW.state <> '{first}'"
    return (
        f"create function {table}_refuse() returns trigger language plpgsql as $$ {body} $$",
        f"create trigger {table}_move before update of state on {table} {refuse.format(refused)}",
        f"create trigger {table}_begin before insert on {table} {refuse.format(begins)}",
    )


def enforce(table: Table, transitions: Transitions) -> None:
    """Have the statements run whenever the table is made."""
    for dialect in ("sqlite", "postgresql"):
        for statement in enforcing(table.name, transitions, dialect):
            made = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
            event.listen(table, "after_create", made.execute_if(dialect=dialect))
