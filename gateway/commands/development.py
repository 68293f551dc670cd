"""`tellergate demo` and `serve --dev`."""

import argparse
import signal
import threading
from dataclasses import replace

from gateway.app.development.address import note_url
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.development.settings import development
from gateway.app.settings import Settings
from gateway.commands import demo as story
from gateway.commands.printing import print_json
from gateway.commands.serving import listening, served
from gateway.commands.settings import said_by, values


def demo(options: argparse.Namespace) -> int:
    """Tell the story of the demo. SIGTERM ends it as Ctrl-C does: its gateway, on a thread, ends in order."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return story.demo(once=options.once, as_json=options.json, data=options.data)


def settings_of(options: argparse.Namespace) -> Settings:
    """What somebody says, over the settings of development mode; over the plain defaults where it is said whose tokens are taken."""
    chosen = values(said_by(options))
    if "issuer" in chosen:
        return Settings(development=True, **chosen)
    return replace(development(chosen.pop("data")), **chosen)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT, which is told as interrupted, or SIGTERM."""
    settings = settings_of(options)
    DEVELOPMENT.check(settings)

    def told(url: str) -> None:
        note_url(settings.data, url)
        if options.json:
            print_json(listening(url, settings, DEVELOPMENT))
            return
        print(f"Tellergate listens on {url}  (development mode: made-up customers, never real ones)")
        token = f"tellergate dev token --data {settings.data} --customer alice --agent demo --level L2"
        if settings.operations_port:
            print(f"people operate it on {settings.operations_origin}")
        print(f"tokens: of {settings.issuer}" if settings.has_external_issuer else f"a token:  {token}", flush=True)

    return served(settings, DEVELOPMENT, told)
