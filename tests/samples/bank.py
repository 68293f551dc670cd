"""A small bank for tests of the policies: the bundle of the default rules, a customer, her objects, and requests about them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from pathlib import Path

import pytest

from adapters.function import BankingFunction
from gateway.calls.catalogue import cedar_schema, manifest
from policies import engine as engine_module
from policies import reading, specialisation
from policies.bundle import Bundle, RuleFile
from policies.cedar import Schema
from policies.engine import Engine
from policies.model import JSON, Request, Uid
from policies.reading import BundleFinding, Rule
from policies.schema_checks import contexts
from policies.source import Passage
from policies.specialisation import Specialisation, Specialisations, Subject, grind
from tests.samples.functions import FUNCTIONS

POLICIES = Path(__file__).parent.parent.parent / "policies"
NOW = "2026-06-01T12:00:00.000Z"


def rule_files() -> tuple[RuleFile, ...]:
    return tuple(RuleFile(path.name, path.read_text()) for path in sorted((POLICIES / "rules").glob("*.cedar")))


def bundle(rules: str | None = None, functions: Sequence[BankingFunction] = FUNCTIONS, **changes: object) -> Bundle:
    """The default bundle, or one of these rules."""
    files = rule_files() if rules is None else (RuleFile("given.cedar", rules),)
    fields: dict[str, object] = {
        "version": 1,
        "author": "ada",
        "schema": cedar_schema(functions),
        "rules": files,
        "functions": manifest(functions),
        **changes,
    }
    return Bundle(**fields)  # type: ignore[arg-type]


class _MadeWhenAsked(Mapping[str, Specialisations]):
    """Each function's specialisation, made when it is first asked for: as all together, and most tests ask for one."""

    def __init__(self, schema: Schema, subjects: Sequence[Subject], touch: str, *, narrow: bool = True) -> None:
        self._narrow = narrow
        self._of = {subject.action: subject for subject in subjects}
        self._made: dict[str, Specialisations] = {}
        self._schema, self._touch = schema, touch

    def __getitem__(self, action: str) -> Specialisations:
        if action not in self._made:
            subject = self._of[action]
            if self._narrow:
                self._made |= grind(self._schema, [subject], self._touch)
            else:
                context = contexts(str(self._schema.handle))[action]
                whole = Specialisation(subject.rules(), self._schema)
                self._made[action] = Specialisations(whole, None, context.takes, context.members["args"].check)
        return self._made[action]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


@contextmanager
def specialised_when_asked(*, narrow: bool = True) -> Iterator[None]:
    """Engines made meanwhile read a schema once and specialise a function only when it is called: for tests that make many engines
    and ask each of little. Without `narrow` every request is decided whole: the answer is the same, and making an engine costs less.
    """
    schema = lru_cache(maxsize=64)(Schema)
    judge = reading._passage_faults

    @lru_cache(maxsize=1024)
    def judged(passage: Passage, within: Schema | None) -> tuple[BundleFinding | Rule, ...]:
        return tuple(judge(passage, within))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "Schema", schema)
        patch.setattr(specialisation, "Schema", schema)
        patch.setattr(reading, "_passage_faults", judged)
        patch.setattr(engine_module, "grind", partial(_MadeWhenAsked, narrow=narrow))
        yield


@cache
def engine() -> Engine:
    """The engine of the default bundle: immutable, so shared."""
    return Engine(bundle())


def at(moment: str) -> JSON:
    return {"__extn": {"fn": "datetime", "arg": moment}}


def entity(type_and_id: str) -> JSON:
    name, _, identifier = type_and_id.partition("::")
    return {"__entity": {"type": name, "id": identifier}}


def customer(
    name: str = "anna", *, frozen: bool = False, mandate: Mapping[str, JSON] | None = None, restrictions: Sequence[str] = ()
) -> dict[str, JSON]:
    """A customer with a mandate over every function; `mandate={}` for none."""
    granted: Mapping[str, JSON] = {
        "functions": [function.name for function in FUNCTIONS],
        "accounts": [entity("Account::current"), entity("Account::savings")],
        "starts": at("2026-01-01T00:00:00.000Z"),
        "ends": at("2027-01-01T00:00:00.000Z"),
        "version": 3,
    }
    attributes: dict[str, JSON] = {"frozen": frozen}
    if restrictions:
        attributes["restrictions"] = list(restrictions)
    if mandate is None:
        attributes["mandate"] = granted
    elif mandate:
        attributes["mandate"] = {**granted, **mandate}
    return {"uid": {"type": "Customer", "id": name}, "attrs": attributes, "parents": []}


def account(name: str, *owners: str, status: str = "open", currency: str = "GBP") -> dict[str, JSON]:
    attributes: dict[str, JSON] = {
        "owners": [entity(f"Customer::{owner}") for owner in owners or ("anna",)],
        "currency": currency,
        "status": status,
    }
    return {"uid": {"type": "Account", "id": name}, "attrs": attributes, "parents": []}


def thing(kind: str, name: str, *owners: str, status: str = "active", of: str = "current") -> dict[str, JSON]:
    attributes: dict[str, JSON] = {
        "owners": [entity(f"Customer::{owner}") for owner in owners or ("anna",)],
        "status": status,
        "account": entity(f"Account::{of}"),
    }
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": []}


def context(action: str, level: int = 1, **members: JSON) -> dict[str, JSON]:
    """What the gateway fills in for every call."""
    (function,) = (one for one in FUNCTIONS if one.name == action)
    return {
        "assurance": {"level": level},
        "function": {
            "name": function.name,
            "effect": function.effect.value,
            "level": function.level.value,
            "emergency": function.emergency,
            "egress": function.egress,
        },
        "now": at(NOW),
        "channel": "app",
        "agent": {"id": "assistant"},
        "conversation": {"tainted": False, "calls": 2},
        "grounding": dict.fromkeys(("payee", "amount", "credential", "free_text", "object"), "not_evaluated"),
        "args": {},
        **members,
    }


def balance(level: int = 1, *, entities: Sequence[Mapping[str, JSON]] | None = None, **members: JSON) -> Request:
    """The balance of Anna's current account."""
    args: JSON = {"account": entity("Account::current"), "type": "ITAV"}
    filled = context("get_account_balance", level, object={"kind": "Account", "status": "open"}, args=args, **members)
    slice_ = (customer(), account("current")) if entities is None else entities
    return Request(Uid("Customer", "anna"), "get_account_balance", Uid("Account", "current"), filled, slice_)


def transfer(
    level: int = 1, *, minor: int = 1000, own: bool = False, entities: Sequence[Mapping[str, JSON]] | None = None, **members: JSON
) -> Request:
    """A payment from Anna's current account to a beneficiary, or to her savings."""
    payee: JSON = {"own_account": own, "same_currency": True, "known": not own}
    args: JSON = {
        "from": entity("Account::current"),
        "to": {"Account": entity("Account::savings")} if own else {"Beneficiary": entity("Beneficiary::dairy")},
        "amount": {"minor": minor, "currency": "GBP"},
        "reference": "milk",
    }
    given: dict[str, JSON] = {
        "money": {"minor": minor, "currency": "GBP"},
        "payee": payee,
        "totals": totals(minor),
        "args": args,
        **members,
    }
    filled = context("initiate_transfer", level, **given)
    objects = (customer(), account("current"), account("savings"), thing("Beneficiary", "dairy"))
    return Request(
        Uid("Customer", "anna"), "initiate_transfer", Uid("Account", "current"), filled, objects if entities is None else entities
    )


def totals(minor: int = 1000, **changes: int) -> dict[str, JSON]:
    return {
        "day_minor": minor,
        "week_minor": minor,
        "month_minor": minor,
        "day_count": 1,
        "payment_limit_minor": 50_000,
        "day_limit_minor": 100_000,
        "week_limit_minor": 200_000,
        "month_limit_minor": 500_000,
        "day_count_limit": 10,
        **changes,
    }
