"""The bundles of rules that were activated, by their hash, as they were: what an export ships is what decided."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from audit.store.tables import policy_bundles


def keep(connection: Connection, digest: str, body: bytes) -> None:
    """Keep a bundle, once."""
    if connection.execute(select(policy_bundles.c.hash).where(policy_bundles.c.hash == digest)).first() is None:
        connection.execute(insert(policy_bundles).values(hash=digest, body=body))


def kept(connection: Connection, digests: Iterable[str]) -> dict[str, bytes]:
    """Those of these hashes that are kept."""
    wanted = select(policy_bundles.c.hash, policy_bundles.c.body).where(policy_bundles.c.hash.in_(list(digests)))
    return {row.hash: row.body for row in connection.execute(wanted)}
