"""Activations of policies, in any order, by whoever signs, with whatever somebody does to the database in between, against a model.

Versions only grow; an author never activates; going back is an activation; what decides was signed by two pinned officers, and is never
earlier than what decided before.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, delete, insert, update

from adapters.functions import MANIFEST
from audit.migration import prepare
from gateway.app.bundle import read_bundle
from gateway.app.clock import utc_now
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.app.policies import RETRY_S, PolicyWatch, in_force
from gateway.calls.decide import Decider
from gateway.store.direct import DirectStore
from gateway.store.policies import NOTHING, Activate, NotNewer, activations
from gateway.store.tables import POLICY_ACTIVATIONS
from policies.bundle import Bundle, NotActivated, RuleFile
from policies.officers import verified
from tests.samples.bank import POLICIES
from tests.support.officers import KEYS, PINNED, ROLES, pinned, signed
from tests.support.options import examples

FUNCTIONS = tuple(function for function in MANIFEST if function.name == "list_accounts")
RULES = RuleFile("public.cedar", (POLICIES / "rules" / "disclosure.cedar").read_text())
_A = POLICY_ACTIVATIONS.c

names = st.sampled_from(sorted(KEYS))
grown = st.integers(-1, 2)
"""By how much a version is greater than the newest."""


@dataclass
class Row:
    """An activation as it should stand, and whether it does."""

    bundle: Bundle
    is_good: bool


@cache
def a_bundle(version: int, author: str, words: int) -> Bundle:
    """One of the few bundles of this machine."""
    rules = RuleFile(RULES.name, f"{RULES.text}\n// {words}\n")
    return replace(read_bundle(FUNCTIONS), version=version, author=author, rules=(rules,))


def _insert(row: Mapping[str, object], connection: Connection) -> None:
    connection.execute(insert(POLICY_ACTIVATIONS), [row])


def _change(version: int, values: Mapping[str, object], connection: Connection) -> None:
    connection.execute(update(POLICY_ACTIVATIONS).where(_A.version == version).values(**values))


def _remove(version: int, connection: Connection) -> None:
    connection.execute(delete(POLICY_ACTIVATIONS).where(_A.version == version))


class Activations(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name)
        self.runner = asyncio.Runner()
        self.database = DatabaseLocations(self.home).open(DatabaseName.GATEWAY, name="tests")
        self.runner.run(prepare(self.database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False))
        self.shipped = in_force(a_bundle(1, "ada", -1))
        self.now = 0.0
        self.watch = PolicyWatch(
            Decider(self.shipped), DirectStore(self.database), pinned(self.home), FUNCTIONS, NOTHING, lambda: self.now
        )
        self.rows: dict[int, Row] = {}
        self.ever: dict[int, set[str]] = {}
        """The bundles that two officers put in force, by version."""
        self.decided: list[int] = [0]

    def teardown(self) -> None:
        self.runner.run(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    def newest(self) -> int:
        return max(self.rows, default=0)

    @rule(by=grown, author=names, activator=names, words=st.integers(0, 3))
    def activate(self, by: int, author: str, activator: str, words: int) -> None:
        """As the command does it."""
        version = max(1, self.newest() + by)
        bundle = a_bundle(version, author, words)
        may = author != activator and {author, activator} <= set(PINNED)
        may = may and "author" in ROLES[author] and "activator" in ROLES[activator]
        signing = signed(bundle, activator)
        try:
            verified(signing, PINNED)
        except NotActivated:
            assert not may
            return
        assert may
        with suppress(NotNewer):
            self.runner.run(DirectStore(self.database).write(Activate(signing, utc_now())))
            assert version > self.newest()
            self.rows[version] = Row(bundle, is_good=True)
            self.ever.setdefault(version, set()).add(bundle.hash)
            return
        assert version <= self.newest()

    @rule(by=st.integers(1, 2), words=st.integers(0, 3), looked=st.booleans())
    def activate_well(self, by: int, words: int, looked: bool) -> None:
        """As most activations are, each of which most processes see."""
        self.activate(by, "ada", "ben", words)
        if looked:
            self.look(later=True)

    @precondition(lambda self: self.rows)
    @rule(by=grown, words=st.integers(4, 5), data=st.data())
    def roll_back(self, by: int, words: int, data: st.DataObject) -> None:
        """To the rules of any that stands, under another version, by two again."""
        version = max(1, self.newest() + by)
        earlier = self.rows[data.draw(st.sampled_from(sorted(self.rows)))].bundle
        bundle = replace(earlier, version=version, author="ada")
        try:
            self.runner.run(DirectStore(self.database).write(Activate(signed(bundle, "cem"), utc_now())))
        except NotNewer:
            assert version <= self.newest()
            return
        assert version > self.newest()
        self.rows[version] = Row(bundle, is_good=True)
        self.ever.setdefault(version, set()).add(bundle.hash)

    @rule(author=names, words=st.integers(6, 8))
    def forge(self, author: str, words: int) -> None:
        """Somebody who has the database, and no officer's key, puts in a row of their own."""
        version = self.newest() + 1
        bundle = a_bundle(version, author, words)
        activator = "ben" if author != "ben" else "cem"
        row = {"version": version, "bundle": bundle.hash, "body": bundle.canonical(), "author": author, "activator": activator}
        row |= {"author_signature": bytes(64), "activator_signature": bytes(64), "activated_us": 0}
        self.runner.run(self.database.write(partial(_insert, row)))
        self.rows[version] = Row(bundle, is_good=False)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """An earlier activation, with its good signatures, as if it were the newest."""
        version = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows.pop(version)
        newest = max(self.newest(), version) + 1
        self.runner.run(self.database.write(partial(_change, version, {"version": newest})))
        self.rows[newest] = Row(row.bundle, is_good=False)

    @precondition(lambda self: self.rows)
    @rule(what=st.sampled_from(["body", "author_signature", "activator"]))
    def spoil(self, what: str) -> None:
        """The newest row is changed."""
        row = self.rows[self.newest()]
        value = {"body": row.bundle.canonical() + b" ", "author_signature": bytes(64), "activator": "nobody"}[what]
        self.runner.run(self.database.write(partial(_change, self.newest(), {what: value})))
        row.is_good = False

    @precondition(lambda self: self.rows)
    @rule()
    def remove(self) -> None:
        """The newest row goes."""
        version = self.newest()
        self.runner.run(self.database.write(partial(_remove, version)))
        del self.rows[version]

    @rule(later=st.booleans())
    def look(self, later: bool) -> None:
        """What each process does every second."""
        self.now += RETRY_S if later else 1.0
        before, refused = self.watch.served, self.watch.refused
        stored = self.rows.get(self.newest())
        self.runner.run(self.watch.look())
        if stored is not None and stored.is_good and self.newest() > before.version:
            is_waiting = refused is not None and refused.version == self.newest() and not later
            assert self.watch.served.bundle == stored.bundle.hash or is_waiting
        else:
            assert self.watch.served == before
        self.decided.append(self.watch.served.version)

    @invariant()
    def what_decides_was_signed_by_two_and_is_what_its_name_says(self) -> None:
        served, policies = self.watch.served, self.watch.decider.policies
        if served == NOTHING:
            assert policies is self.shipped
            return
        assert served.bundle in self.ever[served.version]
        assert (policies.bundle.hash, policies.bundle.version) == (served.bundle, str(served.version))
        assert policies.engine.hash == served.bundle

    @invariant()
    def what_decides_is_never_earlier_than_before(self) -> None:
        assert self.decided == sorted(self.decided)

    @invariant()
    def what_stands_is_in_order(self) -> None:
        listed = self.runner.run(self.database.read(activations))
        assert [row.version for row in listed] == sorted(self.rows, reverse=True)


TestActivations = Activations.TestCase
TestActivations.settings = settings(max_examples=examples(150), stateful_step_count=25, deadline=None)
