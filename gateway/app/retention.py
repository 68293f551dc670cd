"""How long each table keeps its rows, and what of a person stands in them: one line for each table of each database, none without.

A table that is made without its line here fails the tests; so does a column that names a person and is not said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.app.databases import DatabaseName


@dataclass(frozen=True, slots=True)
class TableRetention:
    """`until`: when a row goes. `why`: why no sweep takes it, of what stays. `swept`: by which class of `gateway.store.sweeping`, or when
    by a chore. `personal`: columns that name a person or hold what they said or did; erasing the person removes the row, or the key that
    opens it.
    """

    until: str
    swept: str = ""
    why: str = ""
    personal: tuple[str, ...] = ()


_ERASED = "the customer is erased"
_NEVER = "never"

_GATEWAY = {
    "approvers": TableRetention("a day after they could approve", "approvers", personal=("approver",)),
    "audit_case_entries": TableRetention(
        "`calls_kept_days` after it was kept; its customer is erased", "audit_case_entries", personal=("customer", "text")
    ),
    "assistants": TableRetention(
        "it is deleted, or its customer erased", why="somebody's work, until they end it", personal=("customer", "body", "metadata")
    ),
    "calls": TableRetention("`calls_kept_days`, once settled", "calls", personal=("customer", "payee")),
    "confirmations": TableRetention(
        "`calls_kept_days`", "confirmations", personal=("customer", "intent", "principal", "evidence", "approver", "approval")
    ),
    "contents": TableRetention("with the last file, or the upload, that has it", "files", personal=("customer", "sha256", "key")),
    "conversations": TableRetention(_ERASED, why="its taint and its turns are what decisions rest on", personal=("customer",)),
    "customers": TableRetention(
        _ERASED, why="rights of somebody; without the row they would be granted anew", personal=("customer", "mandate")
    ),
    "epochs": TableRetention(_NEVER, why="two counters"),
    "files": TableRetention("`expires_after`, if it has one; else it is deleted", "files", personal=("customer", "name")),
    "kill_switches": TableRetention("its customer is erased", why="who stopped what, for ever", personal=("subject", "reason")),
    "log_position": TableRetention(_NEVER, why="one row"),
    "messages": TableRetention("with their thread", "threads", personal=("body", "metadata")),
    "passkeys": TableRetention(_ERASED, why="a revoked one must not be enrolled again", personal=("customer", "public_key")),
    "policy_activations": TableRetention(_NEVER, why="which rules decided, for ever; they are few"),
    "proofs": TableRetention("a proof is too old to be taken", "each minute"),
    "proposed_calls": TableRetention("with their confirmation", "confirmations", personal=("arguments", "sources")),
    "rates": TableRetention("ten minutes", "each second's exchange"),
    "readings": TableRetention("`texts_kept_days`", "readings", personal=("document", "text")),
    "responses": TableRetention("with their thread, or they are deleted", "threads", personal=("customer", "body")),
    "run_steps": TableRetention("with their thread", "threads", personal=("body", "metadata")),
    "run_waits": TableRetention("with their thread", "threads"),
    "runs": TableRetention("with their thread", "threads", personal=("customer", "principal", "body", "metadata")),
    "spent": TableRetention("31 days and one", "sums", personal=("customer",)),
    "staff_approvals": TableRetention("a day after they expired", "staff_approvals", personal=("customer", "subject")),
    "staff_sessions": TableRetention("they end", "staff_sessions"),
    "standing_mandates": TableRetention(_ERASED, why="what was signed, also when it is revoked", personal=("customer", "terms")),
    "taints": TableRetention("a day after it counts no more", "taints", personal=("customer",)),
    "threads": TableRetention("`threads_kept_days`; not while a run is under way", "threads", personal=("customer", "metadata")),
    "upload_parts": TableRetention("with their upload", "uploads"),
    "uploads": TableRetention("a day after they could be completed", "uploads", personal=("customer", "name")),
    "uses": TableRetention("with their call", "calls", personal=("value",)),
    "vector_attributes": TableRetention("with their file in the store", "vector_stores", personal=("key", "text", "number")),
    "vector_batches": TableRetention("with their store", "vector_stores"),
    "vector_chunks": TableRetention("seconds after their file left the store", "each second", personal=("text",)),
    "vector_embeddings": TableRetention("as `vector_chunks`", "each second", personal=("vectors",)),
    "vector_files": TableRetention(
        "with their store, or the file", "vector_stores", personal=("customer", "attributes", "error_text")
    ),
    "vector_left": TableRetention("once the index is deleted that it names", "each second", personal=("customer",)),
    "vector_stores": TableRetention(
        "a day after `expires_after`, if it has one; with the thread that it was made for; else it is deleted",
        "vector_stores",
        personal=("customer", "name", "description", "metadata", "key"),
    ),
    "vector_words": TableRetention("as `vector_chunks`", "each second", personal=("word", "places")),
    "webhooks": TableRetention("seven days after it was told", "each hour", personal=("body",)),
    "words": TableRetention("`texts_kept_days`; in a thread, with it", "words", personal=("text", "reading")),
}

_OF_THE_LOG = "part of a log that is never cut"

_LOG = {
    **{
        name: TableRetention(_NEVER, why=_OF_THE_LOG)
        for name in (
            "checkpoints",
            "head",
            "index_cursor",
            "intents",
            "leaves",
            "outcomes",
            "policy_bundles",
            "postings",
            "terms",
            "tiles",
            "time_blocks",
            "timestamps",
        )
    },
    "streams": TableRetention("a row for each stream", why="how far it got, and its last error in a word of ours"),
    "cosignatures": TableRetention("the newest 4,096 lines stay", why="each new one forgets the oldest"),
    "verification": TableRetention(_NEVER, why="one row"),
    "sealed": TableRetention(
        "`audit erase`, or `--due`", why="the law says how long: retention classes of the trail", personal=("blob",)
    ),
}

_KEYS = {
    "data_keys": TableRetention("`audit erase`, or `--due`", why="with it goes what it sealed", personal=("wrapped",)),
    "destructions": TableRetention(_NEVER, why="by it a restored backup is cleaned again"),
    "log_position": TableRetention(_NEVER, why="one row"),
    "schedules": TableRetention("`audit erase --due`", why="what may go once the law allows it"),
    "subjects": TableRetention("`audit erase`", why="who a pseudonym is", personal=("customer",)),
}

RETENTION: Mapping[DatabaseName, Mapping[str, TableRetention]] = {
    DatabaseName.GATEWAY: _GATEWAY,
    DatabaseName.LOG: _LOG,
    DatabaseName.KEYS: _KEYS,
}


def kept_shown() -> Sequence[tuple[str, str, str]]:
    """Of each table its name, until when its rows stay, and what takes them away or why nothing does; for people."""
    return [
        (f"{part.value}.{name}", kept.until, f"swept: {kept.swept}" if kept.swept else kept.why)
        for part, tables in RETENTION.items()
        for name, kept in sorted(tables.items())
    ]
