"""Examples of Chat Completions."""

from gateway.domain.strict_json import Json

REQUEST: Json = {
    "model": "a-model",
    "messages": [{"role": "user", "content": "What accounts do I have?"}],
    "tools": [{"type": "function", "function": {"name": "list_accounts"}}],
}


def answer(run: str, conversation: str, seconds: int) -> Json:
    """Of this run."""
    message: Json = {"role": "assistant", "content": "One, Everyday.", "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{run.removeprefix('run_')}",
        "object": "chat.completion",
        "created": seconds,
        "model": "a-model",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 420, "completion_tokens": 12, "total_tokens": 432},
        "tellergate": {"conversation": conversation, "calls": [], "confirmations": []},
    }


MODEL: Json = {"id": "a-model", "object": "model", "created": 0, "owned_by": "bank"}
