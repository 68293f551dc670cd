"""`tellergate serve` for customers: the production composition, and nothing of development mode."""

import argparse
import logging
from collections.abc import Callable

import uvloop

from audit.store.reads import LogCorrupt
from gateway.app import descriptors, serving, workers
from gateway.app.composition import Composition
from gateway.app.host_checks import settings_file_findings
from gateway.app.logs import start_logging
from gateway.app.production import PRODUCTION
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.commands.printing import FINDING, failed, print_json
from gateway.commands.settings import file_of, said_by, values
from gateway.domain.alarms import Alarm

_LOG = logging.getLogger("tellergate.serving")


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT, which is told as interrupted, or SIGTERM."""
    settings = Settings(development=False, **values(said_by(options)))
    PRODUCTION.check(settings)
    if (file := file_of(options)) is not None and (wrong := [*settings_file_findings(file, settings)]):
        raise UnsafeSettings(findings=wrong)

    def told(url: str) -> None:
        if options.json:
            print_json(listening(url, settings, PRODUCTION))
        else:
            print(f"Tellergate listens on {url} for {settings.public_url}; tokens: of {settings.issuer}", flush=True)
            if settings.operations_port:
                print(f"people operate it on {settings.operations_origin}", flush=True)

    try:
        return served(settings, PRODUCTION, told)
    except LogCorrupt as error:
        return failed(f"refused: the log is not what was signed: {error}; run `tellergate audit verify`", FINDING)


def listening(url: str, settings: Settings, composition: Composition) -> dict[str, object]:
    """What a program is told once the gateway listens."""
    known = {"url": url, "data": str(settings.data), "mode": composition.mode, "issuer": settings.issuer}
    return {**known, "workers": settings.workers, "operations": settings.operations_origin or None}


def served(settings: Settings, composition: Composition, told: Callable[[str], None]) -> int:
    """Serve, in this process or by several; the exit status."""
    start_logging(settings)
    descriptors.raise_limit()
    most, needed = descriptors.most(), descriptors.needed(settings)
    if most is not None and most < needed:  # for customers it was refused
        _LOG.log(*Alarm.DESCRIPTORS_FEW.line(most=most, needed=needed))
    if settings.workers == 1:
        return uvloop.run(serving.serve(settings, composition, started=lambda url, _gateway, _stop: told(url)))
    return workers.serve_several(settings, composition, started=told)
