"""What the rules that decided say, in the words of their authors, out of the bundle that was in force then."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache

from audit.log import Log
from audit.store.policies import kept
from policies.bundle import load
from policies.reading import BundleRefused, accept

_BUNDLES_MOST = 8
"""Bundles whose sentences are remembered; to read one takes some 200 ms of processor, in a thread."""


async def sayings(log: Log, digest: str) -> Mapping[str, str]:
    """Of each rule of this bundle, by its id; empty where the bundle is not kept or cannot be read by this version. LogUnavailable."""
    bodies = await log.read(lambda reads: kept(reads.connection, [digest]))
    return {} if digest not in bodies else await asyncio.to_thread(_read, bodies[digest])


@lru_cache(maxsize=_BUNDLES_MOST)
def _read(body: bytes) -> Mapping[str, str]:
    try:
        _, rules = accept(load(body))
    except (ValueError, BundleRefused):
        return {}
    return {rule.id: rule.says for rule in rules}
