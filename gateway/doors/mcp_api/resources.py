"""Documents as resources: what the bank's app gives all of its customers, as product terms, and what is this customer's own.

To read one is a call of `file_search` and takes its way: granted by the customer, decided, stopped by kill switches, on record, fenced as
other people's text, and seen by the conversation from then on.
"""

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import mcp_types as mcp
import orjson
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS

from gateway.calls.output import output_text
from gateway.calls.tools import FILE_SEARCH, QUERY_MOST
from gateway.domain.errors import MESSAGES, Code
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from gateway.domain.tools import PART_CHUNKS, ToolContext
from gateway.doors.mcp_api.calls import CALL, CONVERSATION, Context, McpCalls, named, principal_of, told_of
from gateway.doors.mcp_api.tasks import FIRST_REVISION
from gateway.store.assistants import Maker
from gateway.store.documents import Document, Place, find_document, page_of_documents
from gateway.store.vectors import find_store

NEXT = "tellergate/next"
"""In `_meta` of what was read: the resource with the part that follows, where there is one."""

PAGE = 100
SEARCH = "tellergate://documents/{vector_store}{?query}"
_NOT_FOUND = -32002
"""Of 2025-11-25; since then it is a parameter that is not valid."""

_ID = "[A-Za-z0-9_-]{1,64}"
_DOCUMENT = re.compile(rf"tellergate://documents/({_ID})/({_ID})(?:\?part=([1-9][0-9]{{0,5}}))?")
_SEARCH = re.compile(rf"tellergate://documents/({_ID})\?query=([A-Za-z0-9._~%+-]{{1,{QUERY_MOST * 12}}})")
_CURSOR = re.compile(rf"({_ID})/({_ID})")
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class McpResources:
    calls: McpCalls

    async def listed(self, context: Context, params: mcp.PaginatedRequestParams | None) -> mcp.ListResourcesResult:
        """What this customer may read, a hundred a page; nothing for who did not grant it. MCPError, Unavailable."""
        door, principal = self.calls.door, principal_of(context)
        after = _place(params.cursor if params else None)
        if FILE_SEARCH.name not in await door.book.granted(principal.customer):
            return mcp.ListResourcesResult(resources=[])
        page, more = await self.calls.store.read(
            lambda connection: page_of_documents(connection, _who(context), door.clock(), after, PAGE)
        )
        return mcp.ListResourcesResult(
            resources=[_resource(item) for item in page], next_cursor=_cursor(page[-1]) if more else None
        )

    async def templates(self, _context: Context, _params: mcp.PaginatedRequestParams | None) -> mcp.ListResourceTemplatesResult:
        """How passages are found."""
        template = mcp.ResourceTemplate(
            name=FILE_SEARCH.name,
            title=FILE_SEARCH.title,
            uri_template=SEARCH,
            description="The passages of the documents in a store that fit these words best. They are other people's text.",
            mime_type=_JSON,
        )
        return mcp.ListResourceTemplatesResult(resource_templates=[template])

    async def read(self, context: Context, params: mcp.ReadResourceRequestParams) -> mcp.ReadResourceResult:
        """A part of a document, or the passages that fit a question. MCPError where there is none, or the call was refused.
        RequestFault, Unavailable."""
        tools, query, following = await self._wanted(context, params.uri)
        recorded = await self.calls.take(context, FILE_SEARCH.name, orjson.dumps({"query": query}).decode(), tools)
        if recorded.output is None:
            raise _refused(recorded, params.uri)
        meta: Any = {CONVERSATION: named(context)[0], CALL: told_of(recorded), **({NEXT: following} if following else {})}
        content = mcp.TextResourceContents(uri=params.uri, mime_type=_JSON, text=output_text(recorded))
        return mcp.ReadResourceResult(contents=[content], _meta=meta)

    async def _wanted(self, context: Context, uri: str) -> tuple[ToolContext, str, str | None]:
        """What is asked of the tool, and the URI of the part that follows. MCPError where it is no resource that they see."""
        who, at, store = _who(context), self.calls.door.clock(), self.calls.store
        if (match := _DOCUMENT.fullmatch(uri)) is not None:
            place, part = (match[1], match[2]), int(match[3] or 1)
            found = await store.read(lambda connection: find_document(connection, who, at, place))
            if found is not None and (part - 1) * PART_CHUNKS < max(found.chunks, 1):
                tools = ToolContext(thread="", vector_stores=(found.store,), document=found.file, part=part - 1)
                return tools, found.file, f"{_uri(place)}?part={part + 1}" if part * PART_CHUNKS < found.chunks else None
        elif (match := _SEARCH.fullmatch(uri)) is not None:
            searched = await store.read(lambda connection: find_store(connection, who, match[1]))
            if searched is not None and not searched.has_expired(at):
                return ToolContext(thread="", vector_stores=(searched.id,)), unquote(match[2]), None
        code = INVALID_PARAMS if context.protocol_version >= FIRST_REVISION else _NOT_FOUND
        raise MCPError(code=code, message="uri: no such resource; list the resources again", data={"uri": uri})


def _who(context: Context) -> Maker:
    principal = principal_of(context)
    return Maker(principal.client, principal.customer)


def _uri(place: Place) -> str:
    return f"tellergate://documents/{quote(place[0])}/{quote(place[1])}"


def _resource(item: Document) -> mcp.Resource:
    """By its name where the bank's app gave it. A name of the customer's own file may be a stranger's words, in a list that is no call."""
    place = (item.store, item.file)
    title = f"Your document of {item.created:%d %B %Y}" if item.own else item.name
    return mcp.Resource(uri=_uri(place), name=item.file, title=title, mime_type=_JSON)


def _cursor(last: Document) -> str:
    return base64.urlsafe_b64encode(f"{last.store}/{last.file}".encode()).decode()


def _place(cursor: str | None) -> Place | None:
    """MCPError for what no list gave."""
    if cursor is None:
        return None
    try:
        match = _CURSOR.fullmatch(base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii"))
    except ValueError:
        match = None
    if match is None:
        raise MCPError(code=INVALID_PARAMS, message="cursor: must be the nextCursor of an earlier page")
    return match[1], match[2]


def _refused(recorded: Recorded, uri: str) -> MCPError:
    code = INTERNAL_ERROR if recorded.status is CallStatus.UNAVAILABLE else INVALID_PARAMS
    message = MESSAGES[recorded.code or Code.DENIED] if recorded.message is None else recorded.message
    return MCPError(code=code, message=message, data={"uri": uri, CALL: told_of(recorded)})
