"""What the customer is shown says of each value the truth: a warning of its own kind, their own sentence, and every doubt."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import Account, CoreBank
from adapters.function import Kind, Level
from gateway.confirmations.intent import WARNINGS, intent_of, readable
from gateway.domain.doubts import DOUBTS, Doubt, QuotedPart
from gateway.domain.errors import Code, Refusal
from gateway.domain.stages import Grounded, Held, Outcome, Refused
from gateway.doors.pages.confirm_view import _source, view
from gateway.grounding import sources
from tests.unit.gateway.test_grounding_of_calls import a_call

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OF_NEW = {Kind.PAYEE: "new_payee", Kind.CREDENTIAL: "credential", Kind.PROFILE: "profile", Kind.DOCUMENT: "document"}
OF_SOURCE = {
    "pasted": "pasted",
    "document": "document",
    "ambiguous": "ambiguous",
    "calculated": "calculated",
    "out_of_scope": "no_order",
}


class NoAccounts:
    """A core that has no account of this customer."""

    async def accounts(self, _customer: str) -> list[Account]:
        return []


def held(sources: dict[str, str], doubts: tuple[Doubt, ...] = (), quoted: tuple[QuotedPart, ...] = ()) -> Held:
    call = a_call()
    grounded = Grounded(call, sources, Outcome.ASK, doubts=doubts, quoted=quoted)
    return Held(Refused(call.received, call, Refusal(Code.CONFIRMATION_REQUIRED, "grounding")), grounded, Level.L3)


async def content(*calls: Held, agent_name: str | None = None) -> dict[str, object]:
    proposal = await intent_of(calls, cast(CoreBank, NoAccounts()), "ab" * 32, NOW, agent_name=agent_name)
    return dict(proposal.content)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("source", sorted(sources.ASKED | {sources.TYPED, sources.KNOWN, sources.OWN}))
def test_each_value_has_the_doubt_of_its_own_kind_and_no_other(kind: Kind, source: str) -> None:
    """A new password once said that the customer had not paid this payee before."""
    of_new = {OF_NEW.get(kind, "not_whole")} if source == "new" else set()
    expected = of_new or ({OF_SOURCE[source]} if source in OF_SOURCE else set())
    assert {doubt.value for doubt in sources.doubts_of({kind.value: source}, ())} == expected


@pytest.mark.parametrize("kind", list(Kind))
def test_the_page_says_of_a_new_value_where_it_comes_from_by_its_kind(kind: Kind) -> None:
    shown = _source({"kind": kind.value, "source": "new"})
    assert ("paid" in shown) is (kind not in (Kind.CREDENTIAL, Kind.PROFILE, Kind.DOCUMENT))


async def test_what_is_asked_of_several_calls_is_warned_of_once() -> None:
    one = held({"payee": "new"}, (Doubt.NEW_PAYEE,))
    shown = await content(one, one)
    assert [item["code"] for item in cast(list[dict[str, str]], shown["warnings"])] == ["irreversible"]


def test_every_doubt_and_every_warning_is_one_plain_sentence() -> None:
    assert set(DOUBTS) == set(Doubt)
    for text in [*WARNINGS.values(), *DOUBTS.values()]:
        assert text[0].isupper()
        assert text.endswith(".")
        assert "_" not in text
    assert len({*WARNINGS.values(), *DOUBTS.values()}) == len(WARNINGS) + len(DOUBTS)


async def test_the_sentence_and_the_doubts_are_signed_with_the_call_that_they_are_about() -> None:
    parts = (QuotedPart("pay Harbour Lettings 20 pounds", understood=True), QuotedPart(" if she asks", understood=False))
    doubtful, plain = held({}, (Doubt.NOT_WHOLE, Doubt.CONDITION), parts), held({})
    shown = view(await content(doubtful, plain))  # type: ignore[arg-type]
    apart = (parts[0], QuotedPart(" ", understood=True), QuotedPart("if she asks", understood=False))
    assert [call.quoted for call in shown.calls] == [apart, ()], "the space before them is not marked"
    assert [call.doubts for call in shown.calls] == [(DOUBTS[Doubt.NOT_WHOLE], DOUBTS[Doubt.CONDITION]), ()]
    shorter = replace(doubtful, grounded=replace(doubtful.grounded, quoted=parts[:1]))
    assert (await content(doubtful))["calls"] != (await content(shorter))["calls"]


async def test_the_assistant_is_told_by_its_name_where_it_has_one() -> None:
    assert view(await content(held({}), agent_name="Household help")).agent == "Household help"  # type: ignore[arg-type]
    assert view(await content(held({}))).agent == "assistant"  # type: ignore[arg-type]
    assert (await content(held({}), agent_name="Household help"))["agent"] == "assistant"


def test_sort_code_and_account_number_are_told_apart() -> None:
    assert {readable(written) for written in ("11223312345678", "11-22-33 12345678", "112233 12345678", "112233-12345678")} == {
        "11-22-33 12345678"
    }
    for other in ("GB29NWBK60161331926819", "1122331234567", "112233123456789", "", "ben:b1"):
        assert readable(other) == other


@given(st.text(alphabet="0123456789 -GB", max_size=24))
def test_no_digit_of_a_number_is_lost_or_moved_by_how_it_is_told(number: str) -> None:
    assert [character for character in readable(number) if character not in " -"] == [item for item in number if item not in " -"]
    assert readable(readable(number)) == readable(number)
