"""The table of duties: every duty is decided about, absence is no right, and the guide has it as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.duties import DUTIES, Duty, DutyRule, StaffRole, duty_obstacle
from tests.support import duties_reference

ROLES = st.frozensets(st.sampled_from(StaffRole))


def test_every_duty_is_decided_about_and_the_guide_says_how() -> None:
    assert set(DUTIES) == set(Duty)
    assert all(rule.roles for rule in DUTIES.values())
    text = duties_reference.GUIDE.read_text()
    assert duties_reference.renewed(text) == text, "run: python -m tests.support.duties_reference --write"


@given(duty=st.sampled_from(Duty), roles=ROLES, more=ROLES, fresh=st.booleans())
def test_more_roles_and_a_fresher_sign_in_never_take_a_right_away_and_none_has_none(
    duty: Duty, roles: frozenset[StaffRole], more: frozenset[StaffRole], fresh: bool
) -> None:
    assert duty_obstacle(duty, frozenset(), fresh=True) is not None
    if duty_obstacle(duty, roles, fresh=fresh) is None:
        assert roles & DUTIES[duty].roles
        assert fresh or not DUTIES[duty].fresh
        assert duty_obstacle(duty, roles | more, fresh=True) is None


def test_whatever_takes_four_eyes_takes_a_fresh_sign_in_too() -> None:
    assert {duty for duty, rule in DUTIES.items() if rule.four_eyes and not rule.fresh} == set()
    assert {duty for duty, rule in DUTIES.items() if rule.needs_approval} == {Duty.REVEAL, Duty.EXPORT, Duty.ERASE}


def test_a_duty_outside_the_table_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    rules: dict[Duty, DutyRule] = {duty: rule for duty, rule in DUTIES.items() if duty is not Duty.LIST_SWITCHES}
    monkeypatch.setattr("gateway.domain.duties.DUTIES", rules)
    assert duty_obstacle(Duty.LIST_SWITCHES, frozenset(StaffRole), fresh=True) is not None
