"""What is wrong with the settings of the doors for agents by themselves."""

from collections.abc import Iterator

from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding


def door_findings(settings: Settings, *, is_for_customers: bool) -> Iterator[SettingFinding]:
    """Clients of the Model Context Protocol ask the issuer for a token for the resource that the metadata names (RFC 8707, RFC 9728). With
    another audience each of them would be refused, or an issuer that ignores the resource would be taken for one that does not."""
    differ = settings.audience != settings.public_url  # exactly: `aud` is compared so, and clients ask for what the metadata says
    if settings.mcp and settings.public_url and settings.audience and differ and is_for_customers:
        remedy = (
            "set it to public_url, and have the issuer write it into `aud`: clients ask for tokens for that resource (RFC 8707)"
        )
        yield SettingFinding("audience", FindingCode.CONFLICT, "is not public_url, and mcp is on", remedy)
