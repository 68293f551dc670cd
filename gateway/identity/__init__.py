"""What was presented becomes a Principal: access tokens (RFC 9068), what binds them (RFC 9449, 8705), whether they stand (RFC 7662).

Owns the trust in the bank's OpenID provider. Must never let absence mean more: what cannot be checked is refused.
"""

from gateway.identity.tokens import ACR_STRONG, AccessTokens, Issuer, TokenBinding

__all__ = ["ACR_STRONG", "AccessTokens", "Issuer", "TokenBinding"]
