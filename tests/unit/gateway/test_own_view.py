"""Records of the trail in a customer's words."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.answers import KnownPayee
from adapters.functions import MANIFEST
from gateway.calls.tools import FUNCTIONS
from gateway.code.port import CodeEnding
from gateway.domain.errors import Code, Fault
from gateway.domain.mandate import StandingMandate
from gateway.domain.states import ProposalState
from gateway.doors.pages.confirm_view import NO_ACCOUNT, ValueRow
from gateway.doors.pages.own_view import ActivityFacts, Names, bounds, entries, looks, waits
from gateway.doors.pages.own_words import FAULTS, REFUSED
from gateway.doors.pages.tool_view import ENDINGS
from tests.support.passkeys import intent_of, proposal_of

FACTS = ActivityFacts({function.name: function for function in MANIFEST}, frozenset())
AT = "2026-06-01T12:03:04.000000Z"


def item(what: str, **changed: Any) -> dict[str, Any]:
    known = {"record": 1, "at": AT, "call_id": "call_1", "what": what, "function": "initiate_transfer", "assistant": "Acme"}
    return {
        **known,
        "end": None,
        "amount": None,
        "payee": None,
        "code": None,
        "reason": None,
        "not_said": False,
        "word": None,
        "passkey": None,
        "confirmation_id": None,
        "standing_mandate": None,
        "tool": None,
        "file": None,
    } | changed


def line(what: str, *, waiting: frozenset[str] = frozenset(), **changed: Any) -> str:
    (told,) = entries([item(what, **changed)], replace(FACTS, waiting=waiting))
    return f"{told.words}: {told.mark}".removesuffix(": ")


@pytest.mark.parametrize(
    ("what", "changed", "said"),
    [
        ("deny", {"code": "denied", "not_said": True}, "Make a payment: refused, you had not said so"),
        ("deny", {"code": "limit_exceeded"}, "Make a payment: refused, over a limit"),
        ("deny", {"code": "request_fault", "function": None}, "Asked for something: refused, it could not be read"),
        (
            "deny",
            {"code": "request_fault", "reason": "confirmation_waits", "function": None},
            "A confirmation was tried: something older waits for you and comes first, nothing happened",
        ),
        ("deny", {"code": "request_fault", "reason": "not_found", "function": None}, "Looked for something: it was not there"),
        (
            "deny",
            {"code": "request_fault", "reason": "not_confirmed_bad_signature", "function": None},
            "A confirmation was tried: the passkey or the sign-in was not accepted, nothing happened",
        ),
        (
            "deny",
            {"code": "denied", "reason": "not_found_now", "function": "get_transaction"},
            "See a transaction: what it asked about was not there",
        ),
        ("deny", {"code": "denied", "reason": "confirmation_declined"}, "Make a payment: refused, you had declined it before"),
        ("deny", {"code": "confirmation_required", "confirmation_id": "cnf_1"}, "Make a payment: you were asked to confirm it"),
        ("deny", {"code": "temporarily_unavailable"}, "Make a payment: not possible at that moment, nothing happened"),
        ("outcome", {"end": "executed", "confirmation_id": "cnf_1"}, "Make a payment: done after your confirmation"),
        ("outcome", {"end": "executed", "standing_mandate": "std_1"}, "Make a payment: done under your standing mandate"),
        ("outcome", {"end": "executed"}, "Make a payment: done"),
        (
            "outcome",
            {"end": "rejected_by_core", "code": "insufficient_funds"},
            "Make a payment: refused, the account did not hold enough",
        ),
        ("outcome", {"end": "not_attempted"}, "Make a payment: not possible at that moment, nothing happened"),
        ("unknown", {"end": "outcome_unknown"}, "Make a payment: it is not known yet whether this happened"),
        ("reconciled", {"end": "executed", "function": None}, "Something: done"),
        ("intent", {}, "Make a payment: sent to the bank's core system"),
        ("read", {"function": "list_accounts"}, "See your accounts: told to the assistant"),
        ("read", {}, "Make a payment: asked again and told what came of it before"),
        ("read", {"function": "a_declared_one"}, "A declared one: told to the assistant"),
        ("confirmation", {"word": "confirmed"}, "You confirmed"),
        ("confirmation", {"word": "confirmed", "confirmation_id": "cnf_0"}, "You confirmed what you were asked"),
        ("confirmation", {"word": "declined"}, "This was declined"),
        ("admin", {"word": "revoked"}, "You revoked a standing mandate"),
        ("admin", {"passkey": "enrolled"}, "A passkey of yours was enrolled"),
        ("admin", {"passkey": "revoked"}, "A passkey of yours was revoked"),
        ("admin", {}, "Something of yours was changed at the bank"),
    ],
)
def test_each_record_is_told_in_words(what: str, changed: dict[str, Any], said: str) -> None:
    assert line(what, **changed) == said


def tool_line(function: str, names: dict[str, str] | None = None, **tool: Any) -> str:
    known = replace(FACTS, functions={each.name: each for each in FUNCTIONS}, files=names or {})
    (told,) = entries([item("read", function=function, tool={"ending": None, "read": [], "given": [], "made": [], **tool})], known)
    return f"{told.words}: {told.mark}. {told.files}".strip()


def test_what_tools_read_and_made_is_told_by_name_and_by_id_where_the_file_is_gone() -> None:
    names = {"file_1": "terms\u202e.pdf", "file_2": "spent.csv", "file_3": "sum.csv"}
    said = tool_line("file_search", names, read=["file_1", "file_9"])
    assert said == "Look something up in your documents: told to the assistant. Read: terms⟨U+202E⟩.pdf, file_9."
    assert tool_line("file_search") == "Look something up in your documents: nothing was found."
    said = tool_line("code_interpreter", names, ending="done", given=["file_2"], made=["file_3"])
    assert said == "Calculate and draw: done. Given: spent.csv. Made: sum.csv."
    assert tool_line("code_interpreter", ending="time") == "Calculate and draw: stopped, it took too long."
    (opaque,) = entries([item("read", function="code_interpreter", tool={})], FACTS)
    assert (opaque.mark, opaque.files) == ("it has ended", ""), "its keys are gone"
    assert set(ENDINGS) == set(CodeEnding)
    kept = item("admin", function=None, call_id=None, word="kept", file="file_2")
    (told,) = entries([kept], replace(FACTS, files=names))
    assert (told.words, told.files) == ("A file of yours was kept", "spent.csv")
    assert line("admin", function=None, call_id=None, word="searched") == "Your documents were searched by your app"


def test_a_tool_that_began_is_one_entry_with_its_outcome() -> None:
    begun = item("admin", function="code_interpreter", word="begins")
    done = item("read", function="code_interpreter", tool={"ending": "done"})
    refused = item("deny", function="code_interpreter", code="temporarily_unavailable")
    known = replace(FACTS, functions={each.name: each for each in FUNCTIONS})
    for outcome, said in ((done, "done"), (refused, "not possible at that moment, nothing happened")):
        for order in ([begun, outcome], [outcome, begun]):
            assert [line.mark for line in entries(order, known)] == [said]
    (alone,) = entries([begun], known)
    assert (alone.words, alone.mark) == ("Calculate and draw", "it was begun, and how it ended is not on record yet")
    assert entries([begun], replace(known, ended=frozenset({"call_1"}))) == [], "another page tells how it ended"
    other = item("admin", function="code_interpreter", word="begins", call_id="call_2")
    assert len(entries([done, begun, other], known)) == 2


def test_what_still_waits_is_linked_and_what_does_not_is_not() -> None:
    held = item("deny", code="confirmation_required", confirmation_id="cnf_1")
    ended = item("outcome", end="executed", confirmation_id="cnf_1")
    assert [(entry.mark, entry.link) for entry in entries([held], replace(FACTS, waiting={"cnf_1"}))] == [
        ("waits for you", "cnf_1")
    ]
    assert [entry.link for entry in entries([held], replace(FACTS, waiting={"cnf_2"}))] == [""]
    assert [entry.link for entry in entries([ended], replace(FACTS, waiting={"cnf_1"}))] == [""]


def test_an_order_is_left_out_only_where_its_end_is_told() -> None:
    sent, ended, other = item("intent"), item("outcome", end="executed"), item("intent", call_id="call_2")
    assert [entry.call_id for entry in entries([ended, sent, other], FACTS)] == ["call_1", "call_2"]


def test_every_code_has_its_words_and_every_fault_that_a_customer_meets() -> None:
    assert {*map(str, Code)} - set(REFUSED) == {"temporarily_unavailable", "outcome_unknown"}
    of_confirming = {fault for fault in Fault if fault.value.startswith("confirmation_")}
    assert of_confirming | {Fault.NOT_FOUND, Fault.NOT_CONFIRMED, Fault.CHALLENGE_EXPIRED} <= set(FAULTS)
    for code in (*Code, "request_fault"):
        assert not re.search(r"[a-z]_[a-z]", line("deny", code=str(code), reason=None)), "no code is told as it is"


def test_own_acts_are_told_with_amount_and_payee_whatever_record_it_is() -> None:
    kept, names = proposal_of(intent_of()), {"ben:b1": "Anna 11-22-33 12345678", "acc:a2": "Savings (11-22-33 87654321)"}
    facts = replace(FACTS, proposals={"cnf_1": kept}, payees=names, assistants={"asst_1": "Household help"})
    money = {"value": "20.00", "currency": "GBP"}
    told = [
        item("outcome", end="executed", amount=money, payee="ben:b1", standing_mandate="std_1"),
        item("outcome", end="executed", amount=money, payee="acc:a2", call_id="call_2"),
        item("outcome", end="executed", amount=money, payee="11223399999999", call_id="call_3"),
        item("outcome", end="executed", amount=money, payee="ben:gone", call_id="call_4"),
        item("deny", code="confirmation_required", confirmation_id="cnf_1"),
        item("deny", code="confirmation_required", confirmation_id="cnf_1", call_id="call_of_another"),
        item("confirmation", word="confirmed", confirmation_id="cnf_1", call_id=None),
    ]
    assert [entry.words for entry in entries(told, facts)] == [
        "Make a payment, 20.00 GBP to Anna 11-22-33 12345678",
        "Make a payment, 20.00 GBP to Savings (11-22-33 87654321)",
        "Make a payment, 20.00 GBP to 11-22-33 99999999",
        "Make a payment, 20.00 GBP to a payee who is not saved any more",
        "Make a payment, 120.50 GBP to Bob Builder",
        "Make a payment",
        "You confirmed: Send money to a saved payee, 120.50 GBP to Bob Builder",
    ]
    acted = [item("read", assistant=agent) for agent in ("asst_1", "a-client", "confirm-page")]
    assert [entry.assistant for entry in entries(acted, facts)] == ["Household help", "a-client", "your own pages"]


def test_what_others_wrote_is_shown_with_what_deceives_the_eye_spelt_out() -> None:
    (told,) = entries([item("read", function="x\u202ey", assistant="A\u200bcme")], FACTS)
    assert (told.words, told.assistant) == ("X⟨U+202E⟩y", "A⟨U+200B⟩cme")
    (look,) = looks([{"at": AT, "what": "audit.query", "who": "aud\u202e", "purpose": "a\x1bb", "case": None}])
    assert (look.who, look.purpose, look.case, look.when) == ("aud⟨U+202E⟩", "a⟨U+001B⟩b", "(none)", "1 June 2026, 12:03")


def test_the_same_look_again_is_counted_and_another_is_never_hidden_in_it() -> None:
    same = {"at": AT, "what": "audit.query", "who": "the customer", "purpose": "own", "case": "none"}
    others = [{**same, "who": "lee"}, {**same, "purpose": "x"}, {**same, "case": "x"}, {**same, "what": "audit.reveal"}]
    told = looks([same, same, *others, same])
    assert [answer.times for answer in told] == [2, 1, 1, 1, 1, 1]
    assert [answer.did for answer in told].count("opened a sealed record of you") == 1


def test_what_waits_says_how_much_goes_to_whom_and_whether_it_is_another_s() -> None:
    mine, confirmed = proposal_of(intent_of()), proposal_of(intent_of(level=4), state=ProposalState.CONFIRMED)
    (told,) = waits([mine], "alice")
    assert (told.id, told.words) == ("cnf_1", "Send money to a saved payee, 120.50 GBP to Bob Builder")
    assert waits([confirmed], "bruno")[0].words.startswith("To approve: ")


def test_a_mandate_is_told_with_all_its_bounds() -> None:
    starts = datetime(2026, 6, 1, 12, tzinfo=UTC)
    mandate = StandingMandate("std_1", "alice", None, "GBP", frozenset({"b", "a"}), 2_500, 4_000, 1, starts, starts + timedelta(30))
    told = bounds(mandate, Names({"a": KnownPayee("a", "Ann", "11223312345678", starts)}))
    assert {row.label: row.value for row in told.rows} == {
        "To": "Ann 11-22-33 12345678\nb",
        "From account": NO_ACCOUNT,
        "Each payment": "at most 25.00 GBP",
        "In 24 hours": "at most 40.00 GBP, in at most one payment",
        "From": "1 June 2026, 12:00",
        "Until": "1 July 2026, 12:00",
        "Assistant": "whichever you use",
    }
    named, of_key = replace(mandate, account="acc:a1"), {"acc:a1": "Everyday, 11-22-33 87654321"}
    assert ValueRow("From account", of_key["acc:a1"]) in bounds(named, Names(accounts=of_key)).rows
    one = replace(mandate, agent="asst_1")
    assert ValueRow("Assistant", "Household help") in bounds(one, Names(assistants={"asst_1": "Household help"})).rows
    assert ValueRow("Assistant", "asst_1") in bounds(one, Names()).rows
    (row,) = (row for row in bounds(named, Names()).rows if row.label == "From account")
    assert row.value not in ("", NO_ACCOUNT), "an account that is not known now is not told as none"
