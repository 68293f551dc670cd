"""What the files of the Assistants API are made of: where contents are kept, by which keys, and what looks at them, as the settings say."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import FastAPI

from audit.log import Log, LogUnavailable
from gateway.app.settings import Settings
from gateway.domain.errors import Unavailable
from gateway.doors.assistants_api import files, uploads, vector_files, vector_stores
from gateway.doors.assistants_api.api import Api
from gateway.doors.assistants_api.files import FilesApi
from gateway.doors.assistants_api.vector_stores import VectorsApi
from gateway.doors.rest import Door
from gateway.files.indexing import IndexDependencies, IndexPool
from gateway.files.keeping import FileKeeper
from gateway.files.parsing import PlainTextParser
from gateway.files.scanning import ClamdScanner, CommandScanner, FileScanner, NoFileScanner
from gateway.files.searching import LongReader
from gateway.files.storage import FolderStorage
from gateway.store.files import FilesMost

KEY_CLASS = "files"
"""Of the keys of customers: apart from those of their records, which the law may keep longer than their files."""


@dataclass(frozen=True, slots=True)
class CustomersKeys:
    """The keys of customers that the log has, which erasing a customer destroys."""

    log: Log

    async def of(self, customer: str | None) -> AESGCM:
        """Unavailable."""
        key = self.log.keys.known(customer, KEY_CLASS)
        try:
            while key is None:
                await self.log.meet(customer, KEY_CLASS)
                key = self.log.keys.known(customer, KEY_CLASS)
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error
        return key.cipher


@dataclass(frozen=True, slots=True)
class ServedFiles:
    """Needs the extra `files`."""

    api: FilesApi
    pool: IndexPool
    vectors: VectorsApi

    def mount(self, app: FastAPI, door: Door) -> None:
        """Put the routes of files, uploads and vector stores into the application."""
        for item in (files, uploads):
            item.mount(app, door, self.api)
        for of_vectors in (vector_stores, vector_files):
            of_vectors.mount(app, door, self.vectors)

    async def sweep(self) -> None:
        """Delete contents that nobody has any more."""
        await self.api.keeper.sweep()


def served_files(settings: Settings, api: Api, reader: LongReader, log: Log) -> ServedFiles:
    keeper = FileKeeper(
        store=api.book,
        storage=FolderStorage(settings.files_folder or settings.data / "files"),
        keys=CustomersKeys(log),
        scanner=_scanner(settings),
        clock=log.now,
    )
    most = FilesMost(settings.files_most, settings.files_bytes_most)
    of_files = FilesApi(api=api, keeper=keeper, file_most=settings.file_bytes_most, most=most)
    index = IndexDependencies(keeper=keeper, parser=PlainTextParser(), clock=log.now)
    return ServedFiles(of_files, IndexPool(index), VectorsApi(files=of_files, index=index, reader=reader))


def _scanner(settings: Settings) -> FileScanner:
    if settings.file_scan_command:
        return CommandScanner(settings.file_scan_command)
    return ClamdScanner(settings.file_scan_clamd) if settings.file_scan_clamd else NoFileScanner()
