"""What the files of the Assistants API are made of: where contents are kept, by which keys, and what looks at them, as the settings say."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import FastAPI

from adapters.tls import nobody, tls_for
from audit.log import Log, LogUnavailable
from gateway.app.files_checks import BUCKET
from gateway.app.key_files import secret_of
from gateway.app.parsing import parser_of_files
from gateway.app.settings import Settings
from gateway.app.tools import ServedTools
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.calls.record import Records
from gateway.calls.tools import CODE_INTERPRETER, FILE_SEARCH
from gateway.code.port import CodeRunner
from gateway.domain.errors import Unavailable
from gateway.domain.tools import Tool
from gateway.doors.assistants_api import files, uploads, vector_files, vector_stores
from gateway.doors.assistants_api.api import Api
from gateway.doors.assistants_api.files import FilesApi
from gateway.doors.assistants_api.vector_stores import VectorsApi
from gateway.doors.rest import Door
from gateway.files.embedding import ServerEmbedder
from gateway.files.indexing import IndexDependencies, IndexPool
from gateway.files.keeping import FileKeeper
from gateway.files.new_stores import NewStores
from gateway.files.scanning import ClamdScanner, CommandScanner, FileScanner, NoFileScanner
from gateway.files.search_tool import FileSearch
from gateway.files.storage import ContentStorage, FolderStorage
from gateway.files.vector_search import LongReader, VectorSearch
from gateway.runs.code_tool import CodeInterpreter
from gateway.store.book import SqlBook
from gateway.store.files import FilesMost
from gateway.store.items import ItemStore
from gateway.store.vector_files import AttachedMost

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

    @property
    def meant(self) -> VectorSearch | None:
        return self.vectors.index.meant

    async def close(self) -> None:
        if self.meant is not None:
            await self.meant.embedder.close()

    async def sweep(self) -> None:
        """Delete contents that nobody has any more."""
        await self.api.keeper.sweep()


@dataclass(frozen=True, slots=True)
class OpenedFiles:
    """Files that are kept, and how they are indexed and searched."""

    keeper: FileKeeper
    index: IndexDependencies
    reader: LongReader
    stores: NewStores
    most: FilesMost
    file_most: int

    def tools(self, code: CodeRunner | None, records: Records) -> ServedTools:
        """What the tools of ours do, as far as they are served."""
        search: dict[str, Tool] = {FILE_SEARCH.name: FileSearch(index=self.index, reader=self.reader)}
        if code is None:
            return ServedTools(search)
        run = CodeInterpreter(runner=code, keeper=self.keeper, records=records, most=self.most, file_most=self.file_most)
        return ServedTools({**search, CODE_INTERPRETER.name: run}, run.end_forgotten)


def opened_files(settings: Settings, book: SqlBook, log: Log) -> OpenedFiles | None:
    """None where no place for files is named."""
    keeper = file_keeper(settings, book, log)
    if keeper is None:
        return None
    index = IndexDependencies(keeper=keeper, parser=parser_of_files(settings), clock=keeper.clock, meant=_meant(settings))
    stores = NewStores(keeper.keys, AttachedMost(settings.files_most, settings.files_bytes_most))
    most = FilesMost(settings.files_most, settings.files_bytes_most)
    return OpenedFiles(keeper, index, book, stores, most, settings.file_bytes_most)


def file_keeper(settings: Settings, book: ItemStore, log: Log) -> FileKeeper | None:
    """None where no place for files is named."""
    storage = _storage(settings)
    if storage is None:
        return None
    return FileKeeper(
        store=book,
        storage=storage,
        keys=CustomersKeys(log),
        scanner=_scanner(settings),
        clock=log.now,
    )


def served_files(settings: Settings, api: Api, opened: OpenedFiles) -> ServedFiles:
    of_files = FilesApi(api=api, keeper=opened.keeper, file_most=settings.file_bytes_most, most=opened.most)
    vectors = VectorsApi(files=of_files, index=opened.index, reader=opened.reader, stores=opened.stores)
    return ServedFiles(of_files, IndexPool(opened.index), vectors)


def _meant(settings: Settings) -> VectorSearch | None:
    url, file = settings.embeddings_url, settings.embeddings_credential_file
    if not url:
        return None
    credential = None if file is None else secret_of(file)
    return VectorSearch(ServerEmbedder(url, settings.embeddings_model, credential, tls_for(url) or nobody()))


def _storage(settings: Settings) -> ContentStorage | None:
    if named := BUCKET.fullmatch(settings.files_bucket):
        from gateway.files.s3 import Bucket, BucketStorage

        return BucketStorage(
            Bucket(named[1], named[2] or "", settings.files_endpoint, settings.files_region, *_access_key(settings))
        )
    return None if settings.files_folder is None else FolderStorage(settings.files_folder)


def _access_key(settings: Settings) -> tuple[str, str]:
    """Its id and secret; empty where the environment says them. UnsafeSettings, without a word of them."""
    if settings.files_credential_file is None:
        return "", ""
    key_id, _, secret = secret_of(settings.files_credential_file).partition(":")
    if not key_id or not secret:
        problem, remedy = "does not hold an access key", "write its id, a colon and its secret in one line"
        raise UnsafeSettings(findings=[SettingFinding("files_credential_file", FindingCode.MALFORMED, problem, remedy)])
    return key_id, secret


def _scanner(settings: Settings) -> FileScanner:
    if settings.file_scan_command:
        return CommandScanner(settings.file_scan_command)
    return ClamdScanner(settings.file_scan_clamd) if settings.file_scan_clamd else NoFileScanner()
