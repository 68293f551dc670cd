"""What identifies an account stays out of what a model reads, whatever function is asked; whole it goes to the app alone, once, and on
record."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
import pytest_asyncio

from adapters.core import Account
from adapters.function import Argument, BankingFunction, Choice, Day, Kind, Reference, ReferenceList
from adapters.functions import MANIFEST
from audit.query import Why, reveal
from gateway.app.bundle import read_bundle
from gateway.app.clock import utc_now
from gateway.calls.output import output_text, result_item
from gateway.domain.errors import Code
from gateway.domain.stages import Recorded
from gateway.doors.mcp_api.tools import output_schema
from policies.bundle import RuleFile
from policies.engine import Engine
from tests.support.arguments import FITTING
from tests.support.teller import Teller, bank_of, leaves_of, output_of, teller

CUSTOMERS = ("alice", "bruno", "carla", "david", "northwind")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teller]:
    async with teller(Path(tmp_path_factory.mktemp("identifiers")) / "data", calls_per_minute=100_000) as made:
        yield made


def spellings(account: Account) -> Iterator[str]:
    """The account as anyone might write it."""
    yield account.number
    if account.iban is not None:
        yield account.iban
        yield " ".join(account.iban[at : at + 4] for at in range(0, len(account.iban), 4))
    if account.sort_code is not None:
        yield f"{account.sort_code}{account.number}"


async def references(asked: Teller, customer: str) -> dict[str, list[str]]:
    """By prefix, every reference that the customer's listings give."""
    found: dict[str, list[str]] = {}
    for name in ("list_accounts", "list_cards"):
        _collect((await asked.ask(name, customer=customer)).output, found)
    for account in list(found["acc"]):
        for name in ("list_beneficiaries", "list_scheduled_payments", "list_direct_debits"):
            _collect((await asked.ask(name, {"account": account}, customer=customer)).output, found)
        days = {"from": "2020-01-01", "to": utc_now().date().isoformat(), "limit": 20}
        _collect((await asked.ask("list_transactions", {"account": account, **days}, customer=customer)).output, found)
    return found


def _collect(value: object, found: dict[str, list[str]]) -> None:
    if isinstance(value, dict | list):
        for it in value.values() if isinstance(value, dict) else value:
            _collect(it, found)
    elif isinstance(value, str) and value.split("_")[0] in {"acc", "ben", "card", "pay", "txn"} and len(value) > 30:
        found.setdefault(value.split("_")[0], []).append(value)


def arguments(function: BankingFunction, found: dict[str, list[str]], of: str, currency: str) -> dict[str, object]:
    def value(argument: Argument) -> object:
        if argument.name in FITTING.get(function.name, {}):
            return FITTING[function.name][argument.name]
        match argument.type:
            case Reference(kinds) | ReferenceList(kinds):
                known = [of] if kinds[0].value == "acc" else found.get(kinds[0].value, [""])
                return known[:1] if isinstance(argument.type, ReferenceList) else known[0]
            case Choice(values):
                return values[-1]
            case Day():
                return utc_now().date().isoformat()
        return {"value": "1", "currency": "GBP" if function.name == "get_fx_quote" else currency}

    return {it.name: value(it) for it in function.arguments if it.required}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("customer", CUSTOMERS)
async def test_no_function_tells_a_model_a_whole_identifier(asked: Teller, customer: str) -> None:
    accounts = [account for who in CUSTOMERS for account in await bank_of(asked.gateway).accounts(who)]
    forbidden = {spelling for account in accounts for spelling in spellings(account)}
    found = await references(asked, customer)
    entries = output_of(await asked.ask("list_accounts", customer=customer))["accounts"]
    done: set[str] = set()
    for entry in entries:
        for function in MANIFEST:
            given = arguments(function, found, entry["account"], entry["currency"])
            if any(argument.kind is Kind.PAYEE and isinstance(argument.type, Reference) for argument in function.arguments):
                continue  # a payment to the very account it leaves
            answered = await asked.ask(function.name, given, customer=customer)
            text = output_text(answered)
            assert [it for it in forbidden if it in text] == [], function.name
            assert [it for it in forbidden if it in json.dumps(result_item(answered))] == [], function.name
            if answered.status == "done":
                done.add(function.name)
                jsonschema_rs.validate(output_schema(function.output), json.loads(json.dumps(answered.output)))
    assert {"get_account_identifiers", "list_accounts", "list_direct_debits", "get_account_balance", "confirm_funds"} <= done


async def identifiers(asked: Teller, **more: object) -> Recorded:
    (account, *_) = await asked.accounts()
    return await asked.ask("get_account_identifiers", {"account": account}, **more)  # type: ignore[arg-type]


async def first_account(asked: Teller) -> Account:
    (account, *_) = [it for it in await bank_of(asked.gateway).accounts("alice") if it.currency == "GBP" and it.status == "open"]
    return account


async def test_the_app_gets_them_whole_and_the_trail_says_so(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        account = await first_account(asked)
        told = await identifiers(asked)
        assert told.app == {"iban": account.iban, "sort_code": account.sort_code, "number": account.number}
        assert told.output == {
            "iban": f"****{(account.iban or '')[-4:]}",
            "sort_code": "****",
            "number": f"****{account.number[-4:]}",
        }
        assert told.proof is not None
        leaf = (await leaves_of(asked.gateway))[told.proof.index]
        record = json.loads(leaf.leaf)
        assert record["facts"] == {"app_classes": ["whole_identifiers"], "app_fields": ["iban", "number", "sort_code"]}
        assert account.number.encode() not in leaf.leaf
        opened = await reveal(asked.gateway.log, told.proof.index, Why(auditor="tests", purpose="to see", case_id="none"))
        assert opened.values["sealed.app"] == told.app
        weak = await identifiers(asked, strong=False)
        assert (weak.code, weak.app) == (Code.STEP_UP_REQUIRED, None)


async def test_the_same_ids_again_are_a_question_of_their_own(tmp_path: Path) -> None:
    """A repeat is read afresh under today's policies, and recorded afresh; the status of a call tells no values."""
    async with teller(tmp_path / "data") as asked:
        first, again = await identifiers(asked, native_id="n"), await identifiers(asked, native_id="n")
        assert first.proof is not None
        assert again.proof is not None
        assert again.proof.index > first.proof.index
        later = await asked.gateway.door.became("alice", first.call_id)
        assert later is not None
        assert (later.status, later.output, later.app) == ("done", None, None)
        _forbid(asked, "whole_identifiers")
        kept_back = await identifiers(asked, native_id="n")
        assert kept_back.app is None
        assert kept_back.output == first.output


async def test_what_the_policies_do_not_reveal_the_app_does_not_get(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        whole = await identifiers(asked)
        _forbid(asked, "whole_identifiers")
        masked = await identifiers(asked)
        assert (masked.status, masked.app, masked.output) == ("done", None, whole.output)
        assert masked.proof is not None
        leaf = (await leaves_of(asked.gateway))[masked.proof.index]
        assert b"app_fields" not in leaf.leaf
        _forbid(asked, "identifiers")
        nothing = await identifiers(asked)
        assert (nothing.status, nothing.app, nothing.output) == ("done", None, {})


def _forbid(asked: Teller, data_class: str) -> None:
    bundle = read_bundle()
    when = f'resource == DataClass::"{data_class}"'
    says = '@id("kept.back") @reason("forbidden") @says("Kept back.")'
    rule = f'{says} forbid (principal, action == Action::"reveal", resource) when {{ {when} }};'
    changed = replace(bundle, rules=(*bundle.rules, RuleFile("kept.cedar", rule)))
    decider = asked.gateway.pipeline._parts.decider
    decider.policies = replace(decider.policies, engine=Engine(changed))
