"""What the gateway's own tools were given, read and made for a customer, out of what the records of their calls hold sealed.

It is opened for the customer's own look alone, which is itself on record: ids of files and how code ended. No text that was read, and no
program, leaves here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from audit.disclosure import value_of
from audit.keys import KeyDestroyed
from audit.log import Log, LogUnavailable
from audit.opening import NotSealed, StoredRecord, open_sealed
from gateway.domain.errors import Unavailable
from gateway.domain.strict_json import Json

BEGINS = "begins"
"""Word of the record that a tool is about to do something: what came of it is on the call's own record."""


async def tool_use(log: Log, record: StoredRecord) -> dict[str, Json]:
    """`ending` of code, None of anything else; ids of the files that were `read` to the assistant, `given` to code, and `made` by it.
    Empty where the keys of it are gone. Unavailable; LogCorrupt and SealBroken for a trail that is damaged."""
    try:
        opened = await open_sealed(log, record.index)
    except (NotSealed, KeyDestroyed):
        return {}
    except LogUnavailable as error:
        raise Unavailable("audit_unavailable") from error
    values: Mapping[str, Any] = {path: value_of(text) for path, text in opened.items()}
    return {
        "ending": values.get("result.ending"),
        "read": _ids(values.get("result.results") or ()),
        "given": _given(values.get("sealed.decision_request") or ()),
        "made": _ids(values.get("result.files") or ()),
    }


def _ids(items: Iterable[Mapping[str, Any]]) -> list[Json]:
    return list(dict.fromkeys(str(item["file"]) for item in items))


def _given(requests: Iterable[Mapping[str, Any]]) -> list[Json]:
    """The files that the policies were told of."""
    return list(dict.fromkeys(str(file) for request in requests for file in request["context"].get("args", {}).get("files", ())))
