"""Whose key acts in a command: a pinned officer's, with the roles of their entry. A name is never believed."""

import argparse
import asyncio
import base64
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.keyring import KeyRefused
from audit.leaf import Plain
from audit.log import LogUnavailable
from audit.migration import HistoryUnknown
from audit.query import Why
from audit.store.reads import LogCorrupt
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations, is_trail, open_log
from gateway.app.key_files import refuse_others
from gateway.app.policies import pinned_officers
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.record import Records
from gateway.commands.locations import locations, named_file
from gateway.domain.duties import Duty, StaffRole
from gateway.domain.errors import RequestFault
from gateway.domain.staff import ProvedBy, StaffMember, require_duty
from gateway.domain.statements import StaffStatement, signed_bytes
from gateway.oversight.refused_acts import RefusedActs

KEY_BYTES = 32
WAIT_MS = 5_000
MADE_UP = Path("dev") / "officers.toml"
"""Development mode's officers, below its folder: where no file of officers is named."""


@dataclass(frozen=True, slots=True)
class ActingOfficer:
    """A person whose key is pinned."""

    member: StaffMember
    key: Ed25519PrivateKey = field(repr=False)

    def states(self, duty: Duty, subject: Mapping[str, object], at: datetime) -> Mapping[str, str]:
        """What stands on record of an act: the statement, its signature (base64), and SHA-256 of the public key that verifies it."""
        text = StaffStatement(duty, subject, self.member.subject, at, secrets.token_hex(16)).text()
        signature = self.key.sign(signed_bytes(text))
        public = self.key.public_key().public_bytes_raw()
        return {
            "statement": text,
            "signature": base64.b64encode(signature).decode(),
            "officer_key_sha256": sha256(public).hexdigest(),
        }

    def require(self, options: argparse.Namespace, duty: Duty) -> None:
        """RequestFault unless the table of duties lets them do this; then the attempt is on record."""
        try:
            require_duty(self.member, duty, utc_now(), 0)
        except RequestFault as refused:
            self.refused(options, duty, refused)
            raise

    def refused(self, options: argparse.Namespace, duty: Duty, refused: RequestFault) -> None:
        """Put on record what they tried and may not do, where there is a trail that answers. In a thread, since some commands are on a loop
        when they find out, and have it to themselves."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _refused(locations(options), self.member, duty, refused)).result()

    def asks(self, duty: Duty, purpose: str, case: str) -> Why:
        """Who asks the trail, what for and under which case: the record of each question holds its facts signed. ValueError."""

        def signs(facts: Mapping[str, Plain]) -> Mapping[str, Plain]:
            return {"via": self.member.proved_by.value, **self.states(duty, facts, utc_now())}

        return Why(auditor=self.member.subject, purpose=purpose, case_id=case, signs=signs)


def acting_officer(options: argparse.Namespace, duty: Duty) -> ActingOfficer:
    """Whose key `--officer-key` is, if they may do this. UnsafeSettings: nobody's, or a file that others may read or change; RequestFault:
    of somebody who may not."""
    key = signing_key(options.officer_key)
    named, made_up = named_file(options, "policy_officers"), options.data / MADE_UP
    officers = pinned_officers(named or (made_up if made_up.is_file() else None))
    public = key.public_key().public_bytes_raw()
    found = next((officer for officer in officers.values() if officer.key.public_bytes_raw() == public), None)
    if found is None:
        raise UnsafeSettings(f"{options.officer_key.name} is not the key of an officer in policy_officers")
    now = utc_now()
    member = StaffMember(found.name, frozenset(map(StaffRole, found.staff)), True, int(now.timestamp()), ProvedBy.KEY)
    acting = ActingOfficer(member, key)
    acting.require(options, duty)
    return acting


async def _refused(places: DatabaseLocations, member: StaffMember, duty: Duty, refused: RequestFault) -> None:
    try:
        if not await is_trail(places):
            return
        log = await open_log(places, writer_id="command", clock=utc_now, may_upgrade=False)
        try:
            await RefusedActs(Records(log, {}, WAIT_MS), utc_now).record(member, duty, refused)
        finally:
            await log.close()
    except (LogUnavailable, LogCorrupt, KeyRefused, HistoryUnknown, SQLAlchemyError, DatabaseUnavailable, OSError):
        return  # it is refused all the same


def signing_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key, PEM (PKCS #8) or its 32 bytes. UnsafeSettings, without a word of it, for anything else."""
    if not path.is_file():
        raise UnsafeSettings(f"{path} is no file that is there; name an officer's private key")
    refuse_others(path)
    content = path.read_bytes()
    try:
        key = Ed25519PrivateKey.from_private_bytes(content) if len(content) == KEY_BYTES else load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnsafeSettings(f"{path.name} must hold an Ed25519 private key: PEM without a password, or {KEY_BYTES} bytes")
    return key
