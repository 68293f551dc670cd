"""Uploads, `/v1/uploads`: a file that comes in parts, in any order and side by side, put together in the order that its end names."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import partial

from fastapi import FastAPI, Request, Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_THREADS, Principal
from gateway.doors.assistants_api.api import JsonAnswer, body_as, maker_of, missing, responses_of
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.files import FilesApi, lasts, new_file, too_many
from gateway.doors.assistants_api.schemas import CompletedUpload, NewPart, NewUpload
from gateway.doors.bodies import json_answer
from gateway.doors.rest import Door
from gateway.doors.schemas import body_of, multipart_body_of
from gateway.files.sealing import ContentDamaged
from gateway.runs import objects
from gateway.runs.objects import new_id
from gateway.store import files
from gateway.store.files import (
    AddPart,
    CancelUpload,
    CompleteUpload,
    CreateUpload,
    StoredContent,
    StoredFile,
    StoredUpload,
    TooManyFiles,
    UploadEnded,
    UploadState,
    UploadTooLarge,
)

LIVES = timedelta(hours=1)
PART_BYTES_MOST = 64 * 1024 * 1024

_ENDED = "the upload was completed or cancelled, or its hour is over: begin another"


def mount(app: FastAPI, door: Door, api: FilesApi) -> None:
    """Put these routes into the application."""

    @app.post("/v1/uploads", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewUpload))
    async def create_upload(request: Request) -> Response:
        """Begin an upload in parts.

        It can be completed within an hour.
        """
        return await door.answer(request, partial(_create, api), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.post("/v1/uploads/{upload_id}/parts", responses=responses_of(JsonAnswer), openapi_extra=multipart_body_of(NewPart, "data"))
    async def add_upload_part(request: Request, upload_id: Id) -> Response:
        """Add a part to an upload.

        Of 64 MiB at most; parts may come side by side.
        """
        return await door.answer(request, partial(_add, api, upload_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.post("/v1/uploads/{upload_id}/complete", responses=responses_of(JsonAnswer), openapi_extra=body_of(CompletedUpload))
    async def complete_upload(request: Request, upload_id: Id) -> Response:
        """Put the parts of an upload together.

        They must have as many bytes as the upload was announced with.
        """
        return await door.answer(request, partial(_complete, api, upload_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.post("/v1/uploads/{upload_id}/cancel", responses=responses_of(JsonAnswer))
    async def cancel_upload(request: Request, upload_id: Id) -> Response:
        """Cancel an upload.

        Its parts are deleted.
        """
        return await door.answer(request, partial(_cancel, api, upload_id), SCOPE_ASSISTANTS, SCOPE_THREADS)


async def _create(api: FilesApi, door: Door, request: Request, principal: Principal) -> Response:
    api.api.bounded(door, principal)
    given = await body_as(NewUpload, request)
    if given.bytes > api.file_most:
        raise RequestFault(Fault.TOO_LARGE, f"bytes: a file has at most {api.file_most}", param="bytes")
    now = door.clock()
    upload = StoredUpload(
        id=new_id("upload"),
        owner=maker_of(principal),
        created=now,
        expires=now + LIVES,
        purpose=given.purpose,
        name=given.filename,
        size=given.bytes,
        file_lasts=lasts(given.expires_after),
        state=UploadState.PENDING,
        file=None,
    )
    await api.api.book.write(CreateUpload(upload))
    return json_answer(objects.upload(upload, now))


async def _add(api: FilesApi, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.api.bounded(door, principal)
    upload = await _upload_of(api, principal, id_)
    _require_open(upload, door)
    most = min(PART_BYTES_MOST, upload.size)
    part, now = new_id("part"), door.clock()
    _, _, content = await api.uploaded(request, upload.owner, "data", NewPart, most)
    try:
        added = await api.api.book.write(AddPart(upload.owner, id_, part, content, now))
    except (UploadEnded, UploadTooLarge) as error:
        await api.keeper.forget([content.name])
        raise _ended() if isinstance(error, UploadEnded) else _too_large(upload) from None
    if added is None:
        raise missing("upload")
    return json_answer(objects.upload_part(part, id_, now))


async def _complete(api: FilesApi, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.api.bounded(door, principal)
    given = await body_as(CompletedUpload, request)
    upload = await _upload_of(api, principal, id_)
    _require_open(upload, door)
    parts = await _in_order(api, id_, given.part_ids)
    if sum(part.size for part in parts) != upload.size:
        raise RequestFault(
            Fault.INVALID_REQUEST, f"part_ids: together the parts must have the {upload.size} bytes announced", param="part_ids"
        )
    seen = hashlib.md5(usedforsecurity=False)
    try:
        content = await api.in_storage(upload.owner, _together(api, parts, seen), upload.name, upload.size)
    except ContentDamaged:
        _require_open(await _upload_of(api, principal, id_), door)  # completed or cancelled meanwhile, and its parts with it
        raise
    async with api.keeper.kept_if_well(content.name):
        if given.md5 is not None and seen.hexdigest() != given.md5.lower():
            raise RequestFault(Fault.INVALID_REQUEST, "md5: is not that of the parts in this order", param="md5")
    await api.looked_at(content)
    file = await _put_together(api, door, principal, upload, content)
    completed = replace(upload, state=UploadState.COMPLETED, file=file.id)
    return json_answer(objects.upload(completed, door.clock(), file))


async def _put_together(
    api: FilesApi, door: Door, principal: Principal, upload: StoredUpload, content: StoredContent
) -> StoredFile:
    """On record, then its owner's in the place of its parts. RequestFault."""
    file = new_file(content, upload.purpose, upload.name, upload.file_lasts)
    await door.records.file(file, "kept", principal.client, door.clock())
    try:
        completed = await api.api.book.write(CompleteUpload(upload.id, file, api.most, door.clock()))
    except (UploadEnded, TooManyFiles) as error:
        await api.keeper.forget([content.name])
        raise _ended() if isinstance(error, UploadEnded) else too_many(api.most) from None
    if completed is None:
        raise missing("upload")
    added, parts = completed
    await api.keeper.forget([*parts, *((content.name,) if added.content.name != content.name else ())])
    return added


async def _cancel(api: FilesApi, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    try:
        cancelled = await api.api.book.write(CancelUpload(maker_of(principal), id_, door.clock()))
    except UploadEnded:
        raise _ended() from None
    if cancelled is None:
        raise missing("upload")
    upload, parts = cancelled
    await api.keeper.forget(parts)
    return json_answer(objects.upload(upload, door.clock()))


async def _upload_of(api: FilesApi, principal: Principal, id_: str) -> StoredUpload:
    upload = await api.api.book.read(lambda connection: files.find_upload(connection, maker_of(principal), id_))
    if upload is None:
        raise missing("upload")
    return upload


async def _in_order(api: FilesApi, id_: str, wanted: Sequence[str]) -> list[StoredContent]:
    """The parts that are named. RequestFault for one that is none, or is named twice."""
    parts = await api.api.book.read(lambda connection: files.parts_of(connection, id_))
    unknown = next((number for number, part in enumerate(wanted) if part not in parts), None)
    if unknown is not None:
        raise RequestFault(Fault.INVALID_REQUEST, f"part_ids[{unknown}]: is no part of this upload", param="part_ids")
    if len(set(wanted)) < len(wanted):
        raise RequestFault(Fault.INVALID_REQUEST, "part_ids: names a part twice", param="part_ids")
    return [parts[part] for part in wanted]


async def _together(api: FilesApi, parts: Sequence[StoredContent], seen: "hashlib._Hash") -> AsyncIterator[bytes]:
    for part in parts:
        async with aclosing(api.keeper.read(part)) as pieces:
            async for piece in pieces:
                seen.update(piece)
                yield piece


def _require_open(upload: StoredUpload, door: Door) -> None:
    if upload.state is not UploadState.PENDING or upload.expires <= door.clock():
        raise _ended()


def _too_large(upload: StoredUpload) -> RequestFault:
    return RequestFault(Fault.TOO_LARGE, f"the parts would have more than the {upload.size} bytes announced", param="data")


def _ended() -> RequestFault:
    return RequestFault(Fault.UPLOAD_ENDED, _ENDED)
