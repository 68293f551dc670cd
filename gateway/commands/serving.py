"""`tellergate demo` and `serve`."""

import argparse
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from gateway.app import serving, workers
from gateway.app.development import note_url
from gateway.app.logs import start_logging
from gateway.app.settings import Settings, development
from gateway.app.settings_sources import from_environment, from_file
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.commands import demo as story
from gateway.commands.printing import print_json


def demo(options: argparse.Namespace) -> int:
    """Tell the story of the demo. SIGTERM ends it as Ctrl-C does: its gateway, on a thread, ends in order."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return story.demo(once=options.once, as_json=options.json, data=options.data)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT, which is told as interrupted, or SIGTERM."""
    settings = _chosen(options)

    def told(url: str) -> None:
        if settings.development:
            note_url(settings.data, url)
        if options.json:
            known = {"url": url, "data": str(settings.data), "mode": "development", "issuer": settings.issuer}
            print_json({**known, "workers": options.workers})
        else:
            print(f"Tellergate listens on {url}  (development mode: made-up customers, never real ones)")
            token = f"tellergate dev token --data {settings.data} --customer alice --agent demo --level L2"
            print(f"tokens: of {settings.issuer}" if settings.has_external_issuer else f"a token:  {token}", flush=True)

    start_logging(settings)
    if options.workers == 1:
        return uvloop.run(serving.serve(settings, started=lambda url, _gateway, _stop: told(url)))
    return workers.serve_several(settings, options.workers, started=told)


_OPTIONS = (
    "data",
    "database",
    "host",
    "port",
    "audit_wait_ms",
    "core_url",
    "core_credential_file",
    "functions",
    "functions_credential_file",
    "model_url",
    "model_api",
    "model_credential_file",
    "otlp_endpoint",
)
"""Settings that the command line may say too."""


def _chosen(options: argparse.Namespace) -> Settings:
    """The settings of the file, over them those of the environment, over both those of the command line; the rest are defaults."""
    chosen: dict[str, Any] = {} if options.settings is None else dict(from_file(Path(options.settings)))
    chosen |= from_environment(os.environ)
    named = {name: getattr(options, name) for name in _OPTIONS}
    chosen |= {name: value for name, value in named.items() if value not in (None, "")}
    if "data" not in chosen:
        raise UnsafeSettings("data must be set, by --data, TELLERGATE_DATA or in the file of --settings")
    if options.dev and "issuer" not in chosen:
        return replace(development(chosen.pop("data")), **chosen).checked()
    return Settings(development=options.dev, **chosen).checked()
