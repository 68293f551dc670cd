"""Which policies decide: the newest activation of the database, believed by the signatures of the officers that the settings pin; in
development mode the shipped bundle, until there is one.

Owns when `Decider.policies` is exchanged. Must never exchange them for anything that did not pass all of `accepted`, nor for an earlier
activation.
"""

import asyncio
import logging
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapters.function import BankingFunction
from audit.leaf import Plain
from audit.log import Log
from audit.policies import last_activated
from gateway.app.bundle import differences
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.calls.chores import alarmed
from gateway.calls.decide import Decider
from gateway.domain.alarms import Alarm, Chore
from gateway.domain.policies import BundleName, PoliciesInForce
from gateway.store.items import ItemStore
from gateway.store.policies import NOTHING, Activated, PolicyActivation, activation, newest, newest_activation
from policies.bundle import Bundle, NotActivated
from policies.engine import Engine
from policies.officers import Officer, parse_officers, verified
from policies.reading import BundleRefused

POLL_S = 1.0
"""How often each process asks whether there is a newer activation."""

RETRY_S = 60.0
"""After how long an activation that was refused is looked at again, and the alarm repeated."""

_LOG = logging.getLogger("tellergate.policies")


class PoliciesRefused(Exception):
    """An activation that must not decide here. The text says why, without a word of the rules."""


@dataclass(frozen=True, slots=True)
class AcceptedPolicies:
    """Policies that may decide, what they were read from, and who activated them; `activator` None: the shipped bundle, by nobody."""

    policies: PoliciesInForce
    bundle: Bundle
    activator: str | None

    @property
    def activated(self) -> Activated:
        """The activation; NOTHING of the shipped bundle, so that any is newer."""
        return NOTHING if self.activator is None else Activated(self.bundle.version, self.bundle.hash)


def in_force(bundle: Bundle) -> PoliciesInForce:
    """A verified bundle, ready to decide. BundleRefused. Takes some 200 ms of processor: never on a loop that serves."""
    return PoliciesInForce(Engine(bundle), BundleName(bundle.hash, str(bundle.version)))


def accepted(row: PolicyActivation, officers: Mapping[str, Officer], functions: Sequence[BankingFunction]) -> AcceptedPolicies:
    """The policies of a stored activation, or PoliciesRefused.

    1. The row holds a bundle of the hash and the version that it names.
    2. A pinned author and another person, a pinned activator, signed exactly this bundle.
    3. It was written for exactly the functions that are served, as they are declared.
    4. The engine takes its schema and its rules.
    """
    try:
        bundle = verified(row.signed(), officers)  # 1, 2
    except (ValueError, NotActivated) as error:
        raise PoliciesRefused(str(error)) from error
    if found := differences(bundle, functions):  # 3
        raise PoliciesRefused(f"written for other functions: {'; '.join(found)}")
    try:
        return AcceptedPolicies(in_force(bundle), bundle, row.activator.name)  # 4
    except BundleRefused as error:
        raise PoliciesRefused(f"the engine refuses {len(error.findings)} of its rules") from error


def pinned_officers(path: Path | None) -> Mapping[str, Officer]:
    """The officers of this file. UnsafeSettings where there is none, others than its owner may change it, or it cannot be understood."""
    if path is None:
        raise _no_officers(FindingCode.MISSING, "is not set", "name the file of the officers who may sign policy bundles")
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except (OSError, UnicodeDecodeError):
        raise _no_officers(FindingCode.UNREADABLE, f"names {path}, which cannot be read", "name the officers' file") from None
    if stat.S_IMODE(mode) & 0o022:
        raise _no_officers(FindingCode.OPEN_TO_OTHERS, f"{path.name} must be writable by its owner alone", "chmod go-w it")
    try:
        return parse_officers(text)
    except ValueError as error:
        remedy = "make its entries with `tellergate policy officer`"
        raise _no_officers(FindingCode.MALFORMED, f"{path.name}: {error}", remedy) from None


def _no_officers(code: FindingCode, problem: str, remedy: str) -> UnsafeSettings:
    return UnsafeSettings(findings=[SettingFinding("policy_officers", code, problem, remedy)])


async def policies_at_start(
    store: ItemStore, log: Log, officers: Path | None, functions: Sequence[BankingFunction], shipped: Bundle | None
) -> AcceptedPolicies:
    """What is in force when a gateway starts: the newest activation, or, where there was none, the `shipped` bundle of development mode.
    UnsafeSettings where nothing may decide: there is no last good bundle to go on with.
    """
    row = await store.read(newest_activation)
    refuse_earlier(row, await last_activated(log))
    if row is None and shipped is not None:
        return AcceptedPolicies(in_force(shipped), shipped, None)
    return decides_first(row, officers, functions)


def refuse_earlier(row: PolicyActivation | None, told: Mapping[str, Plain] | None) -> None:
    """UnsafeSettings where the newest activation of the database is older than the last one that the signed trail tells of: whoever
    removes rows from the database does not bring back earlier rules.
    """
    if told is not None and (0 if row is None else row.version) < int(str(told["version"])):
        raise _none_decides(
            f"the trail has activation {told['version']}, and the database none so new",
            "keep everything, and call security (RUNBOOK.md, policies_refused)",
        )


def decides_first(row: PolicyActivation | None, officers: Path | None, functions: Sequence[BankingFunction]) -> AcceptedPolicies:
    """The policies of the newest activation, before any decided. UnsafeSettings where there is none, or it must not decide here."""
    if row is None:
        raise _none_decides("no bundle is active", "activate one with `tellergate policy activate`")
    try:
        return accepted(row, pinned_officers(officers), functions)
    except PoliciesRefused as refused:
        raise _none_decides(
            f"version {row.version} is active and must not decide: {refused}",
            "activate a newer one that may (RUNBOOK.md, policies_refused)",
        ) from None


def _none_decides(problem: str, remedy: str) -> UnsafeSettings:
    return UnsafeSettings(findings=[SettingFinding("policies", FindingCode.NOT_ACTIVE, problem, remedy)])


@dataclass(slots=True)
class PolicyWatch:
    """Puts each newer activation in force in this process. The last good one stays whatever is wrong with a newer one."""

    decider: Decider
    store: ItemStore
    officers: Path | None
    functions: Sequence[BankingFunction]
    served: Activated
    """The activation that decides; NOTHING: the shipped bundle."""
    monotonic: Callable[[], float] = time.monotonic
    refused: Activated | None = None
    """The newest activation, where it must not decide here."""
    _tried: Activated | None = None
    _again_at: float = 0.0

    async def run(self) -> None:
        """Look every second, for as long as the gateway serves."""
        while True:
            await asyncio.sleep(POLL_S)
            with alarmed(Chore.POLICIES):
                await self.look()

    async def look(self) -> None:
        """Put the newest activation in force, if it is newer and good; else an alarm, once a minute. Unavailable."""
        stored = await self.store.read(newest)
        if stored == self.served:
            self.refused = self._tried = None
            return
        if stored == self._tried and self.monotonic() < self._again_at:
            return
        self._tried, self._again_at = stored, self.monotonic() + RETRY_S  # first, so that no fault below is met again each second
        refused: Activated | None = stored
        try:
            found = await self._accepted(stored)
            self.decider.policies, self.served, refused = found.policies, found.activated, None
            _LOG.info('{"policies": %d, "bundle": "%s"}', found.bundle.version, found.bundle.hash)
        except (PoliciesRefused, UnsafeSettings) as why:
            _LOG.log(*Alarm.POLICIES_REFUSED.line(version=stored.version, why=str(why)))
        finally:
            self.refused = refused

    async def _accepted(self, stored: Activated) -> AcceptedPolicies:
        if stored.version <= self.served.version:
            raise PoliciesRefused(
                f"not newer than version {self.served.version}, which decides: activations are missing from the database"
            )
        row = await self.store.read(partial(activation, version=stored.version))
        if row is None:
            raise PoliciesRefused("the activation is gone")
        # In a thread: to read rules takes long, and calls go on meanwhile
        return await asyncio.to_thread(lambda: accepted(row, pinned_officers(self.officers), self.functions))
