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
from gateway.app.tools import ServedTools
from gateway.calls.pipeline import CallPipeline
from gateway.calls.rates import RateKind, Rates
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
    from gateway.app.files import OpenedFiles, ServedFiles  # needs the extra `files`


@dataclass(frozen=True, slots=True)
class RunsApi:
    """The Assistants API, its files, and how they end."""

    api: Api
    files: "ServedFiles | None"
    tools: ServedTools
    model: Model | None

    async def release(self) -> None:
        """Let go of the runs, and of what is being indexed, while answers may still go out."""
        if self.api.pool is not None:
            await self.api.pool.close()
        if self.files is not None:
            await self.files.pool.close()

    async def close(self) -> None:
        """The same, and of the connections to the model, and to what makes vectors."""
        await self.release()
        if self.model is not None:
            await self.model.close()
        if self.files is not None:
            await self.files.close()


def running(
    settings: Settings,
    stand_in: StandIn | None,
    *,
    book: SqlBook,
    pipeline: CallPipeline,
    proposals: Proposals,
    files: "OpenedFiles | None",
    tools: ServedTools,
    keys: KeyRing,
) -> RunsApi:
    """To be called where the loop runs. UnsafeSettings for a credential that is none. `stand_in` answers in the place of a model."""
    model, broadcast = _model(settings) if stand_in is None else stand_in.model, Broadcast()
    seal = PrincipalSeal(keys)
    hosts = frozenset(settings.answer_hosts)
    pool, images = None, _images(files)
    if model is not None:
        origin = settings.confirming_origin
        parts = RunDependencies(
            book=book,
            calling=RunFunctionCalls(pipeline=pipeline, proposals=proposals, records=proposals.records),
            question=QuestionBuilder(
                book=book,
                store=book,
                functions=proposals.outcomes.functions,
                hosts=hosts,
                most_tokens=settings.model_context_tokens,
                images=images,
                tools=frozenset(tools.by_name),
                tier=settings.code_interpreter,
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
        models=settings.models if stand_in is None else (stand_in.name,),
        images=images,
        tools=frozenset(tools.by_name),
        stores=None if files is None else files.stores,
    )
    return RunsApi(api, _files(settings, api, files), tools, model)


def files_of(settings: Settings, book: SqlBook, log: Log) -> "OpenedFiles | None":
    """None where no place for files is named, or the extra `files` is not there: for customers that is a finding."""
    if any(find_spec(module) is None for module in ("python_multipart", "puremagic", "numpy")):
        return None
    from gateway.app.files import opened_files

    return opened_files(settings, book, log)


def _images(files: "OpenedFiles | None") -> FileImages:
    if files is None:
        return NoFileImages()
    from gateway.files.images import KeptImages

    return KeptImages(files.keeper)


def _files(settings: Settings, api: Api, files: "OpenedFiles | None") -> "ServedFiles | None":
    if files is None:
        return None
    from gateway.app.files import served_files

    return served_files(settings, api, files)


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
