"""Why a call was not done: closed, documented, complete over the causes that the code knows, and never in what a model reads."""

import ast
import itertools
import json
from pathlib import Path

from gateway.calls.output import output_text, result_item
from gateway.domain.errors import MESSAGES, Code
from gateway.domain.reasons import _BY_CAUSE, _BY_CODE, _FAMILIES, RefusalReason, reason_of
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from policies.model import Reason

GATEWAY = Path(__file__).parents[3] / "gateway"
SPECIFIC = {"emergency", "public", "mandated", "owned", "disclosed", "level"}
"""Causes of policies that say no more than the code does."""


def causes() -> set[str]:
    """The literal causes of refusals and of dependencies that do not answer, wherever the gateway raises or answers with one."""
    found = set()
    for path in GATEWAY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", "")
            number = {"Refusal": 1, "_refused": 0, "Unavailable": 0, "InDoubt": 0}.get(name)
            literals = [] if number is None or len(node.args) <= number else [node.args[number]]
            literals += [item.value for item in node.keywords if item.arg == "cause"]
            found |= {item.value for item in literals if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return found


def test_every_cause_has_a_reason_of_its_own_or_that_of_its_code() -> None:
    named = causes() | {reason.value for reason in Reason} - SPECIFIC
    assert len(named) > 40
    known = {name for name in named if name in _BY_CAUSE or name.startswith(tuple(_FAMILIES))}
    assert named - known == set()
    assert set(_BY_CODE) == set(Code)


def test_every_reason_is_used_documented_and_told_from_every_code() -> None:
    assert {*_BY_CAUSE.values(), *_BY_CODE.values(), *_FAMILIES.values()} >= set(RefusalReason) - {
        RefusalReason.CONFIRMATION_EXPIRED
    }
    for reason in RefusalReason:
        assert reason.meaning.endswith(".")
        assert len(reason.meaning) > 20
    assert {reason.value for reason in RefusalReason} & {code.value for code in Code} == set()


def test_what_a_policy_permits_and_the_customer_is_asked_about_all_the_same() -> None:
    for cause in SPECIFIC - {"level"}:
        assert reason_of(Code.CONFIRMATION_REQUIRED, cause) is RefusalReason.NEEDS_CONFIRMATION
    assert reason_of(Code.STEP_UP_REQUIRED, "level") is RefusalReason.SESSION_TOO_WEAK
    assert reason_of(Code.CONFIRMATION_REQUIRED, "tainted") is RefusalReason.TAINTED
    assert reason_of(Code.DENIED, "killed_agent") is RefusalReason.KILL_SWITCH
    assert reason_of(Code.DENIED, "blocked") is RefusalReason.NOT_PERMITTED, "who is on a list is told to nobody"
    assert reason_of(Code.DENIED, "a word of tomorrow") is RefusalReason.NOT_PERMITTED


def test_no_output_for_a_model_holds_a_reason() -> None:
    for code, reason in itertools.product(Code, RefusalReason):
        recorded = Recorded("call_1", "n1", CallStatus.DENIED, code, MESSAGES[code], None, None, reason=reason)
        assert result_item(recorded)["reason"] == reason.value
        output = json.loads(output_text(recorded))
        assert output == {"ok": False, "error": {"code": code.value, "message": MESSAGES[code]}}
        assert reason.value not in output["error"].values()
