"""What a model may learn of a call that was not done (TC-15): a closed set, told in words that hold no input."""

from gateway.domain.errors import MESSAGES, Code

TC_15 = (
    "denied invalid_argument confirmation_required step_up_required approval_required limit_exceeded insufficient_funds payee_mismatch "
    "business_rejected duplicate_suspected rate_limited temporarily_unavailable outcome_unknown"
)


def test_a_model_learns_these_codes_and_no_other() -> None:
    assert sorted(code.value for code in Code) == sorted(TC_15.split())
    assert set(MESSAGES) == set(Code)
    assert all("{" not in message and "%" not in message for message in MESSAGES.values())
