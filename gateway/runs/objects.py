"""Rows to the objects of the Assistants API. Every nullable field is there, as `null`; times are whole seconds since 1970 UTC.

Keys under `tellergate` are ours, for the back end of the app: which call it was, what became of it, what waits for the customer.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.domain.strict_json import Json
from gateway.runs import tool_calls
from gateway.store.assistants import Assistant
from gateway.store.files import StoredFile, StoredUpload, UploadState
from gateway.store.runs import Run
from gateway.store.steps import Step
from gateway.store.threads import Message, Thread

Object = dict[str, Any]

ASSISTANT_FIELDS: Mapping[str, Json] = {
    "name": None,
    "description": None,
    "model": None,
    "instructions": None,
    "tools": [],
    "tool_resources": None,
    "top_p": None,
    "temperature": None,
    "reasoning_effort": None,
    "response_format": "auto",
}
RUN_FIELDS: Mapping[str, Json] = {
    "started_at": None,
    "completed_at": None,
    "cancelled_at": None,
    "failed_at": None,
    "incomplete_details": None,
    "last_error": None,
    "required_action": None,
    "model": None,
    "instructions": "",
    "tools": [],
    "temperature": None,
    "top_p": None,
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning_effort": None,
    "response_format": "auto",
    "usage": None,
}
MESSAGE_FIELDS: Mapping[str, Json] = {
    "role": None,
    "content": [],
    "attachments": [],
    "assistant_id": None,
    "status": "completed",
    "completed_at": None,
    "incomplete_at": None,
    "incomplete_details": None,
}
STEP_FIELDS: Mapping[str, Json] = {
    "assistant_id": None,
    "type": None,
    "status": "in_progress",
    "step_details": None,
    "last_error": None,
    "completed_at": None,
    "cancelled_at": None,
    "expired_at": None,
    "failed_at": None,
    "usage": None,
}


def file(file: StoredFile) -> Object:
    """A file that is kept is `processed`: it was looked at before."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.content.size,
        "created_at": seconds(file.created),
        "expires_at": None if file.expires is None else seconds(file.expires),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def upload(upload: StoredUpload, at: datetime, file_: StoredFile | None = None) -> Object:
    """`file_`: what it became."""
    is_over = upload.state is UploadState.PENDING and upload.expires <= at
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.size,
        "created_at": seconds(upload.created),
        "expires_at": seconds(upload.expires),
        "filename": upload.name,
        "purpose": upload.purpose,
        "status": "expired" if is_over else upload.state.value,
        "file": None if file_ is None else file(file_),
    }


def upload_part(id_: str, upload_id: str, at: datetime) -> Object:
    return {"id": id_, "object": "upload.part", "created_at": seconds(at), "upload_id": upload_id}


def new_id(prefix: str) -> str:
    """An id of ours: 96 random bits."""
    return f"{prefix}_{secrets.token_hex(12)}"


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def assistant(row: Assistant) -> Object:
    return {"id": row.id, "object": "assistant", "created_at": seconds(row.created), **row.body, "metadata": row.metadata}


def thread(row: Thread) -> Object:
    head = {"id": row.id, "object": "thread", "created_at": seconds(row.created)}
    return {**head, "metadata": row.metadata, "tool_resources": row.resources}


def message(row: Message) -> Object:
    head = {
        "id": row.id,
        "object": "thread.message",
        "created_at": seconds(row.created),
        "thread_id": row.thread,
        "run_id": row.run,
    }
    return {**head, **row.body, "metadata": row.metadata}


def run(row: Run) -> Object:
    """`tellergate`: what waits for the customer, and how much of the thread the last question to the model left out."""
    own = own_of(row)
    return {
        "id": row.id,
        "object": "thread.run",
        "created_at": seconds(row.created),
        "thread_id": row.thread,
        "assistant_id": row.assistant,
        "status": row.state,
        "expires_at": seconds(row.expires) if row.is_active else None,
        **{name: value for name, value in row.body.items() if name != "own"},
        "metadata": row.metadata,
        "tellergate": {"confirmations": own.get("confirmations", []), "dropped": own.get("dropped")},
    }


AS_FUNCTIONS = "as_functions"
"""Of `own`: the run's listeners are told of the gateway's tools as of any function, since their API has shapes of its own for these."""


CONTAINER = "container"
"""Of `own`: the id of the session that the run's code has for itself; without it, code runs in the thread's."""


def own_of(row: Run) -> Mapping[str, Any]:
    """What of a run's body is for us alone."""
    own: Any = row.body.get("own", {})
    return own  # type: ignore[no-any-return]  # made by us


def step(row: Step, *, with_content: bool = False) -> Object:
    """`with_content`: with the passages that file search found."""
    details: Any = row.body["step_details"]
    if details["type"] == "tool_calls":
        details = {**details, "tool_calls": [tool_calls.shown(call, with_content=with_content) for call in details["tool_calls"]]}
    head = {
        "id": row.id,
        "object": "thread.run.step",
        "created_at": seconds(row.created),
        "run_id": row.run,
        "thread_id": row.thread,
    }
    return {**head, **row.body, "step_details": details, "metadata": row.metadata}


def listed(items: Sequence[Object], *, more: bool) -> Object:
    """A page of objects."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": more}


def deleted(id_: str, kind: str) -> Object:
    return {"id": id_, "object": kind, "deleted": True}


def text_content(text: str, annotations: Sequence[Json] = ()) -> list[Json]:
    """The content of a message that is one text."""
    return [{"type": "text", "text": {"value": text, "annotations": list(annotations)}}]
