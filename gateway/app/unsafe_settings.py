"""Why the gateway refuses to start: findings about settings, all of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FindingCode(StrEnum):
    """What kind of fault a finding is. Stable: programs may go by it."""

    MISSING = "missing"
    """A setting without a default, or a file or an extra that another setting needs, is not there."""
    NOT_A_SETTING = "not_a_setting"
    """A name that no setting has."""
    WRONG_TYPE = "wrong_type"
    """A value of another type than the setting's."""
    MALFORMED = "malformed"
    """A value that is not in the setting's form, or none of its choices."""
    OUT_OF_RANGE = "out_of_range"
    """A number below the least or above the most."""
    CONFLICT = "conflict"
    """Two settings that do not go together."""
    DEVELOPMENT_ONLY = "development_only"
    """A convenience of development mode that must not meet customers."""
    IN_CLEAR = "in_clear"
    """What would cross a network without TLS."""
    OPEN_TO_OTHERS = "open_to_others"
    """A file or folder that others on this host may read or write, or that somebody else owns."""
    UNREADABLE = "unreadable"
    """A file that cannot be read, or does not hold what it must."""
    CERTIFICATE = "certificate"
    """A certificate that has run out, is not valid yet or does not belong to its key."""
    KEY_MISSING = "key_missing"
    """A data folder without one of its key files."""
    EXTRA_MISSING = "extra_missing"
    """An optional part of the distribution that is needed and not installed."""
    TOO_FEW = "too_few"
    """A limit of the operating system that is too low to serve."""
    UNAVAILABLE = "unavailable"
    """A database, or the token of the keys, that does not answer."""
    NO_SANDBOX = "no_sandbox"
    """A host, container or unit where no program can be put into a jail."""
    NOT_UPGRADED = "not_upgraded"
    """A database that was not made yet, or is of another version."""
    COMMITS_ALONE = "commits_alone"
    """A database server that acknowledges a commit before a standby has it."""
    BOOK_BEHIND_LOG = "book_behind_log"
    """The gateway's database is older than the log: it was restored from a backup, and has forgotten what happened since."""
    LOG_BEHIND_BOOK = "log_behind_book"
    """The log is older than the gateway's database: it was restored from a backup, or cut."""
    ANOTHER_LOG = "another_log"
    """The log is not the one that the gateway's database knows."""
    LOG_BEHIND_KEYS = "log_behind_keys"
    """The log, and the gateway's database with it, are older than the key store: they were restored from a backup, or cut."""
    LOG_BEHIND_WITNESS = "log_behind_witness"
    """The log is older than what a witness cosigned of it, or another one: it was restored from a backup, or cut."""
    KEYS_BEHIND_LOG = "keys_behind_log"
    """The key store is older than the log: it was restored from a backup, and may hold keys that were destroyed."""
    NOT_ACTIVE = "not_active"
    """No policy bundle is active, or the active one must not decide here."""


@dataclass(frozen=True, slots=True)
class SettingFinding:
    """One fault. `setting` is its name; `process` where the operating system's limits are meant, `policies` for what was activated."""

    setting: str
    code: FindingCode
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}; {self.remedy}"


class UnsafeSettings(Exception):
    """The gateway refuses to start. The message says which setting, and what to do; `findings` are the same in parts, where there are."""

    def __init__(self, message: str = "", findings: Sequence[SettingFinding] = ()) -> None:
        super().__init__("\n  ".join(map(str, findings)) if findings else message)
        self.findings = tuple(findings)
