"""Our states in the words of the standards: every state has a code of them, and what is final stays final (TC-02)."""

import itertools
import json
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint

from adapters.cores.sandbox.tables import METADATA
from adapters.statuses import PAYMENT_CODES, STANDING_ORDER_CODES, PaymentStatus, StandingOrderStatus
from gateway.domain.statuses import consent_code, payment_code
from gateway.store.tables import CONFIRMATION_STATES, OPEN_STATES, STATES
from gateway.store.transitions import CONFIRMATION_TRANSITIONS

# Of the OpenAPI documents of UK Open Banking v4.
CONSENT = {"AWAU", "RJCT", "AUTH", "COND", "EXPD", "CANC"}
PAYMENT = {"RCVD", "CANC", "PDNG", "ACTC", "PATC", "ACCP", "ACFC", "ACSP", "ACWC", "ACSC", "ACWP", "BLCK", "RJCT"}
STANDING_ORDER = {"RCVD", "CANC", "ACTC", "PATC", "PDNG", "INFA", "INCO", "RJCT"}
FINAL = {"RJCT", "COND", "EXPD", "CANC", "ACSC", "INCO"}

PUBLISHED = Path(__file__).parents[4] / "shared" / "openbanking" / "payment-initiation-openapi.json"


def test_every_status_of_a_core_has_a_code_and_no_two_share_one() -> None:
    assert set(PAYMENT_CODES) == set(PaymentStatus)
    assert set(PAYMENT_CODES.values()) <= PAYMENT
    assert len(set(PAYMENT_CODES.values())) == len(PaymentStatus)
    assert set(STANDING_ORDER_CODES) == set(StandingOrderStatus)
    assert set(STANDING_ORDER_CODES.values()) <= STANDING_ORDER
    assert {it for it, code in PAYMENT_CODES.items() if code in FINAL} == {
        PaymentStatus.SETTLED,
        PaymentStatus.REJECTED,
        PaymentStatus.CANCELLED,
    }


@pytest.mark.parametrize(("table", "statuses"), [("payment", PaymentStatus), ("standing_order", StandingOrderStatus)])
def test_the_statuses_are_those_that_the_sandbox_bank_may_write(
    table: str, statuses: type[PaymentStatus | StandingOrderStatus]
) -> None:
    (check,) = (str(it.sqltext) for it in METADATA.tables[table].c.status.constraints if isinstance(it, CheckConstraint))
    assert set(check.partition("(")[2].strip("()").replace("'", "").split(", ")) == set(statuses)


@pytest.mark.parametrize(("state", "level", "consumed"), [*itertools.product(CONFIRMATION_STATES, (3, 4), (False, True))])
def test_every_state_of_a_proposal_is_a_status_of_a_consent(state: str, level: int, consumed: bool) -> None:
    code = consent_code(state, level=level, consumed=consumed)
    assert code in CONSENT
    may_go_on = state in CONFIRMATION_TRANSITIONS and not (state == "confirmed" and level == 3)
    assert (code == "AWAU") == may_go_on
    assert (code in FINAL) == (state in ("declined", "expired") or (consumed and code == "COND"))
    if not consumed:
        assert (code == "AUTH") == (state == "approved" or (state == "confirmed" and level == 3))


@pytest.mark.parametrize(("state", "found"), [*itertools.product(STATES, (None, *PaymentStatus))])
def test_every_state_of_a_call_is_a_status_of_a_payment(state: str, found: PaymentStatus | None) -> None:
    code = payment_code(state, found)
    assert code in PAYMENT
    if state in OPEN_STATES:
        assert code not in FINAL, "what is not known to have failed is not told as failed, nor as settled"
    if state == "posted" and found is not None:
        assert code == PAYMENT_CODES[found]
    assert (code == "RJCT") == (state == "voided" or (state == "posted" and found is PaymentStatus.REJECTED))


def test_a_state_that_is_none_has_no_code() -> None:
    for code in (lambda: consent_code("else", level=3), lambda: payment_code("else")):
        with pytest.raises(KeyError):
            code()


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published documents are not beside this tree")
def test_the_codes_are_those_that_were_published() -> None:
    schemas = json.loads(PUBLISHED.read_text())["components"]["schemas"]

    def codes(name: str) -> set[str]:
        return set(schemas[name]["properties"]["Data"]["properties"]["Status"]["enum"])

    assert codes("OBWriteDomesticScheduledResponse5") == PAYMENT
    assert codes("OBWriteDomesticStandingOrderResponse6") == STANDING_ORDER
    assert codes("OBWriteDomesticConsentResponse5") <= CONSENT
