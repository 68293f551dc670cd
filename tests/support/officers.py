"""Officers of a bank who sign policy bundles: who they are, their pinned file, and activations that they stand for."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.log import Log
from audit.policies import activate
from gateway.app.bundle import read_bundle
from gateway.app.gateway import Gateway
from gateway.store.policies import Activate
from policies.bundle import Bundle, Role, RuleFile, SignedBundle, sign
from policies.officers import Officer, officer_entry
from policies.review.acceptance import Complaint, complaints

KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.ljust(32).encode()) for name in ("ada", "ben", "cem", "dot", "eve")}
ROLES = {
    "ada": {Role.AUTHOR},
    "ben": {Role.ACTIVATOR},
    "cem": {Role.AUTHOR, Role.ACTIVATOR},
    "dot": {Role.AUTHOR, Role.ACTIVATOR},
    "eve": set(),
}
STAFF = {"ada": {"officer"}, "ben": {"officer", "operator"}, "cem": {"auditor"}, "eve": {"auditor"}}
PINNED = {name: Officer(name, frozenset(ROLES[name]), KEYS[name].public_key(), frozenset(STAFF[name])) for name in STAFF}
"""`dot` is an officer no longer: her key and signatures are good, and nobody pins her."""


def pinned(folder: Path, *names: str) -> Path:
    """The file of these officers; of all who are pinned, where none is named."""
    path = folder / "officers.toml"
    path.write_text("\n".join(officer_entry(PINNED[name]) for name in names or PINNED))
    path.chmod(0o600)
    return path


def key_file(folder: Path, name: str) -> Path:
    """The private key of this officer, as commands take it."""
    path = folder / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(KEYS[name].private_bytes_raw())
    return path


def signed(bundle: Bundle, activator: str = "ben") -> SignedBundle:
    """The bundle, signed by its author and by this activator."""
    author = bundle.author
    return SignedBundle(
        bundle,
        sign(bundle, Role.AUTHOR, author, KEYS[author]),
        sign(bundle, Role.ACTIVATOR, activator, KEYS[activator]),
    )


def a_bundle(version: int, *rules: str, author: str = "ada") -> Bundle:
    """The rules of this distribution, with these beside them."""
    shipped = read_bundle()
    further = (RuleFile(f"further-{number}.cedar", rule) for number, rule in enumerate(rules))
    return replace(shipped, version=version, author=author, rules=(*shipped.rules, *further))


def kept_back(data_class: str) -> str:
    """A rule by which this data class leaves in no answer."""
    says = f'@id("kept.{data_class}") @reason("forbidden") @says("Kept back.")'
    return f'{says} forbid (principal, action == Action::"reveal", resource) when {{ resource == DataClass::"{data_class}" }};'


@cache
def _complaints(bundle: Bundle) -> tuple[Complaint, ...]:
    return complaints(bundle)


def remembered_complaints(bundle: Bundle) -> tuple[Complaint, ...]:
    """What is wrong with a bundle, looked for once: neither its version nor its author changes what its cases come to."""
    return _complaints(replace(bundle, version=1, author=""))


async def put_in_force(gateway: Gateway, bundle: Bundle, activator: str = "ben") -> None:
    """As `policy activate` does once it has looked at everything; each gateway takes it over by its own watch."""
    await activated(gateway.log, bundle, activator)


async def activated(log: Log, bundle: Bundle, activator: str = "ben") -> None:
    """The same on a log whose transactions the gateway's store shares."""
    signing = signed(bundle, activator)
    names = {"author": signing.author.name, "activator": signing.activator.name}
    await activate(log, bundle.canonical(), version=str(bundle.version), change=Activate(signing, log.now()), **names)
