"""What a request presented, read off the ASGI scope: the one place that decides which header about the outside is believed."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from gateway.domain.principal import Credentials
from gateway.identity.certificate import from_header

CERTIFICATE = "tellergate.client_certificate"
"""Where `doors.tls` puts the certificate (DER) of a connection, in the scope's `extensions`."""


class CredentialReader:
    """`public_url`: our own address as clients see it; the Host header and `X-Forwarded-*` are never looked at. `Client-Cert` is
    taken from `trusted_proxies` alone, and from them the certificate of their own connection is not.
    """

    def __init__(self, public_url: str, trusted_proxies: Sequence[str] = ()) -> None:
        self._base = public_url.rstrip("/")
        self._proxies: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(trusted_proxy) for trusted_proxy in trusted_proxies)

    def of(self, scope: Scope) -> Credentials:
        """Never raises: what is not well formed is presented as it is, and refused by who checks it."""
        authorization: str | None = None
        proofs: tuple[str, ...] = ()
        certificates: tuple[str, ...] = ()
        for name, value in scope["headers"]:
            if name == b"authorization":
                text = value.decode("latin-1")
                authorization = text if authorization is None else f"{authorization}, {text}"
            elif name == b"dpop":
                proofs = (*proofs, value.decode("latin-1"))
            elif name == b"client-cert":
                certificates = (*certificates, value.decode("latin-1"))
        return Credentials(
            authorization,
            proofs,
            scope["method"],
            self._base + (scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            self._certificate(scope, certificates),
        )

    def _certificate(self, scope: Scope, headers: tuple[str, ...]) -> bytes | None:
        if self._proxies and self._is_proxy(scope.get("client")):
            return from_header(headers[0]) if len(headers) == 1 else None
        certificate: bytes | None = scope["extensions"].get(CERTIFICATE) if "extensions" in scope else None
        return certificate

    def _is_proxy(self, client: Sequence[object] | None) -> bool:
        try:
            address = ip_address(str(client[0])) if client else None
        except ValueError:
            return False
        return address is not None and any(address in network for network in self._proxies)
