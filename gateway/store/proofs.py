"""DPoP proofs that were taken, for all workers: each is inserted once, whoever comes second finds it there.

Statements over one connection, of SQLite and PostgreSQL alike. A row is kept until its proof is too old to be taken anyway.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, text

from audit.store.prepared import Prepared
from gateway.store.items import Item
from gateway.store.tables import PROOFS

SLACK_S = 120
"""How long a row outlives its proof, for workers whose clocks differ."""

# `on conflict do nothing` is the same words in both dialects; one statement, so that two workers cannot both be first
_INSERT = Prepared(
    text("insert into proofs (jti_hash, thumbprint, expires_s) values (:jti_hash, :thumbprint, :expires_s) on conflict do nothing")
)
_EXPIRED = delete(PROOFS).where(PROOFS.c.expires_s < bindparam("before_s"))


@dataclass(frozen=True, slots=True)
class StoreProof(Item[bool]):
    """A proof that is about to be taken. `jti_hash`: SHA-256 of its id; `thumbprint`: of the key that made it."""

    jti_hash: bytes
    thumbprint: str
    expires_s: int

    def apply(self, connection: Connection) -> bool:
        """Whether the row was not there before; it is now."""
        row = {"jti_hash": self.jti_hash, "thumbprint": self.thumbprint, "expires_s": self.expires_s}
        return _INSERT.one(connection, row) == 1


@dataclass(frozen=True, slots=True)
class ForgetProofs(Item[int]):
    """Forget what expired before `now_s`."""

    now_s: int

    def apply(self, connection: Connection) -> int:
        """Delete what is expired; how many rows that were."""
        return connection.execute(_EXPIRED, {"before_s": self.now_s - SLACK_S}).rowcount
