"""Nothing begins on a gateway's database and a log of two moments: a restored half has forgotten what the other half knows."""

from audit.apart import Apart, apart
from audit.database import Database
from audit.log import Log
from audit.migration import HistoryUnknown
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.store.log_position import Aligned, Alignment, aligned, watch

_PROBLEMS = {
    Alignment.BOOK_BEHIND_LOG: "is older than its log ({book} of {log} records): it was restored from a backup, and payments, revocations "
    "and kill switches since then are unknown to it",
    Alignment.LOG_BEHIND_BOOK: "is newer than its log ({book} records are known, and the log has {log}): the log was restored from a "
    "backup, or cut",
    Alignment.ANOTHER_LOG: "knows another log than the one that stands beside it, of the same {log} records",
}
_REMEDIES = {
    Alignment.BOOK_BEHIND_LOG: "stop every gateway and run `tellergate database recover` (RUNBOOK.md, book_behind_log)",
    Alignment.LOG_BEHIND_BOOK: "stop every gateway and restore the newest copy of the log (RUNBOOK.md, log_behind_book)",
    Alignment.ANOTHER_LOG: "keep everything, and call security (RUNBOOK.md, another_log)",
}
_KEYS_APART = {
    Apart.LOG_BEHIND_KEYS: SettingFinding(
        "database",
        FindingCode.LOG_BEHIND_KEYS,
        "has a log with fewer records than the key store noted, or others: it was restored from a backup, or cut",
        "stop every gateway and restore the newest copy of the databases (RUNBOOK.md, log_behind_book)",
    ),
    Apart.KEYS_BEHIND_LOG: SettingFinding(
        "keys_database",
        FindingCode.KEYS_BEHIND_LOG,
        "is older than the log: it was restored from a backup, and may hold keys that were destroyed",
        "stop every gateway and run `tellergate database recover` (RUNBOOK.md, keys_behind_log)",
    ),
}


async def refuse_keys_apart(log: Log) -> None:
    """UnsafeSettings where the log and the key store are not of one course of events. As `audit.apart.apart`."""
    if (found := await apart(log)) is not None:
        raise UnsafeSettings(findings=[keys_finding(found)])


def keys_finding(found: Apart) -> SettingFinding:
    """The same in words."""
    return _KEYS_APART[found]


async def refuse_apart(database: Database, *, may_watch: bool = False) -> None:
    """UnsafeSettings where the gateway's tables of `database` and the log beside them are not of one moment. HistoryUnknown where nothing
    tells that yet; with `may_watch` it does from now on. SQLAlchemyError, DatabaseUnavailable."""
    found = await database.read(aligned)
    if found.alignment is Alignment.NOT_WATCHED:
        if not may_watch:
            raise HistoryUnknown("gateway: nothing tells yet how far the log is; run `tellergate database upgrade`")
        await database.write(watch)
        found = await database.read(aligned)
    if (finding := finding_of(found)) is not None:
        raise UnsafeSettings(findings=[finding])


def finding_of(found: Aligned) -> SettingFinding | None:
    """What is wrong, in words; None: both are of one moment."""
    problem = _PROBLEMS.get(found.alignment)
    if problem is None:
        return None
    told = problem.format(book=found.book_size or 0, log=found.log_size or 0)
    return SettingFinding("database", FindingCode(found.alignment.value), told, _REMEDIES[found.alignment])
