"""Which functions are served: those of this distribution, those of a manifest, or both. Chosen here alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.declared.declarations import Manifest
from adapters.declared.manifest import flaws_of, read
from adapters.declared.mcp_draft import drafted_tools
from adapters.declared.served import functions_of
from adapters.declared.source import MAX_BYTES, ManifestFinding
from adapters.declared.upstream import NotSent, Upstream
from adapters.function import BankingFunction, Effect
from adapters.functions import MANIFEST
from adapters.tls import tls_for
from gateway.app.key_files import secret_of
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.tools import FUNCTIONS, TOOLS
from gateway.domain.linear_regex import is_whole


@dataclass(frozen=True, slots=True)
class ServedFunctions:
    """What a model may call, with the tools of ours, served or not: policies speak of all. `manifest` and `upstream` are of
    the declared functions, None where there are none."""

    functions: tuple[BankingFunction, ...] = FUNCTIONS
    manifest: Manifest | None = None
    upstream: Upstream | None = None

    @property
    def customers(self) -> Sequence[str]:
        """The made-up customers of development mode that the manifest names."""
        return () if self.manifest is None else self.manifest.development_customers


def served(settings: Settings) -> ServedFunctions:
    """The functions of these settings. UnsafeSettings for a manifest that must not be served."""
    if settings.functions is None:
        if settings.functions_credential_file is not None:
            raise UnsafeSettings("functions_credential_file needs functions")
        return ServedFunctions()
    manifest = checked(settings.functions)
    if settings.database and any(function.effect is not Effect.READ for function in manifest.functions):
        raise UnsafeSettings(
            "declared functions with effects keep their journal in the data folder: they are served by one process, without `database`"
        )
    secret_file = settings.functions_credential_file
    if (secret_file is None) == manifest.upstream.needs_credential:
        raise UnsafeSettings("functions_credential_file is set if and only if the manifest says `credential: bearer`")
    try:
        upstream = _upstream_of(manifest, None if secret_file is None else secret_of(secret_file))
    except ValueError as error:
        raise UnsafeSettings(f"functions_credential_file: {error}") from None
    return ServedFunctions(all_functions(manifest, upstream), manifest, upstream)


def _upstream_of(manifest: Manifest, credential: str | None) -> Upstream:
    """Its server, asked by plain HTTP or by the Model Context Protocol. ValueError for a credential that is none."""
    tls = tls_for(manifest.upstream.url)
    if not manifest.upstream.is_mcp:
        return Upstream(manifest.upstream, credential=credential, tls=tls)
    try:
        from adapters.declared.mcp_upstream import McpUpstream
    except ImportError:
        raise UnsafeSettings("functions of a manifest with `protocol: mcp` need the extra `mcp`") from None
    return McpUpstream(manifest.upstream, manifest.pins, credential=credential, tls=tls)


async def tools_of(url: str, credential: str | None) -> list[Mapping[str, object]]:
    """The definitions that an MCP server lists. UnsafeSettings for an address that no manifest may have, or where the extra `mcp` is
    missing; ConnectionError where no list is had."""
    flaws = flaws_of(url)
    if flaws:
        raise UnsafeSettings(f"the URL {flaws[0]}")
    try:
        from adapters.declared.mcp_upstream import list_tools
    except ImportError:
        raise UnsafeSettings("to ask an MCP server needs the extra `mcp`") from None
    try:
        return await list_tools(url, credential=credential, tls=tls_for(url))
    except NotSent as error:
        raise ConnectionError(f"the server's tools cannot be read: {error}") from None


def tools_draft(url: str, tools: Sequence[Mapping[str, object]]) -> str:
    """A draft of a manifest over these definitions. NotTools."""
    return drafted_tools(url, tools, taken=frozenset(item.name for item in FUNCTIONS))


def all_functions(manifest: Manifest, upstream: Upstream) -> tuple[BankingFunction, ...]:
    """The declared functions, those of this distribution where the manifest keeps them, and the tools of ours, sorted by name."""
    declared = functions_of(manifest, upstream)
    return tuple(sorted((*declared, *(MANIFEST if manifest.builtin else ()), *TOOLS), key=lambda item: item.name))


def function_names(manifest_file: Path | None) -> frozenset[str]:
    """The names of the functions that are served with this manifest, None for none. UnsafeSettings for one that must not be served."""
    tools, builtin = frozenset(item.name for item in TOOLS), frozenset(item.name for item in MANIFEST)
    if manifest_file is None:
        return builtin | tools
    manifest = checked(manifest_file)
    return frozenset(item.name for item in manifest.functions) | (builtin if manifest.builtin else frozenset()) | tools


def examined(path: Path) -> tuple[Manifest | None, list[ManifestFinding]]:
    """A manifest and what was found in it; None as soon as one finding is more than a note. OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    return read(content, taken=frozenset(item.name for item in FUNCTIONS), takes_pattern=_is_regex)


def checked(path: Path) -> Manifest:
    """A manifest that may be served. UnsafeSettings with the first thing that is wrong."""
    manifest, findings = examined(path)
    if manifest is None:
        first = next(finding for finding in findings if not finding.note)
        more = sum(not finding.note for finding in findings) - 1
        rest = f" (and {more} more)" if more else ""
        raise UnsafeSettings(
            f"{path.name}:{first.line}: {first.where or 'the manifest'} {first.message}{rest}; see functions check"
        )
    return manifest


def _is_regex(expression: str) -> bool:
    try:
        is_whole(expression, "")
    except ValueError:
        return False
    return True
