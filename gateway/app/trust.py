"""Settings become the gateway's identity: whose tokens are taken, how they are bound, who is asked whether they stand."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from adapters.tls import client_tls
from audit.keyring import KeyRing
from gateway.app.key_files import secret_of
from gateway.app.settings import Settings
from gateway.doors.wire import Challenges, protected_resource
from gateway.identity import AccessTokens, Issuer, TokenBinding
from gateway.identity.dpop import DpopRules, Nonces, Proofs, SeenProofs
from gateway.identity.fetching import Fetcher
from gateway.identity.introspection import Introspection
from gateway.identity.jwks import Ages, IssuerKeys, RemoteKeys


@dataclass(frozen=True, slots=True)
class Trust:
    """Identity as the settings have it, and what clients are told of it. `metadata` None: not published. `run` is its chore.

    `has_keys`: whether there are keys of the issuer by which a token can be verified now.
    """

    identity: AccessTokens
    challenges: Challenges
    metadata: bytes | None
    run: Callable[[], Coroutine[object, object, None]]
    close: Callable[[], Awaitable[None]]
    has_keys: Callable[[], bool]


def local_trust(settings: Settings, issuer: Issuer) -> Trust:
    """The identity of an issuer in this process, whose keys are at hand. Its bearer tokens need no proof of possession."""
    challenges = Challenges(acr_values=tuple(sorted(issuer.strong)), max_age_s=settings.strong_session_s)
    identity = AccessTokens(issuer, binding=TokenBinding(settings.binding))
    return Trust(identity, challenges, None, _nothing, _nothing, lambda: True)


def establish(settings: Settings, seen: SeenProofs, nonce_keys: KeyRing, *, loopback_http: bool = False) -> Trust:
    """The identity of the bank's OpenID provider. UnsafeSettings for a secret that others may read; nothing is asked of the issuer yet.
    `loopback_http`: whether it may be on loopback without TLS."""
    fetcher = Fetcher(loopback_http=loopback_http, trust=client_tls(settings.issuer_ca))
    keys = RemoteKeys(
        IssuerKeys(fetcher, settings.issuer, settings.jwks_uri, settings.issuer_metadata),
        Ages(settings.keys_refresh_s, settings.keys_age_s, settings.keys_retry_s),
    )
    issuer = Issuer(
        settings.issuer,
        settings.audience,
        keys,
        frozenset(settings.token_algorithms),
        frozenset(settings.strong_acr),
        settings.clock_skew_s,
        settings.token_lifetime_s,
        settings.segment_claim,
    )
    identity = AccessTokens(
        issuer,
        binding=TokenBinding(settings.binding),
        proofs=_proofs(settings, seen, nonce_keys),
        standing=_standing(settings, fetcher),
    )

    async def close() -> None:
        await keys.close()
        await fetcher.close()

    challenges = _challenges(settings)
    return Trust(identity, challenges, _metadata(settings, challenges), keys.run, close, keys.are_held)


async def _nothing() -> None: ...


def _proofs(settings: Settings, seen: SeenProofs, nonce_keys: KeyRing) -> Proofs:
    nonces = Nonces(nonce_keys, settings.dpop_nonce_s) if settings.dpop_nonce_s else None
    return Proofs(
        DpopRules(
            seen=seen,
            algorithms=frozenset(settings.dpop_algorithms),
            age_s=settings.dpop_proof_s,
            clock_skew_s=settings.clock_skew_s,
            nonces=nonces,
        )
    )


def _standing(settings: Settings, fetcher: Fetcher) -> Introspection | None:
    if settings.introspection_secret_file is None:
        return None
    secret = secret_of(settings.introspection_secret_file)
    return Introspection(fetcher, settings.introspection_endpoint, settings.introspection_client, secret)


def _challenges(settings: Settings) -> Challenges:
    base = settings.public_url.rstrip("/")
    return Challenges(
        bearer=settings.binding != TokenBinding.DPOP,
        dpop_algorithms=settings.dpop_algorithms,
        acr_values=settings.strong_acr,
        max_age_s=settings.strong_session_s,
        metadata=f"{base}/.well-known/oauth-protected-resource" if base else "",
    )


def _metadata(settings: Settings, challenges: Challenges) -> bytes | None:
    if not settings.public_url:
        return None
    certificates = settings.tls_client_ca is not None or bool(settings.trusted_proxies)
    return protected_resource(settings.public_url, settings.issuer, challenges, certificates=certificates)
