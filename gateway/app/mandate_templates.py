"""Mandates by segment: a TOML file of what customers are granted when they are seen for the first time.

[retail]                                  # the segment, as tokens name it in the claim `segment_claim`
functions = ["list_accounts", "initiate_transfer"]
days = 365
restrictions = ["known_payees_only"]      # may be left out
[retail.limits.GBP]
payment_minor = 10000
day_minor = 20000
week_minor = 50000
month_minor = 90000
day_count = 9
"""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gateway.app.mandate_files import LineRefused, limits_of, names_of
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.domain.strict_json import Parsed
from gateway.oversight.first_sight import MandateTemplate

BYTES_MOST = 256 * 1024
DAYS_MOST = 3_650
_MEMBERS = {"functions", "limits", "days", "restrictions"}


def templates_of(path: Path | None, functions: Collection[str]) -> Mapping[str, MandateTemplate]:
    """The templates of this file, by segment; none where there is no file. `functions`: the names that are served. UnsafeSettings."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MOST + 1)
        if len(content) > BYTES_MOST:
            raise LineRefused(f"is longer than {BYTES_MOST} bytes")
        return {segment: _template(segment, body, functions) for segment, body in tomllib.loads(content.decode()).items()}
    except OSError as error:
        raise _refused(FindingCode.UNREADABLE, f"names {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(FindingCode.MALFORMED, f"{path.name} is no TOML: {error}") from None
    except LineRefused as error:
        raise _refused(FindingCode.MALFORMED, f"{path.name}: {error}") from None


def _template(segment: str, body: Any, functions: Collection[str]) -> MandateTemplate:
    if not isinstance(body, dict) or not _MEMBERS - {"restrictions"} <= body.keys() <= _MEMBERS:
        raise LineRefused(f"{segment}: must have functions, limits and days, and may have restrictions")
    found: Mapping[str, Parsed] = body
    names = tuple(names_of(found["functions"], f"{segment}.functions"))
    if unknown := set(names) - set(functions):
        raise LineRefused(f"{segment}.functions: {len(unknown)} that are not served; `functions list` names those that are")
    days = found["days"]
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= DAYS_MOST:
        raise LineRefused(f"{segment}.days: must be a whole number from 1 to {DAYS_MOST}")
    return MandateTemplate(
        functions=names,
        limits=limits_of(found["limits"], f"{segment}.limits"),
        days=days,
        restrictions=tuple(names_of(found.get("restrictions", []), f"{segment}.restrictions", least=0)),
    )


def _refused(code: FindingCode, problem: str) -> UnsafeSettings:
    return UnsafeSettings(findings=[SettingFinding("mandate_templates", code, problem, "correct the file (deploy/README.md)")])
