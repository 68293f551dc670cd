"""The least that anybody would write in the place of a gateway: one FastAPI route that verifies a JWT (joserfc), asks a policy (cedarpy,
parsed once), asks the bank for a balance (aiohttp), and has a signed line on the disk before it answers. For benchmarks.

It has no conversation, references, mandate, ownership by the bank, limits, kill switches, redaction, idempotency, hash tree or recovery.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import cedarpy
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import BaseModel

from adapters.cores.remote import wire

ISSUER, AUDIENCE = "https://issuer.example", "https://floor.example"
POLICY = 'permit(principal is Customer, action == Action::"balance", resource is Account) when { resource.owner == principal };'


class Balance(BaseModel):
    account: str


def floor_app(bank_url: str, credential: str, issuer: ECKey, records: Path) -> FastAPI:
    """The floor itself."""
    rules, key = cedarpy.PolicySet.from_str(POLICY), Ed25519PrivateKey.generate()
    claims = jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE})
    waiting: asyncio.Queue[tuple[bytes, asyncio.Future[None]]] = asyncio.Queue()
    session: aiohttp.ClientSession

    async def write() -> None:
        """What waits becomes lines, each signed, and one fsync."""
        with records.open("ab", buffering=0) as file:
            while True:
                group = [await waiting.get()]
                while not waiting.empty():
                    group.append(waiting.get_nowait())
                signed = [record + b" " + base64.b64encode(key.sign(record)) + b"\n" for record, _ in group]
                file.write(b"".join(signed))
                await asyncio.to_thread(os.fsync, file.fileno())
                for _, written in group:
                    written.set_result(None)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal session
        session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {credential}", "Content-Type": "application/json"})
        writing = asyncio.create_task(write())
        yield
        writing.cancel()
        await session.close()

    app = FastAPI(lifespan=life, telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False})

    @app.post("/balance")
    async def balance(wanted: Balance, authorization: str = Header()) -> dict[str, Any]:
        token = jwt.decode(authorization.removeprefix("Bearer "), issuer, algorithms=["ES256"])
        claims.validate(token.claims)
        customer = {"type": "Customer", "id": token.claims["sub"]}
        owned = [{"uid": {"type": "Account", "id": wanted.account}, "attrs": {"owner": {"__entity": customer}}, "parents": []}]
        request = {
            "principal": f'Customer::"{customer["id"]}"',
            "action": 'Action::"balance"',
            "resource": f'Account::"{wanted.account}"',
        }
        if not cedarpy.is_authorized({**request, "context": {}}, rules, owned).allowed:
            raise HTTPException(403)
        body, number = json.dumps({"account": wanted.account, "balance_type": "ITAV"}), os.urandom(16).hex()
        async with session.post(f"{bank_url}/v1/balance", data=body, headers={wire.REQUEST: number}) as answer:
            answer.raise_for_status()
            found = (await answer.json())["answer"]
        record = json.dumps({"at": time.time(), "customer": customer["id"], "account": wanted.account, "done": "balance"}).encode()
        written = asyncio.get_running_loop().create_future()
        waiting.put_nowait((record, written))
        await written
        return {"amount": found["amount"], "as_of": found["as_of"]}

    return app
