"""Policies are exchanged while calls run: each call is decided, redacted and recorded by one bundle, and the last good one stays."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from audit.policies import activate
from gateway.app.bundle import read_bundle
from gateway.app.policies import POLL_S, RETRY_S
from gateway.app.serving import build_app
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.domain.stages import Recorded
from gateway.store.policies import Activate, Activated
from gateway.store.tables import POLICY_ACTIVATIONS
from policies.bundle import Bundle, Role, SignedBundle, sign
from policies.officers import Officer, officer_entry
from tests.support.officers import KEYS, a_bundle, kept_back, pinned, put_in_force
from tests.support.opening import open_gateway
from tests.support.teller import Teller, leaves_of, output_of, teller, what_does_not_hold
from tests.support.waiting import wait_until

NO_IDENTIFIERS = kept_back("identifiers")
STOPPED = """
@id("bank.closed") @reason("forbidden") @says("Not today.")
forbid (principal, action in Action::"read", resource);
"""


def in_force(asked: Teller) -> str:
    return asked.gateway.policies.decider.policies.bundle.hash


async def record_of(asked: Teller, answered: Recorded) -> Any:
    assert answered.proof is not None
    return json.loads((await leaves_of(asked.gateway))[answered.proof.index].leaf)


def numbers_of(answered: Recorded) -> bool:
    """Whether the accounts' numbers were told: what `NO_IDENTIFIERS` keeps back."""
    return any("number" in account for account in output_of(answered)["accounts"])


async def changed(asked: Teller, **values: object) -> None:
    """What nobody who signs did: somebody with the database changes the newest activation."""
    newest = asked.gateway.policies.served.version + 1
    change = update(POLICY_ACTIVATIONS).where(POLICY_ACTIVATIONS.c.version == newest).values(**values)
    await asked.gateway.book._database.write(lambda connection: connection.execute(change))


async def test_a_bundle_of_the_banks_own_is_taken_over_and_names_the_records(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        assert in_force(asked) == read_bundle().hash
        own = a_bundle(7, NO_IDENTIFIERS)
        await put_in_force(asked.gateway, own)
        before = await asked.ask("list_accounts")
        await asked.gateway.policies.look()
        after = await asked.ask("list_accounts")
        assert (numbers_of(before), numbers_of(after)) == (True, False)
        policy = (await record_of(asked, after))["policy"]
        assert (policy["bundle"], policy["version"], in_force(asked)) == (own.hash, "7", own.hash)
        activation = next(
            leaf
            for leaf in (json.loads(stored.leaf) for stored in await leaves_of(asked.gateway))
            if leaf["kind"] == "policy.activate" and leaf["facts"]["bundle"] == own.hash
        )
        assert (activation["facts"]["author"], activation["facts"]["activator"]) == ("ada", "ben")
        assert await what_does_not_hold(asked.gateway) == []
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as again:
        assert in_force(again) == own.hash, "after a restart too"


async def test_a_call_that_was_decided_before_is_redacted_and_recorded_by_what_decided_it(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        pipeline = asked.gateway.pipeline
        core, reached, goes_on = pipeline._parts.core, asyncio.Event(), asyncio.Event()

        class Slow:
            """The core, which answers when it is told to."""

            def __getattr__(self, name: str) -> Any:
                return getattr(core, name)

            async def accounts(self, customer: str) -> Any:
                reached.set()
                await goes_on.wait()
                return await core.accounts(customer)

        pipeline._parts = replace(pipeline._parts, core=Slow())
        under_way = asyncio.create_task(asked.ask("list_accounts"))
        await reached.wait()
        pipeline._parts = replace(pipeline._parts, core=core)
        await put_in_force(asked.gateway, a_bundle(2, NO_IDENTIFIERS))
        await asked.gateway.policies.look()
        assert in_force(asked) == a_bundle(2, NO_IDENTIFIERS).hash
        goes_on.set()
        answered = await under_way
        assert numbers_of(answered)
        assert (await record_of(asked, answered))["policy"]["bundle"] == read_bundle().hash
        assert not numbers_of(await asked.ask("list_accounts"))


async def test_no_call_is_decided_by_a_mixture_while_policies_are_exchanged(tmp_path: Path) -> None:
    """Two bundles that differ in what they tell, and one that refuses: which, the answer itself shows."""
    answers: dict[str, Callable[[Recorded], bool]] = {
        read_bundle().hash: lambda answered: answered.status == "done" and numbers_of(answered),
        a_bundle(2, NO_IDENTIFIERS).hash: lambda answered: answered.status == "done" and not numbers_of(answered),
        a_bundle(3, STOPPED).hash: lambda answered: answered.status == "denied",
    }
    busy = {"calls_per_minute": 1_000_000, "audit_wait_ms": 20_000}  # they ask as fast as they can, while rules are read
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path), **busy) as asked:
        answered: list[Recorded] = []
        switched = 0

        async def customer() -> None:
            where = await asked.gateway.book.open_conversation("alice", asked.gateway.door.clock())
            while switched < 2 or answered[-1].status != "denied":
                answered.append(await asked.ask("list_accounts", conversation=where))
                await asyncio.sleep(0)

        customers = [asyncio.create_task(customer()) for _ in range(4)]
        for bundle in (a_bundle(2, NO_IDENTIFIERS), a_bundle(3, STOPPED)):
            asked_at_least = len(answered) + 8
            await wait_until(partial(lambda least: len(answered) >= least, asked_at_least))
            await put_in_force(asked.gateway, bundle)
            await asked.gateway.policies.look()
            switched += 1
        await asyncio.gather(*customers)
        leaves = [json.loads(stored.leaf) for stored in await leaves_of(asked.gateway)]
        seen = set()
        for one in answered:
            assert one.proof is not None
            hash_ = leaves[one.proof.index]["policy"]["bundle"]
            assert answers[hash_](one), one
            seen.add(hash_)
        assert seen == set(answers)
        assert await what_does_not_hold(asked.gateway) == []


async def test_what_waits_for_the_customer_names_the_bundle_that_asked(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        own = a_bundle(2, NO_IDENTIFIERS)
        await put_in_force(asked.gateway, own)
        await asked.gateway.policies.look()
        account = next(
            item["account"] for item in output_of(await asked.ask("list_accounts"))["accounts"] if item["name"] == "Everyday"
        )
        listed = output_of(await asked.ask("list_beneficiaries", {"account": account}))["beneficiaries"]
        payee = next(item["beneficiary"] for item in listed if item["name"] == "Margaret Hale")
        await asked.say("Please pay Margaret Hale 12.50 GBP.")
        wanted = {"from": account, "to": payee, "amount": {"value": "12.50", "currency": "GBP"}}
        held = await asked.ask("initiate_transfer", wanted)
        assert held.status == "held"
        proposal = await asked.gateway.confirmations.open("alice", str(held.confirmation), asked.gateway.door.clock())
        assert proposal is not None
        assert json.loads(proposal.intent)["bundle"] == own.hash
        assert (await record_of(asked, held))["policy"]["bundle"] == own.hash


SPOILT: dict[str, Callable[[Bundle], dict[str, object]]] = {
    "a rule is taken out": lambda bundle: {"body": replace(bundle, rules=bundle.rules[1:]).canonical()},
    "a rule is taken out, and the hash made to fit": lambda bundle: {
        "body": replace(bundle, rules=bundle.rules[1:]).canonical(),
        "bundle": replace(bundle, rules=bundle.rules[1:]).hash,
    },
    "bytes that are no bundle": lambda _: {"body": b"{}"},
    "an earlier bundle as a new version": lambda _: {"version": 2},
    "another author": lambda _: {"author": "cem"},
    "another activator": lambda _: {"activator": "cem"},
    "somebody unknown": lambda _: {"activator": "eve"},
    "another signature": lambda _: {"activator_signature": bytes(64)},
}


@pytest.mark.parametrize("what", SPOILT)
async def test_bytes_that_were_altered_in_the_database_never_decide_and_the_last_good_bundle_stays(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        bundle = a_bundle(1, NO_IDENTIFIERS)
        await put_in_force(asked.gateway, bundle)
        await changed(asked, **SPOILT[what](bundle))
        with caplog.at_level(logging.ERROR, "tellergate.policies"):
            await asked.gateway.policies.look()
            await asked.gateway.policies.look()
        alarms = [json.loads(record.message) for record in caplog.records if record.name == "tellergate.policies"]
        assert [(alarm["alarm"], alarm["version"]) for alarm in alarms] == [
            ("policies_refused", SPOILT[what](bundle).get("version", 1))
        ]
        assert in_force(asked) == read_bundle().hash
        assert numbers_of(await asked.ask("list_accounts"))
        settings = asked.gateway.settings
    with pytest.raises(UnsafeSettings, match="must not decide"):
        await open_gateway(settings)


async def test_a_bundle_that_is_mended_is_taken_over_after_a_minute(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        now = [0.0]
        watch = asked.gateway.policies
        watch.monotonic = lambda: now[0]
        bundle = a_bundle(1, NO_IDENTIFIERS)
        await put_in_force(asked.gateway, bundle)
        await changed(asked, body=b"")
        await watch.look()
        assert watch.refused == Activated(1, bundle.hash)
        await changed(asked, body=bundle.canonical())
        await watch.look()
        assert in_force(asked) != bundle.hash
        now[0] += RETRY_S
        await watch.look()
        assert in_force(asked) == bundle.hash
        assert [watch.refused, watch.served.version] == [None, 1]


async def test_activations_that_are_missing_bring_no_earlier_rules_back(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        for version in (1, 2):
            await put_in_force(asked.gateway, a_bundle(version, *([NO_IDENTIFIERS] if version == 2 else [])))
        await asked.gateway.policies.look()
        gone = delete(POLICY_ACTIVATIONS).where(POLICY_ACTIVATIONS.c.version == 2)
        await asked.gateway.book._database.write(lambda connection: connection.execute(gone))
        await asked.gateway.policies.look()
        assert in_force(asked) == a_bundle(2, NO_IDENTIFIERS).hash
        assert asked.gateway.policies.refused == Activated(1, a_bundle(1).hash)
        await put_in_force(asked.gateway, a_bundle(2))  # another one in the place of what is gone
        await asked.gateway.policies.look()
        assert in_force(asked) == a_bundle(2, NO_IDENTIFIERS).hash
        assert asked.gateway.policies.refused == Activated(2, a_bundle(2).hash)
        await asked.gateway.book._database.write(lambda connection: connection.execute(gone))
        settings = asked.gateway.settings
    with pytest.raises(UnsafeSettings, match="the trail has activation 2"):
        await open_gateway(settings)


async def test_an_officer_who_is_pinned_no_longer_brings_nothing_into_force(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        await put_in_force(asked.gateway, a_bundle(1, NO_IDENTIFIERS, author="dot"))
        await asked.gateway.policies.look()
        assert in_force(asked) == read_bundle().hash
        pinned(tmp_path, "ada", "cem")  # ben leaves while the gateway runs
        await put_in_force(asked.gateway, a_bundle(2, NO_IDENTIFIERS))
        await asked.gateway.policies.look()
        assert in_force(asked) == read_bundle().hash
        await put_in_force(asked.gateway, a_bundle(3, NO_IDENTIFIERS), "cem")
        await asked.gateway.policies.look()
        assert in_force(asked) == a_bundle(3, NO_IDENTIFIERS).hash


async def test_a_bundle_for_other_functions_is_refused_with_the_difference(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = read_bundle()
    first, second, *others = shipped.functions
    other = replace(a_bundle(1), functions=(replace(first, level=4, schema_hash="0" * 64), *others))
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        await put_in_force(asked.gateway, other)
        with caplog.at_level(logging.ERROR, "tellergate.policies"):
            await asked.gateway.policies.look()
        assert in_force(asked) == shipped.hash
        (why,) = [json.loads(record.message)["why"] for record in caplog.records if record.name == "tellergate.policies"]
        assert f"the bundle does not know {second.name}" in why
        assert f"{first.name} is served with another level, schema_hash" in why


async def test_a_bundle_for_another_version_of_a_function_is_refused_although_its_schema_is_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, *others = a_bundle(1).functions
    other = replace(a_bundle(1), functions=(replace(first, version=first.version + 1), *others))
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        await put_in_force(asked.gateway, other)
        with caplog.at_level(logging.ERROR, "tellergate.policies"):
            await asked.gateway.policies.look()
        assert in_force(asked) == read_bundle().hash
        (why,) = [json.loads(record.message)["why"] for record in caplog.records if record.name == "tellergate.policies"]
        assert f"{first.name} is served with another version" in why
        settings = asked.gateway.settings
    with pytest.raises(UnsafeSettings, match=f"{first.name} is served with another version"):
        await open_gateway(settings)


async def test_one_person_for_both_duties_brings_nothing_into_force(tmp_path: Path) -> None:
    """One key under two names is refused by each gateway; one name in both roles by the database already."""
    officers = pinned(tmp_path)
    officers.write_text(officers.read_text() + officer_entry(Officer("ada-too", frozenset(Role), KEYS["ada"].public_key())))
    bundle = a_bundle(1, NO_IDENTIFIERS)
    author, too = sign(bundle, Role.AUTHOR, "ada", KEYS["ada"]), sign(bundle, Role.ACTIVATOR, "ada-too", KEYS["ada"])
    async with teller(tmp_path / "data", policy_officers=officers) as asked:
        log = asked.gateway.log
        twice = Activate(SignedBundle(bundle, author, replace(too, name="ada")), log.now())
        with pytest.raises(IntegrityError):
            await asked.gateway.book._database.write(twice.apply)
        change = Activate(SignedBundle(bundle, author, too), log.now())
        await activate(log, bundle.canonical(), version="1", author="ada", activator="ada-too", change=change)
        await asked.gateway.policies.look()
        assert in_force(asked) == read_bundle().hash
        assert asked.gateway.policies.refused == Activated(1, bundle.hash)
        settings = asked.gateway.settings
    with pytest.raises(UnsafeSettings, match="share a key"):
        await open_gateway(settings)


async def test_without_pinned_officers_nothing_is_brought_into_force(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        await put_in_force(asked.gateway, a_bundle(1, NO_IDENTIFIERS))
        await asked.gateway.policies.look()
        assert in_force(asked) == read_bundle().hash
        assert asked.gateway.policies.refused == Activated(1, a_bundle(1, NO_IDENTIFIERS).hash)
        settings = asked.gateway.settings
    with pytest.raises(UnsafeSettings, match="policy_officers"):
        await open_gateway(settings)


async def test_the_watch_goes_on_by_itself_and_after_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.app.policies.POLL_S", 0.01)
    assert POLL_S <= 1
    async with teller(tmp_path / "data", policy_officers=pinned(tmp_path)) as asked:
        app = build_app(asked.gateway)
        async with app.router.lifespan_context(app):
            kept, looked = asked.gateway.policies.store, []

            class Gone:
                async def read(self, _question: object) -> object:
                    looked.append(1)
                    raise OSError("the database does not answer")

            asked.gateway.policies.store = Gone()  # type: ignore[assignment]
            await wait_until(lambda: len(looked) > 1)
            asked.gateway.policies.store = kept
            await put_in_force(asked.gateway, a_bundle(1, NO_IDENTIFIERS))
            await wait_until(lambda: in_force(asked) == a_bundle(1, NO_IDENTIFIERS).hash)
