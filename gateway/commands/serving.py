"""`tellergate demo`, `serve` and `dev token`."""

import argparse
import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from gateway import demo as story
from gateway import main as composition
from gateway.commands.printing import GOOD, USAGE, failed, print_json
from gateway.issuer import LocalIssuer
from gateway.settings import Settings, development


def demo(options: argparse.Namespace) -> int:
    """Tell the story of the demo."""
    return story.demo(once=options.once, as_json=options.json, data=options.data)


def serve(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    where = {"data": options.data, "database": options.database, "host": options.host, "port": options.port}
    settings = development(**where) if options.dev else Settings(development=False, **where)
    settings = replace(settings, otlp_endpoint=options.otlp_endpoint, audit_wait_ms=options.audit_wait_ms)
    settings = replace(settings, core_url=options.core_url, core_credential_file=options.core_credential_file)

    def started(url: str, _gateway: composition.Gateway, _stop: Callable[[], None]) -> None:
        if options.json:
            print_json({"url": url, "data": str(options.data), "mode": "development"})
        else:
            print(f"Tellergate listens on {url}  (development mode: made-up customers, never real ones)")
            print(f"a token:  tellergate dev token --data {options.data} --customer alice --agent demo --level L2", flush=True)

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # lines of JSON, by the same rule as telemetry
    asyncio.run(composition.serve(settings, started=started))
    return GOOD


def dev_token(options: argparse.Namespace) -> int:
    """Print a token of the local issuer."""
    if not (options.data / "dev").is_dir():
        return failed("this folder has no local issuer; start it with `tellergate serve --dev --data FOLDER`", USAGE)
    issuer = LocalIssuer(options.data, development=True)
    agent = None if options.words else options.agent
    token = issuer.token(options.customer, agent=agent, strong=options.level == "L2", words=options.words)
    if options.json:
        print_json({"token": token})
    else:
        print(token)
    return GOOD
