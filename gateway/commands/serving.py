"""`tellergate demo`, `serve` and `dev token`."""

import argparse
from dataclasses import replace
from typing import Any

import uvloop

from gateway.app import serving, workers
from gateway.app.local_issuer import LocalIssuer
from gateway.app.logs import start_logging
from gateway.app.settings import Settings, UnsafeSettings, development
from gateway.app.settings_file import read_settings
from gateway.commands import demo as story
from gateway.commands.printing import GOOD, USAGE, failed, print_json
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_THREADS, SCOPE_WORDS


def demo(options: argparse.Namespace) -> int:
    """Tell the story of the demo."""
    return story.demo(once=options.once, as_json=options.json, data=options.data)


def serve(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    settings = _chosen(options)

    def told(url: str) -> None:
        if options.json:
            known = {"url": url, "data": str(settings.data), "mode": "development", "issuer": settings.issuer}
            print_json({**known, "workers": options.workers})
        else:
            print(f"Tellergate listens on {url}  (development mode: made-up customers, never real ones)")
            token = f"tellergate dev token --data {settings.data} --customer alice --agent demo --level L2"
            print(f"tokens: of {settings.issuer}" if settings.has_external_issuer else f"a token:  {token}", flush=True)

    start_logging(settings)
    if options.workers == 1:
        uvloop.run(serving.serve(settings, started=lambda url, _gateway, _stop: told(url)))
    else:
        workers.serve_several(settings, options.workers, started=told)
    return GOOD


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
    """The settings of the file, those of the command line over them; what neither says is the default."""
    chosen: dict[str, Any] = {} if options.settings is None else dict(read_settings(options.settings))
    named = {name: getattr(options, name) for name in _OPTIONS}
    chosen |= {name: value for name, value in named.items() if value not in (None, "")}
    if "data" not in chosen:
        raise UnsafeSettings("data must be set, by --data or in the file of --settings")
    if options.dev and "issuer" not in chosen:
        return replace(development(chosen.pop("data")), **chosen).checked()
    return Settings(development=options.dev, **chosen).checked()


def dev_token(options: argparse.Namespace) -> int:
    """Print a token of the local issuer."""
    if not (options.data / "dev").is_dir():
        return failed("this folder has no local issuer; start it with `tellergate serve --dev --data FOLDER`", USAGE)
    issuer = LocalIssuer(options.data, development=True)
    scope = SCOPE_CALLS
    if options.words:
        scope = SCOPE_WORDS
    elif options.threads:
        scope = f"{SCOPE_THREADS} {SCOPE_WORDS} {SCOPE_CALLS}"
    elif options.assistants:
        scope = SCOPE_ASSISTANTS
    token = issuer.token(options.customer, agent=options.agent, strong=options.level == "L2", scope=scope)
    if options.json:
        print_json({"token": token})
    else:
        print(token)
    return GOOD
