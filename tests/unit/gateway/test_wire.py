"""The challenges that clients are answered with (RFC 6750, RFC 9449, RFC 9470)."""

import pytest

from gateway.domain.errors import MESSAGES, Code, Fault, RequestFault
from gateway.domain.principal import NotAuthenticated
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from gateway.doors.wire import Challenges, call_result, fault_headers, step_up_headers

LOCAL = Challenges(acr_values=("two",), max_age_s=300)
BOTH = Challenges(dpop_algorithms=("ES256", "EdDSA"), acr_values=("two", "three"), max_age_s=60)
PROOFS = Challenges(bearer=False, dpop_algorithms=("ES256",), metadata="https://w.example/.well-known/oauth-protected-resource")

BEARER = 'Bearer realm="tellergate"'
WHERE = ', resource_metadata="https://w.example/.well-known/oauth-protected-resource"'

SAID: list[tuple[Challenges, RequestFault, str]] = [
    (LOCAL, NotAuthenticated(Fault.MISSING_TOKEN, ""), BEARER),
    (LOCAL, NotAuthenticated(Fault.INVALID_TOKEN, "", scheme="DPoP"), f'{BEARER}, error="invalid_token"'),
    (BOTH, NotAuthenticated(Fault.MISSING_TOKEN, ""), f'DPoP realm="tellergate", algs="ES256 EdDSA", {BEARER}'),
    (
        BOTH,
        NotAuthenticated(Fault.INVALID_TOKEN, "", scheme="Bearer"),
        f'{BEARER}, error="invalid_token", DPoP realm="tellergate", algs="ES256 EdDSA"',
    ),
    (
        BOTH,
        NotAuthenticated(Fault.INSUFFICIENT_SCOPE, "", scheme="DPoP", scope="customer_words"),
        f'DPoP realm="tellergate", error="insufficient_scope", scope="customer_words", algs="ES256 EdDSA", {BEARER}',
    ),
    (
        PROOFS,
        RequestFault(Fault.INSUFFICIENT_SCOPE, ""),
        f'DPoP realm="tellergate", error="insufficient_scope", algs="ES256"{WHERE}',
    ),
    (
        PROOFS,
        NotAuthenticated(Fault.USE_DPOP_NONCE, "", scheme="DPoP"),
        f'DPoP realm="tellergate", error="use_dpop_nonce", algs="ES256"{WHERE}',
    ),
]


@pytest.mark.parametrize(("challenges", "fault", "said"), SAID)
def test_the_scheme_that_was_used_carries_the_error(challenges: Challenges, fault: RequestFault, said: str) -> None:
    assert fault_headers(fault, challenges) == {"www-authenticate": said}


def test_other_faults_have_no_challenge() -> None:
    assert fault_headers(RequestFault(Fault.NOT_FOUND, ""), BOTH) == {}
    assert fault_headers(RequestFault(Fault.UNAVAILABLE, ""), BOTH) == {"retry-after": "1"}


def recorded(code: Code | None) -> Recorded:
    return Recorded("call_1", "n1", CallStatus.DENIED, code, MESSAGES.get(code) if code else None, None, None)


def test_a_stronger_session_is_asked_for_where_it_helps_and_nowhere_else() -> None:
    for code in [*Code, None]:
        asked = {"acr_values": "two three", "max_age": 60} if code is Code.STEP_UP_REQUIRED else None
        assert call_result(recorded(code), BOTH)["challenge"] == asked
        headers = step_up_headers([recorded(None), recorded(code)], "DPoP", BOTH)
        if asked is None:
            assert headers == {}
        else:
            assert headers["www-authenticate"] == (
                'DPoP realm="tellergate", error="insufficient_user_authentication", acr_values="two three", max_age=60, '
                f'algs="ES256 EdDSA", {BEARER}'
            )
