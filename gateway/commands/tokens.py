"""`tellergate dev token`: an access token of the local issuer, for development mode alone."""

import argparse
import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path

from gateway.app.databases import DatabaseLocations, DatabaseName
from gateway.app.development.address import noted_url
from gateway.app.development.local_issuer import LocalIssuer
from gateway.commands.locations import locations
from gateway.commands.printing import GOOD, USAGE, failed, print_json
from gateway.domain.principal import (
    SCOPE_ASSISTANTS,
    SCOPE_CALLS,
    SCOPE_CONFIRM,
    SCOPE_ENROL,
    SCOPE_KILL,
    SCOPE_MANDATES,
    SCOPE_WORDS,
)
from gateway.store import customers

_OF_A_BACK_END = frozenset({SCOPE_ENROL, SCOPE_KILL, SCOPE_MANDATES})
"""What a system of the bank has, each in a token of its own, never a customer."""

_OF_THE_CUSTOMER_ALONE = frozenset({SCOPE_WORDS, SCOPE_CONFIRM})
"""What no assistant may hold."""


def no_issuer(data: Path) -> int:
    """Development mode was never started on this folder."""
    return failed(f"there is no local issuer in {data}; start it with `tellergate serve --dev --data {data}`", USAGE)


def dev_token(options: argparse.Namespace) -> int:
    """Print a token, or say which options do not go together."""
    if not (options.data / "dev").is_dir():
        return no_issuer(options.data)
    scopes: Sequence[str] = options.scope or (SCOPE_CALLS,)
    wrong = _wrong(options, frozenset(scopes))
    if wrong is not None:
        return failed(wrong, USAGE)
    if options.customer is not None:
        known = asyncio.run(_known_customers(locations(options)))
        if known and options.customer not in known:
            return failed(f"there is no customer {options.customer!r} here; there are {', '.join(known)}", USAGE)
    client = options.client or "dev-app"
    token = LocalIssuer(options.data).token(
        options.customer or client,
        agent=options.agent,
        strong=options.level == "L2",
        scope=" ".join(dict.fromkeys(scopes)),
        client=client,
    )
    if options.environment:
        return _environment(options, token)
    if options.json:
        print_json({"token": token, "subject": options.customer or client, "agent": options.agent, "scope": list(scopes)})
    else:
        print(token)
    return GOOD


def _environment(options: argparse.Namespace, token: str) -> int:
    """What clients of each API read of their environment; the same names as an object with `--json`."""
    url = (options.url or noted_url(options.data) or "").rstrip("/")
    if not url:
        return failed(f"no gateway listens on {options.data}: start `tellergate serve --dev`, or say where with --url", USAGE)
    names = {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": token,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": token,
        "OPENAI_API_VERSION": "2024-10-21",
        "MCP_SERVER_URL": f"{url}/mcp",
        "MCP_AUTHORIZATION": f"Bearer {token}",
    }
    if options.json:
        print_json(names)
    else:
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in names.items()))
    return GOOD


def _wrong(options: argparse.Namespace, scopes: frozenset[str]) -> str | None:
    own, back_end = sorted(scopes & _OF_THE_CUSTOMER_ALONE), sorted(scopes & _OF_A_BACK_END)
    if options.agent is not None and own:
        return f"the scope {own[0]} is the customer's own: leave out --agent"
    if back_end and len(scopes) > 1:
        return f"the scope {back_end[0]} mixes with no other: ask for a token of its own"
    if back_end and options.customer is not None:
        return f"the scope {back_end[0]} is a back end's: give --client NAME in place of --customer"
    if options.customer is None and not scopes <= _OF_A_BACK_END | {SCOPE_ASSISTANTS}:
        return "give --customer NAME"
    if options.customer is None and options.client is None:
        return f"without --customer, the scope {min(scopes)} is a back end's: name it with --client NAME"
    if scopes == {SCOPE_CALLS} and options.agent is None:
        return "give --agent NAME, the assistant that acts for the customer; or the customer's own scopes with --scope"
    return None


async def _known_customers(places: DatabaseLocations) -> Sequence[str]:
    """Who has been granted something here, by name; nobody where the gateway has not been started yet."""
    if not places.is_there(DatabaseName.GATEWAY):
        return ()
    database = places.open(DatabaseName.GATEWAY, name="command")
    try:
        return await database.read(customers.names)
    finally:
        await database.close()
