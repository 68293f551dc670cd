"""What a customer may see of what was done in their name, and of who looked at it: out of the trail, not out of a second book."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.cursors import CursorInvalid
from audit.leaf import RecordKind
from audit.log import Log, LogUnavailable
from audit.query import Query, QueryPage, StoredRecord, Why, last_page, page
from audit.terms import LOOKS
from gateway.calls.tools import TOOLS
from gateway.domain.errors import Code, Fault, RequestFault, Unavailable
from gateway.domain.ports import Book, Movement
from gateway.domain.reasons import reason_of
from gateway.domain.strict_json import Json
from gateway.oversight.tool_records import tool_use

PAGE = 50

REQUEST_FAULT = "request_fault"
"""Code, in the trail, of a request that could not be taken as a whole; the reason is its fault."""

UNGROUNDED = "ungrounded_"
"""How the reason of a refusal begins where the customer never said what was asked for (`grounding`)."""

_TOOLS = frozenset(tool.name for tool in TOOLS)

_TOLD = (
    RecordKind.READ,
    RecordKind.DENY,
    RecordKind.INTENT,
    RecordKind.OUTCOME,
    RecordKind.UNKNOWN,
    RecordKind.RECONCILED,
    RecordKind.CONFIRMATION,
    RecordKind.ADMIN,
)


@dataclass(frozen=True, slots=True)
class Activity:
    """One page, in the order that was asked for; `next_cursor` None: there is no more. Each order has cursors of its own."""

    items: Sequence[Mapping[str, Json]]
    next_cursor: str | None


async def of_customer(log: Log, book: Book, customer: str, cursor: str | None, *, newest_first: bool = False) -> Activity:
    """What was asked, refused, done and confirmed for this customer. To look is on record too, as the customer's own look.

    Amounts and payees are sealed in the trail; of what was sent to the core they are told out of the book. Of the gateway's own tools it is
    opened which files there were, and how code ended. RequestFault, Unavailable.
    """
    records = await _page(log, Query(customer=customer, kinds=_TOLD), cursor, newest_first)
    calls = {str(match.fields["call"]) for match in records.found if match.fields.get("call")}
    moved = await book.movements(customer, calls)
    items: list[Mapping[str, Json]] = [
        {**_item(match.index, dict(match.fields), moved.get(str(match.fields.get("call")))), "tool": await _tool(log, match)}
        for match in records.found
    ]
    return Activity(items, records.next_cursor)


async def ended(log: Log, calls: Iterable[str]) -> frozenset[str]:
    """Those of these calls of which more is on record than that a tool began. Unavailable."""
    try:
        entries = {call: await log.entries_of(call) for call in calls}
    except LogUnavailable as error:
        raise Unavailable("audit_unavailable") from error
    return frozenset(call for call, records in entries.items() if len(records) > 1)


async def _tool(log: Log, match: StoredRecord) -> dict[str, Json] | None:
    """Of a call that one of the gateway's own tools answered."""
    function = match.fields.get("function")
    is_tool = isinstance(function, dict) and function["name"] in _TOOLS and match.fields["kind"] == RecordKind.READ
    return await tool_use(log, match) if is_tool else None


async def looks(log: Log, customer: str, cursor: str | None, *, newest_first: bool = False) -> Activity:
    """Who asked the trail about this customer or opened a record of theirs, when, and what for."""
    found = await _page(log, Query(kinds=LOOKS, about=customer), cursor, newest_first)
    items: list[Mapping[str, Json]] = [
        {
            "record": item.index,
            "at": str(item.fields["time"]),
            "what": str(item.fields["kind"]),
            "who": _actor(item.fields),
            "purpose": _facts(item.fields).get("purpose"),
            "case": _facts(item.fields).get("case"),
        }
        for item in found.found
    ]
    return Activity(items, found.next_cursor)


async def _page(log: Log, query: Query, cursor: str | None, newest_first: bool) -> QueryPage:
    why = Why(auditor="the customer", purpose="their own activity", case_id="none")
    try:
        return await (last_page if newest_first else page)(log, query, why, cursor=cursor, limit=PAGE)
    except CursorInvalid:
        raise RequestFault(Fault.INVALID_REQUEST, "the cursor is not one of this list", param="cursor") from None
    except LogUnavailable as error:
        raise Unavailable("audit_unavailable") from error


def _item(index: int, fields: Mapping[str, Any], moved: Movement | None) -> Mapping[str, Json]:
    facts, function, grounding = _facts(fields), fields.get("function"), fields.get("grounding") or {}
    return {
        "record": index,
        "at": str(fields["time"]),
        "call_id": fields.get("call"),
        "what": str(fields["kind"]),
        "function": function["name"] if isinstance(function, dict) else None,
        "amount": None if moved is None else {"value": moved.amount.value, "currency": moved.amount.currency},
        "payee": None if moved is None else moved.payee,
        "assistant": _actor(fields),
        "end": fields.get("end_state"),
        "code": facts.get("code"),
        "reason": _reason(facts),
        "not_said": str(facts.get("reason")).startswith(UNGROUNDED),
        "word": facts.get("word"),
        "passkey": facts.get("passkey"),
        "file": facts.get("file"),
        "confirmation_id": facts.get("confirmation") or grounding.get("confirmation"),
        "standing_mandate": grounding.get("standing") or facts.get("standing_mandate"),
    }


def _reason(facts: Mapping[str, Any]) -> str | None:
    """Why not, in the words that the bank's back end is told too: of a call a `RefusalReason`, of a whole request its fault."""
    code, cause = facts.get("code"), facts.get("reason")
    if code == REQUEST_FAULT:
        return str(cause)
    return reason_of(Code(code), cause).value if code in set(Code) else None


def _facts(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = fields.get("facts")
    return facts if isinstance(facts, dict) else {}


def _actor(fields: Mapping[str, Any]) -> str | None:
    actor = fields.get("actor")
    agent = actor.get("agent") if isinstance(actor, dict) else None
    return agent if isinstance(agent, str) else None
