"""For whom a run calls: the customer whose token began it, and the assistant as their agent. Kept sealed while the run is under way."""

import os
from dataclasses import asdict, replace

import orjson
from cryptography.exceptions import InvalidTag

from audit.keyring import NONCE_BYTES, KeyRing
from gateway.domain.principal import Principal


def acting(principal: Principal, assistant: str) -> Principal:
    """In a run the model acts, never the customer: without an agent in the token, the assistant is the agent."""
    return replace(principal, agent=principal.agent or assistant, authorization_details=None)


def going_on(began: Principal, principal: Principal) -> Principal | None:
    """Who a run that `began` so goes on for, with the token of `principal`. Its actor is fixed when it begins: None for another client,
    or for a token in which another agent acts.
    """
    if principal.client != began.client or principal.agent not in (None, began.agent):
        return None
    return replace(principal, agent=began.agent, authorization_details=None)


class PrincipalSeal:
    """AES-256-GCM over the principal and its token, for one run. The token is needed to ask its issuer whether it still stands."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, principal: Principal, run: str) -> bytes:
        plain = {**asdict(principal), "scopes": sorted(principal.scopes)}
        return self._keys.seal(os.urandom(NONCE_BYTES), orjson.dumps(plain), run.encode())

    def open(self, sealed: bytes, run: str) -> Principal:
        """ValueError: not sealed by us, or for another run."""
        try:
            plain = self._keys.unseal(sealed, run.encode())
        except InvalidTag:
            raise ValueError("not what was sealed for this run") from None
        kept = orjson.loads(plain)
        return Principal(**{**kept, "scopes": frozenset(kept["scopes"])})
