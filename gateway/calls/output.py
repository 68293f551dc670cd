"""What a call answers: the text that goes back to the model, and the result for the back end."""

import orjson

from gateway.domain.errors import MESSAGES, Code
from gateway.domain.stages import Recorded
from gateway.domain.strict_json import Json


def output_text(answered: Recorded) -> str:
    """What the model reads: `{"ok": true, "result": ...}` or `{"ok": false, "error": {"code", "message"}}`."""
    if answered.output is not None:
        return orjson.dumps({"ok": True, "result": answered.output}).decode()
    code = answered.code or Code.TEMPORARILY_UNAVAILABLE
    message = MESSAGES[code] if answered.message is None else answered.message
    return orjson.dumps({"ok": False, "error": {"code": code.value, "message": message}}).decode()


def result_item(answered: Recorded) -> dict[str, Json]:
    """What the back end reads; never for the model."""
    proof = answered.proof
    return {
        "call_id": answered.call_id,
        "native_id": answered.native_id,
        "status": answered.status,
        "code": None if answered.code is None else answered.code.value,
        "reason": None if answered.reason is None else answered.reason.value,
        "proof": None if proof is None else {"index": proof.index, "leaf_hash": proof.leaf_hash.hex()},
        "confirmation_id": answered.confirmation,
    }
