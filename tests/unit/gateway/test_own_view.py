"""Records of the trail in a customer's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.answers import KnownPayee
from adapters.functions import MANIFEST
from gateway.domain.errors import Code
from gateway.domain.mandate import StandingMandate
from gateway.domain.states import ProposalState
from gateway.doors.pages.confirm_view import NO_ACCOUNT, ValueRow
from gateway.doors.pages.own_view import REFUSED, WORDS, bounds, entries, looks, waits
from tests.support.passkeys import intent_of, proposal_of

AT = "2026-06-01T12:03:04.000000Z"


def item(what: str, **changed: Any) -> dict[str, Any]:
    known = {"record": 1, "at": AT, "call_id": "call_1", "what": what, "function": "initiate_transfer", "assistant": "Acme"}
    return {
        **known,
        "end": None,
        "code": None,
        "not_said": False,
        "word": None,
        "passkey": None,
        "confirmation_id": None,
        "standing_mandate": None,
    } | changed


def line(what: str, *, waiting: frozenset[str] = frozenset(), **changed: Any) -> str:
    (told,) = entries([item(what, **changed)], waiting, {"initiate_transfer"})
    return f"{told.words}: {told.mark}".removesuffix(": ")


@pytest.mark.parametrize(
    ("what", "changed", "said"),
    [
        ("deny", {"code": "denied", "not_said": True}, "Asked to pay: refused, you had not said so"),
        ("deny", {"code": "limit_exceeded"}, "Asked to pay: refused, over a limit"),
        ("deny", {"code": "request_fault", "function": None}, "Asked for something: refused, it could not be read"),
        ("deny", {"code": "confirmation_required", "confirmation_id": "cnf_1"}, "Asked to pay: you were asked to confirm it"),
        ("deny", {"code": "temporarily_unavailable"}, "Asked to pay: not possible at that moment, nothing happened"),
        ("outcome", {"end": "executed", "confirmation_id": "cnf_1"}, "Paid after your confirmation: done"),
        ("outcome", {"end": "executed", "standing_mandate": "std_1"}, "Paid under your standing mandate: done"),
        ("outcome", {"end": "executed"}, "Paid: done"),
        (
            "outcome",
            {"end": "rejected_by_core", "code": "insufficient_funds"},
            "Asked to pay: refused, the account did not hold enough",
        ),
        ("outcome", {"end": "not_attempted"}, "Asked to pay: not possible at that moment, nothing happened"),
        ("unknown", {"end": "outcome_unknown"}, "Asked to pay: it is not known yet whether this happened"),
        ("reconciled", {"end": "executed", "function": None}, "Something was done: done"),
        ("intent", {}, "Asked to pay: sent to the bank's core system"),
        ("read", {"function": "list_accounts"}, "Looked at your accounts"),
        ("read", {}, "Asked to pay: asked again and told what came of it before"),
        ("read", {"function": "a_declared_one"}, "Done: a declared one"),
        ("confirmation", {"word": "confirmed"}, "You confirmed what you were asked"),
        ("confirmation", {"word": "declined"}, "What you were asked was declined"),
        ("admin", {"word": "revoked"}, "You revoked a standing mandate"),
        ("admin", {"passkey": "enrolled"}, "A passkey of yours was enrolled"),
        ("admin", {"passkey": "revoked"}, "A passkey of yours was revoked"),
        ("admin", {}, "Something of yours was changed at the bank"),
    ],
)
def test_each_record_is_told_in_words(what: str, changed: dict[str, Any], said: str) -> None:
    assert line(what, **changed) == said


def test_what_still_waits_is_linked_and_what_does_not_is_not() -> None:
    held = item("deny", code="confirmation_required", confirmation_id="cnf_1")
    assert [(entry.mark, entry.link) for entry in entries([held], {"cnf_1"}, set())] == [("waits for you", "cnf_1")]
    assert [entry.link for entry in entries([held], {"cnf_2"}, set())] == [""]
    assert [entry.link for entry in entries([item("outcome", end="executed", confirmation_id="cnf_1")], {"cnf_1"}, set())] == [""]


def test_an_order_is_left_out_only_where_its_end_is_told() -> None:
    sent, ended, other = item("intent"), item("outcome", end="executed"), item("intent", call_id="call_2")
    assert [entry.call_id for entry in entries([ended, sent, other], set(), set())] == ["call_1", "call_2"]


def test_every_function_and_every_code_has_its_words() -> None:
    assert {entry.name for entry in MANIFEST} == set(WORDS)
    assert {*map(str, Code)} - set(REFUSED) == {"temporarily_unavailable", "outcome_unknown"}


def test_what_others_wrote_is_shown_with_what_deceives_the_eye_spelt_out() -> None:
    (told,) = entries([item("read", function="x\u202ey", assistant="A\u200bcme")], set(), set())
    assert (told.words, told.assistant) == ("Done: x⟨U+202E⟩y", "A⟨U+200B⟩cme")
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
    assert (told.id, told.words) == ("cnf_1", "Asked to pay: 120.50 GBP to Bob Builder")
    assert waits([confirmed], "bruno")[0].words.startswith("To approve: ")


def test_a_mandate_is_told_with_all_its_bounds() -> None:
    starts = datetime(2026, 6, 1, 12, tzinfo=UTC)
    mandate = StandingMandate("std_1", "alice", None, "GBP", frozenset({"b", "a"}), 2_500, 4_000, 1, starts, starts + timedelta(30))
    told = bounds(mandate, {"a": KnownPayee("a", "Ann", "11223312345678", starts)}, {})
    assert {row.label: row.value for row in told.rows} == {
        "To": "Ann 11-22-33 12345678\nb",
        "From account": "none named: the one that you say",
        "Each payment": "at most 25.00 GBP",
        "In 24 hours": "at most 40.00 GBP, in at most one payment",
        "From": "1 June 2026, 12:00",
        "Until": "1 July 2026, 12:00",
        "Assistant": "whichever you use",
    }
    named, of_key = replace(mandate, account="acc:a1"), {"acc:a1": "Everyday, 11-22-33 87654321"}
    assert ValueRow("From account", of_key["acc:a1"]) in bounds(named, {}, of_key).rows
    (row,) = (row for row in bounds(named, {}, {}).rows if row.label == "From account")
    assert row.value not in ("", NO_ACCOUNT), "an account that is not known now is not told as none"
