"""Who of the bank's people may do what: THE table. Whatever checks a person asks it, and nothing else says who may. Pure.

A duty that is not in the table is nobody's. Programs have no roles: what a token of theirs permits is its scope (`domain.principal`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.obstacle import Obstacle


class StaffRole(StrEnum):
    """What a person of the bank is, by their OpenID provider or by the pinned file of officers."""

    OFFICER = "officer"
    AUDITOR = "auditor"
    REVIEWER = "reviewer"
    OPERATOR = "operator"


class Duty(StrEnum):
    """What a person of the bank may be let do. The value stands in approvals, statements and the trail."""

    ENGAGE = "kill_switch.engage"
    LIFT = "kill_switch.lift"
    LIST_SWITCHES = "kill_switch.list"
    QUERY = "trail.query"
    SEARCH_SEALED = "trail.search_sealed"
    VERIFY = "trail.verify"
    REVEAL = "trail.reveal"
    EXPORT = "trail.export"
    FETCH_ENTRIES = "trail.entries"
    ERASE = "customer.erase"
    ERASE_DUE = "customer.erase_due"
    PLACE_HOLD = "hold.place"
    RELEASE_HOLD = "hold.release"
    ACTIVATE = "policies.activate"
    ROTATE_KEY = "keys.rotate"
    RETIRE_KEY = "keys.retire"
    MAKE_KEY = "keys.make"
    IMPORT_MANDATES = "mandates.import"
    RECONCILE = "core.reconcile"
    RECOVER = "database.recover"
    SUCCEED = "trail.succeed"
    SKIP_RECORD = "stream.skip"
    LIST_APPROVALS = "approvals.list"
    ASK_APPROVAL = "approvals.ask"
    APPROVE = "approvals.give"

    @property
    def rule(self) -> "DutyRule":
        return DUTIES[self]


@dataclass(frozen=True, slots=True)
class DutyRule:
    """`fresh`: a strong sign-in of a few minutes ago, or an officer's key, is needed. `four_eyes`: a second person must agree; `how` says
    by what, where it is not an approval."""

    does: str
    roles: frozenset[StaffRole]
    fresh: bool = False
    four_eyes: bool = False
    how: str = field(default="")

    @property
    def needs_approval(self) -> bool:
        """Whether the second person agrees by an approval: otherwise the act has the two of its own."""
        return self.four_eyes and not self.how


_EVERYBODY = frozenset(StaffRole)
_OFFICER = frozenset({StaffRole.OFFICER})
_AUDITOR = frozenset({StaffRole.AUDITOR})
_OPERATOR = frozenset({StaffRole.OPERATOR})

DUTIES: Mapping[Duty, DutyRule] = {
    Duty.LIST_SWITCHES: DutyRule("see which kill switches are engaged", _EVERYBODY),
    Duty.ENGAGE: DutyRule("engage a kill switch", _OFFICER | _OPERATOR),
    Duty.LIFT: DutyRule("lift a kill switch", _OFFICER, True, True, "two officers each give one lift"),
    Duty.QUERY: DutyRule("search the trail", _AUDITOR | {StaffRole.REVIEWER}),
    Duty.SEARCH_SEALED: DutyRule("search the trail by what records keep sealed: amounts, payees", _AUDITOR, True),
    Duty.VERIFY: DutyRule("verify the trail", _EVERYBODY),
    Duty.REVEAL: DutyRule("open what a record keeps sealed", _AUDITOR, True, True),
    Duty.EXPORT: DutyRule("export evidence", _AUDITOR, True, True),
    Duty.FETCH_ENTRIES: DutyRule("fetch records by number, as bundles of leaves, with nothing opened", _AUDITOR),
    Duty.ERASE: DutyRule("erase a person", _OFFICER, True, True),
    Duty.ERASE_DUE: DutyRule("destroy what an erasure left locked, once it may go", _OFFICER | _OPERATOR, True),
    Duty.PLACE_HOLD: DutyRule("place a legal hold", _OFFICER | _AUDITOR, True),
    Duty.RELEASE_HOLD: DutyRule("release a legal hold", _OFFICER, True),
    Duty.ACTIVATE: DutyRule("put policies in force", _OFFICER, True, True, "an author and an activator sign the bundle"),
    Duty.ROTATE_KEY: DutyRule("rotate a key", _OPERATOR, True),
    Duty.RETIRE_KEY: DutyRule("retire a key", _OPERATOR, True),
    Duty.MAKE_KEY: DutyRule("begin with a new key where one is lost", _OPERATOR, True),
    Duty.IMPORT_MANDATES: DutyRule("import customers' mandates", _OFFICER | _OPERATOR, True),
    Duty.RECONCILE: DutyRule("compare what the core and the trail tell", _OFFICER | _AUDITOR, True),
    Duty.RECOVER: DutyRule(
        "recover a restored database", _OFFICER, True, True, "two officers lift what stops everything meanwhile"
    ),
    Duty.SUCCEED: DutyRule(
        "let the trail go on under another name, where its newest records are lost",
        _OFFICER,
        True,
        True,
        "two officers sign one request",
    ),
    Duty.SKIP_RECORD: DutyRule("let a stream of the trail pass over a record that its receiver refuses", _OPERATOR, True),
    Duty.LIST_APPROVALS: DutyRule("see what waits for approval", _EVERYBODY),
    Duty.ASK_APPROVAL: DutyRule("ask for approval of a duty that they have", _EVERYBODY, True),
    Duty.APPROVE: DutyRule("approve what another person asked, of a duty that they have", _EVERYBODY, True),
}


def duty_obstacle(duty: Duty, roles: Collection[StaffRole], *, fresh: bool) -> Obstacle | None:
    """Why a person of these roles may not: `role`, or `sign_in` where only a fresh strong sign-in is missing. None: they may."""
    rule = DUTIES.get(duty)
    if rule is None or rule.roles.isdisjoint(roles):
        return Obstacle("role")
    return Obstacle("sign_in") if rule.fresh and not fresh else None
