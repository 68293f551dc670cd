"""A whole gateway in the test's own process, asked as a door asks it."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from adapters.cores.remote.server import CoreServer, listen
from adapters.cores.sandbox import SandboxBank
from audit.inspection import verify_store
from audit.store.reads import StoredLeaf
from gateway.app.clock import Clock, utc_now
from gateway.app.cores import permit_verifier, read_permit, trust_of
from gateway.app.databases import open_log
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.app.key_files import credential
from gateway.app.settings import Settings
from gateway.domain.facts import HeardMessage
from gateway.domain.mandate import Mandate
from gateway.domain.principal import SCOPE_CALLS, Principal
from gateway.domain.proposal import ConfirmationEvidence, Method
from gateway.domain.request import CallRequest, NativeCall, Trace, core_key
from gateway.domain.stages import Recorded
from tests.support.databases import places, url
from tests.support.keys import mandate_signer
from tests.support.opening import open_gateway
from tests.support.options import OPTIONS

TRACE = Trace("0af7651916cd43dd8448eb211c80319c")


def principal(customer: str, *, strong: bool = True, agent: str | None = "assistant", now: datetime | None = None) -> Principal:
    now_s = int((now or utc_now()).timestamp())
    return Principal(
        customer=customer,
        agent=agent,
        client="app",
        scopes=frozenset({SCOPE_CALLS}),
        strong=strong,
        authenticated_at_s=now_s,
        expires_at_s=now_s + 3600,
        channel="app",
    )


@dataclass
class Teller:
    gateway: Gateway
    conversations: dict[str, str] = field(default_factory=dict)
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    async def conversation(self, customer: str) -> str:
        if customer not in self.conversations:
            self.conversations[customer] = await self.gateway.book.open_conversation(customer, utc_now())
        return self.conversations[customer]

    async def ask(
        self,
        function: str,
        arguments: object = None,
        *,
        customer: str = "alice",
        native_id: str | None = None,
        strong: bool = True,
        conversation: str | None = None,
        agent: str = "assistant",
    ) -> Recorded:
        """One call of one request, as a door would make it of the model's item."""
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        native = NativeCall(native_id or f"n{next(self.ids)}", function, raw)
        where = conversation or await self.conversation(customer)
        asked = CallRequest("responses", where, "turn", "a-model", (native,), TRACE)
        who = principal(customer, strong=strong, agent=agent, now=self.gateway.door.clock())
        (recorded,) = await self.gateway.pipeline.take(who, asked)
        return recorded

    async def say(self, *texts: str, customer: str = "alice", origin: str = "typed", conversation: str | None = None) -> None:
        """The customer says this, in one turn, on their own channel."""
        where = conversation or await self.conversation(customer)
        assert (
            await self.gateway.book.store_messages(
                customer, where, [HeardMessage(text, origin) for text in texts], self.gateway.door.clock()
            )
            is not None
        )

    async def accounts(self, currency: str = "GBP", *, customer: str = "alice") -> Sequence[str]:
        """References of the customer's open accounts in a currency."""
        return open_accounts(await self.ask("list_accounts", customer=customer), currency)

    async def transfer(self, value: str, *, native_id: str | None = None, customer: str = "alice") -> Recorded:
        """Between the first two GBP accounts."""
        debit, credit = (await self.accounts(customer=customer))[:2]
        return await self.ask("initiate_transfer", payment(debit, credit, value), native_id=native_id, customer=customer)

    async def granting(self, customer: str, **changes: object) -> Mandate:
        """Put a mandate with these changes in the place of the customer's own."""
        known = await self.gateway.book.facts(customer, "assistant", await self.conversation(customer), utc_now())
        assert known is not None
        assert known.customer.mandate is not None
        changed = replace(known.customer.mandate, version=known.customer.mandate.version + 1, **changes)  # type: ignore[arg-type]
        key = mandate_signer(self.gateway.settings.data)
        await self.gateway.book.grant(changed, changed.sign(key))
        return changed


def output_of(answered: Recorded) -> dict[str, Any]:
    """What a call that was done told, as a model reads it."""
    assert answered.output is not None, answered
    return dict(answered.output)


def open_accounts(listed: Recorded, currency: str = "GBP") -> list[str]:
    """References of the open accounts in a currency, of an answer of `list_accounts`."""
    entries = output_of(listed)["accounts"]
    return [entry["account"] for entry in entries if (entry["currency"], entry["status"]) == (currency, "open")]


def bank_of(gateway: Gateway) -> SandboxBank:
    """The sandbox bank behind this gateway."""
    assert gateway.bank is not None
    return gateway.bank


def payment(debit: str, credit: str, value: str, currency: str = "GBP") -> dict[str, object]:
    return {"from": debit, "to": credit, "amount": {"value": value, "currency": currency}}


@asynccontextmanager
async def teller(folder: Path, **changes: Any) -> AsyncIterator[Teller]:
    """A gateway in development mode in this folder, with these settings changed, over the core that the suite runs over."""
    if OPTIONS.core == "embedded":
        async with _opened(folder, utc_now, **changes) as asked:
            yield asked
    else:
        async with sandbox_bank(folder, utc_now) as (bank, port), over_http(folder, port, bank, **{**PATIENT, **changes}) as asked:
            yield asked


PATIENT: Mapping[str, Any] = {"core_question_ms": 20_000, "core_instruction_ms": 20_000}


@asynccontextmanager
async def sandbox_bank(folder: Path, clock: Clock, *, apart: Path | None = None) -> AsyncIterator[tuple[SandboxBank, int]]:
    """The sandbox bank of a gateway's folder, which verifies its permits, and the port of loopback where it is served. `apart`: where it
    keeps its database, so that whoever has the folder alone has no bank."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = await open_log(places(folder), writer_id="tests", clock=clock)
    trust = folder / "permits.json"
    trust.write_text(trust_of(log))
    await log.close()
    token = credential(folder / "core.token", make=True)
    core = embedded((apart or folder) / "bank.sqlite", clock=clock, permits=permit_verifier(trust))
    assert core.sandbox is not None
    runner, port = await listen(CoreServer(core.bank, credential=token, permits=read_permit), "127.0.0.1", 0)
    try:
        yield core.sandbox, port
    finally:
        await runner.cleanup()
        await core.close()


@asynccontextmanager
async def over_http(folder: Path, port: int, bank: SandboxBank, clock: Clock = utc_now, **changes: Any) -> AsyncIterator[Teller]:
    """A gateway whose core is behind this port. `bank` is the bank that stands there in the end: to look into it."""
    where = {"core_url": f"http://127.0.0.1:{port}", "core_credential_file": folder / "core.token"}
    async with _opened(folder, clock, **where, **changes) as asked:
        asked.gateway.bank = bank
        yield asked


@asynccontextmanager
async def _opened(folder: Path, clock: Clock, **changes: Any) -> AsyncIterator[Teller]:
    settings: Settings = replace(development(folder, database=url(folder)), **changes)
    gateway = await open_gateway(settings, clock=clock)
    try:
        yield Teller(gateway)
    finally:
        await gateway.close()


async def confirmed(gateway: Gateway, confirmation: str, customer: str = "alice") -> None:
    """The customer confirms what they are shown of this, by a passkey."""
    confirming, now = gateway.confirmations, utc_now()
    proposal = await confirming.open(customer, confirmation, now)
    assert proposal is not None
    kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
    evidence = ConfirmationEvidence(by=customer, method=Method.PASSKEY, at=now, kept=kept)
    await confirming.confirm(customer, confirmation, evidence)


def executed_keys(gateway: Gateway) -> list[str]:
    """Keys of the effects that the bank did, by its own journal."""
    with bank_of(gateway)._engine.connect() as connection:
        rows = connection.exec_driver_sql("select key from instruction where outcome = 'done'")
        return [row[0] for row in rows]


async def leaves_of(gateway: Gateway) -> Sequence[StoredLeaf]:
    """Every record of the trail."""
    size, _ = await gateway.log.head()
    return await gateway.log.read(lambda reads: list(reads.leaves(0, size)))


async def what_does_not_hold(gateway: Gateway) -> list[str]:
    """Everything that must hold after whatever happened, once recovery has run; what does not, in words.

    No effect without an intent, none twice, one end state for each intent, the book agrees, the books balance, the trail verifies.
    """
    wrong = [finding.what for finding in await verify_store(gateway.log)]
    wrong += bank_of(gateway).findings()
    leaves = [json.loads(leaf.leaf) for leaf in await leaves_of(gateway)]
    intents = [leaf["call"] for leaf in leaves if leaf["kind"] == "intent"]
    ends: dict[str, list[str]] = {}
    for leaf in leaves:
        if leaf["kind"] in ("outcome", "reconciled"):
            ends.setdefault(leaf["call"], []).append(leaf["end_state"])
    wrong += [f"{call}: {len(ends.get(call, []))} end states" for call in intents if len(ends.get(call, [])) != 1]
    wrong += [f"{call}: an end without an intent" for call in ends if call not in intents]
    by_key = {core_key(call): call for call in intents}
    done = executed_keys(gateway)
    wrong += [f"an effect without an intent: {key}" for key in done if key not in by_key]
    wrong += [f"an effect twice: {key}" for key in set(done) if done.count(key) != 1]
    executed = {call for call, states in ends.items() if states == ["executed"]}
    wrong += [f"{call}: recorded as executed, not done" for call in executed if core_key(call) not in done]
    wrong += [f"{by_key[key]}: done, not recorded" for key in done if key in by_key and by_key[key] not in executed]
    wrong += [f"{row.call_id}: {row.state}" for row in (await gateway.book.unsettled(utc_now().replace(year=2100)))]
    return wrong
