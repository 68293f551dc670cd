"""The policies that a call is decided by: one bundle's engine and the name under which records say so, never apart. Pure."""

from dataclasses import dataclass

from policies.engine import Engine


@dataclass(frozen=True, slots=True)
class BundleName:
    """Which bundle: SHA-256 of its canonical bytes, in hexadecimal, and its version, for people."""

    hash: str
    version: str


@dataclass(frozen=True, slots=True)
class PoliciesInForce:
    """What decides, and what it is called. Replaced as a whole: a call keeps those that it was decided by to its record."""

    engine: Engine
    bundle: BundleName
