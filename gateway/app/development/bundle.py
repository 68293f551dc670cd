"""The policy bundle of development mode: the one of this distribution, signed at the start with keys that are made up."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.bundle import Bundle, Role, SignedBundle, activate, sign


def activated(bundle: Bundle) -> Bundle:
    """The shipped bundle, signed by two officers whose keys are made up: in development mode nobody else could sign."""
    officers = {name: Ed25519PrivateKey.generate() for name in (bundle.author, "development")}
    signed = SignedBundle(
        bundle,
        sign(bundle, Role.AUTHOR, bundle.author, officers[bundle.author]),
        sign(bundle, Role.ACTIVATOR, "development", officers["development"]),
    )
    return activate(signed, {name: key.public_key() for name, key in officers.items()})
