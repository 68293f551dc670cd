"""Auditors' questions: recorded before they are answered, pinned, and provably complete."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import sealed_search
from audit.census import census_of
from audit.cursors import CursorInvalid
from audit.erasure import erase
from audit.keyring import KeyRefused
from audit.keys import KeyDestroyed
from audit.leaf import Committed, EndState, Policy, Record, RecordKind
from audit.log import Log, LogUnavailable
from audit.opening import NotSealed
from audit.query import Query, QueryPage, Why, last_page, page, reveal
from audit.schema import validate
from audit.store.reads import LogCorrupt
from audit.terms import LOOKS, CallOutcome
from gateway.app.databases import DatabaseName
from tests.support.databases import sql
from tests.trail import START, a_record, activate_rules, an_end, an_intent

WHY = Why(auditor="auditor-1", purpose="complaint", case_id="case-7")


async def last_fields(log: Log) -> dict[str, Any]:
    stored = await log.read(lambda reads: reads.leaf(log.size() - 1))
    assert stored is not None
    return validate(stored.leaf)


@pytest.fixture
async def busy(log: Log) -> Log:
    """Ten reads of three customers in two conversations, and an intent with its end."""
    for n in range(10):
        policy = Policy(
            bundle_hash=f"{n % 2:064x}", bundle_version="7", decision="permit", policies=("own_er", f"rule-{n % 2}"), reason="owner"
        )
        await log.append(
            a_record(
                call_id=f"call_{n}",
                customer=f"C-{n % 3}",
                conversation=f"conv_{n % 2}",
                trace_id=f"{n:032x}",
                time=START + timedelta(minutes=n),
                policy=policy,
            )
        )
    entry = await log.append(an_intent(call_id="call_x", customer="C-9", conversation=None))
    await log.append(an_end(entry.index, entry.leaf_hash))
    return log


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), list(range(12))),
        (Query(customer="C-1"), [1, 4, 7]),
        (Query(customer="nobody"), []),
        (Query(call_id="call_3"), [3]),
        (Query(conversation="conv_0"), [0, 2, 4, 6, 8]),
        (Query(trace_id=f"{4:032x}"), [4]),
        (Query(function="initiate_transfer"), [10]),
        (Query(decision="permit", customer="C-9"), [10]),
        (Query(policy="rule-1"), [1, 3, 5, 7, 9]),
        (Query(policy="rule"), []),
        (Query(policy="own%er"), []),
        (Query(policy="own_er", customer="C-0"), [0, 3, 6, 9]),
        (Query(bundle_hash=f"{1:064x}"), [1, 3, 5, 7, 9]),
        (Query(end_state=EndState.EXECUTED.value), [11]),
        (Query(kinds=(RecordKind.INTENT, RecordKind.OUTCOME)), [10, 11]),
        (Query(approver="nobody"), []),
        (Query(since=START + timedelta(minutes=8), kinds=(RecordKind.READ,)), [8, 9]),
        (Query(until=START + timedelta(minutes=2), kinds=(RecordKind.READ,)), [0, 1]),
    ],
)
async def test_a_question_finds_exactly_its_matches(busy: Log, query: Query, expected: list[int]) -> None:
    assert [match.index for match in (await page(busy, query, WHY)).found] == expected


async def test_a_question_is_a_record_with_purpose_and_case_before_its_answer(busy: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await page(busy, Query(customer="C-1", kinds=(RecordKind.READ,)), WHY)
    fields = await last_fields(busy)
    assert answer.record == busy.size() - 1
    assert (fields["kind"], fields["actor"]) == ("audit.query", {"agent": "auditor-1"})
    facts = fields["facts"]
    assert (facts["purpose"], facts["case"], facts["by_kinds"]) == ("complaint", "case-7", ["read"])
    assert facts["by_customer"] == (await busy.keys.subject_of("C-1"))

    async def dead(*_: object, **__: object) -> None:
        raise LogUnavailable

    monkeypatch.setattr(Log, "append", dead)
    for asked in (page(busy, Query(), WHY), reveal(busy, 0, WHY)):
        with pytest.raises(LogUnavailable):
            await asked


async def test_pages_are_pinned_and_repeat_while_the_log_grows(busy: Log) -> None:
    async def walk() -> list[QueryPage]:
        pages = [await page(busy, Query(customer="C-0"), WHY, limit=2)]
        while pages[-1].next_cursor is not None:
            await busy.append(a_record(customer="C-0"))
            pages.append(await page(busy, Query(customer="C-0"), WHY, cursor=pages[-1].next_cursor, limit=2))
        return pages

    first = await walk()
    assert [[match.index for match in one.found] for one in first] == [[0, 3], [6, 9]]
    assert {one.size for one in first} == {12}
    assert [one.gapless for one in first] == [True, True]
    assert first[0].next_cursor is not None
    again = await page(busy, Query(customer="C-0"), WHY, cursor=first[0].next_cursor, limit=2)
    assert again.found == first[1].found


@pytest.mark.parametrize(
    "cursor", ["", "x", "1.2.3", "99.1.1.{digest}", "12.12.1.{digest}", "12.1.1.0", "12.-1.1.{digest}", "٤.1.1.{digest}"]
)
async def test_a_cursor_of_another_question_is_refused(busy: Log, cursor: str) -> None:
    own = (await page(busy, Query(), WHY, limit=1)).next_cursor
    assert own is not None
    with pytest.raises(CursorInvalid):
        await page(busy, Query(), WHY, cursor=cursor.format(digest=own.split(".")[3]))
    with pytest.raises(CursorInvalid):
        await page(busy, Query(customer="C-0"), WHY, cursor=own)


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_from_the_other_end_the_same_matches_are_found_the_newest_first(busy: Log, limit: int) -> None:
    query = Query(kinds=(RecordKind.READ,))
    forward = (await page(busy, query, WHY)).found
    pages = [await last_page(busy, query, WHY, limit=limit)]
    while (cursor := pages[-1].next_cursor) is not None:
        await busy.append(a_record(customer="C-0"))
        pages.append(await last_page(busy, query, WHY, cursor=cursor, limit=limit))
    assert [match for one in pages for match in one.found] == list(reversed(forward))
    assert {len(one.found) for one in pages[:-1]} <= {limit}
    fields = await last_fields(busy)
    assert (fields["kind"], fields["facts"]["by_kinds"]) == ("audit.query", ["read"])


async def test_a_cursor_leads_in_its_own_direction_alone(busy: Log) -> None:
    forward = (await page(busy, Query(), WHY, limit=1)).next_cursor
    backward = (await last_page(busy, Query(), WHY, limit=1)).next_cursor
    assert forward is not None
    assert backward is not None
    with pytest.raises(CursorInvalid):
        await page(busy, Query(), WHY, cursor=backward)
    digest = backward.rpartition(".")[2]
    for cursor in (forward, "", "x", f"99.1.last.{digest}", f"3.3.last.{digest}", f"3.-1.last.{digest}", "3.1.last.0"):
        with pytest.raises(CursorInvalid):
            await last_page(busy, Query(), WHY, cursor=cursor)
    with pytest.raises(CursorInvalid):
        await last_page(busy, Query(customer="C-0"), WHY, cursor=backward)


async def test_a_row_hidden_from_the_auditor_shows_as_a_gap(busy: Log, tmp_path: Path) -> None:
    assert (await page(busy, Query(customer="C-1"), WHY)).gapless is True
    assert (await page(busy, Query(customer="C-1", kinds=(RecordKind.READ,)), WHY)).gapless is None
    sql(tmp_path / "log", DatabaseName.LOG, "update leaves set customer = null, customer_seq = null where idx = 4")
    assert (await page(busy, Query(customer="C-1"), WHY)).gapless is False


@pytest.mark.parametrize(
    "damage",
    [
        "update leaves set function = 'list_cards' where idx = 1",
        "update leaves set leaf = cast(replace(leaf, 'bank-app', 'other') as blob) where idx = 1",
    ],
)
async def test_a_changed_row_is_not_answered(busy: Log, tmp_path: Path, damage: str) -> None:
    sql(tmp_path / "log", DatabaseName.LOG, damage)
    with pytest.raises(LogCorrupt):
        await page(busy, Query(customer="C-1"), WHY)


async def test_the_life_of_a_call_is_all_of_it(busy: Log) -> None:
    life = await page(busy, Query(call_id="call_1"), WHY)
    assert [match.fields["kind"] for match in life.found] == ["read", "outcome"]


async def test_reveal_opens_what_is_sealed_and_is_recorded_first(busy: Log) -> None:
    revealed = await reveal(busy, 10, WHY)
    assert revealed.values == {
        "arguments.account": "GB00-1",
        "sealed.decision_request": {"principal": "Customer::C-1001", "context": {"assurance": 1}},
        "instruction": '{"key":"k1"}',
        "core_key": "k1",
    }
    fields = await last_fields(busy)
    assert (fields["kind"], fields["facts"]["index"]) == ("audit.reveal", 10)
    with pytest.raises(NotSealed):
        await reveal(busy, revealed.record, WHY)
    assert (await last_fields(busy))["kind"] == "audit.reveal"


async def test_a_sealed_blob_of_another_record_is_not_opened(busy: Log, tmp_path: Path) -> None:
    sql(tmp_path / "log", DatabaseName.LOG, "update sealed set blob = (select blob from sealed where idx = 3) where idx = 0")
    with pytest.raises(LogCorrupt):
        await reveal(busy, 0, WHY)


async def test_what_was_sealed_under_a_key_that_is_gone_stays_closed(busy: Log, tmp_path: Path) -> None:
    gone = await busy.keys.subject_of("C-0")
    sql(tmp_path / "log", DatabaseName.KEYS, "delete from data_keys where subject = :gone", gone=gone)
    with pytest.raises(KeyDestroyed):
        await reveal(busy, 0, WHY)


async def test_a_key_does_not_open_under_another_kek(open_log: Callable[[], Awaitable[Log]], tmp_path: Path) -> None:
    log = await open_log()
    await log.append(a_record())
    await log.append(a_record(customer="C-2"))
    swapped = "update data_keys set wrapped = (select wrapped from data_keys where subject = :other)"
    sql(tmp_path / "log", DatabaseName.KEYS, swapped, other=await log.keys.subject_of("C-2"))
    with pytest.raises(KeyRefused, match="does not unwrap"):
        await reveal(log, 0, WHY)
    await log.close()


@pytest.mark.parametrize("changes", [{"auditor": ""}, {"purpose": ""}, {"case_id": ""}, {"purpose": "x" * 501}])
def test_who_asks_says_why(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needed"):
        replace(Why(auditor="a", purpose="p", case_id="c"), **changes)


@pytest.mark.parametrize("limit", [0, 501])
async def test_a_page_has_a_bound(busy: Log, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 500"):
        await page(busy, Query(), WHY, limit=limit)


@pytest.mark.parametrize("is_indexed", [True, False])
async def test_looks_at_one_customer_are_not_buried_under_those_at_another(
    busy: Log, is_indexed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By customer, by a call, by a conversation of one customer, by a record of theirs; each on one page, however many others there are."""
    if not is_indexed:
        monkeypatch.setattr("audit.query.catch_up_to_ask", lambda _log: asyncio.sleep(0))
    mine = [(await page(busy, Query(customer="C-0"), WHY)).record, (await page(busy, Query(call_id="call_0"), WHY)).record]
    mine.append((await reveal(busy, 0, WHY)).record)
    for _ in range(60):
        await page(busy, Query(customer="C-1"), WHY)
        await page(busy, Query(function="get_account_balance"), WHY)
    for ask in (page, last_page):
        told = await ask(busy, Query(kinds=LOOKS, about="C-0"), WHY, limit=3)
        assert sorted(item.index for item in told.found) == mine
        assert told.next_cursor is None
    assert (await page(busy, Query(kinds=LOOKS, about="nobody"), WHY)).found == []
    assert "nobody" not in str(await last_fields(busy)), "what was typed may be a name"


def payment(call: str, amount: str, payee: str, *, known: bool, customer: str = "C-1") -> Record:
    """A refused payment whose amount and payee are sealed."""
    return a_record(
        kind=RecordKind.DENY,
        call_id=call,
        customer=customer,
        conversation=None,
        function=an_intent().function,
        result={},
        redaction=None,
        arguments={"amount": Committed({"value": amount, "currency": "EUR"}), "to": Committed({"name": "M. Hale", "iban": payee})},
        sealed={"decision_request": [{"context": {"payee": {"known": known}}}]},
    )


IBAN = "DE89370400440532013000"


async def test_amounts_and_payees_are_looked_for_in_what_is_sealed_and_the_answer_says_how_many_were_opened(log: Log) -> None:
    await activate_rules(log)
    for number, (amount, known) in enumerate([("500", True), ("500.01", False), ("20", False), ("9000", True), ("700", False)]):
        await log.append(payment(f"call_{number}", amount, IBAN if number != 4 else "GB29NWBK60161331926819", known=known))

    async def calls(**asked: Any) -> list[object]:
        return [match.fields["call"] for match in (await page(log, Query(function="initiate_transfer", **asked), WHY)).found]

    assert await calls(amount=">500") == ["call_1", "call_3", "call_4"]
    assert await calls(amount=">500", new_payee="yes") == ["call_1", "call_4"]
    assert await calls(amount="20..500EUR") == ["call_0", "call_2"]
    assert await calls(amount=">1GBP") == []
    assert await calls(payee="DE89 3704 0044 0532 0130 00", amount=">500") == ["call_1", "call_3"]
    assert await calls(payee="m. hale", new_payee="yes") == ["call_1", "call_2", "call_4"]
    of_one = await page(log, Query(customer="C-1", amount=">500"), WHY)
    assert (len(of_one.found), of_one.gapless, of_one.completeness.whole) == (3, None, True), "a part of a sequence has no gap"
    told = await page(log, Query(payee=IBAN, amount=">500"), WHY)
    assert (told.opened, told.closed) == (5, 0)
    facts = (await last_fields(log))["facts"]
    assert (facts["by_amount"], facts["by_payee"]) == (">500", "given")
    assert IBAN not in str(facts)


async def test_a_page_of_what_is_sealed_ends_after_so_many_candidates_and_goes_on(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_search, "OPENED_MOST", 4)
    monkeypatch.setattr(sealed_search, "CANDIDATES_AT_ONCE", 2)
    await activate_rules(log)
    for number in range(11):
        await log.append(payment(f"call_{number}", "700" if number in (5, 10) else "1", IBAN, known=True))
    asked, cursor, found, pages = Query(function="initiate_transfer", amount=">500"), None, [], 0
    while pages == 0 or cursor is not None:
        told = await page(log, asked, WHY, cursor=cursor, limit=1)
        assert told.opened <= 4
        found += [match.fields["call"] for match in told.found]
        cursor, pages = told.next_cursor, pages + 1
    assert (found, pages) == (["call_5", "call_10"], 3)
    with pytest.raises(CursorInvalid):
        await page(log, Query(function="initiate_transfer", amount=">501"), WHY, cursor=f"{log.size()}.1.1.0")


async def test_what_was_erased_is_not_opened_and_the_answer_says_so(log: Log) -> None:
    await activate_rules(log)
    await log.append(payment("call_a", "700", IBAN, known=False, customer="C-1"))
    await log.append(payment("call_b", "700", IBAN, known=False, customer="C-2"))
    await erase(log, "C-1", WHY)
    told = await page(log, Query(function="initiate_transfer", amount=">500"), WHY)
    assert [match.fields["call"] for match in told.found] == ["call_b"]
    assert (told.opened, told.closed) == (1, 1)


async def test_a_call_whose_last_record_has_no_arguments_is_looked_into_by_its_others(log: Log) -> None:
    await activate_rules(log)
    amount = {"amount": Committed({"value": "700", "currency": "EUR"})}
    intent = await log.append(an_intent(call_id="call_p", arguments=amount))
    await log.append(an_end(intent.index, intent.leaf_hash, call_id="call_p", sealed={}, function=None, customer=None))
    told = await page(log, Query(outcomes=(CallOutcome.EXECUTED,), amount=">500", function="initiate_transfer"), WHY)
    assert [match.index for match in told.found] == [intent.index]


@pytest.mark.parametrize(
    ("asked", "of", "count"),
    [
        (Query(function="get_account_balance"), "get_account_balance", 11),
        (Query(function="initiate_transfer", decision="permit"), "initiate_transfer", 1),
        (Query(kinds=(RecordKind.READ,)), "read", 10),
        (Query(customer="C-1"), "this customer", 3),
        (Query(customer="C-1", decision="deny"), "this customer", 3),
        (Query(conversation="conv_0"), "this conversation", 5),
    ],
)
async def test_an_answer_says_what_it_rests_on_that_nothing_is_missing(busy: Log, asked: Query, of: str, count: int) -> None:
    await busy.append(Record(kind=RecordKind.CENSUS, time=busy.now(), facts=(await census_of(busy)).facts()))
    told = (await page(busy, asked, WHY)).completeness
    assert (told.of, told.found, told.expected, told.whole) == (of, count, count, True)
    assert f"{count} of {count} records of {of}, none hidden" in told.sentence()


async def test_what_is_hidden_from_the_index_is_missed_by_the_census_and_what_is_cut_out_of_a_sequence_by_its_numbers(
    busy: Log, tmp_path: Path
) -> None:
    await busy.append(Record(kind=RecordKind.CENSUS, time=busy.now(), facts=(await census_of(busy)).facts()))
    await page(busy, Query(), WHY)
    sql(tmp_path / "log", DatabaseName.LOG, "delete from postings where idx = 3")
    told = (await page(busy, Query(function="get_account_balance"), WHY)).completeness
    assert (told.found, told.expected, told.whole) == (10, 11, False)
    assert "1 HIDDEN" in told.sentence()
    sql(tmp_path / "log", DatabaseName.LOG, "update leaves set customer = 'somebody' where idx = 4")
    told = (await page(busy, Query(customer="C-1", decision="deny"), WHY)).completeness
    assert (told.found, told.expected, told.whole) == (2, 3, False)


async def test_a_census_goes_on_from_the_one_before_and_two_prove_what_lies_between(busy: Log) -> None:
    async def census() -> int:
        return (await busy.append(Record(kind=RecordKind.CENSUS, time=busy.now(), facts=(await census_of(busy)).facts()))).index

    first = await census()
    for minute in (20, 21):
        await busy.append(a_record(call_id=f"late_{minute}", time=START + timedelta(minutes=minute)))
    facts = (await census_of(busy)).facts()
    assert facts["functions"] == ("get_account_balance=13", "initiate_transfer=1")
    last = (await busy.append(Record(kind=RecordKind.CENSUS, time=START + timedelta(minutes=30), facts=facts))).index
    asked = Query(function="get_account_balance", since=START, until=START + timedelta(hours=1))
    told = (await page(busy, asked, WHY)).completeness
    assert (told.since, told.until, told.found, told.expected) == (first, last, 2, 2)
    assert (await page(busy, Query(function="get_account_balance", until=START), WHY)).completeness.whole is None
    assert (await page(busy, Query(policy="rule-1"), WHY)).completeness.whole is None
