"""The forms of a record that security tools read, one line each: OCSF, ECS, CEF, and the record's own JSON. Pure.

OCSF: 1.8.0, class 6003 API Activity (schema.ocsf.io). ECS: 9.0.0 (elastic.co/guide/en/ecs). CEF: ArcSight Common Event Format, revision 27.
Every line names the log, the index of the record in it and the RFC 6962 hash of its leaf: the trail can be asked for exactly that record.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum

import orjson

from audit.leaf import RecordKind
from audit.streams.record import StreamRecord, StreamSeverity, StreamStatus
from audit.terms import part

PRODUCT = "Tellergate"
OCSF_VERSION = "1.8.0"
ECS_VERSION = "9.0.0"


class StreamFormat(StrEnum):
    """The form of a stream's lines."""

    OCSF = "ocsf"
    ECS = "ecs"
    CEF = "cef"
    JSON = "json"


def line_of(form: StreamFormat, record: StreamRecord, version: str) -> bytes:
    """The record as one line of UTF-8, without its end. `version`: of this product."""
    return _FORMS[form](record, version)


def _json(record: StreamRecord, _version: str) -> bytes:
    head = {"log": record.log, "index": record.index, "leaf_hash": record.leaf_hash.hex(), "kind": record.kind, "time": record.time}
    return orjson.dumps({**head, "status": record.status, "severity": record.severity.name.lower(), **record.shown})


def _ocsf(record: StreamRecord, version: str) -> bytes:
    activity = 2 if record.kind == RecordKind.READ or record.is_look else 99
    agent = record.text("actor", "agent") or record.text("facts", "by") or "tellergate"
    call, trace = record.text("call"), record.text("trace", "id")
    return orjson.dumps(
        {
            "activity_id": activity,
            "activity_name": "Read" if activity == 2 else record.kind,
            "category_uid": 6,
            "category_name": "Application Activity",
            "class_uid": 6003,
            "class_name": "API Activity",
            "type_uid": 600_300 + activity,
            "time": _epoch_ms(record.time),
            "severity_id": int(record.severity),
            "severity": record.severity.name.capitalize(),
            "status_id": _OCSF_STATUS[record.status],
            "status": record.status.value.capitalize(),
            **({"status_detail": detail} if (detail := _reason(record)) else {}),
            "message": name_of(record),
            "metadata": {
                "version": OCSF_VERSION,
                "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": version},
                "uid": f"{record.log}#{record.index}",
                "log_name": record.log,
                "sequence": record.index,
                "event_code": record.kind,
                "original_time": record.time,
                **({"correlation_uid": call} if call else {}),
            },
            "actor": {"app_name": agent},
            "src_endpoint": {"name": agent},
            "api": {
                "operation": record.text("function", "name") or record.text("facts", "word") or record.kind,
                "service": {"name": PRODUCT},
                **({"request": {"uid": call}} if call else {}),
            },
            "raw_data_hash": {
                "algorithm_id": 99,
                "algorithm": "RFC 6962 leaf hash (SHA-256 over 00 and the leaf)",
                "value": record.leaf_hash.hex(),
            },
            "unmapped": {**({"trace_id": trace} if trace else {}), **record.shown},
        }
    )


def _ecs(record: StreamRecord, version: str) -> bytes:
    agent, customer = record.text("actor", "agent"), record.text("customer")
    content: dict[str, object] = {
        "@timestamp": record.time,
        "ecs": {"version": ECS_VERSION},
        "message": name_of(record),
        "event": {
            "kind": "event",
            "category": ["api"] if "call" in record.shown else ["configuration"],
            "type": _ecs_type(record),
            "action": record.text("function", "name") or record.text("facts", "word") or record.kind,
            "code": record.kind,
            "outcome": record.status.value,
            "severity": int(record.severity),
            "id": f"{record.log}#{record.index}",
            "sequence": record.index,
            "hash": record.leaf_hash.hex(),
            "module": "tellergate",
            "dataset": "tellergate.audit",
            "provider": record.log,
            **({"reason": detail} if (detail := _reason(record)) else {}),
        },
        "observer": {"vendor": PRODUCT, "product": PRODUCT, "type": "gateway", "version": version},
        "tellergate": dict(record.shown),
    }
    if agent:
        content["client"] = {"user": {"name": agent}} if record.is_look else {"address": agent}
    if customer:
        content["user"] = {"hash": customer}
    if trace := record.text("trace", "id"):
        content["trace"] = {"id": trace}
    return orjson.dumps(content)


def _cef(record: StreamRecord, version: str) -> bytes:
    head = (PRODUCT, PRODUCT, version, record.kind, name_of(record), str(_CEF_SEVERITY[record.severity]))
    fields = {
        "rt": str(_epoch_ms(record.time)),
        "externalId": str(record.index),
        "deviceExternalId": record.log,
        "cat": record.kind,
        "outcome": record.status.value,
        "reason": _reason(record),
        "act": record.text("function", "name") or record.text("facts", "word"),
        "sourceServiceName": record.text("actor", "agent"),
        "suser": record.text("approver", "id") or record.text("facts", "by"),
        **_labelled("leafHash", 1, record.leaf_hash.hex()),
        **_labelled("call", 2, record.text("call")),
        **_labelled("customer", 3, record.text("customer")),
        **_labelled("rules", 4, _listed(part(record.shown, "policy").get("policies"))),
        **_labelled("trace", 5, record.text("trace", "id")),
        **_labelled("bundle", 6, record.text("policy", "bundle")),
    }
    extension = " ".join(f"{key}={_extension(value)}" for key, value in fields.items() if value)
    return f"CEF:0|{'|'.join(map(_header, head))}|{extension}".encode()


_FORMS: Mapping[StreamFormat, Callable[[StreamRecord, str], bytes]] = {
    StreamFormat.OCSF: _ocsf,
    StreamFormat.ECS: _ecs,
    StreamFormat.CEF: _cef,
    StreamFormat.JSON: _json,
}
_OCSF_STATUS: Mapping[StreamStatus, int] = {StreamStatus.UNKNOWN: 0, StreamStatus.SUCCESS: 1, StreamStatus.FAILURE: 2}
_CEF_SEVERITY: Mapping[StreamSeverity, int] = {
    StreamSeverity.INFORMATIONAL: 1,
    StreamSeverity.LOW: 3,
    StreamSeverity.MEDIUM: 6,
    StreamSeverity.HIGH: 8,
}


def name_of(record: StreamRecord) -> str:
    """What happened in a few words, such as `initiate_transfer: refused`."""
    what = record.text("function", "name") or record.text("facts", "word") or record.kind
    how = record.text("outcome") or (record.kind if what != record.kind else "")
    return f"{what}: {how}" if how else what


def _reason(record: StreamRecord) -> str:
    return record.text("policy", "reason") or record.text("facts", "reason") or record.text("facts", "code")


def _epoch_ms(time: str) -> int:
    at = datetime.fromisoformat(time)
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def _ecs_type(record: StreamRecord) -> list[str]:
    if record.status is StreamStatus.FAILURE:
        return ["denied"] if record.kind == RecordKind.DENY else ["error"]
    return ["access"] if record.kind == RecordKind.READ or record.is_look else ["change"]


def _labelled(label: str, number: int, value: str) -> dict[str, str]:
    return {f"cs{number}": value, f"cs{number}Label": label} if value else {}


def _listed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else ""


def _header(value: str) -> str:
    """Pipes and backslashes are escaped; a header is of one line."""
    return " ".join(value.replace("\\", "\\\\").replace("|", "\\|").splitlines())


def _extension(value: str) -> str:
    """Equal signs and backslashes are escaped, ends of lines written as `\\n`."""
    escaped = value.replace("\\", "\\\\").replace("=", "\\=")
    return "\\n".join(escaped.splitlines())
