"""What is asked to know whether this gateway can serve: each dependency by its cheapest question, none about a customer.

Readiness is a router's question about this process. What every process shares, and a kill switch does not need, is told and takes none
of them out: else a core that is down would take the kill switches with it.
"""

import asyncio
from urllib.parse import urlsplit

from sqlalchemy import select

from gateway.app.gateway import Gateway
from gateway.app.settings import PKCS11
from gateway.oversight.health import Check, Readiness

_NOBODY = "tellergate.readiness"
"""A customer and a product that nobody has."""


def readiness_of(gateway: Gateway) -> Readiness:
    """The checks of a running gateway. The model's is whether its address takes connections: a question would cost tokens."""

    async def store() -> None:
        await gateway.book.read(lambda connection: connection.execute(select(1)).scalar_one())

    async def issuer_keys() -> None:
        if not gateway.trust.has_keys():
            raise ConnectionError("no keys of the issuer are held, or they are too old")

    async def core() -> None:
        await gateway.core.product(_NOBODY)

    async def keys() -> None:
        await gateway.log.subject_of(_NOBODY)

    async def policies() -> None:
        if gateway.policies.refused is not None:
            raise LookupError("the newest activation must not decide here")

    needed = {"store": store, "log": gateway.log.head, "issuer_keys": issuer_keys}
    shared: dict[str, Check] = {"core": core, "keys": keys, "policies": policies}
    if gateway.settings.key_storage == PKCS11:
        shared["key_storage"] = gateway.keys.storage.answers
    if url := gateway.settings.model_url:
        shared["model"] = lambda: _connected(url)
    return Readiness(needed, shared)


async def _connected(url: str) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port)
    writer.close()
