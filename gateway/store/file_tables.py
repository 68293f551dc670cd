"""Tables of files and uploads, and of whose the sealed contents are."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Index, LargeBinary, String, Table, Text, or_

from gateway.store.tables import METADATA
from gateway.store.times import to_us

CONTENTS = Table(
    "contents",
    METADATA,
    Column("name", String(32), primary_key=True),  # under which it is kept
    Column("owner", String(256), nullable=False),  # the client whose token brought it
    Column("customer", String(64)),  # whose it is by that client; none: the client's itself
    Column("created_us", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("type", String(128), nullable=False),
    Column("key", LargeBinary, nullable=False),  # what sealed it, wrapped under its owner's
    Column("is_shared", Boolean, nullable=False),  # by files of its owner, or it is a part of an upload
    Index("contents_by_hash", "owner", "customer", "sha256"),
)

FILES = Table(
    "files",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),
    Column("customer", String(64)),
    Column("created_us", BigInteger, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("expires_us", BigInteger),
    Column("content", String(32), nullable=False),
    Index("files_by_owner", "owner", "customer", "created_us", "id"),
    Index("files_by_content", "content"),
    Index("files_by_age", "expires_us"),
)

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),
    Column("customer", String(64)),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # of its parts together
    Column("file_lasts_s", BigInteger),
    Column("state", String(16), nullable=False),
    Column("file", String(64)),  # that it became
    Index("uploads_by_age", "expires_us"),
    Index("uploads_by_owner", "owner", "customer"),
)

UPLOAD_PARTS = Table(
    "upload_parts",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("upload", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("content", String(32), nullable=False),
    Index("upload_parts_by_upload", "upload"),
    Index("upload_parts_by_content", "content"),
)


def file_stands(at: datetime) -> ColumnElement[bool]:
    """Of rows of `FILES`: its time is not over."""
    return or_(FILES.c.expires_us.is_(None), FILES.c.expires_us > to_us(at))
