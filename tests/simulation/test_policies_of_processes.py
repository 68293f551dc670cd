"""Four gateways in processes of their own on one PostgreSQL: each takes a newer activation over by itself, and a later one back again."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from audit.policies import activate
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations, open_log
from gateway.store.policies import Activate
from policies.bundle import Bundle
from tests.support.databases import postgresql
from tests.support.officers import a_bundle, kept_back, pinned, signed
from tests.support.processes import started
from tests.support.waiting import WAITS_S

PROCESSES = 4


async def put_in_force(data: Path, database: str, bundle: Bundle) -> None:
    """As `policy activate` does in a process that is no gateway."""
    log = await open_log(DatabaseLocations(data, database), writer_id="command", clock=utc_now, may_upgrade=False)
    log.transactions.share(lambda connection, items: [item.apply(connection) for item in items])
    change = Activate(signed(bundle), utc_now())
    names = {"author": bundle.author, "activator": "ben"}
    await activate(log, bundle.canonical(), version=str(bundle.version), change=change, **names)
    await log.close()


async def all_serve(urls: list[str], bundle: Bundle) -> None:
    """Until every process says so; an AssertionError after `WAITS_S`."""
    deadline = asyncio.get_running_loop().time() + WAITS_S
    async with httpx.AsyncClient() as http:
        while True:
            told = [(await http.get(f"{url}/readyz")).json() for url in urls]
            if [item["policies"]["bundle"] for item in told] == [bundle.hash] * len(urls):
                assert {item["checks"]["policies"] for item in told} == {"ok"}
                return
            assert asyncio.get_running_loop().time() < deadline, told
            await asyncio.sleep(0.1)


async def test_four_processes_take_an_activation_over_and_a_rollback_too(tmp_path: Path) -> None:
    data, token = tmp_path / "data", tmp_path / "core.token"
    database = postgresql(data)
    settings = tmp_path / "settings.toml"
    settings.write_text(f'policy_officers = "{pinned(tmp_path)}"\n')
    own = a_bundle(1, kept_back("identifiers"))
    back = a_bundle(2)
    with ExitStack() as stack:
        bank = (
            "sandbox-bank",
            "--data",
            str(tmp_path / "bank"),
            "--port",
            "0",
            "--credential-file",
            str(token),
            "--trust-credential",
        )
        _, said = stack.enter_context(started(*bank, "--json"))
        where = ("--data", str(data), "--database", database, "--core-url", said["url"], "--core-credential-file", str(token))
        serve = ("serve", "--dev", "--config", str(settings), *where, "--port", "0", "--json")
        told: list[Any] = [stack.enter_context(started(*serve))[1] for _ in range(PROCESSES)]
        urls = [str(item["url"]) for item in told]
        for bundle in (own, back):
            await put_in_force(data, database, bundle)
            await all_serve(urls, bundle)
