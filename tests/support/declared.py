"""Declared functions over a small upstream, and a core bank that is composed with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from adapters.core import CallUpstream, CoreAnswer, CoreBank, Declined, Done, Instruction, NotSeen, Unknown
from adapters.declared.core import SKEW, DeclaredCore, open_declared
from adapters.declared.declarations import Manifest
from adapters.declared.manifest import read
from adapters.declared.served import functions_of
from adapters.declared.upstream import Upstream
from adapters.function import BankingFunction
from gateway.domain.linear_regex import is_whole
from tests.support.banks import BankUnderTest, Clock, Permit, Permits, embedded
from tests.support.upstream import CREDENTIAL, UpstreamBank, manifest_text, upstream


def takes_pattern(expression: str) -> bool:
    try:
        is_whole(expression, "")
    except ValueError:
        return False
    return True


def manifest_of(text: str) -> Manifest:
    """A manifest that must be good."""
    manifest, findings = read(text.encode(), taken=(), takes_pattern=takes_pattern)
    assert manifest is not None, findings
    return manifest


@dataclass
class Composed:
    """A composed core under test, the bank behind its functions, and the functions."""

    core: CoreBank
    itself: DeclaredCore
    bank: UpstreamBank
    functions: dict[str, BankingFunction]
    clock: Clock
    behind: BankUnderTest

    def told(self, function: str, arguments: str, key: str = "key-1", customer: str = "emma") -> Instruction:
        return Instruction(key, customer, "agent-1", CallUpstream(function, arguments))

    async def send(self, function: str, arguments: str, key: str = "key-1", customer: str = "emma") -> CoreAnswer:
        told = self.told(function, arguments, key, customer)
        return await self.core.submit(told, Permit(told.canonical(), self.clock() + timedelta(seconds=30)))


async def settles(made: Composed, function: str, arguments: str, *, happened: bool) -> None:
    """What is in doubt stays so until the permit is over, and then is what happened, for good."""
    assert made.bank.count("pay") == (1 if happened else 0)
    assert await made.core.status("key-1") == Unknown("on its way")
    made.clock.turn(timedelta(seconds=30) + SKEW)
    told = await made.core.status("key-1")
    assert isinstance(told, Done if happened else NotSeen)
    assert await made.send(function, arguments) == (told if happened else Declined("DUPL"))
    assert made.bank.count("pay") == (1 if happened else 0)
    assert await made.core.status("key-1") == told


@asynccontextmanager
async def composed(path: Path, vocabulary: str = "foreign", **changes: str) -> AsyncIterator[Composed]:
    """`changes` are replaced in the manifest's text."""
    async with embedded(path) as behind, upstream(vocabulary) as (bank, url):
        text = manifest_text(vocabulary, url)
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after)
        async with over(path, behind, bank, manifest_of(text)) as made:
            yield made


@asynccontextmanager
async def over(
    path: Path, behind: BankUnderTest, bank: UpstreamBank, manifest: Manifest, server: Upstream | None = None
) -> AsyncIterator[Composed]:
    """The composed core over a bank and an upstream that are open. `server`: what asks it, if that is no plain HTTP."""
    server = server or Upstream(manifest.upstream, credential=CREDENTIAL if manifest.upstream.needs_credential else None)
    core, itself = open_declared(
        behind.core, manifest.functions, server, journal=path / "upstream.sqlite", permits=Permits(), clock=behind.clock
    )
    try:
        yield Composed(core, itself, bank, {item.name: item for item in functions_of(manifest, server)}, behind.clock, behind)
    finally:
        await itself.close()


@asynccontextmanager
async def declared_under_test(path: Path) -> AsyncIterator[BankUnderTest]:
    """The sandbox bank behind declared functions: for everything else the composed core is the core behind it."""
    async with composed(path) as made:
        yield replace(made.behind, core=made.core)
