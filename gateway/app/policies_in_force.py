"""The signed policy bundle of a gateway that serves customers, read from a folder and believed by the officers' pinned keys alone.

The one place that says where the bundle in force comes from.
"""

import base64
import binascii
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.app.declared import ServedFunctions
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.calls.catalogue import cedar_schema, manifest
from policies.bundle import Bundle, BundleSignature, NotActivated, Role, SignedBundle, activate, load

BUNDLE, SIGNATURES = "bundle.json", "signatures.json"
"""In the folder: the bundle's canonical bytes, and by role who signed with which signature (base64)."""


def bundle_in_force(settings: Settings, offered: ServedFunctions) -> Bundle:
    """The bundle, signed by two officers and made for exactly the functions that are served. UnsafeSettings for any other."""
    if settings.policies is None or settings.policy_officers is None:
        raise UnsafeSettings("policies and policy_officers are set together: the bundle is believed by the officers' keys")
    officers = _officers(settings.policy_officers)
    try:
        bundle = activate(_signed(settings.policies), officers)
    except NotActivated as refused:
        raise _unfit(
            "policies", f"hold a bundle that must not decide: {refused}", "have it signed by two of policy_officers"
        ) from None
    _for_these(bundle, offered)
    return bundle


def _officers(path: Path) -> Mapping[str, Ed25519PublicKey]:
    try:
        said = tomllib.loads(path.read_text())
        return {name: Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True)) for name, key in said.items()}
    except (OSError, ValueError, TypeError, binascii.Error):
        raise _unfit(
            "policy_officers",
            f"name {path.name}, which is no list of officers",
            'give lines NAME = "PUBLIC KEY", 32 bytes in base64',
        ) from None


def _signed(folder: Path) -> SignedBundle:
    try:
        bundle = load((folder / BUNDLE).read_bytes())
        said = json.loads((folder / SIGNATURES).read_bytes())
        signatures = {
            role: BundleSignature(str(said[role]["name"]), role, base64.b64decode(said[role]["value"], validate=True))
            for role in Role
        }
    except (OSError, ValueError, TypeError, KeyError, binascii.Error):
        raise _unfit("policies", f"hold no {BUNDLE} with {SIGNATURES}", "give the folder of a signed bundle") from None
    return SignedBundle(bundle, signatures[Role.AUTHOR], signatures[Role.ACTIVATOR])


def _for_these(bundle: Bundle, offered: ServedFunctions) -> None:
    said = {function.name: function for function in bundle.functions}
    served = {function.name: function for function in manifest(offered.functions)}
    differ = sorted(name for name in said.keys() | served.keys() if said.get(name) != served.get(name))
    if differ or bundle.schema != cedar_schema(offered.functions):
        what = ", ".join(differ[:5]) or "their schema"
        raise _unfit("policies", f"hold a bundle for other functions than are served ({what})", "build and sign one for these")


def _unfit(name: str, problem: str, remedy: str) -> UnsafeSettings:
    return UnsafeSettings(findings=[SettingFinding(name, FindingCode.UNREADABLE, problem, remedy)])
