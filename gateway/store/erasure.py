"""A person's rows in the gateway's store: which they are, and their removal.

The trail keeps what the law has it keep, under a pseudonym; here nothing is needed once the person is gone. A row that stayed would undo
the erasure of the trail: an id of a call beside a customer's says whose record it is.
"""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Table, delete, func, or_, select, update

from gateway.domain.kill_switch import Scope
from gateway.domain.states import CallState
from gateway.store import file_tables, staff_tables, tables
from gateway.store import vector_tables as vector

NOBODY_S = {
    tables.PROOFS: "hashes of proofs and keys of clients, gone with the proof's time",
    tables.EPOCHS: "counters",
    tables.RATES: "how often somebody asked, by a hash, for ten minutes",
    tables.LOG_POSITION: "size and root hash of the log",
    staff_tables.STAFF_SESSIONS: "people of the bank who are signed in, for some hours",
    tables.POLICY_ACTIVATIONS: "bundles of rules and the officers who signed them",
}
"""Tables that hold no person, and what they hold."""


class StillInDoubt(Exception):
    """A call of this person may be done yet: until its end is known, its row is what recovery needs. Nothing was removed."""


class StillStopped(Exception):
    """A kill switch over this person is engaged: it names them, and removing it would let them go on. Nothing was removed."""


def rows_of(customer: str) -> Mapping[Table, ColumnElement[bool]]:
    """Which rows of each table are this person's, in the order in which they are to be removed: what leads to others comes last."""
    held = tables.CONFIRMATIONS
    own = {table: table.c.customer == customer for table in (tables.CONVERSATIONS, tables.CALLS, held, tables.THREADS, tables.RUNS)}
    conversations = select(tables.CONVERSATIONS.c.id).where(own[tables.CONVERSATIONS])
    confirmations = select(held.c.id).where(own[held])
    threads = select(tables.THREADS.c.id).where(own[tables.THREADS])
    done = select(tables.CALLS.c.call_id).where(own[tables.CALLS])
    proposed = select(tables.PROPOSED_CALLS.c.call_id).where(tables.PROPOSED_CALLS.c.confirmation.in_(confirmations))
    runs = select(tables.RUNS.c.id).where(own[tables.RUNS])
    uploads = select(file_tables.UPLOADS.c.id).where(file_tables.UPLOADS.c.customer == customer)
    stores = select(vector.VECTOR_STORES.c.id).where(vector.VECTOR_STORES.c.customer == customer)
    left = select(vector.VECTOR_LEFT.c.store).where(vector.VECTOR_LEFT.c.customer == customer)
    switch = tables.KILL_SWITCHES
    return {
        tables.WEBHOOKS: or_(tables.WEBHOOKS.c.call_id.in_(done), tables.WEBHOOKS.c.call_id.in_(proposed)),
        tables.APPROVERS: or_(tables.APPROVERS.c.approver == customer, tables.APPROVERS.c.confirmation.in_(confirmations)),
        tables.PROPOSED_CALLS: tables.PROPOSED_CALLS.c.confirmation.in_(confirmations),
        tables.RUN_WAITS: or_(tables.RUN_WAITS.c.run.in_(runs), tables.RUN_WAITS.c.confirmation.in_(confirmations)),
        **{table: table.c.conversation.in_(conversations) for table in (tables.WORDS, tables.READINGS, tables.USES)},
        **{table: table.c.thread.in_(threads) for table in (tables.MESSAGES, tables.RUN_STEPS)},
        **{
            table: table.c.customer == customer
            for table in (
                tables.TAINTS,
                tables.SPENT,
                tables.PASSKEYS,
                tables.STANDING_MANDATES,
                tables.ASSISTANTS,
                tables.RESPONSES,
                file_tables.FILES,
                tables.CUSTOMERS,
                staff_tables.STAFF_APPROVALS,
                staff_tables.AUDIT_CASE_ENTRIES,
            )
        },
        **{
            table: table.c.store.in_(stores) | table.c.store.in_(left)
            for table in (
                vector.VECTOR_CHUNKS,
                vector.VECTOR_WORDS,
                vector.VECTOR_EMBEDDINGS,
                vector.VECTOR_ATTRIBUTES,
                vector.VECTOR_BATCHES,
            )
        },
        **{table: table.c.customer == customer for table in (vector.VECTOR_LEFT, vector.VECTOR_FILES, vector.VECTOR_STORES)},
        file_tables.UPLOAD_PARTS: file_tables.UPLOAD_PARTS.c.upload.in_(uploads),
        **{table: table.c.customer == customer for table in (file_tables.UPLOADS, file_tables.CONTENTS)},
        switch: (switch.c.scope == Scope.CUSTOMER) & (switch.c.subject == customer),
        **own,
    }


def check(connection: Connection, customer: str) -> None:
    """StillInDoubt, StillStopped: the person cannot be removed now."""
    calls, switches = tables.CALLS.c, tables.KILL_SWITCHES.c
    open_ones = (calls.customer == customer) & calls.state.in_((CallState.PENDING, CallState.UNKNOWN))
    if connection.execute(select(func.count()).where(open_ones)).scalar_one():
        raise StillInDoubt
    over = rows_of(customer)[tables.KILL_SWITCHES] & switches.lifted_us.is_(None)
    if connection.execute(select(func.count()).where(over)).scalar_one():
        raise StillStopped


def erase(connection: Connection, customer: str) -> Mapping[str, int]:
    """Remove a person's rows; how many of each table, where there were any. StillInDoubt, StillStopped.

    Of another's confirmation that this person approved, their name and approval go; that it was approved stays.
    """
    check(connection, customer)
    held = tables.CONFIRMATIONS
    approved = update(held).where(held.c.approver == customer, held.c.customer != customer).values(approver=None, approval=None)
    removed = {"approvals": connection.execute(approved).rowcount}
    for table, rows in rows_of(customer).items():
        removed[table.name] = connection.execute(delete(table).where(rows)).rowcount
    return {name: count for name, count in removed.items() if count}
