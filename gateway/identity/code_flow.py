"""Authlib's part of the authorization code flow (RFC 6749 section 4.1, RFC 7636), typed. It speaks to nobody: `fetching` does."""

from collections.abc import Mapping

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response, prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge


def authorization_url(endpoint: str, client: str, redirect_uri: str, asked: Mapping[str, str]) -> str:
    """Where a browser is sent to sign in. `asked`: what is said beside, such as `state` and `nonce`."""
    return str(prepare_grant_uri(endpoint, client_id=client, response_type="code", redirect_uri=redirect_uri, **asked))


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return str(create_s256_code_challenge(verifier))  # type: ignore[no-untyped-call]  # the stubs say nothing of it


def code_of(url: str, state: str) -> str | None:
    """The code that a browser brought back to this address; None where there is none, or of another `state`."""
    try:
        return str(parse_authorization_code_response(url, state=state)["code"])
    except OAuth2Error:
        return None
