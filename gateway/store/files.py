"""Files and uploads: whose they are, and which content is theirs. The content itself is kept elsewhere, sealed; here are its keys, wrapped.

A content is there once for each owner, however many of their files have it, and goes with the last of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select, update

from gateway.store.assistants import Maker
from gateway.store.file_tables import CONTENTS, FILES, UPLOAD_PARTS, UPLOADS, file_stands
from gateway.store.items import Item
from gateway.store.pages import PageRequest, rows_of
from gateway.store.times import from_us, to_us
from gateway.store.vector_files import forget_entries
from gateway.store.vector_tables import VECTOR_FILES

_F, _C, _U, _P = FILES.c, CONTENTS.c, UPLOADS.c, UPLOAD_PARTS.c


class UploadState(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class UploadEnded(Exception):
    """It was completed or cancelled, or its time is over."""


class UploadTooLarge(Exception):
    """Its parts would have more bytes than it was announced with."""


class TooManyFiles(Exception):
    """Its owner keeps as many files, or bytes, as they may."""


@dataclass(frozen=True, slots=True)
class StoredContent:
    """`key`: wrapped under its owner's. `sha256`, `size`: of the plain bytes. `type`: by its first bytes."""

    name: str
    owner: Maker
    created: datetime
    size: int
    sha256: bytes
    type: str
    key: bytes


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`name`: as who uploaded it calls it."""

    id: str
    owner: Maker
    created: datetime
    purpose: str
    name: str
    expires: datetime | None
    content: StoredContent


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A file that comes in parts. `size`: how many bytes they have together. `file_lasts`: how long the file is kept, if not for good."""

    id: str
    owner: Maker
    created: datetime
    expires: datetime
    purpose: str
    name: str
    size: int
    file_lasts: timedelta | None
    state: UploadState
    file: str | None


@dataclass(frozen=True, slots=True)
class FilesMost:
    """How many files one owner may keep, and how many bytes in them."""

    count: int
    size: int


@dataclass(frozen=True, slots=True)
class AddFile(Item[StoredFile]):
    """Answered with what it is: another name in `content` than the one given: its owner has that content already. TooManyFiles."""

    file: StoredFile
    most: FilesMost

    def apply(self, connection: Connection) -> StoredFile | Exception:
        return _added(connection, self.file, self.most)


@dataclass(frozen=True, slots=True)
class DeleteFile(Item[tuple[str, ...] | None]):
    """From the vector stores that it is in, too. Answered with the contents that nobody has any more; None: not this owner's."""

    owner: Maker
    id: str

    def apply(self, connection: Connection) -> tuple[str, ...] | None:
        mine = (_F.id == self.id, *self.owner.owns(FILES))
        content = connection.execute(select(_F.content).where(*mine)).scalar_one_or_none()
        if content is None:
            return None
        forget_entries(connection, VECTOR_FILES.c.id == self.id)
        connection.execute(delete(FILES).where(*mine))
        return without_file(connection, [content])


@dataclass(frozen=True, slots=True)
class CreateUpload(Item[None]):
    upload: StoredUpload

    def apply(self, connection: Connection) -> None:
        new = self.upload
        lasts_s = None if new.file_lasts is None else int(new.file_lasts.total_seconds())
        row = {
            "id": new.id,
            **_owned_by(new.owner),
            "created_us": to_us(new.created),
            "expires_us": to_us(new.expires),
            "purpose": new.purpose,
            "name": new.name,
            "size": new.size,
            "file_lasts_s": lasts_s,
            "state": new.state,
            "file": new.file,
        }
        connection.execute(insert(UPLOADS), [row])


@dataclass(frozen=True, slots=True)
class AddPart(Item[bool | None]):
    """Answered True; None: no such upload of this owner. UploadEnded, UploadTooLarge."""

    owner: Maker
    upload: str
    id: str
    content: StoredContent
    at: datetime

    def apply(self, connection: Connection) -> bool | Exception | None:
        upload = _locked(connection, self.owner, self.upload)
        if upload is None:
            return None
        if _has_ended(upload, self.at):
            return UploadEnded()
        parts = (
            select(func.coalesce(func.sum(_C.size), 0))
            .join_from(UPLOAD_PARTS, CONTENTS, _P.content == _C.name)
            .where(_P.upload == self.upload)
        )
        if connection.execute(parts).scalar_one() + self.content.size > upload.size:
            return UploadTooLarge()
        connection.execute(insert(CONTENTS), [_content_row(self.content)])
        row = {"id": self.id, "upload": self.upload, "created_us": to_us(self.at), "content": self.content.name}
        connection.execute(insert(UPLOAD_PARTS), [row])
        return True


@dataclass(frozen=True, slots=True)
class CompleteUpload(Item[tuple[StoredFile, tuple[str, ...]] | None]):
    """The file that the parts were put together to, and the contents of the parts, which nobody has any more; None: no such upload of
    this owner. UploadEnded, TooManyFiles."""

    upload: str
    file: StoredFile
    most: FilesMost
    at: datetime

    def apply(self, connection: Connection) -> tuple[StoredFile, tuple[str, ...]] | Exception | None:
        upload = _locked(connection, self.file.owner, self.upload)
        if upload is None:
            return None
        if _has_ended(upload, self.at):
            return UploadEnded()
        added = _added(connection, self.file, self.most)
        if isinstance(added, Exception):
            return added
        ended = {"state": UploadState.COMPLETED, "file": added.id}
        connection.execute(update(UPLOADS).where(_U.id == self.upload).values(ended))
        return added, without_parts(connection, [self.upload])


@dataclass(frozen=True, slots=True)
class CancelUpload(Item[tuple[StoredUpload, tuple[str, ...]] | None]):
    """Answered with what it is now, and the contents of its parts; None: no such upload of this owner. UploadEnded."""

    owner: Maker
    upload: str
    at: datetime

    def apply(self, connection: Connection) -> tuple[StoredUpload, tuple[str, ...]] | Exception | None:
        upload = _locked(connection, self.owner, self.upload)
        if upload is None:
            return None
        if _has_ended(upload, self.at):
            return UploadEnded()
        connection.execute(update(UPLOADS).where(_U.id == self.upload).values(state=UploadState.CANCELLED))
        cancelled = find_upload(connection, self.owner, self.upload)
        return None if cancelled is None else (cancelled, without_parts(connection, [self.upload]))


def find_file(connection: Connection, who: Maker, id_: str, at: datetime) -> StoredFile | None:
    """One that they see, and whose time is not over."""
    rows = connection.execute(_files().where(_F.id == id_, *who.sees(FILES), file_stands(at))).all()
    return _file(rows[0]) if rows else None


def file_names(connection: Connection, customer: str, ids: Collection[str], at: datetime) -> Mapping[str, str]:
    """By id: of what is this customer's, with whichever client, or for everybody, and whose time is not over."""
    is_theirs = or_(_F.customer.is_(None), _F.customer == customer)
    rows = connection.execute(select(_F.id, _F.name).where(_F.id.in_(ids), is_theirs, file_stands(at)))
    return {row.id: row.name for row in rows}


def page_of_files(
    connection: Connection, who: Maker, page: PageRequest, purpose: str | None, at: datetime
) -> tuple[Sequence[StoredFile], bool]:
    """One page of what they see, and whether there are more. NoSuchCursor."""
    within = [*who.sees(FILES), file_stands(at), *(() if purpose is None else (_F.purpose == purpose,))]
    rows, more = rows_of(connection, FILES, within, page)
    contents = {row.name: row for row in _contents(connection, [row.content for row in rows])}
    return [_file_of(row, _content(contents[row.content])) for row in rows], more


def find_upload(connection: Connection, who: Maker, id_: str) -> StoredUpload | None:
    """One of theirs."""
    row = connection.execute(select(UPLOADS).where(_U.id == id_, *who.owns(UPLOADS))).one_or_none()
    return None if row is None else _upload(row)


def parts_of(connection: Connection, upload: str) -> dict[str, StoredContent]:
    """The parts of an upload, by their ids."""
    wanted = (
        select(_P.id.label("part"), *CONTENTS.c).join_from(UPLOAD_PARTS, CONTENTS, _P.content == _C.name).where(_P.upload == upload)
    )
    return {row.part: _content(row) for row in connection.execute(wanted)}


def nobody_has(connection: Connection, names: Sequence[str]) -> list[str]:
    """Which of these are no content of anybody."""
    known = set(connection.execute(select(_C.name).where(_C.name.in_(names))).scalars())
    return [name for name in names if name not in known]


def forget_files(connection: Connection, ids: Sequence[str]) -> None:
    """Remove these files, also from the vector stores that they are in, and the contents that nobody has then."""
    forget_entries(connection, VECTOR_FILES.c.id.in_(ids))
    contents = list(connection.execute(select(_F.content).where(_F.id.in_(ids))).scalars())
    connection.execute(delete(FILES).where(_F.id.in_(ids)))
    without_file(connection, contents)


def without_file(connection: Connection, contents: Sequence[str]) -> tuple[str, ...]:
    """Forget those of these contents that no file has any more; which they are."""
    free = select(_C.name).where(_C.name.in_(contents), ~select(_F.id).where(_F.content == _C.name).exists())
    names = tuple(connection.execute(free).scalars())
    connection.execute(delete(CONTENTS).where(_C.name.in_(names)))
    return names


def without_parts(connection: Connection, uploads: Sequence[str]) -> tuple[str, ...]:
    """Forget the parts of these uploads; which contents they had."""
    names = tuple(connection.execute(select(_P.content).where(_P.upload.in_(uploads))).scalars())
    connection.execute(delete(UPLOAD_PARTS).where(_P.upload.in_(uploads)))
    connection.execute(delete(CONTENTS).where(_C.name.in_(names)))
    return names


def _added(connection: Connection, file: StoredFile, most: FilesMost) -> StoredFile | Exception:
    mine = file.owner.owns(FILES)
    kept = select(func.count(), func.coalesce(func.sum(_C.size), 0)).join_from(FILES, CONTENTS, _F.content == _C.name).where(*mine)
    count, size = connection.execute(kept).one()
    if count + 1 > most.count or size + file.content.size > most.size:
        return TooManyFiles()
    same = select(CONTENTS).where(*file.owner.owns(CONTENTS), _C.sha256 == file.content.sha256, _C.is_shared)
    row = connection.execute(same.limit(1)).one_or_none()
    content = file.content if row is None else _content(row)
    if row is None:
        connection.execute(insert(CONTENTS), [{**_content_row(content), "is_shared": True}])
    expires_us = None if file.expires is None else to_us(file.expires)
    new = {
        "id": file.id,
        **_owned_by(file.owner),
        "created_us": to_us(file.created),
        "purpose": file.purpose,
        "name": file.name,
        "expires_us": expires_us,
        "content": content.name,
    }
    connection.execute(insert(FILES), [new])
    return StoredFile(file.id, file.owner, file.created, file.purpose, file.name, file.expires, content)


def _locked(connection: Connection, owner: Maker, upload: str) -> StoredUpload | None:
    row = connection.execute(select(UPLOADS).where(_U.id == upload, *owner.owns(UPLOADS)).with_for_update()).one_or_none()
    return None if row is None else _upload(row)


def _has_ended(upload: StoredUpload, at: datetime) -> bool:
    return upload.state is not UploadState.PENDING or upload.expires <= at


def _files() -> Select[Any]:
    theirs = [column.label(f"content_{column.name}") for column in CONTENTS.c]
    return select(FILES, *theirs).join_from(FILES, CONTENTS, _F.content == _C.name)


def _contents(connection: Connection, names: Sequence[str]) -> Sequence[Row[Any]]:
    return connection.execute(select(CONTENTS).where(_C.name.in_(names))).all()


def _owned_by(owner: Maker) -> dict[str, str | None]:
    return {"owner": owner.client, "customer": owner.customer}


def _content_row(content: StoredContent) -> dict[str, object]:
    return {
        "name": content.name,
        **_owned_by(content.owner),
        "created_us": to_us(content.created),
        "size": content.size,
        "sha256": content.sha256,
        "type": content.type,
        "key": content.key,
        "is_shared": False,
    }


def _content(row: Row[Any], prefix: str = "") -> StoredContent:
    def at(name: str) -> Any:
        return getattr(row, prefix + name)

    owner = Maker(at("owner"), at("customer"))
    return StoredContent(
        at("name"), owner, from_us(at("created_us")), at("size"), bytes(at("sha256")), at("type"), bytes(at("key"))
    )


def _file(row: Row[Any]) -> StoredFile:
    return _file_of(row, _content(row, "content_"))


def _file_of(row: Row[Any], content: StoredContent) -> StoredFile:
    expires = None if row.expires_us is None else from_us(row.expires_us)
    owner = Maker(row.owner, row.customer)
    return StoredFile(row.id, owner, from_us(row.created_us), row.purpose, row.name, expires, content)


def _upload(row: Row[Any]) -> StoredUpload:
    lasts = None if row.file_lasts_s is None else timedelta(seconds=row.file_lasts_s)
    owner, times = Maker(row.owner, row.customer), (from_us(row.created_us), from_us(row.expires_us))
    return StoredUpload(row.id, owner, *times, row.purpose, row.name, row.size, lasts, UploadState(row.state), row.file)
