"""Beside a code the back end is told a reason; the model never is."""

import json
from typing import Any

from gateway.domain.reasons import RefusalReason
from tests.doors.conftest import Served


def transfer(served: Served, conversation: str, value: str = "12.50", **rest: Any) -> dict[str, Any]:
    accounts = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"]
    debit, credit = [account["account"] for account in accounts if account["currency"] == "GBP" and account["status"] == "open"][:2]
    wanted = {"from": debit, "to": credit, "amount": {"value": value, "currency": "GBP"}}
    return served.call("initiate_transfer", wanted, conversation=conversation, **rest)


def check(served: Served, told: dict[str, Any], reason: str) -> None:
    assert told["reason"] == reason
    told_later = served.get(f"/v1/calls/{told['call_id']}").json()
    assert (told_later["code"], told_later["reason"]) == (told["code"], reason)
    for output in (told["model"], json.loads(told_later["output"])):
        texts = set(output["error"].values())
        assert texts & {item.value for item in RefusalReason} == set()
        assert set(output["error"]) == {"code", "message"}


def test_a_function_that_is_not_served(served: Served) -> None:
    check(served, served.call("drop_tables", {}), "unknown_function")


def test_a_reference_that_was_never_given_out_and_an_argument_of_another_type(served: Served) -> None:
    check(served, served.call("get_account_balance", {"account": "acc_nonsense"}), "unknown_reference")
    check(served, served.call("get_account_balance", {"account": 1}), "argument")


def test_a_payment_without_the_customer_s_words_and_with_other_ones(served: Served) -> None:
    silent = served.conversation()
    check(served, pay(served, silent), "no_words")
    spoken = served.conversation()
    served.say("What is the weather like today?", conversation=spoken)
    check(served, pay(served, spoken), "not_grounded")


def test_more_than_the_limit(served: Served) -> None:
    conversation = served.conversation()
    served.say("Move 2600 pounds from Everyday to Savings", conversation=conversation)
    told = transfer(served, conversation, "2600.00")
    check(served, told, "limit")


def test_what_is_done_has_no_reason(served: Served) -> None:
    told = served.call("list_accounts", {})
    assert (told["status"], told["reason"]) == ("done", None)


def pay(served: Served, conversation: str) -> dict[str, Any]:
    accounts = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"]
    debit = next(account["account"] for account in accounts if account["currency"] == "GBP" and account["status"] == "open")
    payees = served.call("list_beneficiaries", {"account": debit}, conversation=conversation)["model"]["result"]["beneficiaries"]
    wanted = {"from": debit, "to": payees[0]["beneficiary"], "amount": {"value": "7.10", "currency": "GBP"}}
    return served.call("initiate_transfer", wanted, conversation=conversation)
