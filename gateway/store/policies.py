"""Activations of policy bundles in the gateway's database. What stands here is believed only with the signatures of pinned officers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, literal_column, select

from audit.store.prepared import Prepared
from gateway.store import epochs
from gateway.store.items import Item
from gateway.store.tables import POLICY_ACTIVATIONS
from gateway.store.times import from_us, to_us
from policies.bundle import BundleSignature, Role, SignedBundle, load

_A = POLICY_ACTIVATIONS.c
_EPOCH = "policy"
_NEWEST = Prepared(select(_A.version, _A.bundle).order_by(_A.version.desc()).limit(literal_column("1")))


class NotNewer(Exception):
    """The bundle's version is not greater than that of every earlier activation. `newest` is the greatest."""

    def __init__(self, newest: int) -> None:
        super().__init__(f"version {newest} was activated already; a new activation has a greater version")
        self.newest = newest


@dataclass(frozen=True, slots=True)
class Activated:
    """Which activation: its version, and the hash of its bundle."""

    version: int
    bundle: str


NOTHING = Activated(0, "")


@dataclass(frozen=True, slots=True)
class PolicyActivation:
    """A row as it stands: nothing of it is verified. `bundle` is the hash under which it was activated."""

    version: int
    bundle: str
    body: bytes
    author: BundleSignature
    activator: BundleSignature
    activated: datetime

    def signed(self) -> SignedBundle:
        """What its officers signed, to be verified. ValueError where the row does not hold a bundle of its own hash and version."""
        bundle = load(self.body)
        if (bundle.hash, bundle.version) != (self.bundle, self.version):
            raise ValueError("the row names another bundle than it holds")
        return SignedBundle(bundle, self.author, self.activator)


@dataclass(frozen=True, slots=True)
class Activate(Item[int]):
    """Put a verified bundle in force. Answered with its version; NotNewer. Activations come one after the other, in every process."""

    signed: SignedBundle
    at: datetime

    def apply(self, connection: Connection) -> int | NotNewer:
        epochs.lock(connection, _EPOCH)
        bundle, author, activator = self.signed.bundle, self.signed.author, self.signed.activator
        if bundle.version <= (before := newest(connection)).version:
            return NotNewer(before.version)
        row = {
            "version": bundle.version,
            "bundle": bundle.hash,
            "body": bundle.canonical(),
            "author": author.name,
            "author_signature": author.value,
            "activator": activator.name,
            "activator_signature": activator.value,
            "activated_us": to_us(self.at),
        }
        connection.execute(insert(POLICY_ACTIVATIONS), [row])
        return bundle.version


def newest(connection: Connection) -> Activated:
    """What is in force; NOTHING where nothing was ever activated. One row of an index: asked every second by every process."""
    return next((Activated(version, bundle) for version, bundle in _NEWEST.rows(connection, {})), NOTHING)


def newest_activation(connection: Connection) -> PolicyActivation | None:
    """The row of what is in force; None where nothing was ever activated."""
    return activation(connection, newest(connection).version)


def activation(connection: Connection, version: int) -> PolicyActivation | None:
    """The activation of this version; None: there is none."""
    row = connection.execute(select(POLICY_ACTIVATIONS).where(_A.version == version)).one_or_none()
    return None if row is None else _activation(row)


def activations(connection: Connection) -> Sequence[PolicyActivation]:
    """All of them, the newest first."""
    return [_activation(row) for row in connection.execute(select(POLICY_ACTIVATIONS).order_by(_A.version.desc()))]


def _activation(row: Any) -> PolicyActivation:
    return PolicyActivation(
        version=row.version,
        bundle=row.bundle,
        body=bytes(row.body),
        author=BundleSignature(row.author, Role.AUTHOR, bytes(row.author_signature)),
        activator=BundleSignature(row.activator, Role.ACTIVATOR, bytes(row.activator_signature)),
        activated=from_us(row.activated_us),
    )
