"""Examples of every request and answer: for OpenAPI, guides and tests. Tests hold each against its model and send it to a real server.

All of it is invented. Ids and references are of the right form and of nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gateway.domain.strict_json import Json
from gateway.doors import chat_examples as chats
from gateway.doors import response_examples as answers
from gateway.doors import vector_examples as vectors
from gateway.doors.vector_examples import VECTOR_STORE
from gateway.runs.objects import ASSISTANT_FIELDS, MESSAGE_FIELDS, RUN_FIELDS, STEP_FIELDS, deleted, listed, text_content


@dataclass(frozen=True, slots=True)
class OperationExample:
    """Of one operation: its body, where it has one, its answer, and its answers with another status than 200."""

    answer: Any
    request: Any = None
    answers: Mapping[int, Any] = field(default_factory=dict)


CONVERSATION = "conv_5f0c1d2e3a4b5c6d7e8f9a0b"
CALL = "call_0192f3a4b5c6d7e8f9a0b1c2d3e4"
CONFIRMATION = "cnf_7Qm2vX4tB9sK1pLr"
CREDENTIAL = "q83vASNFZ4mrze8BI0VniQ"
KILL_SWITCH = "kill_0123456789abcdef0123456789abcdef"
MANDATE = "std_0123456789abcdef0123456789abcdef"
ASSISTANT, THREAD, MESSAGE = "asst_5f0c1d2e3a4b5c6d7e8f9a0b", "thread_5f0c1d2e3a4b5c6d7e8f9a0b", "msg_5f0c1d2e3a4b5c6d7e8f9a0b"
RUN, STEP, TOOL_CALL = "run_5f0c1d2e3a4b5c6d7e8f9a0b", "step_5f0c1d2e3a4b5c6d7e8f9a0b", "call_5f0c1d2e3a4b5c6d7e8f9a0b"
FILE, UPLOAD, PART = "file_5f0c1d2e3a4b5c6d7e8f9a0b", "upload_5f0c1d2e3a4b5c6d7e8f9a0b", "part_5f0c1d2e3a4b5c6d7e8f9a0b"
_LEAF = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TIME, _LATER, _SECONDS = "2026-11-28T09:30:00+00:00", "2026-11-28T09:45:00+00:00", 1_795_858_200
_PROOF: Json = {"index": 42, "leaf_hash": _LEAF}
_GBP_25: Json = {"value": "25.00", "currency": "GBP"}

_GRANTED: dict[str, Json] = {
    "version": 1,
    "functions": ["get_account_balance", "initiate_transfer", "list_accounts", "list_beneficiaries"],
    "accounts": ["acc-1"],
    "limits": {
        "GBP": {"payment_minor": 50_000, "day_minor": 100_000, "week_minor": 200_000, "month_minor": 500_000, "day_count": 10}
    },
    "starts": "2026-01-01T00:00:00+00:00",
    "ends": "2099-01-01T00:00:00+00:00",
    "restrictions": ["known_payees_only"],
}

_TRANSFER = '{"from": "acc_k3Jx", "to": "ben_p9Qz", "amount": {"value": "25.00", "currency": "GBP"}}'
_ACCOUNTS = '{"ok":true,"result":{"accounts":[{"account":"acc_k3Jx","name":"Everyday","currency":"GBP"}]}}'
_CONFIRM = (
    '{"ok":false,"error":{"code":"confirmation_required","message":"The customer must confirm this outside the conversation."}}'
)

_RESULT: dict[str, Json] = {
    "call_id": CALL,
    "native_id": "call_1",
    "status": "done",
    "code": None,
    "reason": None,
    "proof": _PROOF,
    "confirmation_id": None,
    "challenge": None,
    "app": None,
}
_HELD: dict[str, Json] = {
    **_RESULT,
    "native_id": "call_2",
    "status": "held",
    "code": "confirmation_required",
    "reason": "needs_confirmation",
    "confirmation_id": CONFIRMATION,
}
FUNCTION_CALLS = OperationExample(
    request={
        "shape": "responses",
        "conversation_id": CONVERSATION,
        "turn_id": "turn-1",
        "model": "a-model",
        "calls": [
            {"type": "function_call", "call_id": "call_1", "name": "list_accounts", "arguments": "{}"},
            {"type": "function_call", "call_id": "call_2", "name": "initiate_transfer", "arguments": _TRANSFER},
        ],
    },
    answer={
        "outputs": [
            {"type": "function_call_output", "call_id": "call_1", "output": _ACCOUNTS},
            {"type": "function_call_output", "call_id": "call_2", "output": _CONFIRM},
        ],
        "results": [_RESULT, _HELD],
    },
)

_WAITING: dict[str, Json] = {"id": CONFIRMATION, "state": "open", "level": 3, "created": _TIME, "expires": _LATER}
_MANDATE_TERMS: dict[str, Json] = {
    "per_payment": _GBP_25,
    "per_day": {"value": "50.00", "currency": "GBP"},
    "payments_per_day": 3,
}
_SWITCH: dict[str, Json] = {
    "id": KILL_SWITCH,
    "scope": "function",
    "subject": "initiate_transfer",
    "reason": "Unusual transfers since this morning.",
    "engaged_by": "officer-a",
    "engaged": _TIME,
    "first_lift_by": None,
    "lifted_by": None,
    "state": "engaged",
}
_TOOL: Json = {
    "type": "function",
    "function": {
        "name": "show_screen",
        "description": "Opens a screen of the app.",
        "parameters": {"type": "object", "properties": {"screen": {"type": "string"}}},
        "strict": None,
    },
}
_METADATA: Json = {"channel": "app"}
_HEAD: dict[str, Json] = {"created_at": _SECONDS, "metadata": _METADATA}
_ASSISTANT: dict[str, Json] = {
    "id": ASSISTANT,
    "object": "assistant",
    **ASSISTANT_FIELDS,
    "name": "Teller",
    "model": "a-model",
    "instructions": "You help the customers of a bank.",
    "tools": [_TOOL],
    **_HEAD,
}
_RESOURCES: Json = {"code_interpreter": {"file_ids": [FILE]}, "file_search": {"vector_store_ids": [VECTOR_STORE]}}
_THREAD: dict[str, Json] = {"id": THREAD, "object": "thread", **_HEAD, "tool_resources": _RESOURCES}
_QUESTION = "What is the balance of my account?"
_MESSAGE: dict[str, Json] = {
    "id": MESSAGE,
    "object": "thread.message",
    "thread_id": THREAD,
    "run_id": None,
    **MESSAGE_FIELDS,
    "role": "user",
    "content": text_content(_QUESTION),
    "completed_at": _SECONDS,
    **_HEAD,
}
_RUN: dict[str, Json] = {
    "id": RUN,
    "object": "thread.run",
    "thread_id": THREAD,
    "assistant_id": ASSISTANT,
    "status": "queued",
    "expires_at": _SECONDS + 600,
    **RUN_FIELDS,
    "model": "a-model",
    "instructions": "You help the customers of a bank.",
    "tools": [_TOOL],
    **_HEAD,
    "tellergate": {"confirmations": [], "dropped": None},
}
_FILE: dict[str, Json] = {
    "id": FILE,
    "object": "file",
    "bytes": 12,
    "created_at": _SECONDS,
    "expires_at": None,
    "filename": "terms.pdf",
    "purpose": "assistants",
    "status": "processed",
    "status_details": None,
}
_VECTORS, _VECTOR_FILE = vectors.vector_store(_SECONDS), vectors.vector_file(_SECONDS, FILE)
_FILE_BATCH = vectors.file_batch(_SECONDS)
_LASTS: Json = {"anchor": "last_active_at", "days": 30}
_UPLOAD: dict[str, Json] = {
    "id": UPLOAD,
    "object": "upload",
    "bytes": 12,
    "created_at": _SECONDS,
    "expires_at": _SECONDS + 3600,
    "filename": "terms.pdf",
    "purpose": "assistants",
    "status": "pending",
    "file": None,
}
_STEP: dict[str, Json] = {
    "id": STEP,
    "object": "thread.run.step",
    "run_id": RUN,
    "thread_id": THREAD,
    **STEP_FIELDS,
    "assistant_id": ASSISTANT,
    "type": "message_creation",
    "status": "completed",
    "step_details": {"type": "message_creation", "message_creation": {"message_id": MESSAGE}},
    "completed_at": _SECONDS,
    "created_at": _SECONDS,
    "metadata": {},
}
_NEW_MESSAGE: Json = {"role": "user", "content": _QUESTION}
_LABELS: Json = {"metadata": _METADATA}

_CHECKS: Mapping[str, Json] = dict.fromkeys(("store", "log", "keys", "core", "issuer_keys", "policies"), "ok")
_POLICIES: Json = {"version": "3", "bundle": sha256(b"an example").hexdigest()}


EXAMPLES: Mapping[str, OperationExample] = {
    "get_liveness": OperationExample({"status": "live"}),
    "get_readiness": OperationExample(
        {"status": "ready", "checks": _CHECKS, "policies": _POLICIES},
        answers={503: {"status": "not_ready", "checks": {**_CHECKS, "core": "unavailable"}, "policies": _POLICIES}},
    ),
    "get_version": OperationExample({"name": "tellergate", "version": "0.1.0", "api": "v1"}),
    "execute_function_calls": FUNCTION_CALLS,
    "create_conversation": OperationExample(answers.conversation(CONVERSATION, _SECONDS), {}),
    "get_conversation": OperationExample(answers.conversation(CONVERSATION, _SECONDS)),
    "list_conversation_items": OperationExample(listed([answers.ITEM], more=False)),
    "add_customer_messages": OperationExample(
        {"count": 1}, {"messages": [{"text": "Please pay Camden Rooms 25 pounds.", "origin": "typed"}]}
    ),
    "list_functions": OperationExample(
        {
            "data": [
                {
                    "type": "function",
                    "name": "list_accounts",
                    "description": "The customer's accounts, with the references that the other functions take.",
                    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                    "strict": True,
                }
            ]
        }
    ),
    "get_call": OperationExample(
        {
            "call_id": CALL,
            "status": "denied",
            "code": "denied",
            "reason": "not_grounded",
            "proof": _PROOF,
            "confirmation_id": None,
            "output": '{"ok":false,"error":{"code":"denied","message":"This is not allowed for this customer."}}',
        }
    ),
    "list_confirmations": OperationExample({"data": [_WAITING]}),
    "get_confirmation": OperationExample(
        {
            **_WAITING,
            "intent": {"calls": [{"function": "initiate_transfer", "amount": _GBP_25}]},
            "challenge": "Zm9yIG9uZSBzaWduYXR1cmUgYWxvbmU",
            "challenge_expires": "2026-11-28T09:35:00+00:00",
            "rp_id": "bank.example",
            "credentials": [CREDENTIAL],
        }
    ),
    "answer_confirmation": OperationExample({"state": "declined", "results": []}, {"decline": True}),
    "enrol_passkey": OperationExample(
        {"credential": CREDENTIAL, "active_from": "2026-11-29T09:30:00+00:00"},
        {
            "customer": "alice",
            "credential": CREDENTIAL,
            "public_key": "pAEBAycgBiFYIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
            "sign_count": 0,
        },
    ),
    "revoke_passkey": OperationExample({"credential": CREDENTIAL, "revoked": True}),
    "put_customer_mandate": OperationExample({**_GRANTED, "customer": "dora", "state": "in_force"}, _GRANTED),
    "get_customer_mandate": OperationExample({**_GRANTED, "customer": "dora", "state": "in_force"}),
    "end_customer_mandate": OperationExample({**_GRANTED, "customer": "dora", "version": 2, "ends": _TIME, "state": "ended"}),
    "list_mandates": OperationExample(
        {
            "data": [
                {
                    "id": MANDATE,
                    "agent": None,
                    "account": None,
                    "payees": None,
                    **_MANDATE_TERMS,
                    "from": _TIME,
                    "until": "2026-12-28T09:30:00+00:00",
                }
            ]
        }
    ),
    "propose_mandate": OperationExample(
        {"confirmation_id": CONFIRMATION, "expires": _LATER},
        {"payees": None, **_MANDATE_TERMS, "days": 30, "agent": None, "account": None},
    ),
    "revoke_mandate": OperationExample({"id": MANDATE, "revoked": True}),
    "list_activity": OperationExample({"data": [], "next_cursor": None}),
    "list_trail_accesses": OperationExample({"data": [], "next_cursor": None}),
    "list_kill_switches": OperationExample({"data": [_SWITCH]}),
    "engage_kill_switch": OperationExample(
        {**_SWITCH, "recorded": True},
        {"scope": "function", "subject": "initiate_transfer", "reason": "Unusual transfers since this morning."},
    ),
    "create_assistant": OperationExample(
        _ASSISTANT,
        {
            "model": "a-model",
            "name": "Teller",
            "instructions": "You help the customers of a bank.",
            "tools": [_TOOL],
            "metadata": _METADATA,
        },
    ),
    "list_assistants": OperationExample(listed([_ASSISTANT], more=False)),
    "get_assistant": OperationExample(_ASSISTANT),
    "update_assistant": OperationExample(_ASSISTANT, {"name": "Teller"}),
    "delete_assistant": OperationExample(deleted(ASSISTANT, "assistant.deleted")),
    "create_thread": OperationExample(_THREAD, {"messages": [_NEW_MESSAGE], "metadata": _METADATA}),
    "get_thread": OperationExample(_THREAD),
    "update_thread": OperationExample(_THREAD, _LABELS),
    "delete_thread": OperationExample(deleted(THREAD, "thread.deleted")),
    "create_message": OperationExample(_MESSAGE, {"role": "user", "content": _QUESTION, "metadata": _METADATA}),
    "list_messages": OperationExample(listed([_MESSAGE], more=False)),
    "get_message": OperationExample(_MESSAGE),
    "update_message": OperationExample(_MESSAGE, _LABELS),
    "delete_message": OperationExample(deleted(MESSAGE, "thread.message.deleted")),
    "create_run": OperationExample(_RUN, {"assistant_id": ASSISTANT, "metadata": _METADATA}),
    "create_thread_and_run": OperationExample(
        _RUN, {"assistant_id": ASSISTANT, "thread": {"messages": [_NEW_MESSAGE]}, "metadata": _METADATA}
    ),
    "list_models": OperationExample({"object": "list", "data": [chats.MODEL]}),
    "get_model": OperationExample(chats.MODEL),
    "create_response": OperationExample(answers.answer(CONVERSATION, _SECONDS), answers.REQUEST),
    "get_response": OperationExample(answers.answer(CONVERSATION, _SECONDS)),
    "delete_response": OperationExample(deleted(answers.RESPONSE, "response")),
    "cancel_response": OperationExample(answers.answer(CONVERSATION, _SECONDS)),
    "list_input_items": OperationExample(listed([answers.ITEM], more=False)),
    "create_chat_completion": OperationExample(chats.answer(RUN, CONVERSATION, _SECONDS), chats.REQUEST),
    "list_runs": OperationExample(listed([_RUN], more=False)),
    "get_run": OperationExample(_RUN),
    "update_run": OperationExample(_RUN, _LABELS),
    "cancel_run": OperationExample({**_RUN, "status": "cancelling"}),
    "submit_tool_outputs": OperationExample(
        _RUN, {"tool_outputs": [{"tool_call_id": TOOL_CALL, "output": '{"shown": "payments"}'}]}
    ),
    "list_run_steps": OperationExample(listed([_STEP], more=False)),
    "get_run_step": OperationExample(_STEP),
    "create_file": OperationExample(_FILE, {"purpose": "assistants", "file": "%PDF-1.7 ..."}),
    "list_files": OperationExample(listed([_FILE], more=False)),
    "get_file": OperationExample(_FILE),
    "delete_file": OperationExample(deleted(FILE, "file")),
    "get_file_content": OperationExample("%PDF-1.7 ..."),
    "create_upload": OperationExample(
        _UPLOAD, {"bytes": 12, "filename": "terms.pdf", "mime_type": "application/pdf", "purpose": "assistants"}
    ),
    "add_upload_part": OperationExample(
        {"id": PART, "object": "upload.part", "created_at": _SECONDS, "upload_id": UPLOAD}, {"data": "%PDF-1.7 ..."}
    ),
    "complete_upload": OperationExample({**_UPLOAD, "status": "completed", "file": _FILE}, {"part_ids": [PART]}),
    "cancel_upload": OperationExample({**_UPLOAD, "status": "cancelled"}),
    "create_vector_store": OperationExample(_VECTORS, {"name": "Terms", "file_ids": [FILE], "expires_after": _LASTS}),
    "list_vector_stores": OperationExample(listed([_VECTORS], more=False)),
    "get_vector_store": OperationExample(_VECTORS),
    "update_vector_store": OperationExample(_VECTORS, {"name": "Terms"}),
    "delete_vector_store": OperationExample(deleted(VECTOR_STORE, "vector_store.deleted")),
    "search_vector_store": OperationExample(
        vectors.found(FILE), {"query": vectors.QUESTION, "filters": {"type": "gte", "key": "year", "value": 2025}}
    ),
    "create_vector_store_file": OperationExample(_VECTOR_FILE, {"file_id": FILE, "attributes": vectors.ATTRIBUTES}),
    "list_vector_store_files": OperationExample(listed([_VECTOR_FILE], more=False)),
    "get_vector_store_file": OperationExample(_VECTOR_FILE),
    "update_vector_store_file": OperationExample(_VECTOR_FILE, {"attributes": vectors.ATTRIBUTES}),
    "delete_vector_store_file": OperationExample(deleted(FILE, "vector_store.file.deleted")),
    "get_vector_store_file_content": OperationExample(vectors.content()),
    "create_file_batch": OperationExample(_FILE_BATCH, {"file_ids": [FILE], "attributes": vectors.ATTRIBUTES}),
    "get_file_batch": OperationExample(_FILE_BATCH),
    "cancel_file_batch": OperationExample({**_FILE_BATCH, "status": "cancelled"}),
    "list_file_batch_files": OperationExample(listed([_VECTOR_FILE], more=False)),
}
"""By operation id."""

_ERRORS: Mapping[int, tuple[str, str, str | None, str]] = {
    400: ("turn_id: is required", "invalid_request_error", "turn_id", "invalid_request"),
    401: ("the access token is not valid here; obtain a new one", "authentication_error", None, "invalid_token"),
    403: ("the token lacks the scope function_calls", "permission_error", None, "insufficient_scope"),
    404: ("no such conversation", "not_found_error", "conversation_id", "not_found"),
    409: ("this was declined; nothing happened", "invalid_request_error", None, "confirmation_declined"),
    413: ("the body has more than 262144 bytes", "invalid_request_error", None, "too_large"),
    422: ("the assertion was not taken; nothing was confirmed", "invalid_request_error", None, "not_confirmed"),
    424: ("The model gave no usable answer; what was done before stays done.", "server_error", None, "run_failed"),
    429: ("too many requests; wait before the next one", "rate_limit_error", None, "rate_limit_exceeded"),
    501: ("no model is configured here, so nothing can be run: set model_url", "server_error", None, "no_model"),
    503: ("a part that this needs does not answer; nothing happened, try again", "server_error", None, "temporarily_unavailable"),
}


def error_example(status: int) -> dict[str, Json]:
    """An error body with this status."""
    message, kind, param, code = _ERRORS[status]
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
