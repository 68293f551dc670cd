"""Examples of the Responses API."""

from gateway.domain.strict_json import Json

RESPONSE = "resp_5f0c1d2e3a4b5c6d7e8f9a0b"

_TOOL: dict[str, Json] = {"type": "function", "name": "list_accounts"}

REQUEST: Json = {"model": "a-model", "input": "What accounts do I have?", "tools": [_TOOL]}

ITEM: dict[str, Json] = {
    "id": "msg_5f0c1d2e3a4b5c6d7e8f9a0b",
    "type": "message",
    "role": "user",
    "status": "completed",
    "content": [{"type": "input_text", "text": "What accounts do I have?"}],
}


def answer(conversation: str, seconds: int) -> Json:
    """In this conversation."""
    text: Json = {"type": "output_text", "text": "One, Everyday.", "annotations": [], "logprobs": []}
    return {
        "id": RESPONSE,
        "object": "response",
        "created_at": seconds,
        "status": "completed",
        "completed_at": seconds + 2,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "a-model",
        "output": [
            {
                "id": "msg_6a7b8c9d0e1f2a3b4c5d6e7f",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [text],
            }
        ],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "conversation": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [{**_TOOL, "description": None, "parameters": None, "strict": None}],
        "top_p": None,
        "truncation": "auto",
        "metadata": {},
        "usage": {
            "input_tokens": 420,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 432,
        },
        "tellergate": {"conversation": conversation, "calls": [], "confirmations": []},
    }


def conversation(id_: str, seconds: int) -> Json:
    """With this id."""
    return {"id": id_, "object": "conversation", "created_at": seconds, "metadata": {}}
