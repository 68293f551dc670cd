"""What the runs are made of: the model's endpoint as the settings name it, and the pool that drives runs over it."""

from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from audit.keyring import KeyRing
from audit.log import Log
from gateway.app.composition import StandIn
from gateway.app.key_files import secret_of
from gateway.app.settings import Settings
from gateway.calls.pipeline import CallPipeline
from gateway.calls.rates import RateKind, Rates
from gateway.calls.record import Records
from gateway.confirmations.proposals import Proposals
from gateway.doors.assistants_api.api import Api
from gateway.runs.broadcast import Broadcast
from gateway.runs.function_calls import RunFunctionCalls
from gateway.runs.images import FileImages, NoFileImages
from gateway.runs.loop import RunDependencies
from gateway.runs.model import Model
from gateway.runs.pool import RunPool
from gateway.runs.question import QuestionBuilder
from gateway.runs.sealed_principal import PrincipalSeal
from gateway.store.book import SqlBook

if TYPE_CHECKING:
    from gateway.app.files import ServedFiles  # needs the extra `files`
    from gateway.files.keeping import FileKeeper
    from gateway.files.new_stores import NewStores


@dataclass(frozen=True, slots=True)
class RunsApi:
    """The Assistants API, its files, and how they end."""

    api: Api
    files: "ServedFiles | None"
    model: Model | None

    async def release(self) -> None:
        """Let go of the runs, and of what is being indexed, while answers may still go out."""
        if self.api.pool is not None:
            await self.api.pool.close()
        if self.files is not None:
            await self.files.pool.close()

    async def close(self) -> None:
        """The same, and of the model's connections."""
        await self.release()
        if self.model is not None:
            await self.model.close()


def running(
    settings: Settings,
    stand_in: StandIn | None,
    *,
    book: SqlBook,
    pipeline: CallPipeline,
    proposals: Proposals,
    records: Records,
    keys: KeyRing,
) -> RunsApi:
    """To be called where the loop runs. UnsafeSettings for a credential that is none. `stand_in` answers in the place of a model."""
    model, broadcast = _model(settings) if stand_in is None else stand_in.model, Broadcast()
    seal = PrincipalSeal(keys)
    hosts = frozenset(settings.answer_hosts)
    keeper, pool = _keeper(settings, book, records.log), None
    images = _images(keeper)
    if model is not None:
        origin = settings.confirming_origin
        parts = RunDependencies(
            book=book,
            calling=RunFunctionCalls(pipeline=pipeline, proposals=proposals, records=records),
            question=QuestionBuilder(
                book=book,
                store=book,
                functions=proposals.outcomes.functions,
                hosts=hosts,
                most_tokens=settings.model_context_tokens,
                images=images,
            ),
            model=model,
            seal=seal,
            broadcast=broadcast,
            clock=proposals.clock,
            confirm_at=f"{origin}/confirm/" if origin else "",
        )
        pool = RunPool(parts, settings.runs_at_once)
    api = Api(
        book=book,
        pool=pool,
        broadcast=broadcast,
        seal=seal,
        rates=Rates(settings.thread_writes_per_minute, RateKind.WRITES),
        hosts=hosts,
        lifetime=timedelta(seconds=settings.run_lifetime_s),
        runs_most=settings.runs_per_customer,
        stand_in="" if stand_in is None else stand_in.name,
        images=images,
        stores=_new_stores(settings, keeper),
    )
    return RunsApi(api, _files(settings, api, keeper, book), model)


def _keeper(settings: Settings, book: SqlBook, log: Log) -> "FileKeeper | None":
    if find_spec("python_multipart") is None or find_spec("puremagic") is None:
        return None  # for customers a place for files without the extra is a finding, and they are not served
    from gateway.app.files import file_keeper

    return file_keeper(settings, book, log)


def _images(keeper: "FileKeeper | None") -> FileImages:
    if keeper is None:
        return NoFileImages()
    from gateway.files.images import KeptImages

    return KeptImages(keeper)


def _new_stores(settings: Settings, keeper: "FileKeeper | None") -> "NewStores | None":
    if keeper is None:
        return None
    from gateway.app.files import new_stores

    return new_stores(settings, keeper)


def _files(settings: Settings, api: Api, keeper: "FileKeeper | None", book: SqlBook) -> "ServedFiles | None":
    if keeper is None:
        return None
    from gateway.app.files import served_files

    return served_files(settings, api, keeper, book)


def _model(settings: Settings) -> Model | None:
    if not settings.model_url:
        return None
    from gateway.runs.endpoint import open_model

    credential = None if settings.model_credential_file is None else secret_of(settings.model_credential_file)
    api: Literal["chat", "responses"] = "responses" if settings.model_api == "responses" else "chat"
    return open_model(
        settings.model_url,
        api,
        credential,
        timeout_ms=settings.model_timeout_ms,
        idle_ms=settings.model_idle_ms,
        retries=settings.model_retries,
    )
