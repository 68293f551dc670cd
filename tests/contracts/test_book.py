"""What every book of calls does, kept by one process or by several: limits are exact, ids are claimed once, nothing decided on is stale."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError

from adapters.core import Money
from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.domain.errors import Code, Refusal
from gateway.domain.facts import HeardMessage
from gateway.domain.kill_switch import EngagedSwitches, KillSwitch, NotLifted, Scope, Subjects
from gateway.domain.limits import Totals
from gateway.domain.mandate import Limits, Mandate, StandingMandate
from gateway.domain.ports import Claim, Claimed, FactsMoved, KillSwitchStore
from gateway.domain.reading import reading_of
from gateway.domain.states import RELEASED, CallState, SettledAs
from gateway.grounding.reader import read
from gateway.store import calls
from gateway.store.book import SqlBook
from gateway.store.conversations import WITH_CUSTOMER, WORDS_AGE_S
from gateway.store.direct import DirectStore
from gateway.store.kill_switches import SqlKillSwitches
from gateway.store.spending import SPENT_OF
from gateway.store.standing_mandates import StoreStandingMandate
from gateway.store.tables import KILL_SWITCHES
from tests.support.databases import lent

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = 1000
MANDATE = Mandate(
    customer="alice",
    version=1,
    functions=("initiate_transfer",),
    accounts=("a1",),
    limits={"GBP": Limits(DAY, DAY, 10 * DAY, 10 * DAY, 10_000)},
    starts=NOW - timedelta(days=1),
    ends=NOW + timedelta(days=1),
)


@dataclass
class Shared:
    """The same book, kept by `len(books)` processes as it were; on SQLite by one."""

    books: list[SqlBook]
    conversation: str


@pytest.fixture(params=["sqlite", "postgresql", "postgresql, three processes"])
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    places = DatabaseLocations(tmp_path, "" if request.param == "sqlite" else lent(tmp_path))
    books = []
    for number in range(3 if request.param.endswith("processes") else 1):
        database = places.open(DatabaseName.GATEWAY, name=f"book-{number}")
        await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
        books.append(SqlBook(database, mandate_key=KEY.public_key(), duplicate_window_s=900))
    await books[0].grant(MANDATE, MANDATE.sign(KEY))
    yield Shared(books, await books[0].open_conversation("alice", NOW))
    for book in books:
        await book.close()


def a_claim(shared: Shared, number: int, minor: int | None, **changes: object) -> Claim:
    claim = Claim(
        call_id=f"call_{number}",
        customer="alice",
        conversation=shared.conversation,
        turn="t",
        native_id=f"n{number}",
        function="initiate_transfer",
        arguments_hash=bytes(32),
        agent="agent",
        channel="app",
        core_key=f"key-{number}",
        trace_id="0" * 32,
        at=NOW,
        amount=None if minor is None else Money(minor, "GBP"),
        payee=f"acc:{number}",
        decided_on=(1, False, False, 0),
        set_at=NOW,
    )
    return replace(claim, **changes)  # type: ignore[arg-type]


async def claim(book: SqlBook, wanted: Claim) -> Claimed:
    return await book.write(await book.claiming(wanted))


async def claim_all(shared: Shared, wanted: list[Claim]) -> list[Claimed | BaseException]:
    """All at once, spread over the processes."""
    asked = (claim(shared.books[number % len(shared.books)], item) for number, item in enumerate(wanted))
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_hundred_at_once_never_exceed_a_limit_and_nothing_that_fits_is_refused(shared: Shared) -> None:
    rooms = [await shared.books[0].open_conversation("alice", NOW) for _ in range(7)]  # a lock of one could not order them
    answers = await claim_all(shared, [a_claim(shared, number, 30, conversation=rooms[number % 7]) for number in range(100)])
    taken = [answer for answer in answers if isinstance(answer, Claimed)]
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert (len(taken), len(refused)) == (DAY // 30, 100 - DAY // 30)
    assert {item.code for item in refused} == {Code.LIMIT_EXCEEDED}
    for book in shared.books:
        assert (await book.totals("alice", "GBP", NOW)).day_minor == DAY // 30 * 30


async def test_the_same_ids_are_claimed_once_and_everybody_gets_the_same_row(shared: Shared) -> None:
    answers = await claim_all(shared, [a_claim(shared, 1, 10, call_id=f"call_{n}", core_key=f"key-{n}") for n in range(30)])
    rows = [answer for answer in answers if isinstance(answer, Claimed)]
    assert len(rows) == 30, [repr(answer) for answer in answers if not isinstance(answer, Claimed)]
    assert sum(row.fresh for row in rows) == 1
    assert len({row.call_id for row in rows}) == 1


async def test_the_same_ids_with_other_arguments_are_a_conflict(shared: Shared) -> None:
    await claim(shared.books[0], a_claim(shared, 1, 10))
    with pytest.raises(Refusal, match="native_id_conflict"):
        await claim(shared.books[-1], a_claim(shared, 1, 10, call_id="call_2", core_key="key-2", arguments_hash=b"\x01" * 32))


async def test_the_same_payment_under_a_new_id_is_suspected(shared: Shared) -> None:
    rooms = [await shared.books[0].open_conversation("alice", NOW) for _ in range(5)]
    wanted = [a_claim(shared, number, 10, payee="acc:same", conversation=rooms[number % 5]) for number in range(12)]
    answers = await claim_all(shared, wanted)
    assert sum(isinstance(answer, Claimed) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, Refusal)} == {Code.DUPLICATE_SUSPECTED}


async def test_a_changed_mandate_or_taint_counts_at_once_everywhere(shared: Shared) -> None:
    first, last = shared.books[0], shared.books[-1]
    changed = replace(MANDATE, version=2, limits={"GBP": Limits(5, 5, 5, 5, 5)})
    assert (await last.facts("alice", "agent", shared.conversation, NOW)).customer.mandate.canonical() == MANDATE.canonical()  # type: ignore[union-attr]
    await first.grant(changed, changed.sign(KEY))
    assert (await last.facts("alice", "agent", shared.conversation, NOW)).customer.mandate.canonical() == changed.canonical()  # type: ignore[union-attr]
    with pytest.raises(FactsMoved):
        await claim(last, a_claim(shared, 1, 3))
    with pytest.raises(Refusal, match="limit_payment"):
        await claim(last, a_claim(shared, 1, 6, decided_on=(2, False, False, 0)))
    await first.taint("alice", "agent", shared.conversation, NOW)
    with pytest.raises(FactsMoved):
        await claim(last, a_claim(shared, 1, 3, decided_on=(2, False, False, 0)))
    assert (await claim(last, a_claim(shared, 1, 3, decided_on=(2, False, True, 0)))).fresh


STANDING = StandingMandate(
    id="std_1",
    customer="alice",
    agent=None,
    currency="GBP",
    payees=None,
    payment_minor=100,
    day_minor=250,
    day_count=2,
    starts=NOW - timedelta(days=1),
    ends=NOW + timedelta(days=1),
)


async def test_a_claim_under_a_standing_mandate_that_was_revoked_meanwhile_is_decided_again(shared: Shared) -> None:
    first, last = shared.books[0], shared.books[-1]
    await first.write(StoreStandingMandate(STANDING, b"", NOW))
    assert (await claim(last, a_claim(shared, 1, 5, covered=STANDING))).fresh
    assert await first.revoke_standing("alice", STANDING.id, NOW)
    with pytest.raises(FactsMoved):
        await claim(last, a_claim(shared, 2, 6, covered=STANDING))
    assert (await claim(last, a_claim(shared, 2, 6))).fresh, "what the customer confirmed needs none"


@pytest.mark.parametrize("minor", [3, 100], ids=["number", "sum"])
async def test_claims_at_once_never_pass_the_number_or_the_sum_of_a_standing_mandate(shared: Shared, minor: int) -> None:
    standing = replace(STANDING, day_count=2 if minor == 3 else 100)
    await shared.books[0].write(StoreStandingMandate(standing, b"", NOW))
    wanted = [
        a_claim(shared, number, minor, covered=standing, agent=f"agent-{number}", channel=f"c{number}") for number in range(9)
    ]
    answers = await claim_all(shared, wanted)
    assert sum(isinstance(answer, Claimed) for answer in answers) == 2, "agents and channels share it"
    assert sum(isinstance(answer, FactsMoved) for answer in answers) == 7


async def test_what_went_under_one_standing_mandate_takes_nothing_of_another(shared: Shared) -> None:
    first, second = replace(STANDING, id="std_1"), replace(STANDING, id="std_2")
    for standing in (first, second):
        await shared.books[0].write(StoreStandingMandate(standing, b"", NOW))
    wanted = [a_claim(shared, number, 100, covered=(first, second)[number % 2], agent=f"agent-{number}") for number in range(8)]
    answers = await claim_all(shared, [*wanted, a_claim(shared, 8, 100)])
    assert sum(isinstance(answer, Claimed) for answer in answers) == 5, "two under each, and the one that the customer confirmed"
    paid = Totals(200, 200, 200, 2)
    book = shared.books[-1]
    assert await book.automatic("alice", "GBP", NOW) == {"std_1": paid, "std_2": paid}
    (under_first, *_) = [item.call_id for item, answer in zip(wanted, answers, strict=False) if isinstance(answer, Claimed)]
    await book.write(book.settling(under_first, CallState.VOIDED, NOW))
    assert sorted(item.day_minor for item in (await book.automatic("alice", "GBP", NOW)).values()) == [100, 200]
    assert await book.automatic("alice", "GBP", NOW + timedelta(days=31)) == {}


async def test_claims_and_changes_of_what_they_rest_on_never_cross(shared: Shared) -> None:
    """Each mandate allows one more payment of its own size; whatever the order, no claim is taken on a mandate that is gone."""

    async def granting() -> None:
        for version in range(2, 12):
            mandate = replace(MANDATE, version=version)
            await shared.books[-1].grant(mandate, mandate.sign(KEY))

    async def claiming(version: int) -> list[Claimed | BaseException]:
        wanted = [a_claim(shared, version * 100 + n, 1, decided_on=(version, False, False, 0)) for n in range(6)]
        return await claim_all(shared, wanted)

    _, *answered = await asyncio.gather(granting(), *(claiming(version) for version in range(1, 12)))
    for item in (answer for group in answered if group is not None for answer in group):
        assert isinstance(item, Claimed | FactsMoved), item


async def test_what_is_settled_stays_and_what_is_released_is_forgotten(shared: Shared) -> None:
    first, last = shared.books[0], shared.books[-1]
    states: tuple[SettledAs, ...] = (CallState.POSTED, CallState.VOIDED, RELEASED, CallState.UNKNOWN, CallState.PENDING)
    for number, state in enumerate(states):
        await claim(first, a_claim(shared, number, 100))
        if state is not CallState.PENDING:
            await last.write(last.settling(f"call_{number}", state, NOW))
    assert (await first.totals("alice", "GBP", NOW)).day_minor == 300
    assert await last.find("call_2") is None
    await last.write(last.settling("call_0", CallState.VOIDED, NOW))
    assert (await first.find("call_0")).state == "posted"  # type: ignore[union-attr]
    assert {item.call_id for item in await last.unsettled(NOW + timedelta(1))} == {"call_3", "call_4"}
    await first.write(first.settling("call_3", CallState.POSTED, NOW))
    assert {item.call_id for item in await last.unsettled(NOW + timedelta(1))} == {"call_4"}


async def test_words_of_two_requests_at_once_have_their_places(shared: Shared) -> None:
    asked = (
        shared.books[n % len(shared.books)].store_messages("alice", shared.conversation, [HeardMessage(f"w{n}", "typed")] * 2, NOW)
        for n in range(20)
    )
    assert sorted(count for count in await asyncio.gather(*asked) if count) == list(range(2, 42, 2))
    assert await shared.books[-1].store_messages("bruno", shared.conversation, [HeardMessage("x", "typed")], NOW) is None


def switches(book: SqlBook, via: str = "book") -> KillSwitchStore:
    """Where kill switches stand, as a gateway sees it, or as the command does."""
    return SqlKillSwitches(book if via == "book" else DirectStore(book._database))


async def engage(book: SqlBook, scope: Scope, subject: str = "", *, via: str = "book") -> str:
    """By the first officer; the id of the switch that is engaged then."""
    wanted = KillSwitch(
        id=f"kill_{secrets.token_hex(16)}", scope=scope, subject=subject, reason="a test", engaged_by="officer-1", engaged=NOW
    )
    return (await switches(book, via).engage(wanted)).id


async def lifted(store: KillSwitchStore, switch: str, officer: str) -> str:
    """The state of a switch after this officer's part, or what stands in the way of it."""
    try:
        return (await store.lift(switch, officer, NOW)).state
    except NotLifted as refused:
        return refused.state


async def stopped(book: SqlBook, subjects: Subjects) -> str | None:
    obstacle = await book.stopped(subjects)
    return None if obstacle is None else obstacle.code


async def kills(book: SqlBook, shared: Shared) -> EngagedSwitches:
    known = await book.facts("alice", "agent", shared.conversation, NOW)
    assert known is not None
    return known.switches


_LIFTS = (("officer-1", "half_lifted"), ("officer-1", "same_officer"), ("officer-2", "lifted"), ("officer-3", "lifted"))


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        (Scope.GLOBAL, ""),
        (Scope.CUSTOMER, "alice"),
        (Scope.CLIENT, "app"),
        (Scope.AGENT, "agent"),
        (Scope.FUNCTION, "initiate_transfer"),
    ],
)
@pytest.mark.parametrize("via", ["book", "command"])
async def test_a_kill_switch_counts_at_once_everywhere_until_two_officers_lift_it(
    shared: Shared, scope: Scope, subject: str, via: str
) -> None:
    first, last = shared.books[0], shared.books[-1]
    asked = Subjects("alice", "app", "agent", "initiate_transfer")
    before = await kills(last, shared)
    assert (before.over(asked), await stopped(last, asked)) == (None, None)
    switch = await engage(first, scope, subject, via=via)
    engaged = await kills(last, shared)
    assert (engaged.over(asked), await stopped(last, asked)) == (scope.value, f"killed_{scope}")
    with pytest.raises(FactsMoved):
        await claim(last, a_claim(shared, 1, 3, decided_on=(1, False, False, before.epoch)))
    for lifted_by, told in _LIFTS:
        assert (await kills(last, shared)).over(asked) == (None if lifted_by == "officer-3" else scope.value)
        assert await lifted(switches(first, via), switch, lifted_by) == told
    assert await lifted(switches(first, via), "kill_unknown", "officer-1") == "unknown"
    after = await kills(last, shared)
    assert (after.over(asked), await stopped(last, asked), after.epoch) == (None, None, before.epoch + 2)
    assert (await claim(last, a_claim(shared, 1, 3, decided_on=(1, False, False, after.epoch)))).fresh


async def test_a_kill_switch_stops_its_own_subject_alone(shared: Shared) -> None:
    book = shared.books[-1]
    await book.grant(replace(MANDATE, customer="bruno"), replace(MANDATE, customer="bruno").sign(KEY))
    for scope, subject in (
        (Scope.CUSTOMER, "alice"),
        (Scope.CLIENT, "app"),
        (Scope.AGENT, "agent"),
        (Scope.FUNCTION, "initiate_transfer"),
    ):
        await engage(shared.books[0], scope, subject)
    others = {
        ("bruno", "web", "other", "set_limit"): None,
        ("bruno", "web", None, "set_limit"): None,
        ("alice", "web", "other", "set_limit"): "killed_customer",
        ("bruno", "app", "other", "set_limit"): "killed_client",
        ("bruno", "app", None, "set_limit"): "killed_client",
        ("bruno", "web", "agent", "set_limit"): "killed_agent",
        ("bruno", "web", "other", "initiate_transfer"): "killed_function",
        ("bruno", "agent", "app", "set_limit"): None,  # a client of an agent's name, an agent of a client's
        (
            "agent",
            "alice",
            "initiate_transfer",
            "app",
        ): "frozen",  # another's name in another place stops nothing; nobody granted this
    }
    for asked, told in others.items():
        assert await stopped(book, Subjects(*asked)) == told, asked


async def test_the_same_switch_is_engaged_once_whoever_engages_it_at_once(shared: Shared) -> None:
    ways = [(book, via) for book in shared.books for via in ("book", "book", "book", "command", "command")]
    engaged = await asyncio.gather(*(engage(book, Scope.AGENT, "agent", via=via) for book, via in ways))
    assert len(set(engaged)) == 1
    assert (await kills(shared.books[-1], shared)).epoch == 1


async def test_claims_never_cross_a_switch_that_is_being_engaged(shared: Shared) -> None:
    """Whatever the order, what was claimed was claimed before it; whoever decided before it and comes after it decides again."""

    async def claiming(number: int) -> None:
        wanted = a_claim(shared, number, 1, agent="agent")
        if isinstance((await claim_all(shared, [wanted]))[0], Claimed):
            taken.append(number)

    taken: list[int] = []
    await asyncio.gather(*(claiming(number) for number in range(40)), engage(shared.books[-1], Scope.GLOBAL))
    late = await claim_all(shared, [a_claim(shared, 100 + number, 1) for number in range(6)])
    assert [type(item) for item in late] == [FactsMoved] * 6
    assert (await shared.books[0].totals("alice", "GBP", NOW)).day_minor == len(taken)


async def test_the_table_itself_refuses_a_lift_that_two_officers_did_not_give(shared: Shared) -> None:
    switch = await engage(shared.books[0], Scope.GLOBAL)
    change = update(KILL_SWITCHES).where(KILL_SWITCHES.c.id == switch)
    for first, second in (("officer-1", "officer-1"), (None, "officer-2"), (None, None)):
        lifted = change.values(first_lift_by=first, lifted_by=second, lifted_us=1)
        with pytest.raises(IntegrityError):
            await shared.books[0]._database.write(partial(Connection.execute, statement=lifted))


def test_the_names_of_a_row_are_those_of_its_statement() -> None:
    """The driver gives plain tuples: a column that moves must not be read under another's name."""
    assert tuple(column.name for column in calls._HEAD) == calls._CallRow._fields
    selected = [column.name for column in calls._grounds_statement().selected_columns]
    of_conversation, stored = [column.name for column in WITH_CUSTOMER.selected_columns], list(calls._CallRow._fields)
    of_conversation += ["moves", "tainted_us"]
    assert selected == [*of_conversation, *(column.name for column in SPENT_OF.selected_columns), "like_this", *stored]
    named = [*("owner" if name == "customer" else name for name in of_conversation), "day_minor", "week_minor", "month_minor"]
    assert list(calls.Grounds._fields) == [*named, "day_count", "alike", *(f"stored_{name}" for name in stored)]


async def test_words_count_for_as_long_as_the_bank_says(shared: Shared) -> None:
    book, reading = shared.books[0], read("Pay Anna £20").written()
    await book.store_messages("alice", shared.conversation, [HeardMessage("Pay Anna £20", "typed", reading)], NOW)
    before, after = NOW + timedelta(seconds=WORDS_AGE_S - 1), NOW + timedelta(seconds=WORDS_AGE_S)
    (word,) = (await book.effect_facts("alice", shared.conversation, "", before)).heard.words
    assert (word.text, word.at, word.reading) == ("Pay Anna £20", NOW, reading_of(reading))
    assert (await book.effect_facts("alice", shared.conversation, "", after)).heard.words == ()
